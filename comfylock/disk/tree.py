"""Directories opened step by step, so that no name can lead out of a models folder.

A folder's own directory may be reached through links: users keep `models/loras` on another disk.
Below it nothing is followed. Each step is opened relative to the one before (``dir_fd``), so a
link swapped in between check and use leads nowhere: checking a resolved path and then opening it
lost that race 136 times in 20,000 when it was tried.
"""

import errno
import os
import stat as stat_bits
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from comfylock.disk.faults import disk_fault
from comfylock.errors import PathOccupiedError, UnsafePathError

STATE_DIRECTORY = ".comfylock"

_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What fsync says where the file system has nothing to sync: no reason to fail (as restic does).
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})


@contextmanager
def opened_below(base: Path, steps: Sequence[str]) -> Generator[int]:
    """Open a directory below `base`, made where it is missing, and yield its descriptor.

    Raises:
        UnsafePathError: a step is a link.
        PathOccupiedError: a step, or the base, is a file.
        PermissionDeniedError, DiskFullError, DiskError: as the system says.
    """
    here = _open_base(base)
    try:
        path = base
        for step in steps:
            path = path / step
            below = _open_step(here, step, path)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _open_base(base: Path) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        try:
            return os.open(base, flags)
        except FileNotFoundError:
            _make_base(base)
            return os.open(base, flags)
    except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        raise _no_folder(base) from error
    except OSError as error:
        raise disk_fault(error, base, "open the folder") from error


def _make_base(base: Path) -> None:
    """Make a directory and what is missing above it, each brought to the disk in its parent."""
    above = existing_parent(base)
    here = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in base.relative_to(above).parts:
            _make(here, step)
            below = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)


def _no_folder(base: Path) -> PathOccupiedError:
    if base.is_symlink():
        return PathOccupiedError(
            f"{base} is a link that leads to no folder",
            hint="Mount the disk that it leads to, or remove the link",
        )
    return PathOccupiedError(f"{base} is no folder", hint="Move it out of the way")


def _open_step(here: int, step: str, path: Path) -> int:
    try:
        try:
            return os.open(step, _STEP, dir_fd=here)
        except FileNotFoundError:
            _make(here, step)
            return os.open(step, _STEP, dir_fd=here)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise _not_a_step(here, step, path) from error
        raise disk_fault(error, path, "open the folder") from error


def _make(here: int, step: str) -> None:
    try:
        os.mkdir(step, 0o777, dir_fd=here)
    except FileExistsError:
        return
    sync(here)


def _not_a_step(here: int, step: str, path: Path) -> UnsafePathError | PathOccupiedError:
    try:
        os.readlink(step, dir_fd=here)
    except OSError:
        return PathOccupiedError(
            f"{path} is a file where a folder is needed", hint="Move it out of the way"
        )
    return UnsafePathError(
        f"{path} is a link, and nothing is placed behind links below a models folder",
        hint="Name the folder that it leads to in extra_model_paths.yaml, or with --models-dir",
    )


def sync(handle: int) -> None:
    """Bring a file or directory to the disk itself.

    Raises:
        OSError: the disk refused; what was written may be lost.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def read_own(path: Path) -> bytes:
    """Return a file of ours whole.

    Raises:
        OSError: it is not there, cannot be read, or is something else: a pipe that somebody has
            put in its place does not make this wait.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with FileIO(os.open(path, flags), "rb") as file:
        if not stat_bits.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        return file.readall()


def open_to_append(path: Path) -> int:
    """Open a file of ours to add to it, made where it is missing; a link or a pipe is none.

    Raises:
        OSError: as the system says.
    """
    special = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | special, 0o666)


def existing_parent(directory: Path) -> Path:
    """Return the directory itself or its nearest parent that exists and may be looked at."""
    while not os.path.isdir(directory) and directory != directory.parent:  # noqa: PTH112
        directory = directory.parent
    return directory


def state_base(primary: Path, target: Path) -> Path:
    """Return the directory whose ``.comfylock`` serves a target: files can be renamed from there.

    That is the first models folder, unless the target's folder lies on another disk or is a
    mount of its own: containers often mount several folders of one disk, and no file can be
    renamed from one mount to the other.
    """
    beside = existing_parent(target.parent)
    try:
        same = _mount(primary) == _mount(beside)
    except OSError as error:
        raise disk_fault(error, error.filename or primary, "look at") from error
    return primary if same else beside


def _mount(directory: Path) -> tuple[int, str]:
    """Return what names the mount of a directory: its device, and on Linux the mount's id."""
    # Where a folder may not be read, that is told of the one model which belongs there.
    handle = os.open(directory, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        facts = ""
        with suppress(FileNotFoundError):
            facts = Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii")
        ids = [line for line in facts.splitlines() if line.startswith("mnt_id")]
        return os.fstat(handle).st_dev, "".join(ids)
    finally:
        os.close(handle)
