"""A file's bytes to its digests, noticing when somebody writes to it meanwhile."""

import os
import stat as stat_bits
from dataclasses import replace
from io import FileIO
from mmap import mmap
from pathlib import Path

from comfylock.disk.faults import disk_fault
from comfylock.disk.hashcache import stat_of
from comfylock.disk.mapped import hash_mapped, is_held_in_memory
from comfylock.errors import BusyError, PathOccupiedError
from comfylock.hashes import ALL_PROCESSORS, Digests, Hasher
from comfylock.inventory import FileStat

# Measured: a page-aligned buffer (mmap gives one) is read into at twice the speed of a bytearray,
# and BLAKE3 and SHA-256 are at their best from 1 MiB a call.
BUFFER_BYTES = 1 << 20
_READINGS = 3


def open_file(path: str | Path) -> FileIO:
    """Open a regular file for reading.

    Raises:
        PathOccupiedError: it is something else; a pipe does not make this wait.
        PermissionDeniedError, DiskError: it cannot be opened.
        FileNotFoundError: it is not there.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_fault(error, path, "read") from error
    if not stat_bits.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise PathOccupiedError(f"{path} is no regular file")
    return FileIO(handle, "rb")


def first_bytes(path: str | Path, count: int) -> bytes:
    """Return how a file begins; nothing where it is gone.

    Raises:
        PathOccupiedError, PermissionDeniedError, DiskError: as `open_file`.
    """
    try:
        with open_file(path) as file:
            return file.read(count)
    except FileNotFoundError:
        return b""


def hash_file(path: str | Path, algorithms: tuple[str, ...]) -> tuple[FileStat, Digests]:
    """Read a file and return its facts and digests.

    It is read again where it got a further name meanwhile, as another install gives it: that
    moves the ctime, and only reading again tells it from a write whose mtime was set back.

    Raises:
        BusyError: it changed while it was read; what was read means nothing.
        PathOccupiedError, PermissionDeniedError, DiskError: as `open_file`.
        FileNotFoundError: it is gone.
    """
    with open_file(path) as file:
        for _ in range(_READINGS):
            file.seek(0)
            before = stat_of(os.fstat(file.fileno()))
            threads = ALL_PROCESSORS if is_held_in_memory(file) else 1
            digests = hash_rest(file, Hasher(algorithms, threads=threads), path).digests()
            after = stat_of(os.fstat(file.fileno()))
            if before == after:
                return after, digests
            if replace(before, ctime_ns=after.ctime_ns) != after:
                break
    raise BusyError(
        f"{path} changed while it was read",
        hint="Wait until the program that writes it is done, then run this again",
    )


def hash_rest(file: FileIO, hasher: Hasher, path: str | Path) -> Hasher:
    """Feed an open file from where it stands to its end into a hasher, and return that."""
    hash_mapped(file, hasher)
    with mmap(-1, BUFFER_BYTES) as buffer, memoryview(buffer) as view:
        while True:
            try:
                count = file.readinto(view)
            except OSError as error:
                raise disk_fault(error, path, "read") from error
            if not count:
                return hasher
            hasher.update(view[:count])


def hash_span(file: FileIO, hasher: Hasher, span: tuple[int, int], path: str | Path) -> int:
    """Feed bytes of an open file into a hasher, wherever the file stands; return how many."""
    at, stop = span
    with mmap(-1, BUFFER_BYTES) as buffer, memoryview(buffer) as view:
        while at < stop:
            try:
                count = os.preadv(file.fileno(), [view[: stop - at]], at)
            except OSError as error:
                raise disk_fault(error, path, "read") from error
            if not count:
                break
            hasher.update(view[:count])
            at += count
    return at - span[0]
