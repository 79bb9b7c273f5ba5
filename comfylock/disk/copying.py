"""A copy of a file under a spare name: whole and synced, or not there at all."""

import contextlib
import os
from collections.abc import Callable
from io import FileIO
from mmap import mmap
from pathlib import Path

from comfylock.disk.faults import disk_fault
from comfylock.disk.parts import owner_name
from comfylock.disk.read import BUFFER_BYTES
from comfylock.disk.rename import Address
from comfylock.disk.tree import sync
from comfylock.errors import DiskError, StoppedError
from comfylock.hashes import Hasher

#: Says whether what is being done has been interrupted.
Stopped = Callable[[], bool]


def created(address: Address, shown: Path) -> FileIO:
    """Open a new file for writing and reading; `shown` is what messages call it.

    Raises:
        PlaceError: as the disk says.
    """
    directory, name = address
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return FileIO(os.open(name, flags, 0o666, dir_fd=directory), "r+b")
    except OSError as error:
        raise disk_fault(error, shown, "write") from error


def remove(address: Address) -> None:
    """Remove what we have made; where it is gone, or stays, nothing is to be done about it."""
    with contextlib.suppress(OSError):
        os.unlink(address[1], dir_fd=address[0])


def write_copy(
    file: FileIO,
    address: Address,
    hasher: Hasher,
    shown: Path,
    is_stopped: Stopped = lambda: False,
) -> None:
    """Copy an open file to a new name, whole and synced, or leave nothing."""
    try:
        with created(address, shown) as copy:
            _pour(file, copy, hasher, is_stopped)
            sync(copy.fileno())
            missing = os.fstat(file.fileno()).st_size - os.fstat(copy.fileno()).st_size
    except OSError as error:
        remove(address)
        raise disk_fault(error, shown, "copy to") from error
    except StoppedError:
        remove(address)
        raise
    if missing:
        remove(address)
        raise DiskError(
            f"cannot copy to {shown}: the copy is not as long as the file",
            hint="Run `comfylock install` again",
        )


def _pour(file: FileIO, copy: FileIO, hasher: Hasher, is_stopped: Stopped) -> None:
    with mmap(-1, BUFFER_BYTES) as buffer, memoryview(buffer) as view:
        while count := file.readinto(view):
            if is_stopped():
                raise StoppedError("stopped")
            hasher.update(view[:count])
            written = 0
            while written < count:
                written += copy.write(view[written:count]) or 0


def spare_name(label: str) -> str:
    """Return a name such as parts have: what a killed run leaves is found and used or removed."""
    return f"{label}.{owner_name()}.part"
