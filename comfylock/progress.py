"""Long work as it is seen: bars on a terminal, a few lines in a log, or nothing.

All of it goes to stderr. Without a terminal, and where ``NO_COLOR`` is set, there are no escape
codes and no carriage returns: a line when a download begins and ends, and a heartbeat every 30
seconds in between, so that a CI system does not take a long download for a dead one.
"""

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from comfylock.events import (
    Advanced,
    Event,
    Finished,
    Measured,
    Noted,
    Planned,
    Started,
    Stepped,
    Warned,
)
from comfylock.meters import Line, Meter, meter_line, size_text
from comfylock.names import shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.text import Text

__all__ = ["AnyReporter", "BarReporter", "LogReporter", "make_reporter", "size_text"]

HEARTBEAT_S = 30.0
_QUIET_ACTS = frozenset({"link", "remove"})
#: Columns that stay free: some terminals wrap a line that fills the last one, and a terminal writes
#: ``^C`` behind the bars, which must not wrap either, or a bar would stay behind.
_FREE = 4
_WORTH_A_LINE_BYTES = 64 * 1024 * 1024  # hashing less than this takes no time to speak of


@dataclass(slots=True)
class _Running:
    """One model at work; counts move, so this is no value."""

    act: str
    total: int | None
    done: int
    began_s: float


