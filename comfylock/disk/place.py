"""Verified bytes to their spot: the name appears only when the file behind it is whole.

The last steps are always sync(file), publish, sync(directory). Publishing never overwrites, see
`rename`. What makes way for it is the business of `aside`.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from comfylock.disk.copying import Stopped, created, remove, spare_name, write_copy
from comfylock.disk.faults import disk_fault
from comfylock.disk.hashcache import stat_of
from comfylock.disk.parts import PARTIAL_STEPS, remove_leftovers
from comfylock.disk.read import hash_file, open_file
from comfylock.disk.rename import NO_HARD_LINKS, Address, rename_without_clobber
from comfylock.disk.sniff import HEAD_BYTES, foreign_kind
from comfylock.disk.tree import opened_below, state_base, sync
from comfylock.errors import (
    BusyError,
    ComfylockError,
    DiskError,
    HashMismatchError,
    NotAModelError,
    PathOccupiedError,
)
from comfylock.hashes import Digests, Hasher, needed_to_check
from comfylock.inventory import FileStat, LocalFile
from comfylock.settings import LinkMode

_FICLONE = 0x40049409


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a file goes: `name` below `base`, the directory of its ComfyUI folder.

    Attributes:
        primary: the first models folder, which holds our ``.comfylock``.
        base: the folder's directory.
        name: POSIX path below it; has passed `names.unsafe_reason`.
    """

    primary: Path
    base: Path
    name: str

    @property
    def path(self) -> Path:
        """The full path, for messages and for looking."""
        return self.base / self.name

    @property
    def state_base(self) -> Path:
        """The directory whose ``.comfylock`` is on the destination's file system."""
        return state_base(self.primary, self.path)

    @property
    def partial_directory(self) -> Path:
        """Where the parts for this spot lie, if there are any."""
        return self.state_base.joinpath(*PARTIAL_STEPS)


@contextmanager
def opened_parent(destination: Destination) -> Generator[tuple[int, str]]:
    """Open the directory that a file goes to, made where missing; yield it and the last name."""
    *steps, last = destination.name.split("/")
    with opened_below(destination.base, steps) as parent:
        yield parent, last


@contextmanager
def opened_partial(destination: Destination) -> Generator[tuple[int, Path]]:
    """Open the directory for parts that serves a destination; yield it and its path."""
    base = destination.state_base
    with opened_below(base, PARTIAL_STEPS) as directory:
        yield directory, base.joinpath(*PARTIAL_STEPS)


def require_way(destination: Destination, old: LocalFile | None) -> None:
    """Refuse before the first byte what publishing would refuse after the last.

    Args:
        destination: the spot.
        old: the file that is to make way for the new one.

    Raises:
        PathOccupiedError: something has appeared in the spot.
        UnsafePathError, PermissionDeniedError, DiskError: as the disk says.
    """
    with opened_parent(destination) as (parent, last):
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=parent):
            denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            raise disk_fault(denied, destination.path.parent, "write to")
        with contextlib.suppress(FileNotFoundError):
            os.stat(last, dir_fd=parent, follow_symlinks=False)
            if old is None:
                raise _appeared(destination)


def found_in(destination: Destination, wanted: Digests) -> LocalFile | None:
    """Return what lies in a spot if it is the wanted content by now; reads the whole file."""
    try:
        stat, digests = hash_file(destination.path, needed_to_check(wanted))
    except (ComfylockError, FileNotFoundError):
        return None
    if not digests.agrees(wanted):
        return None
    return LocalFile(path=destination.path, stat=stat, digests=digests)


def publish(source: Address, destination: Destination) -> FileStat:
    """Give a whole, synced file its final name, and take the old name away.

    Args:
        source: open directory and name of the file, on the destination's file system.
        destination: its spot.

    Returns:
        The facts of the file under its new name.

    Raises:
        PathOccupiedError: something has appeared there meanwhile; it is left alone.
        UnsafePathError, PermissionDeniedError, DiskFullError, DiskError: as the disk says.
    """
    with opened_parent(destination) as (parent, last):
        try:
            _move(source, (parent, last), destination)
            sync(parent)
            return stat_of(os.stat(last, dir_fd=parent, follow_symlinks=False))
        except FileExistsError as error:
            raise _appeared(destination) from error
        except OSError as error:
            raise disk_fault(error, destination.path, "place") from error


def _move(source: Address, spot: Address, destination: Destination) -> None:
    try:
        rename_without_clobber(source, spot)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_across(source, spot, destination)


def _copy_across(source: Address, spot: Address, destination: Destination) -> None:
    """Publish over a border inside one file system that could not be seen before."""
    (directory, name), (parent, _) = source, spot
    spare = spare_name(secrets.token_hex(8))
    with FileIO(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory), "rb") as old:
        write_copy(old, (parent, spare), Hasher(()), destination.path)
    try:
        rename_without_clobber((parent, spare), spot)
    except OSError:
        os.unlink(spare, dir_fd=parent)
        raise
    os.unlink(name, dir_fd=directory)


