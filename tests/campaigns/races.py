"""Somebody swaps a folder for a link, as fast as he can, while models are placed below it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from comfylock.disk.hashcache import stat_of
from comfylock.disk.place import Destination, link_file, publish
from comfylock.disk.tree import opened_below
from comfylock.errors import PathOccupiedError, UnsafePathError
from comfylock.hashes import Digests
from comfylock.inventory import LocalFile
from comfylock.settings import LinkMode

CONTENT = b"x"
NAME = "ink.safetensors"

SWAP = """
import ctypes, os, sys
folder, outside = sys.argv[1:]
os.chdir(folder)
os.symlink(outside, "lure")
exchange = ctypes.CDLL(None).renameat2
assert exchange(-100, b"sub", -100, b"lure", 2) == 0
print("ready", flush=True)
while True:
    exchange(-100, b"sub", -100, b"lure", 2)
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
def swapping(models: Path, outside: Path) -> Iterator[int]:
    """Swap ``loras/sub`` for a link that leads outside, over and over; yield the true folder."""
    (models / "loras" / "sub").mkdir(parents=True)
    outside.mkdir()
    inside = os.open(models / "loras" / "sub", os.O_RDONLY)
    swapper = subprocess.Popen(
        [sys.executable, "-c", SWAP, str(models / "loras"), str(outside)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert swapper.stdout is not None
        if swapper.stdout.readline() != "ready\n":
            raise NoExchangeError
        yield inside
    finally:
        swapper.kill()
        swapper.communicate()
        os.close(inside)


def races(root: Path, tries: int) -> Races:
    """Publish and link files below a folder that is swapped all the time."""
    return _raced(root, tries, (_publish, _link))


def naive_races(root: Path, tries: int) -> Races:
    """Do it as many do: resolve the path, see that it is below the models folder, and write."""
    return _raced(root, tries, (_checked_then_written,))


def _raced(root: Path, tries: int, ways: tuple[Callable[[Path, Destination], None], ...]) -> Races:
    models, outside = root / "models", root / "outside"
    found = Races(tries=tries)
    with swapping(models, outside) as inside:
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