@dataclass(slots=True)
class LogReporter:
    """Lines for a log file, a pipe or a CI system.

    Attributes:
        stream: where lines go.
        verbose: show `Noted` details too.
        quiet: show warnings only.
    """

    stream: TextIO
    verbose: bool = False
    quiet: bool = False
    _running: dict[str, _Running] = field(default_factory=dict[str, _Running])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last_beat_s: float = field(default_factory=time.monotonic)

    def on(self, event: Event) -> None:
        """Write what is worth a line."""
        with self._lock:
            self._on(event)

    def _on(self, event: Event) -> None:
        match event:
            case Started():
                self._started(event)
            case Advanced() | Measured():
                self._moved(event)
                self._beat()
            case Finished():
                self._finished(event)
            case Stepped():
                self._stepped(event)
            case Warned():
                self._line(f"warning: {shown(event.message)}")
            case Noted():
                if self.verbose:
                    self._line(shown(event.message))
            case Planned():
                pass

    def _started(self, event: Started) -> None:
        self._running[event.ref] = _Running(
            event.act, event.total_bytes, event.done_bytes, time.monotonic()
        )
        if not self._is_worth_a_line(event.ref):
            return
        size = "" if event.total_bytes is None else f" ({size_text(event.total_bytes)})"
        kept = f", {size_text(event.done_bytes)} already here" if event.done_bytes else ""
        verb = "Downloading" if event.act == "download" else "Hashing"
        self._line(f"{verb} {shown(event.ref)}{size}{kept}")

    def _moved(self, event: Advanced | Measured) -> None:
        running = self._running.get(event.ref)
        if running is not None and isinstance(event, Advanced):
            running.done += event.count
        elif running is not None and isinstance(event, Measured):
            running.total = event.total_bytes

    def _finished(self, event: Finished) -> None:
        worth = self._is_worth_a_line(event.ref)
        running = self._running.pop(event.ref, None)
        if running is None or not worth or not event.succeeded:
            return
        seconds = time.monotonic() - running.began_s
        verb = "Downloaded" if running.act == "download" else "Hashed"
        self._line(f"{verb} {shown(event.ref)} in {seconds:.1f} s")

    def _is_worth_a_line(self, ref: str) -> bool:
        running = self._running.get(ref)
        if running is None or self.quiet or running.act in _QUIET_ACTS:
            return False
        return running.act != "hash" or (running.total or 0) >= _WORTH_A_LINE_BYTES

    def _beat(self) -> None:
        now = time.monotonic()
        if self.quiet or now - self._last_beat_s < HEARTBEAT_S:
            return
        self._last_beat_s = now
        for ref, running in self._running.items():
            if running.act == "download":
                of = f" of {size_text(running.total)}" if running.total else ""
                self._line(f"Still downloading {shown(ref)}: {size_text(running.done)}{of}")

    def _stepped(self, event: Stepped) -> None:
        now = time.monotonic()
        if not self.quiet and now - self._last_beat_s >= HEARTBEAT_S:
            self._last_beat_s = now
            self._line(f"{event.what} {event.done} of {event.total}")

    def _line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Nothing is left on the screen."""


@dataclass(slots=True)
class _Board:
    """What the bars show; changed under a lock, drawn by a thread of its own."""

    rows: dict[str, tuple[str, Meter]] = field(default_factory=dict[str, tuple[str, Meter]])
    acts: dict[str, str] = field(default_factory=dict[str, str])
    all: Meter | None = None
    fetches: int = 0
    verified: int = 0
    failed: int = 0
    step: str = ""

    def on(self, event: Event, now_s: float) -> None:
        """Take an event; what came of a model is told by the report, once."""
        match event:
            case Planned():
                self.fetches = event.fetches
                self.all = Meter(event.total_bytes) if event.fetches > 1 else None
            case Started():
                self._started(event)
            case Advanced():
                self._advanced(event, now_s)
            case Measured():
                self._measured(event)
            case Finished():
                self._finished(event)
            case Stepped():
                self.step = f"{event.what} {event.done} of {event.total}"
                self.step = "" if event.done == event.total else self.step
            case Warned() | Noted():
                pass

    def _started(self, event: Started) -> None:
        small = (event.total_bytes or 0) < _WORTH_A_LINE_BYTES
        if event.act in _QUIET_ACTS or (event.act == "hash" and small):
            return
        name = shown(event.ref)
        if event.act == "hash":
            name = f"reading {name}"
        meter = Meter(event.total_bytes, event.done_bytes)
        self.rows[event.ref] = (name, meter)
        self.acts.setdefault(event.ref, event.act)

    def _advanced(self, event: Advanced, now_s: float) -> None:
        if event.ref in self.rows:
            self.rows[event.ref][1].add(event.count, now_s)
            if self.all is not None and self.acts[event.ref] == "download":
                self.all.add(event.count, now_s)

    def _measured(self, event: Measured) -> None:
        row = self.rows.get(event.ref)
        if row is None:
            return
        _, meter = row
        if self.all is not None and self.all.total is not None:
            self.all.total += event.total_bytes - (meter.total or 0)
        meter.total = event.total_bytes

    def _finished(self, event: Finished) -> None:
        row = self.rows.pop(event.ref, None)
        act = self.acts.pop(event.ref, "")
        if row is None or act != "download":
            return
        if event.succeeded:
            self.verified += 1
        else:
            self.failed += 1

    def lines(self, now_s: float, width: int, height: int, cells: str) -> list[Line]:
        """Return the lines to be shown, as many as there is room for; that of all is the last."""
        rows = [
            meter_line(name, meter, now_s, width, cells=cells)
            for name, meter in list(self.rows.values())
        ]
        room = max(1, height - 3)
        if len(rows) > room:
            hidden = len(rows) - room + 1
            rows = [*rows[: room - 1], Line(f"… and {hidden} more"[:width], "", "", "")]
        if self.step:
            rows.append(Line(self.step[:width], "", "", ""))
        if self.all is not None and rows:
            rows.append(meter_line(self._summary(), self.all, now_s, width, cells=cells))
        return rows

    def _summary(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.verified} of {self.fetches} verified{failed}"


class BarReporter:
    """Live bars on a terminal: one for each model at work, and one for all; none of them stays.

    Args:
        stream: the terminal.
        verbose: show `Noted` details too.
    """

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._board = _Board()
        # Two locks: drawing takes the board's only, so that it never waits for a printed line.
        self._state = threading.Lock()
        self._screen = threading.Lock()
        self._live: Live | None = None
        unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self._cells = "━─" if unicode else "#-"

    def on(self, event: Event) -> None:
        """Move a bar."""
        with self._state:
            self._board.on(event, time.monotonic())
            shows = bool(self._board.rows or self._board.step)
        line = None
        match event:
            case Warned():
                line = f"warning: {shown(event.message)}"
            case Noted() if self._verbose:
                line = shown(event.message)
            case _:
                pass
        if line is not None or (shows and self._live is None):
            with self._screen:
                self._show(line, shows=shows)

    def _show(self, line: str | None, *, shows: bool) -> None:
        if shows and self._live is None:
            self._live = _live(self)
            self._live.start()
        if line is None:
            return
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Draw the bars in the width that the terminal has right now."""
        with self._state:
            lines = self._board.lines(
                time.monotonic(), options.max_width - _FREE, console.size.height, self._cells
            )
        yield from (_coloured(line) for line in lines)

    @property
    def stream(self) -> TextIO:
        """The terminal."""
        return self._stream

    def close(self) -> None:
        """Take the bars off the screen."""
        with self._screen:
            if self._live is not None:
                self._live.stop()
                self._live = None


def _live(reporter: BarReporter) -> "Live":
    from rich.console import Console
    from rich.live import Live

    console = Console(file=reporter.stream, highlight=False)
    return Live(reporter, console=console, transient=True, refresh_per_second=5)


def _coloured(line: Line) -> "Text":
    from rich.text import Text

    parts = (line.name, (line.filled, "cyan"), (line.rest, "bright_black"), line.figures)
    return Text.assemble(*parts, no_wrap=True, overflow="crop")


AnyReporter = LogReporter | BarReporter


def make_reporter(*, quiet: bool, verbose: bool, bars: bool, colour: bool | None) -> AnyReporter:
    """Return the reporter that fits where stderr goes."""
    able = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if able and bars and not quiet and colour is not False:
        return BarReporter(sys.stderr, verbose=verbose)
    return LogReporter(stream=sys.stderr, verbose=verbose, quiet=quiet)
