"""Where a pinned file can be fetched from: sources to and from the tables of comfy.lock.

The lock comes from strangers, so an address in it may hold no credentials and no trick: https
only (http for loopback addresses), nothing before an ``@``, no key in the query.
"""

import re
from urllib.parse import parse_qsl, urlsplit

from comfylock.artifacts import (
    CivitaiSource,
    FileId,
    HuggingFaceSource,
    ModelId,
    Source,
    UrlSource,
    VersionId,
)
from comfylock.hubs import is_loopback
from comfylock.names import shown
from comfylock.toml import Table, excerpt

SOURCE_TYPES = ("civitai", "huggingface", "url")
MAX_ID = 2**63 - 1

_KEYS = {
    "civitai": frozenset({"type", "model", "version", "file"}),
    "huggingface": frozenset({"type", "repo", "revision", "file"}),
    "url": frozenset({"type", "url"}),
}
_REPO = re.compile(
    r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})?"
)
_REVISION = re.compile(r"[0-9a-f]{40}")
SECRET_PARAMETERS = frozenset(
    {
        "access_token", "accesstoken", "api-key", "api_key", "apikey", "auth", "authorization",
        "awsaccesskeyid", "hf_token", "jwt", "key-pair-id", "passwd", "password", "policy",
        "secret", "sig", "signature", "token",
    }
)  # fmt: skip
SECRET_PREFIXES = ("x-amz-", "x-goog-", "x-ms-")
MAX_URL_CHARACTERS = 2_048


def read_source(table: Table) -> tuple[Source, tuple[tuple[str, object], ...]]:
    """Return one source and the keys of its table that are not known, sorted.

    Raises:
        TomlError: a value is missing or breaks the rules above.
    """
    kind = table.choice("type", SOURCE_TYPES)
    if kind is None:
        raise table.fault("type", "missing")
    return _READERS[kind](table), table.unknown(_KEYS[kind])


def source_to_dict(source: Source) -> dict[str, object]:
    """Return the table of a source, keys in the order of the file."""
    match source:
        case CivitaiSource():
            return {
                "type": "civitai",
                "model": int(source.model),
                "version": int(source.version),
                "file": int(source.file),
            }
        case HuggingFaceSource():
            return {
                "type": "huggingface",
                "repo": source.repo,
                "revision": source.revision,
                "file": source.file,
            }
        case UrlSource():
            return {"type": "url", "url": source.url}


def _civitai(table: Table) -> Source:
    return CivitaiSource(
        model=ModelId(_id(table, "model")),
        version=VersionId(_id(table, "version")),
        file=FileId(_id(table, "file")),
    )


def _id(table: Table, key: str) -> int:
    value = table.need(key, int)
    if not 0 < value <= MAX_ID:
        raise table.unexpected(key, "an id above 0")
    return value


def _huggingface(table: Table) -> Source:
    repo, revision, file = (table.need(key, str) for key in ("repo", "revision", "file"))
    if not _REPO.fullmatch(repo):
        raise table.unexpected("repo", "a repository such as owner/name")
    if not _REVISION.fullmatch(revision):
        raise table.unexpected("revision", "the 40 lower-case hex digits of a commit")
    if shown(file) != file or any(part in {"", ".", ".."} for part in file.split("/")):
        raise table.unexpected("file", "a path inside the repository")
    return HuggingFaceSource(repo=repo, revision=revision, file=file)


def _url(table: Table) -> Source:
    url = table.need("url", str)
    complaint = url_complaint(url)
    if complaint is not None:
        raise table.fault("url", complaint)
    return UrlSource(url=url)


_READERS = {"civitai": _civitai, "huggingface": _huggingface, "url": _url}


def url_complaint(url: str) -> str | None:
    """Return why an address may not stand in a lock, or ``None`` when it may.

    The address itself is never part of the answer: it may hold the secret that is complained of.
    """
    if len(url) > MAX_URL_CHARACTERS:
        return f"the address is longer than {MAX_URL_CHARACTERS} characters"
    if shown(url) != url or " " in url or "\\" in url:
        return "the address holds a control character, a blank or a backslash"
    return _parts_complaint(url)


def _parts_complaint(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the address cannot be understood"
    if not host or not host.isascii() or port == 0:
        return "the address names no host, or none in plain letters"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return "the address must begin with https://"
    if "@" in parts.netloc:
        return "the address holds a user name or password"
    return _query_complaint(parts.query)


def _query_complaint(query: str) -> str | None:
    try:
        pairs = parse_qsl(query.replace(";", "&"), keep_blank_values=True)
    except ValueError:
        return "the address has a query that cannot be understood"
    for name, _ in pairs:
        plain = name.strip().casefold()
        if plain in SECRET_PARAMETERS or plain.startswith(SECRET_PREFIXES):
            return f"the query holds a key or signature ({excerpt(name)})"
    return None
