"""EXIF, and the pictures that carry it: WebP and JPEG, and by way of `isobmff` AVIF.

ComfyUI writes `workflow:{…}` and `prompt:{…}` as the camera's maker (0x010F) and model (0x0110),
and counts down from there for more; others put them into the copyright (0x8298). So any text tag
counts that begins so, in any case. A1111 writes its settings into the user comment.

Sources: TIFF 6.0, section 2; Exif 2.32, 4.6.5 (user comment); WebP container specification;
ITU-T T.81 annex B (JPEG markers); ComfyUI v0.25.0, comfy_api/latest/_ui.py.
"""

import struct
from collections.abc import Iterator

from comfylock.workflows.media.source import (
    COMMENT_NAMES,
    WANTED_NAMES,
    MediaFile,
    Texts,
    decoded,
)

_BYTE, _ASCII, _UNDEFINED, _UTF8 = 1, 2, 7, 129
_TEXTS = frozenset({_BYTE, _ASCII, _UNDEFINED, _UTF8})  # of one byte a letter
_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_LONGEST_NAME = 16


def webp_texts(file: MediaFile) -> Texts:
    """Yield the wanted texts in the EXIF chunks of a WebP."""
    at = 12
    while len(head := file.peek(at, 8)) == 8:
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"EXIF":
            yield from exif_texts(file, file.read(at + 8, length))
        at += 8 + length + length % 2


def jpeg_texts(file: MediaFile) -> Texts:
    """Yield the wanted texts in the EXIF and comment segments of a JPEG."""
    at = 2
    while len(head := file.peek(at, 4)) == 4 and head[0] == 0xFF:
        marker, length = head[1], int.from_bytes(head[2:], "big")
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0xDA or length < 2:  # the picture begins
            return
        if marker == 0xE1 and file.peek(at + 4, 6) == b"Exif\0\0":
            yield from exif_texts(file, file.read(at + 4, length - 2))
        elif marker == 0xFE:
            yield "comment", decoded(file.read(at + 4, length - 2))
        at += 2 + length


def exif_texts(file: MediaFile, data: bytes) -> Texts:
    """Yield the wanted texts in a block of EXIF, which may begin with ``Exif`` and two NULs."""
    tiff = memoryview(data.removeprefix(b"Exif\0\0"))
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))
    if order is None or len(tiff) < 8:
        return
    waiting = [int(struct.unpack_from(f"{order}I", tiff, 4)[0])]
    for start in waiting:
        for tag, kind, value in _entries(tiff, order, start):
            if tag == _EXIF_IFD and len(waiting) == 1:
                waiting.append(int.from_bytes(value[:4], "little" if order == "<" else "big"))
            elif tag == _USER_COMMENT:
                file.limits.spend(len(value))
                yield "usercomment", _user_comment(bytes(value), order)
            elif kind in {_ASCII, _UTF8}:
                yield from _named(file, value)


def _entries(tiff: memoryview, order: str, start: int) -> Iterator[tuple[int, int, memoryview]]:
    """Yield tag, type and value of each entry whose value lies inside the block."""
    if start + 2 > len(tiff):
        return
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, length, offset = struct.unpack_from(f"{order}HHII", tiff, at)
        if tag == _EXIF_IFD or (kind in _TEXTS and length <= 4):
            yield tag, kind, tiff[at + 8 : at + 12]
        elif kind in _TEXTS and offset + length <= len(tiff):
            yield tag, kind, tiff[offset : offset + length]


def _named(file: MediaFile, value: memoryview) -> Texts:
    """Yield a text that begins with one of our names, or is JSON and may be both graphs."""
    start = bytes(value[:_LONGEST_NAME]).lower()
    name = start.partition(b":")[0].strip().decode("latin-1")
    if b":" in start and name in WANTED_NAMES | COMMENT_NAMES:
        file.limits.spend(len(value))
        yield name, decoded(bytes(value)).partition(":")[2].rstrip("\0")
    elif start.startswith(b"{"):
        file.limits.spend(len(value))
        yield "comment", decoded(bytes(value)).rstrip("\0")


def _user_comment(value: bytes, order: str) -> str:
    """Return a comment, whose first eight bytes say how it is written.

    UTF-16 is meant to have the block's byte order, and is big-endian in A1111's files whatever
    that is: where the first character is ASCII, its NUL byte tells.
    """
    code, text = value[:8], value[8:]
    if code == b"UNICODE\0":
        if text[:1] != b"\0" and (text[1:2] == b"\0" or order == "<"):
            return text.decode("utf-16-le", "replace").rstrip("\0")
        return text.decode("utf-16-be", "replace").rstrip("\0")
    if code in {b"ASCII\0\0\0", b"\0" * 8}:
        return decoded(text).rstrip("\0 ")
    return decoded(value).rstrip("\0 ")
