"""The user's own files that lie where references look for them."""

from pathlib import Path

from comfylock.disk.read import first_bytes, hash_file
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


def match_at(path: Path, key: str) -> LocalMatch:
    """Return any file as the one for a key, with both its hashes; reads it.

    Raises:
        PlaceError: it cannot be read, or changes meanwhile.
    """
    stat, digests = hash_file(path, ("blake3", "sha256"))
    return _match(path, key, stat.size, digests)


def _read(file: LocalFile, key: str) -> LocalMatch:
    try:
        return _match(file.path, key, file.stat.size, file.digests)
    except PlaceError:
        return _unread(file.path, key)


def _match(path: Path, key: str, size: int, digests: Digests) -> LocalMatch:
    return LocalMatch(
        path=str(path),
        size=size,
        digests=digests,
        format=format_of(key),
        foreign=foreign_kind(key, first_bytes(path, HEAD_BYTES)),
    )


def _unread(path: Path, key: str) -> LocalMatch:
    return LocalMatch(path=str(path), size=0, digests=Digests(), format=format_of(key))
