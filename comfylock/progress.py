"""Long work as it is seen: bars on a terminal, a few lines in a log, or nothing.

All of it goes to stderr. Without a terminal there are no escape codes and no carriage returns: a
line when a download begins and ends, and a heartbeat every 30 seconds in between, so that a CI
system does not take a long download for a dead one.
"""

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from comfylock.events import Advanced, Event, Finished, Noted, Started, Stepped, Warned
from comfylock.names import shown

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.status import Status

HEARTBEAT_S = 30.0
_QUIET_ACTS = frozenset({"link"})
_WORTH_A_LINE_BYTES = 64 * 1024 * 1024  # hashing less than this takes no time to speak of


def size_text(count: float) -> str:
    """Return a number of bytes for people: ``6.46 GB`` (powers of ten, as disks are sold)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


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
            case Advanced():
                running = self._running.get(event.ref)
                if running is not None:
                    running.done += event.count
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


class BarReporter:
    """Live bars on a terminal, one per model at work and one for all.

    Args:
        stream: the terminal.
        verbose: show `Noted` details too.
    """

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, colour: bool | None = None
    ) -> None:
        self._stream = stream
        self._verbose = verbose
        self._colour = colour
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._steps: Status | None = None

    def on(self, event: Event) -> None:
        """Move a bar."""
        with self._lock:
            self._on(event)

    def _on(self, event: Event) -> None:
        match event:
            case Started():
                self._started(event)
            case Advanced():
                task = self._tasks.get(event.ref)
                if task is not None and self._progress is not None:
                    self._progress.advance(task, event.count)
            case Finished():
                self._finished(event)
            case Stepped():
                self._stepped(event)
            case Warned():
                self._line(f"warning: {shown(event.message)}")
            case Noted():
                if self._verbose:
                    self._line(shown(event.message))

    def _started(self, event: Started) -> None:
        small = (event.total_bytes or 0) < _WORTH_A_LINE_BYTES
        if event.act in _QUIET_ACTS or (event.act == "hash" and small):
            return
        progress = self._shown_progress()
        name = shown(event.ref)
        short = name if len(name) <= 48 else f"…{name[-47:]}"
        self._tasks[event.ref] = progress.add_task(
            short, total=event.total_bytes, completed=event.done_bytes, act=event.act
        )

    def _finished(self, event: Finished) -> None:
        task = self._tasks.pop(event.ref, None)
        if task is not None and self._progress is not None:
            self._progress.remove_task(task)

    def _stepped(self, event: Stepped) -> None:
        if self._steps is None:
            from rich.console import Console
            from rich.status import Status

            self._steps = Status("", console=Console(file=self._stream, highlight=False))
            self._steps.start()
        self._steps.update(f"{event.what} {event.done} of {event.total}")
        if event.done == event.total:
            self._steps.stop()
            self._steps = None

    def _shown_progress(self) -> "Progress":
        if self._progress is None:
            self._progress = _bars(self._stream, colour=self._colour)
            self._progress.start()
        return self._progress

    def _line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the bars off the screen."""
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None
            if self._steps is not None:
                self._steps.stop()
                self._steps = None


def _bars(stream: TextIO, *, colour: bool | None) -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    options: dict[str, Any] = {} if colour is None else {"no_color": not colour}
    return Progress(
        TextColumn("{task.fields[act]:>8}"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(file=stream, highlight=False, **options),
        transient=True,
    )


AnyReporter = LogReporter | BarReporter


def make_reporter(*, quiet: bool, verbose: bool, bars: bool, colour: bool | None) -> AnyReporter:
    """Return the reporter that fits where stderr goes."""
    if bars and not quiet and sys.stderr.isatty():
        return BarReporter(sys.stderr, verbose=verbose, colour=colour)
    return LogReporter(stream=sys.stderr, verbose=verbose, quiet=quiet)
