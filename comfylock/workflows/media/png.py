"""PNG and APNG: tEXt, zTXt, iTXt and ComfyUI's own `comf` chunks, wherever they stand.

Checksums are not looked at: ComfyUI's frontend does not, and texts edited by hand are common.

Sources: PNG specification, third edition, 11.3.3 (text chunks) and 5.3 (chunk layout); ComfyUI
v0.25.0, comfy_api/latest/_ui.py (`comf`, a key, NUL and the JSON, behind the pixels).
"""

import zlib

from comfylock.errors import WorkflowInvalidError
from comfylock.workflows.media.source import (
    WANTED_NAMES,
    MediaFile,
    Texts,
    decoded,
    too_long,
)

_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"comf"})
_MAX_KEYWORD = 79


def png_texts(file: MediaFile) -> Texts:
    """Yield the wanted texts of a PNG; the pixels end the search once the UI graph was found."""
    at, is_found = 8, False
    while True:
        head = file.peek(at, 8 + _MAX_KEYWORD + 1)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if len(head) < 8 or kind == b"IEND" or (kind == b"IDAT" and is_found):
            return
        if kind in _TEXT_CHUNKS:
            keyword, nul, _ = head[8 : 8 + length].partition(b"\0")
            name = keyword.decode("latin-1")
            if nul and name.lower() in WANTED_NAMES:
                is_found = is_found or name.lower() == "workflow"
                yield name, _text(file, kind, file.read(at + 8, length)[len(keyword) + 1 :])
        at += 12 + length


def _text(file: MediaFile, kind: bytes, data: bytes) -> str:
    """Return the text in what follows a chunk's keyword."""
    if kind == b"zTXt":
        data = _inflated(file, data[1:])
    elif kind == b"iTXt":
        is_compressed = data[:1] == b"\1"
        _, _, data = data[2:].partition(b"\0")  # the language
        _, _, data = data.partition(b"\0")  # the keyword in that language
        data = _inflated(file, data) if is_compressed else data
    return decoded(data)


def _inflated(file: MediaFile, data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, file.limits.bytes_left + 1)
    except zlib.error as error:
        raise WorkflowInvalidError(
            f"the compressed text in it is damaged ({error})",
            hint="Copy or download the file again",
        ) from error
    if len(text) > file.limits.bytes_left:
        raise too_long()
    if not stream.eof:
        raise WorkflowInvalidError(
            "the compressed text in it is cut off", hint="Copy or download the file again"
        )
    file.limits.spend(len(text))
    return text
