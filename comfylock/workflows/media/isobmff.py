"""Boxes: MP4, MOV and M4A (`udta` and `meta`), and the EXIF of AVIF and HEIF.

FFmpeg, and so ComfyUI, writes `keys` (names) and `ilst` (values by number) with its flag
`use_metadata_tags`. Without that flag a comment is all that survives: older video nodes wrote
both graphs into it.

Sources: ISO/IEC 14496-12, 4.2 (boxes), 8.11.3 and 8.11.6 (item location and information);
QuickTime File Format, "Metadata" and "User data"; FFmpeg libavformat/movenc.c.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from comfylock.workflows.media.exif import exif_texts
from comfylock.workflows.media.source import Limits, MediaFile, Texts, decoded

_PICTURES = frozenset({b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"hevc"})
_ITEM_NAMES = {b"\xa9cmt": "comment", b"\xa9des": "description", b"desc": "description"}
_MAX_ITEM_BYTES = 16 * 1024 * 1024
_MAX_EXTENTS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    kind: bytes
    start: int  # of its content
    end: int


def isobmff_texts(file: MediaFile) -> Texts:
    """Yield the wanted texts of a file made of boxes."""
    if bytes(file.peek(8, 4)) in _PICTURES:
        for box in _boxes_in_file(file, 0, file.size):
            if box.kind == b"meta":
                meta = file.read(box.start, box.end - box.start)
                yield from _picture_texts(file, memoryview(meta)[4:])
                return
    for box in _boxes_in_file(file, 0, file.size):
        if box.kind == b"moov":
            for inner in _boxes_in_file(file, box.start, box.end):
                yield from _box_texts(file, inner)
        else:
            yield from _box_texts(file, box)


def _boxes_in_file(file: MediaFile, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end and (box := _box(file.peek(start, 16), start, end)):
        yield box
        start = box.end


def _boxes(data: memoryview, limits: Limits) -> Iterator[_Box]:
    start = 0
    while start + 8 <= len(data):
        limits.count_part()
        box = _box(bytes(data[start : start + 16]), start, len(data))
        if box is None or box.end > len(data):
            return
        yield box
        start = box.end


def _box(head: bytes, start: int, end: int) -> _Box | None:
    """Return the box that a head describes, ``None`` where none can begin so."""
    if len(head) < 8:
        return None
    size, header = int.from_bytes(head[:4], "big"), 8
    if size == 1 and len(head) == 16:
        size, header = int.from_bytes(head[8:], "big"), 16
    elif size == 0:  # it goes on to the end
        size = end - start
    if size < header:
        return None
    return _Box(kind=head[4:8], start=start + header, end=start + size)


def _box_texts(file: MediaFile, box: _Box) -> Texts:
    if box.kind not in {b"udta", b"meta"}:
        return
    data = memoryview(file.read(box.start, box.end - box.start))
    if box.kind == b"meta":
        yield from _meta_texts(data, file.limits)
        return
    for inner in _boxes(data, file.limits):
        content = data[inner.start : inner.end]
        if inner.kind == b"meta":
            yield from _meta_texts(content, file.limits)
        elif inner.kind in _ITEM_NAMES:  # QuickTime: length and language before the text
            yield _ITEM_NAMES[inner.kind], decoded(bytes(content[4:])).rstrip("\0")


def _meta_texts(data: memoryview, limits: Limits) -> Texts:
    """Yield the texts in a metadata box, which has a version before its boxes but in QuickTime."""
    if bytes(data[4:8]) != b"hdlr":
        data = data[4:]
    keys: list[str] = []
    for box in _boxes(data, limits):
        content = data[box.start : box.end]
        if box.kind == b"keys":
            keys = [_last_part(decoded(bytes(content[8:][key.start : key.end])))
                    for key in _boxes(content[8:], limits)]  # fmt: skip
        elif box.kind == b"ilst":
            for item in _boxes(content, limits):
                yield from _item_texts(
                    content[item.start : item.end], _name(item.kind, keys), limits
                )


def _last_part(key: str) -> str:
    """Return ``comment`` of ``com.apple.quicktime.comment``."""
    return key.rpartition(".")[2]


def _name(kind: bytes, keys: list[str]) -> str:
    """Return the name of an item, whose kind is the number of its key, or names it."""
    number = int.from_bytes(kind, "big")
    return keys[number - 1] if 0 < number <= len(keys) else _ITEM_NAMES.get(kind, "")


def _item_texts(data: memoryview, name: str, limits: Limits) -> Texts:
    for box in _boxes(data, limits):
        content = bytes(data[box.start : box.end])
        if box.kind == b"name":  # iTunes' free form
            name = decoded(content[4:])
        elif box.kind == b"data":
            yield name, decoded(content[8:])


def _picture_texts(file: MediaFile, meta: memoryview) -> Texts:
    """Yield the texts in the EXIF items of a picture, found by the boxes in its `meta`."""
    limits = file.limits
    found = {box.kind: meta[box.start : box.end] for box in _boxes(meta, limits)}
    wanted = _exif_items(found.get(b"iinf", memoryview(b"")), limits)
    for item, start, length in _extents(found.get(b"iloc", memoryview(b""))):
        if item in wanted:
            data = file.read(start, min(length or file.size - start, _MAX_ITEM_BYTES))
            skipped = int.from_bytes(data[:4], "big")  # bytes before the TIFF header
            yield from exif_texts(file, data[4 + skipped :])


def _exif_items(data: memoryview, limits: Limits) -> set[int]:
    """Return the ids of EXIF items; the entries have their id first, 2 bytes long or 4."""
    entries = data[6 if bytes(data[:1]) == b"\0" else 8 :]
    items: set[int] = set()
    for box in _boxes(entries, limits):
        entry = entries[box.start : box.end]
        width = 4 if bytes(entry[:1]) == b"\3" else 2
        if bytes(entry[6 + width : 10 + width]) == b"Exif":
            items.add(int.from_bytes(entry[4 : 4 + width], "big"))
    return items


def _extents(data: memoryview) -> Iterator[tuple[int, int, int]]:
    """Yield item, position and length of the first extent of each item that lies in the file."""
    fields = _Fields(data)
    version = fields.next(1)
    fields.next(3)
    sizes = fields.next(2)
    offset_width, length_width = sizes >> 12, sizes >> 8 & 15
    base_width, index_width = sizes >> 4 & 15, (sizes & 15 if version else 0)
    id_width = 4 if version == 2 else 2
    for _ in range(min(fields.next(id_width), _MAX_EXTENTS)):
        item = fields.next(id_width)
        method = fields.next(2) & 15 if version else 0
        fields.next(2)
        base = fields.next(base_width)
        extents = [
            (fields.next(index_width), fields.next(offset_width), fields.next(length_width))
            for _ in range(min(fields.next(2), _MAX_EXTENTS))
        ]
        if extents and method == 0:
            yield item, base + extents[0][1], extents[0][2]


class _Fields:
    """Big-endian numbers one after the other; behind the end all are nought."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def next(self, width: int) -> int:
        """Return the number in the next bytes."""
        start, self._at = self._at, self._at + width
        return int.from_bytes(self._data[start : self._at], "big")
