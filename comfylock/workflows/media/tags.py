"""Sound: the comments of FLAC and Ogg (Vorbis, Opus, FLAC, Theora), the ID3 frames of MP3.

Sources: RFC 9639, 8 (FLAC metadata); RFC 3533 (Ogg pages); Vorbis I specification, 5 (comments);
RFC 7845, 5.2 (Opus); ID3v2.4.0 structure and native frames, and what 2.2 and 2.3 do differently.
"""

import struct
from collections.abc import Iterator

from comfylock.workflows.media.source import (
    COMMENT_NAMES,
    WANTED_NAMES,
    Limits,
    MediaFile,
    Texts,
    decoded,
)

_VORBIS_COMMENT_BLOCK = 4
_OGG_COMMENTS = {b"\x03vorbis": 7, b"OpusTags": 8, b"\x81theora": 7}
_NO_PACKET_ENDS = 0xFFFFFFFFFFFFFFFF
_MAX_STREAMS = 16
_LONGEST_NAME = 256
_NAMED_FRAMES = frozenset({b"TXXX", b"TXX"})
_COMMENT_FRAMES = frozenset({b"COMM", b"COM"})
_TEXT_CODES = {1: "utf-16", 2: "utf-16-be"}


def flac_texts(file: MediaFile, start: int = 0) -> Texts:
    """Yield the comments of a FLAC file that begins at a position."""
    at, is_last = start + 4, False
    while not is_last and len(head := file.peek(at, 4)) == 4:
        is_last, kind = bool(head[0] & 0x80), head[0] & 0x7F
        length = int.from_bytes(head[1:], "big")
        if kind == _VORBIS_COMMENT_BLOCK:
            yield from _vorbis_comments(file.read(at + 4, length), file.limits)
        at += 4 + length


def _vorbis_comments(data: bytes, limits: Limits) -> Texts:
    """Yield the wanted of the comments ``NAME=text``, as far as they lie inside the data."""
    at = 8 + _little(data, 0)
    while at + 4 <= len(data):
        limits.count_part()
        length = _little(data, at)
        name, equals, _ = data[at + 4 : at + 4 + min(length, 32)].partition(b"=")
        wanted = name.decode("latin-1").lower() in WANTED_NAMES | COMMENT_NAMES
        if equals and wanted and at + 4 + length <= len(data):
            yield name.decode("latin-1"), decoded(data[at + 5 + len(name) : at + 4 + length])
        at += 4 + length


def _little(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def ogg_texts(file: MediaFile) -> Texts:
    """Yield the comments of all streams of an Ogg file, which stand before the first sound."""
    for packet in _header_packets(file):
        skipped = next((n for start, n in _OGG_COMMENTS.items() if packet.startswith(start)), 0)
        if skipped:
            yield from _vorbis_comments(packet[skipped:], file.limits)
        elif packet[:1] in {b"\x04", b"\x84"}:  # a block of FLAC
            yield from _vorbis_comments(packet[4:], file.limits)


def _header_packets(file: MediaFile) -> Iterator[bytes]:
    """Yield the packets before the first page that sound ends on, put together from pages."""
    parts: dict[int, list[bytes]] = {}
    at = 0
    while len(head := file.peek(at, 27)) == 27 and head.startswith(b"OggS"):
        granule, serial = struct.unpack_from("<QI", head, 6)
        if granule not in {0, _NO_PACKET_ENDS} or len(parts) > _MAX_STREAMS:
            return
        sizes = file.peek(at + 27, head[26])
        at += 27 + len(sizes)
        body = file.read(at, min(sum(sizes), max(file.size - at, 0)))
        at += sum(sizes)
        yield from _packets(parts.setdefault(serial, []), sizes, body)


def _packets(parts: list[bytes], sizes: bytes, body: bytes) -> Iterator[bytes]:
    """Yield the packets that end on a page; what goes on is left in `parts`."""
    start = end = 0
    for size in sizes:
        end += size
        if size < 255:
            parts.append(body[start:end])
            yield b"".join(parts)
            parts.clear()
            start = end
    if start < end:
        parts.append(body[start:end])


def id3_texts(file: MediaFile) -> Texts:
    """Yield the texts of an ID3 tag at the start of a file, and of a FLAC file behind it."""
    head = file.peek(0, 10)
    if len(head) < 10 or not head.startswith(b"ID3"):
        return
    size = _synchsafe(head[6:])
    data = file.read(10, size)
    version, flags = head[3], head[5]
    if flags & 0x80 and version < 4:
        data = data.replace(b"\xff\0", b"\xff")
    yield from _frames(
        data[_extended(data, version) if flags & 0x40 else 0 :], version, file.limits
    )
    if file.peek(10 + size, 4) == b"fLaC":
        yield from flac_texts(file, 10 + size)


def _synchsafe(data: bytes) -> int:
    """Return a number of which every byte holds seven bits."""
    number = 0
    for byte in data[:4]:
        number = number << 7 | byte & 0x7F
    return number


def _extended(data: bytes, version: int) -> int:
    """Return the length of an extended header, which counts itself in 2.4 only."""
    return _synchsafe(data) if version == 4 else 4 + int.from_bytes(data[:4], "big")


def _frames(data: bytes, version: int, limits: Limits) -> Texts:
    header = 6 if version == 2 else 10
    at = 0
    while at + header <= len(data) and data[at]:
        limits.count_part()
        kind = data[at : at + header // 2 - (version != 2)]
        size = _frame_size(data[at + len(kind) : at + 2 * len(kind)], version)
        flags = data[at + 9] if version > 2 else 0
        content = data[at + header : at + header + size]
        if kind in _NAMED_FRAMES | _COMMENT_FRAMES and not flags & _unreadable(version):
            yield from _frame(kind, _plain(content, flags) if version == 4 else content)
        at += header + size


def _frame_size(field: bytes, version: int) -> int:
    return _synchsafe(field) if version == 4 else int.from_bytes(field, "big")


def _unreadable(version: int) -> int:
    """Return the flags of frames that are compressed or encrypted."""
    return 0x0C if version == 4 else 0xC0


def _plain(content: bytes, flags: int) -> bytes:
    """Return a frame of ID3v2.4 without its length and the NULs that keep sound from it."""
    if flags & 1:
        content = content[4:]
    return content.replace(b"\xff\0", b"\xff") if flags & 2 else content


def _frame(kind: bytes, content: bytes) -> Texts:
    """Yield name and text of a frame, which begins with a code of how they are written."""
    body = content[4:] if kind in _COMMENT_FRAMES else content[1:]
    codec = _TEXT_CODES.get(content[0] if content else 0)
    if codec is None:
        start, _, rest = body.partition(b"\0")
        name, text = decoded(start[:_LONGEST_NAME]), decoded(rest)
    else:
        end = _wide_nul(body[:_LONGEST_NAME])
        name = body[:end].decode(codec, "replace")
        text = body[end + 2 :].decode(codec, "replace")
    if kind in _COMMENT_FRAMES and name.lower() not in WANTED_NAMES:
        name = "comment"
    yield name, text.rstrip("\0")


def _wide_nul(data: bytes) -> int:
    """Return where the first NUL character of a text in UTF-16 stands, else its end."""
    return next((at for at in range(0, len(data), 2) if data[at : at + 2] == b"\0\0"), len(data))
