"""SPEC: the user's word for one file, as `pin` takes it and comfylock.toml keeps it. Pure."""

import re
from enum import Enum
from pathlib import PurePath

from comfylock.addresses import (
    CivitaiAddress,
    HuggingFaceAddress,
    PlainAddress,
    parse_page,
    parse_spec,
)
from comfylock.artifacts import CivitaiSource, HuggingFaceSource, Source, UrlSource
from comfylock.config import ModelWish, is_absolute
from comfylock.errors import UnresolvedError, UsageError
from comfylock.hashes import is_digest
from comfylock.lockfile.model import Evidence, Pin
from comfylock.lockfile.sources import url_complaint
from comfylock.names import extension, shown

UNDERSTOOD = (
    "Understood are civitai:VERSION[/FILE], an AIR, a Civitai or Hugging Face page or download "
    "address, hf:REPO@REV:PATH, an https address with --sha256, and the path of a local file"
)


# What begins like this is an address that was not understood, and no path; "C:" is a drive.
_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_MOST_ECHOED = 200
_BARE_IDS = re.compile(r"[0-9]{1,18}(/[0-9]{1,18})?")


class SpecKind(Enum):
    """What a SPEC is."""

    ADDRESS = "a place on a hub"
    PAGE = "a Civitai model, whichever version"
    REPOSITORY = "a Hugging Face repository, or a folder of it"
    URL = "a plain address"
    PATH = "a local file"


def kind_of(spec: str) -> SpecKind:
    """Return what a SPEC is.

    Raises:
        UnresolvedError: it is nothing that is understood.
    """
    address = parse_spec(spec)
    if isinstance(address, CivitaiAddress) and address.version is None:
        return SpecKind.PAGE
    if isinstance(address, PlainAddress):
        return SpecKind.URL
    if address is not None:
        return SpecKind.ADDRESS
    if parse_page(spec) is not None:
        return SpecKind.REPOSITORY
    if _looks_like_a_path(spec):
        return SpecKind.PATH
    raise UnresolvedError(f"{told(spec)!r} names no file", hint=_hint(spec))


def told(spec: str) -> str:
    """Return a SPEC as messages may hold it: cut, and without a query, which may hold a key."""
    return shown(spec.partition("?")[0][:_MOST_ECHOED])


def _looks_like_a_path(spec: str) -> bool:
    if _OTHER_SCHEME.match(spec.strip()) or _BARE_IDS.fullmatch(spec.strip()):
        return False
    return bool(extension(spec)) or is_absolute(spec) or len(PurePath(spec).parts) > 1


def _hint(spec: str) -> str:
    if _BARE_IDS.fullmatch(spec.strip()):
        return f"A version of Civitai is written civitai:{spec.strip()}"
    return UNDERSTOOD


def spec_at(address: HuggingFaceAddress) -> str:
    """Return the SPEC that means one file of a repository."""
    return f"hf:{address.repo}@{address.revision}:{address.file}"


def url_wish(url: str, sha256: str | None) -> ModelWish:
    """Return the wish for a plain address.

    Raises:
        UnresolvedError: the address may not stand in a lock, or its hash is missing.
        UsageError: what is given is no hash.
    """
    complaint = url_complaint(url)
    if complaint is not None:
        raise UnresolvedError(f"this address cannot be pinned: {complaint}", hint=UNDERSTOOD)
    if sha256 is None:
        raise UnresolvedError(
            f"{shown(url.partition('?')[0])} is pinned by its hash, and none is given",
            hint="Add --sha256 with the 64 hex digits that its publisher names",
        )
    digest = sha256.lower()
    if not is_digest(digest):
        raise UsageError("--sha256 takes 64 hex digits", hint="Give all of them")
    return ModelWish(pin=url, sha256=digest)


def wish_of(pin: Pin, asked: ModelWish) -> ModelWish:
    """Return what comfylock.toml keeps for a pin: ids, never "the latest" of anything."""
    if pin.evidence is Evidence.LOCAL or not pin.sources or asked.local:
        return ModelWish(local=True, sha256=asked.sha256, size=asked.size)
    source = pin.sources[0]
    if isinstance(source, UrlSource):
        return ModelWish(pin=source.url, sha256=pin.digests.sha256)
    return ModelWish(pin=spec_of(source))


def spec_of(source: Source) -> str:
    """Return the SPEC that means a source and nothing else."""
    match source:
        case CivitaiSource():
            return f"civitai:{source.version}/{source.file}"
        case HuggingFaceSource():
            return f"hf:{source.repo}@{source.revision}:{source.file}"
        case UrlSource():
            return source.url
