"""A media file as walkers see it: read in pieces, by position, within limits.

Walkers yield (name, text) pairs, the name as the file spells it. Lengths in files are promises of
strangers: what is read is never longer than the file, and counts against one limit for the file.
"""

import io
from collections.abc import Iterator
from typing import BinaryIO

from comfylock.errors import WorkflowInvalidError

#: Limit on the text taken from one file, decompressed, in bytes.
MAX_TEXT_BYTES = 64 * 1024 * 1024

#: Limit on chunks, boxes, pages and frames of one file.
MAX_PARTS = 100_000

#: What names a graph, and what names A1111's settings, in lower case.
WANTED_NAMES = frozenset({"workflow", "prompt", "parameters"})

#: General fields that some nodes write `{"prompt": …, "workflow": …}` to, in lower case.
COMMENT_NAMES = frozenset({"comment", "description", "usercomment"})

Texts = Iterator[tuple[str, str]]


class Limits:
    """What may still be taken from one file; the members of an archive share it."""

    def __init__(self) -> None:
        self.bytes_left = MAX_TEXT_BYTES
        self._parts_left = MAX_PARTS

    def spend(self, length: int) -> None:
        """Count bytes of text.

        Raises:
            WorkflowInvalidError: that was too much.
        """
        self.bytes_left -= length
        if self.bytes_left < 0:
            raise too_long()

    def count_part(self) -> None:
        """Count one part; every loop over something in a file does.

        Raises:
            WorkflowInvalidError: that was one too many.
        """
        self._parts_left -= 1
        if self._parts_left < 0:
            raise WorkflowInvalidError(f"it has more than {MAX_PARTS:,} parts")


class MediaFile:
    """One open file, or a member of an archive."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self.limits = limits

    def peek(self, position: int, length: int) -> bytes:
        """Return a few bytes, fewer at the end of the file: a header, which counts as a part.

        Raises:
            WorkflowInvalidError: the file has too many parts.
        """
        self.limits.count_part()
        if not 0 <= position < self.size:
            return b""
        self._file.seek(position)
        return self._file.read(length)

    def read(self, position: int, length: int) -> bytes:
        """Return exactly so many bytes.

        Raises:
            WorkflowInvalidError: the file is shorter, or the text in it too long.
        """
        if length < 0 or position + length > self.size:
            raise WorkflowInvalidError(
                "it ends in the middle of its metadata", hint="Copy or download the file again"
            )
        self.limits.spend(length)
        self._file.seek(position)
        return self._file.read(length)


def too_long() -> WorkflowInvalidError:
    """Return the error for metadata beyond the limit."""
    return WorkflowInvalidError(f"it holds more than {MAX_TEXT_BYTES // 1024**2} MiB of metadata")


def decoded(data: bytes) -> str:
    """Return a text as UTF-8 where it is that, else as Latin-1, which never fails.

    The PNG and ID3 standards say Latin-1 where ComfyUI and other programs write UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
