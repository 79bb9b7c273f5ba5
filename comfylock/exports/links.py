"""Addresses made from what a lock says of a source: never from free text.

Sources: Civitai's routes `/api/download/models/{version}` and `/models/{model}`, Hugging Face's
`/{repo}/resolve/{revision}/{file}` and `/blob/`.
"""

from urllib.parse import quote

from comfylock.artifacts import CivitaiSource, HuggingFaceSource, Source, UrlSource
from comfylock.hubs import CIVITAI_URL, HUGGINGFACE_URL, Hub


def download_address(source: Source, hub: Hub) -> str:
    """Return the address that a source's bytes are asked for at; it holds no key."""
    match source:
        case CivitaiSource():
            return f"{hub.civitai_url}/api/download/models/{source.version}?fileId={source.file}"
        case HuggingFaceSource():
            revision = quote(source.revision, safe="")
            return (
                f"{hub.huggingface_url}/{quote(source.repo)}/resolve/{revision}/"
                f"{quote(source.file)}"
            )
        case UrlSource():
            return source.url


def page_address(source: Source) -> str | None:
    """Return the public page for people, or ``None`` where the lock holds no ids to make it from.

    A plain address is a stranger's text, so no link is made of it.
    """
    match source:
        case CivitaiSource():
            return f"{CIVITAI_URL}/models/{source.model}?modelVersionId={source.version}"
        case HuggingFaceSource():
            revision = quote(source.revision, safe="")
            return f"{HUGGINGFACE_URL}/{quote(source.repo)}/blob/{revision}/{quote(source.file)}"
        case UrlSource():
            return None
