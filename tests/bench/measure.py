"""Whole commands timed in turn: A, B, A, B …, so that a machine's moods hit both alike."""

import os
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_WATCH_S = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One thing to time.

    Attributes:
        name: as the table shows it.
        arguments: what is run; ``None`` for a tool that this machine has not got.
        prepare: brings the world back to where it was, before each run; not timed.
    """

    name: str
    arguments: Sequence[str] | None
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One timed run.

    Attributes:
        wall_s: seconds from start to end of the process.
        cpu_s: seconds of processor time, user and system.
        peak_mb: resident memory of its first process at its highest, megabytes of 10^6 bytes.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_once(command: Command, environment: Mapping[str, str], directory: Path) -> Run:
    """Prepare, run and time a command.

    Raises:
        RuntimeError: it failed; a figure of a failed run means nothing.
    """
    assert command.arguments is not None
    command.prepare()
    began = time.perf_counter()
    process = subprocess.Popen(
        command.arguments,
        env=dict(environment),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    peak = _Peak(process.pid)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command.name} ended with {process.returncode}:\n{said.decode()}")
    return Run(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_mb=peak.read_mb())


class _Peak:
    """Watches a process's memory: what `wait4` tells includes its parent's before the exec.

    A mapped file counts too, as far as it is in memory.
    """

    def __init__(self, process: int) -> None:
        self._status = Path(f"/proc/{process}/status")
        self._kib = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def read_mb(self) -> float:
        """Return the highest figure; the process has ended."""
        self._thread.join()
        return self._kib * 1024 / 1e6

    def _watch(self) -> None:
        while True:
            try:
                text = self._status.read_text(encoding="ascii", errors="replace")
            except OSError:
                return
            found = re.search(r"VmHWM:\s+([0-9]+)", text)
            if found is None:
                return  # it has ended
            self._kib = int(found[1])
            time.sleep(_WATCH_S)


def compare(
    title: str,
    commands: Sequence[Command],
    environment: Mapping[str, str],
    directory: Path,
    *,
    rounds: int,
) -> None:
    """Time all commands in turn and print a table; ratios are to each other's run of a round.

    The first command is ours: its ratio to each other one is what counts. A first round warms
    caches and is thrown away.
    """
    present = [command for command in commands if command.arguments is not None]
    runs: dict[str, list[Run]] = {command.name: [] for command in present}
    for number in range(rounds + 1):
        for command in present if number % 2 == 0 else reversed(present):
            run = run_once(command, environment, directory)
            if number > 0:
                runs[command.name].append(run)
    print(f"\n{title} ({rounds} rounds, median)")
    print(f"  {'':<34}{'wall s':>9}{'cpu s':>9}{'peak MB':>9}   ours / this (min..max)")
    ours = runs[present[0].name]
    for command in present:
        print(_row(command.name, runs[command.name], ours))
    for command in commands:
        if command.arguments is None:
            print(f"  {command.name:<34}not on this machine")


def _row(name: str, runs: Sequence[Run], ours: Sequence[Run]) -> str:
    wall_s = statistics.median(run.wall_s for run in runs)
    cpu_s = statistics.median(run.cpu_s for run in runs)
    peak_mb = max(run.peak_mb for run in runs)
    ratios = [mine.wall_s / theirs.wall_s for mine, theirs in zip(ours, runs, strict=True)]
    ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
    return f"  {name:<34}{wall_s:>9.3f}{cpu_s:>9.3f}{peak_mb:>9.0f}   {ratio}"
