"""The whole machine behind an overlay: every byte that a command writes, wherever, is seen.

The root file system is the lower layer and an empty disk in memory the upper one. Commands run
below the merged tree, so that nothing of theirs reaches the real files, and the upper layer holds
exactly what they have written, changed or removed.
"""

import os
import stat as stat_bits
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.disks import require, require_root
from tests.world import ROOT, Ran

Facts = tuple[int, int, int]


@dataclass
class Overlay:
    """A merged tree to run commands in.

    Attributes:
        upper: what was written.
        merged: the tree as commands see it.
        arguments: every command line that was seen while commands ran.
    """

    upper: Path
    merged: Path
    arguments: set[bytes] = field(default_factory=set[bytes])

    def run(
        self, command: list[str], cwd: Path, environment: Mapping[str, str], text: str = ""
    ) -> Ran:
        """Run a command in the tree to its end."""
        with self._watched():
            done = subprocess.run(
                ["chroot", str(self.merged), "env", "-C", str(cwd), *command],
                env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
                input=text,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr)

    def written(self) -> dict[str, Facts]:
        """Return what differs from the real files: paths with what changes when one is written.

        A folder counts where it is new: of one that is there only the times were copied.
        """
        found: dict[str, Facts] = {}
        for path in self.upper.rglob("*"):
            status = path.lstat()
            name = "/" + str(path.relative_to(self.upper))
            if not stat_bits.S_ISDIR(status.st_mode) or not Path(name).is_dir():
                times = 0 if path.is_dir() else status.st_mtime_ns
                found[name] = (status.st_ino, status.st_size, times)
        return found

    def holding(self, text: bytes) -> list[str]:
        """Return every file in the upper layer that holds a text, in its name or its bytes."""
        return [
            str(path)
            for path in self.upper.rglob("*")
            if text in os.fsencode(path) or (path.is_file() and text in path.read_bytes())
        ]

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Take down what `ps` would show of any process, as often as can be."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.02):
                for entry in Path("/proc").iterdir():
                    if entry.name.isdigit():
                        with suppress(OSError):
                            self.arguments.add((entry / "cmdline").read_bytes())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def overlay(place: Path) -> Iterator[Overlay]:
    """Lay an overlay over the root file system; skips where that cannot be."""
    require("chroot", "mount")
    require_root()
    if len({path.stat().st_dev for path in (Path("/"), place, ROOT, Path(sys.executable))}) > 1:
        pytest.skip("the code or the temporary folder is not on the root file system")
    memory, merged = place / "memory", place / "merged"
    with ExitStack() as mounts:
        for folder in (memory, merged):
            folder.mkdir()
        _mount(mounts, memory, "-t", "tmpfs", "none")
        upper, work = memory / "upper", memory / "work"
        for folder in (upper, work):
            folder.mkdir()
        layers = f"lowerdir=/,upperdir={upper},workdir={work}"
        _mount(mounts, merged, "-t", "overlay", "-o", layers, "overlay")
        for name in ("proc", "dev"):
            _mount(mounts, merged / name, "--bind", f"/{name}")
        yield Overlay(upper, merged)


def _mount(mounts: ExitStack, place: Path, *options: str) -> None:
    done = subprocess.run(
        ["mount", *options, str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr}")
    mounts.callback(subprocess.run, ["umount", "-l", str(place)], check=True)