def link_file(
    source: LocalFile,
    destination: Destination,
    wanted: Digests,
    mode: LinkMode,
    is_stopped: Stopped = lambda: False,
) -> FileStat:
    """Fill an empty spot with a file that lies elsewhere, and say how it then looks.

    Args:
        source: the file.
        destination: the spot.
        wanted: what the file must be.
        mode: how.
        is_stopped: asked while a copy is made.

    Raises:
        StoppedError: nothing is left of a copy that was begun, as none can be gone on with.
        BusyError: the source is no longer the file that was seen.
        NotAModelError: its bytes are pickle under a ``.safetensors`` name, or no model at all.
        HashMismatchError: the source's bytes changed while they were copied.
        PathOccupiedError and the other `PlaceError`: as `publish`.
    """
    with _opened_source(source) as file:
        what = foreign_kind(destination.name, os.pread(file.fileno(), HEAD_BYTES, 0))
        if what is not None:
            raise NotAModelError(
                f"{source.path} is not placed under the name {destination.path}: it is {what}",
                hint="Do not load that file, and ask whoever made comfy.lock what it is",
            )
        for method in _METHODS[mode]:
            stat = method(file, source, destination, wanted, is_stopped)
            if stat is not None:
                return stat
    raise DiskError(
        f"cannot make a {mode} of {source.path} at {destination.path}: "
        "the file system has none, or they are on different disks",
        hint="Use --link-mode auto",
    )


@contextmanager
def _opened_source(source: LocalFile) -> Generator[FileIO]:
    try:
        file = open_file(source.path)
    except FileNotFoundError as error:
        raise _changed(source, "is gone since it was looked at") from error
    with file:
        _require_unchanged(file, source, "changed since it was looked at")
        yield file


def _require_unchanged(file: FileIO, source: LocalFile, complaint: str) -> None:
    if stat_of(os.fstat(file.fileno())) != source.stat:
        raise _changed(source, complaint)


def _changed(source: LocalFile, complaint: str) -> BusyError:
    return BusyError(f"{source.path} {complaint}", hint="Run `comfylock install` again")


def _reflink(
    file: FileIO,
    source: LocalFile,
    destination: Destination,
    wanted: Digests,
    is_stopped: Stopped,
) -> FileStat | None:
    del is_stopped
    try:
        import fcntl
    except ImportError:
        return None
    with opened_partial(destination) as (directory, _):
        spare = (directory, spare_name(wanted.label))
        with created(spare, destination.path) as clone:
            try:
                fcntl.ioctl(clone.fileno(), _FICLONE, file.fileno())
                sync(clone.fileno())
            except OSError:
                remove(spare)
                return None
        try:
            # A clone shares the blocks that were hashed, if nobody wrote to them meanwhile.
            _require_unchanged(file, source, "changed while it was copied")
            return publish(spare, destination)
        except ComfylockError:
            remove(spare)
            raise


def _hard_link(
    file: FileIO,
    source: LocalFile,
    destination: Destination,
    wanted: Digests,
    is_stopped: Stopped,
) -> FileStat | None:
    del wanted, is_stopped
    with opened_parent(destination) as (parent, last):
        try:
            sync(file.fileno())  # the user may have copied it here a moment ago
            os.link(source.path, last, dst_dir_fd=parent)
            sync(parent)
            stat = stat_of(os.stat(last, dir_fd=parent, follow_symlinks=False))
        except FileExistsError as error:
            raise _appeared(destination) from error
        except OSError as error:
            if error.errno == errno.EXDEV or error.errno in NO_HARD_LINKS:
                return None
            raise disk_fault(error, destination.path, "link") from error
        if not is_one_file(stat, source.stat):
            remove((parent, last))
            raise _changed(source, "changed while it was linked")
        return stat


def is_one_file(one: FileStat, other: FileStat) -> bool:
    """Say whether two names are of one file that was not written to in between.

    The number alone does not tell: a copy on another disk may by chance have the same.
    """
    return (one.inode, one.size, one.mtime_ns) == (other.inode, other.size, other.mtime_ns)


def _symlink(
    file: FileIO,
    source: LocalFile,
    destination: Destination,
    wanted: Digests,
    is_stopped: Stopped,
) -> FileStat | None:
    del wanted, is_stopped
    with opened_parent(destination) as (parent, last):
        try:
            os.symlink(source.path.resolve(), last, dir_fd=parent)
            sync(parent)
        except FileExistsError as error:
            raise _appeared(destination) from error
        except OSError as error:
            raise disk_fault(error, destination.path, "link") from error
    return stat_of(os.fstat(file.fileno()))


def _copy(
    file: FileIO,
    source: LocalFile,
    destination: Destination,
    wanted: Digests,
    is_stopped: Stopped,
) -> FileStat | None:
    from shutil import disk_usage

    with opened_partial(destination) as (directory, shown_directory):
        if source.stat.size > disk_usage(directory).free:
            # The plan counted on their room: no copy goes on from what a killed one has left.
            remove_leftovers(shown_directory, frozenset({wanted.label}))
        spare = (directory, spare_name(wanted.label))
        hasher = Hasher(needed_to_check(wanted))
        write_copy(file, spare, hasher, destination.path, is_stopped)
        try:
            if not hasher.digests().agrees(wanted):
                raise HashMismatchError(
                    f"{source.path} changed while it was copied\n"
                    f"  expected {wanted}\n  found    {hasher.digests()}",
                    hint="Run `comfylock install` again",
                )
            return publish(spare, destination)
        except ComfylockError:
            remove(spare)
            raise


_METHODS = {
    LinkMode.AUTO: (_reflink, _hard_link, _copy),
    LinkMode.REFLINK: (_reflink,),
    LinkMode.HARDLINK: (_hard_link,),
    LinkMode.SYMLINK: (_symlink,),
    LinkMode.COPY: (_copy,),
}


def _appeared(destination: Destination) -> PathOccupiedError:
    return PathOccupiedError(
        f"{destination.path} appeared while the model was fetched; it was left alone",
        hint="Look at that file, then run `comfylock install` again",
    )
