"""The user's own files that lie where references look for them."""

from comfylock.disk.download import HEAD_BYTES, foreign_kind
from comfylock.disk.read import first_bytes
from comfylock.disk.scan import Scanner
from comfylock.names import EMBEDDING_EXTENSIONS, extension, unsafe_reason
from comfylock.resolve import LocalMatch, format_of


def spellings(key: str) -> list[str]:
    """Return the keys that a file of this name may have: one without extension may have any."""
    if extension(key):
        return [key]
    return [f"{key}{ending}" for ending in EMBEDDING_EXTENSIONS]


def local_match(key: str, scanner: Scanner) -> LocalMatch | None:
    """Return the file that lies where a key belongs, with both its hashes; reads it if need be."""
    for spelled in spellings(key):
        if unsafe_reason(spelled) is not None:
            continue
        file = scanner.find_named(spelled, ("blake3", "sha256"))
        if file is not None:
            return LocalMatch(
                path=str(file.path),
                size=file.stat.size,
                digests=file.digests,
                format=format_of(spelled),
                foreign=foreign_kind(spelled, first_bytes(file.path, HEAD_BYTES)),
            )
    return None
