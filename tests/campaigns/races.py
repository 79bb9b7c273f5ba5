"""Somebody swaps a folder for a link, as fast as he can, while models are placed below it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from comfylock.disk.aside import move_aside, move_back
from comfylock.disk.hashcache import stat_of
from comfylock.disk.place import Destination, link_file, publish
from comfylock.disk.tree import opened_below
from comfylock.errors import BusyError, PathOccupiedError, UnsafePathError
from comfylock.hashes import Digests
from comfylock.inventory import FileStat, LocalFile
from comfylock.settings import LinkMode

CONTENT = b"x"
NAME = "ink.safetensors"

SWAP = """
import ctypes, os, sys, time
folder, one, other, pause_s = sys.argv[1:]
os.chdir(folder)
exchange = ctypes.CDLL(None).renameat2
assert exchange(-100, one.encode(), -100, other.encode(), 2) == 0
print("ready", flush=True)
while True:
    time.sleep(float(pause_s))
    exchange(-100, one.encode(), -100, other.encode(), 2)
"""


class NoExchangeError(Exception):
    """This system cannot exchange two names in one step."""


@dataclass
class Races:
    """What came of it.

    Attributes:
        tries: how often a file was to be placed.
        placed: how often it was, where it belongs.
        refused: how often the link was seen.
        escaped: how often something lay outside afterwards.
    """

    tries: int = 0
    placed: int = 0
    refused: int = 0
    escaped: int = 0


@contextmanager
def swapping(folder: Path, one: str, other: str, pause_s: float = 0) -> Iterator[None]:
    """Exchange two names over and over, in a process of its own."""
    swapper = subprocess.Popen(
        [sys.executable, "-c", SWAP, str(folder), one, other, str(pause_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert swapper.stdout is not None
        if swapper.stdout.readline() != "ready\n":
            raise NoExchangeError
        yield
    finally:
        swapper.kill()
        swapper.communicate()


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def races(root: Path, tries: int) -> Races:
    """Publish and link files below a folder that is swapped all the time."""
    return _raced(root, tries, (_publish, _link))


def naive_races(root: Path, tries: int) -> Races:
    """Do it as many do: resolve the path, see that it is below the models folder, and write."""
    return _raced(root, tries, (_checked_then_written,))


def _raced(root: Path, tries: int, ways: tuple[Callable[[Path, Destination], None], ...]) -> Races:
    models, outside = root / "models", root / "outside"
    (models / "loras" / "sub").mkdir(parents=True)
    outside.mkdir()
    (models / "loras" / "lure").symlink_to(outside)
    found = Races(tries=tries)
    with opened(models / "loras" / "sub") as inside, swapping(models / "loras", "sub", "lure"):
        destination = Destination(models, models / "loras", f"sub/{NAME}")
        (models / "source").write_bytes(CONTENT)
        for turn in range(tries):
            try:
                ways[turn % len(ways)](models, destination)
                os.unlink(NAME, dir_fd=inside)
                found.placed += 1
            except (UnsafePathError, PathOccupiedError):
                found.refused += 1
            except OSError:
                pass  # the naive way has stumbled, or placed it elsewhere
            for stray in outside.iterdir():
                found.escaped += 1
                stray.unlink()
    return found


def _publish(models: Path, destination: Destination) -> None:
    with opened_below(models, (".comfylock", "partial")) as directory:
        name = f"{secrets.token_hex(4)}.part"
        (models / ".comfylock" / "partial" / name).write_bytes(CONTENT)
        publish((directory, name), destination)


def _link(models: Path, destination: Destination) -> None:
    path = models / "source"
    digests = Digests(sha256=sha256(CONTENT).hexdigest())
    source = LocalFile(path=path, stat=stat_of(path.stat()), digests=digests)
    link_file(source, destination, digests, LinkMode.HARDLINK)


def _checked_then_written(models: Path, destination: Destination) -> None:
    path = os.path.realpath(destination.path)
    if not path.startswith(f"{models.resolve()}{os.sep}"):
        raise UnsafePathError("outside")
    destination.path.write_bytes(CONTENT)


@dataclass
class Asides:
    """What came of moving a file aside that others exchange for another.

    Attributes:
        tries: how often it was to be moved.
        moved: how often it was.
        refused: how often it was seen that another lies there.
        wrong: how often the other one was moved all the same.
    """

    tries: int = 0
    moved: int = 0
    refused: int = 0
    wrong: int = 0


def aside_races(root: Path, tries: int) -> Asides:
    """Move an old file aside while another run, as it were, puts the new one there."""
    models = root / "models"
    folder = models / "loras"
    folder.mkdir(parents=True)
    old, new = folder / NAME, folder / "lure"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    seen = LocalFile(path=old, stat=stat_of(old.stat()), digests=Digests(sha256="0" * 64))
    destination = Destination(models, folder, NAME)
    found = Asides(tries=tries)
    with swapping(folder, NAME, "lure", pause_s=0.00005):
        for _ in range(tries):
            # An exchange moves the ctime of both.
            stat = next(
                (one for one in map(_stat, (old, new)) if one.inode == seen.stat.inode), None
            )
            if stat is None:
                continue
            try:
                aside = move_aside(destination, replace(seen, stat=stat))
            except BusyError:
                found.refused += 1
                continue
            if aside is None:
                continue
            found.moved += 1
            found.wrong += aside.read_bytes() != b"old"
            move_back(destination, aside)
    return found


def _stat(path: Path) -> FileStat:
    try:
        return stat_of(path.stat())
    except FileNotFoundError:
        return FileStat(0, 0, 0, 0)
