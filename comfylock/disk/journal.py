"""Which bytes of a part are there when they did not come in order: a page behind the file's end.

A part that is fetched in several stretches at once has gaps. The journal lies in the part itself,
on the first whole page behind the model's last byte, so that it is claimed, given back and removed
with it by one rename; the page is cut off before the part is published. It is written after the
bytes that it tells of, with one write of one page, which no kill can tear. It is only a hint where
to go on: all bytes are hashed, and a journal that is damaged or wrong costs bandwidth, no more.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

PAGE_BYTES = 4096
_MAGIC = b"comfylock journal 1 "
#: As many as fit into a page, and more than connections ever leave; what is behind them goes.
_MAX_SPANS = 96

#: Offsets of the first byte, and of the byte behind the last.
Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Journal:
    """What a part with gaps holds.

    Attributes:
        total: length of the model in bytes.
        done: the spans that are there, in order, apart from each other.
    """

    total: int
    done: tuple[Span, ...]

    @property
    def front(self) -> int:
        """How many bytes are there from the first on without a gap."""
        return self.done[0][1] if self.done and self.done[0][0] == 0 else 0

    @property
    def gap_end(self) -> int:
        """Where the first gap ends."""
        behind = self.done[1:] if self.front else self.done
        return behind[0][0] if behind else self.total

    @property
    def held(self) -> int:
        """How many bytes are there."""
        return sum(stop - start for start, stop in self.done)


def journal_bytes(total: int) -> int:
    """Return how long a part with a journal is."""
    return -(-total // PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES


def write_journal(handle: int, journal: Journal) -> None:
    """Write a part's journal over the one before.

    Raises:
        OSError: the disk refused.
    """
    fields = json.dumps([journal.total, journal.done[:_MAX_SPANS]]).encode()
    page = (_MAGIC + _check(fields) + b" " + fields).ljust(PAGE_BYTES)
    count = os.pwrite(handle, page, journal_bytes(journal.total) - PAGE_BYTES)
    if count != PAGE_BYTES:
        raise OSError(f"a page of {PAGE_BYTES} bytes was not written whole")


def read_journal(handle: int) -> Journal | None:
    """Return a part's journal, ``None`` where it has none that makes sense.

    Raises:
        OSError: the disk refused.
    """
    length = os.fstat(handle).st_size
    if length < PAGE_BYTES or length % PAGE_BYTES:
        return None
    page = os.pread(handle, PAGE_BYTES, length - PAGE_BYTES)
    if not page.startswith(_MAGIC):
        return None
    check, _, fields = page.removeprefix(_MAGIC).rstrip().partition(b" ")
    if check != _check(fields):
        return None
    journal = _parsed(fields)
    return journal if journal is not None and journal_bytes(journal.total) == length else None


def _parsed(fields: bytes) -> Journal | None:
    try:
        total, done = json.loads(fields)
        spans = tuple((int(start), int(stop)) for start, stop in done)
        journal = Journal(total=int(total), done=spans)
    except (ValueError, TypeError, RecursionError):
        return None
    return journal if _in_order(journal) else None


def _in_order(journal: Journal) -> bool:
    edges: Sequence[int] = [edge for span in journal.done for edge in span]
    return sorted(edges) == list(edges) and all(0 <= edge <= journal.total for edge in edges)


def _check(fields: bytes) -> bytes:
    return blake2b(fields, digest_size=8).hexdigest().encode()
