"""Matroska and WebM: the tags, which FFmpeg names in capitals (`PROMPT`, `WORKFLOW`).

Source: RFC 8794 (EBML; variable-length numbers, unknown sizes), RFC 9559 (Matroska; elements).
"""

from collections.abc import Iterator

from comfylock.workflows.media.source import Limits, MediaFile, Texts, decoded

_SEGMENT = 0x18538067
_TAGS = 0x1254C367
_TAG = 0x7373
_SIMPLE_TAG = 0x67C8
_TAG_NAME = 0x45A3
_TAG_STRING = 0x4487
_LONGEST_HEAD = 12


def ebml_texts(file: MediaFile) -> Texts:
    """Yield the tags of a Matroska or WebM file.

    An element of unknown size, as live recordings have, is walked into: what follows its children
    follows it.
    """
    at = 0
    while head := _head(file.peek(at, _LONGEST_HEAD)):
        element, size, header = head
        at += header
        if element == _TAGS and size is not None:
            yield from _tags(memoryview(file.read(at, size)), file.limits)
        if element != _SEGMENT and size is not None:
            at += size


def _tags(data: memoryview, limits: Limits) -> Texts:
    """Yield name and text of each tag, in order; a tag's name stands before its text."""
    name = ""
    for element, content in _leaves(data, limits):
        if element == _TAG_NAME:
            name = decoded(bytes(content)).rstrip("\0")
        elif element == _TAG_STRING:
            yield name, decoded(bytes(content)).rstrip("\0")


def _leaves(data: memoryview, limits: Limits) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while head := _head(bytes(data[at : at + _LONGEST_HEAD])):
        limits.count_part()
        element, size, header = head
        at += header
        if element in {_TAG, _SIMPLE_TAG}:
            continue
        if size is None or at + size > len(data):
            return
        yield element, data[at : at + size]
        at += size


def _head(data: bytes) -> tuple[int, int | None, int] | None:
    """Return an element's id, size (``None``: unknown) and the length of these two.

    ``None`` where no element can begin so.
    """
    id_width = _width(data[:1])
    size_width = _width(data[id_width : id_width + 1])
    header = id_width + size_width
    if not 1 <= id_width <= 4 or not 1 <= size_width <= 8 or len(data) < header:
        return None
    ones = (1 << (7 * size_width)) - 1
    size = int.from_bytes(data[id_width:header], "big") & ones
    return int.from_bytes(data[:id_width], "big"), None if size == ones else size, header


def _width(first: bytes) -> int:
    """Return how many bytes a number has, which the zeros before its first one-bit tell."""
    return 9 - first[0].bit_length() if first and first[0] else 0
