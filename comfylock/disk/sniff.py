"""What a file is by its first bytes, where that is no model of its extension. Reads 16 bytes."""

import os

from comfylock.disk.read import open_file
from comfylock.errors import NotAModelError, PlaceError
from comfylock.names import extension

#: So many first bytes tell what a file is.
HEAD_BYTES = 16
#: The format's own limit of a header (safetensors, tensor.rs).
_MAX_SAFETENSORS_HEADER = 100_000_000
_MARKUP = (b"<!doctype", b"<!--", b"<html", b"<head", b"<?xml", b"<body", b"<error")
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_SAFE_EXTENSIONS = frozenset({".safetensors", ".sft"})

#: What pickle bytes under a name that promises safetensors are called.
DISGUISED = "a pickle or zip file, which may run code when it is loaded"


def refuse_foreign(key: str, head: bytes) -> None:
    """Raise when the first bytes of a download show that it is no model of its extension.

    Raises:
        NotAModelError: with what the bytes look like.
    """
    what = foreign_kind(key, head)
    if what is not None:
        raise NotAModelError(
            f"the server sent, instead of {key}, {what}; nothing was kept",
            hint="Open the model's page in a browser; a key, a licence or a login may be missing",
        )


def foreign_kind(name: str, head: bytes) -> str | None:
    """Return what a file surely is by its first bytes where that is no model of its extension.

    That is a web page, an error text, and pickle or zip bytes under a ``.safetensors`` name, which
    some loaders would run. All else is for the hash to judge.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_MARKUP):
        return "a web page"
    if _is_named_safe(name) and _looks_like_safetensors(head):
        return None
    if start.startswith((b'{"', b"{'", b"{\n", b'[{"')):
        return "an error text (JSON)"
    return DISGUISED if _is_disguised(name, head) else None


def is_disguised(path: str | os.PathLike[str], name: str) -> bool:
    """Say whether a file holds pickle or zip bytes under a name that promises safetensors.

    A file that cannot be read is not said to be one: whoever reads it will tell.
    """
    if not _is_named_safe(name):
        return False
    try:
        with open_file(os.fspath(path)) as file:
            return _is_disguised(name, file.read(HEAD_BYTES))
    except (OSError, PlaceError):
        return False


def _is_named_safe(name: str) -> bool:
    return extension(name) in _SAFE_EXTENSIONS


def _is_disguised(name: str, head: bytes) -> bool:
    return _is_named_safe(name) and not _looks_like_safetensors(head) and head.startswith(_PICKLES)


def _looks_like_safetensors(head: bytes) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and length <= _MAX_SAFETENSORS_HEADER and head[8:9] == b"{"
