"""How far work is and how fast it goes, and lines that say so in any width.

Pure but for the counts: the clock is passed in, and nothing is printed here.
"""

from collections import deque
from dataclasses import dataclass, field

_WINDOW_S = 8.0  # a rate over less jumps, one over more lags behind
_LEAST_S = 1.0  # nothing can be said of a rate before
_SAMPLE_S = 0.05  # bytes of so short a time are one sample: they come in hundreds a second
_BAR_CELLS = 20
_LEAST_NAME = 24


def size_text(count: float) -> str:
    """Return a number of bytes for people: ``6.46 GB`` (powers of ten, as disks are sold)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:  # from there on, three digits would be a thousand
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def span_text(seconds: float) -> str:
    """Return a duration as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


@dataclass(slots=True)
class Meter:
    """Bytes done of one piece of work, or of all; counts move, so this is no value.

    Attributes:
        total: bytes there are to do, ``None`` when not known.
        done: bytes done so far, those of an earlier run included.
    """

    total: int | None
    done: int = 0
    _samples: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])

    def add(self, count: int, now_s: float) -> None:
        """Take note of more bytes; a negative count takes back what must be done again."""
        self.done += count
        if self.done < 0:
            # What an earlier run had done was not counted, and has to be done again as well.
            self.total = None if self.total is None else self.total - self.done
            self.done = 0
        if self.total is not None and self.done > self.total:
            self.total = self.done
        since_s, sampled = now_s, 0
        if self._samples and now_s - self._samples[-1][0] < _SAMPLE_S:
            since_s, sampled = self._samples.pop()
        self._samples.append((since_s, sampled + max(0, count)))
        self._forget(now_s)

    def _forget(self, now_s: float) -> None:
        while len(self._samples) > 1 and self._samples[0][0] < now_s - _WINDOW_S:
            self._samples.popleft()

    def rate(self, now_s: float) -> float | None:
        """Return bytes per second of late, ``None`` while that cannot be said."""
        self._forget(now_s)
        if not self._samples:
            return None
        span_s = now_s - self._samples[0][0]
        if span_s < _LEAST_S:
            return None
        return sum(count for _, count in self._samples) / span_s

    def left_s(self, now_s: float) -> float | None:
        """Return how many seconds it will take at this rate, ``None`` when nobody knows."""
        rate = self.rate(now_s)
        if not rate or self.total is None:
            return None
        return (self.total - self.done) / rate

    @property
    def share(self) -> float | None:
        """The part that is done, 0 to 1; ``None`` when the total is not known."""
        return None if not self.total else min(1.0, self.done / self.total)


@dataclass(frozen=True, slots=True)
class Line:
    """A line in parts, so that they can be coloured; together they are no wider than asked for."""

    name: str
    filled: str
    rest: str
    figures: str

    def __str__(self) -> str:
        """Return the line as plain text."""
        return f"{self.name}{self.filled}{self.rest}{self.figures}"


def meter_line(name: str, meter: Meter, now_s: float, width: int, *, cells: str = "━─") -> Line:
    """Return one line: name, bar, bytes, rate and time left, as much as the width has room for.

    Args:
        name: whose work it is; shortened in the middle where it is too long.
        meter: how far it is.
        now_s: the time, by the clock of the counts.
        width: columns there are.
        cells: what a bar is drawn with: the part that is done, and the rest.
    """
    figures = _figures(meter, now_s)
    while len(figures) > 1 and width - _width(figures) < _LEAST_NAME:
        figures.pop()
    tail = "".join(f"  {text}" for text in figures)
    share = meter.share
    with_bar = share is not None and width - len(tail) - _BAR_CELLS - 2 >= _LEAST_NAME
    room = max(1, width - len(tail) - (_BAR_CELLS + 2 if with_bar else 0))
    filled = round((share or 0.0) * _BAR_CELLS) if with_bar else 0
    rest = _BAR_CELLS - filled if with_bar else 0
    head = f"{shortened(name, room):<{room}}" + ("  " if with_bar else "")
    return Line(head, cells[0] * filled, cells[1] * rest, tail[: max(0, width - room)])


def _figures(meter: Meter, now_s: float) -> list[str]:
    """Return what is said in numbers, the most telling first, each in a column of its own."""
    share, rate, left_s = meter.share, meter.rate(now_s), meter.left_s(now_s)
    percent = f"{int(share * 100):>3}%" if share is not None else "    "
    done = size_text(meter.done)
    amount = f"{done}/{size_text(meter.total)}" if meter.total else done
    speed = f"{size_text(rate)}/s" if rate is not None else ""
    left = span_text(left_s) if left_s is not None else "-:--"
    return [percent, f"{left:>7}", f"{amount:>15}", f"{speed:>9}"]


def _width(figures: list[str]) -> int:
    return sum(len(text) + 2 for text in figures)


def shortened(name: str, width: int) -> str:
    """Return a name in so many characters: its end tells more than its beginning."""
    if len(name) <= width:
        return name
    name = name.removesuffix(".safetensors")  # as nearly all are
    if len(name) <= width:
        return name
    if width < 8:
        return name[-width:]
    head = (width - 1) // 3
    return f"{name[:head]}…{name[-(width - 1 - head) :]}"
