"""The user's own files that lie where references look for them."""

from pathlib import Path

from comfylock.disk.read import first_bytes
from comfylock.disk.scan import Scanner
from comfylock.disk.sniff import HEAD_BYTES, foreign_kind
from comfylock.errors import PlaceError
from comfylock.hashes import Digests
from comfylock.inventory import LocalFile
from comfylock.names import EMBEDDING_EXTENSIONS, extension, unsafe_reason
from comfylock.resolve import LocalMatch, format_of


def spellings(key: str) -> list[str]:
    """Return the keys that a file of this name may have: one without extension may have any."""
    if extension(key):
        return [key]
    return [f"{key}{ending}" for ending in EMBEDDING_EXTENSIONS]


def local_match(key: str, scanner: Scanner) -> LocalMatch | None:
    """Return the file that lies where a key belongs, with both its hashes; reads it if need be.

    One that cannot be read, of which the scanner has warned, has no hashes.
    """
    for spelled in spellings(key):
        if unsafe_reason(spelled) is not None:
            continue
        file = scanner.find_named(spelled, ("blake3", "sha256"))
        if isinstance(file, LocalFile):
            return _read(file, spelled)
        if file is not None:
            return _unread(file.path, spelled)
    return None


def _read(file: LocalFile, key: str) -> LocalMatch:
    try:
        head = first_bytes(file.path, HEAD_BYTES)
    except PlaceError:
        return _unread(file.path, key)
    return LocalMatch(
        path=str(file.path),
        size=file.stat.size,
        digests=file.digests,
        format=format_of(key),
        foreign=foreign_kind(key, head),
    )


def _unread(path: Path, key: str) -> LocalMatch:
    return LocalMatch(path=str(path), size=0, digests=Digests(), format=format_of(key))
