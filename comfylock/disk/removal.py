"""A placed file goes: only one that is still as it was seen, and only under that one name.

The name is first taken away by a rename, then what was taken is looked at again, and only the
very file that was seen is removed. So a file that somebody puts there in the last moment comes
back. A run that is killed in between leaves the bytes where parts lie, under their hash: they are
found and used by the next download, or removed with old parts.
"""

import contextlib
import os
import sys

from comfylock.disk.faults import disk_fault
from comfylock.disk.hashcache import stat_of
from comfylock.disk.parts import owner_name
from comfylock.disk.place import Destination, is_one_file, opened_parent, opened_partial
from comfylock.disk.rename import Address, rename_without_clobber
from comfylock.disk.tree import sync
from comfylock.errors import BusyError
from comfylock.inventory import FileStat, LocalFile

# Holds on to the file, not to its bytes: NTFS on Linux changes the facts of a file that was
# renamed while it was open, once it is closed.
_HOLD = os.O_PATH if sys.platform == "linux" else os.O_RDONLY | os.O_NONBLOCK


def remove_placed(destination: Destination, seen: LocalFile) -> FileStat:
    """Take one name of a file away, and say how the file looks under the names that remain.

    Raises:
        BusyError: what lies there is no longer the file that was seen; it was left alone.
        PlaceError: as the disk says.
    """
    with (
        opened_parent(destination) as (parent, last),
        opened_partial(destination) as (directory, _),
    ):
        spare = (directory, f"{seen.digests.label}.{owner_name()}.part")
        try:
            handle = os.open(last, _HOLD | os.O_CLOEXEC, dir_fd=parent)
            try:
                _require_same(destination, stat_of(os.fstat(handle)) == seen.stat)
                _take((parent, last), spare, destination)
                os.unlink(spare[1], dir_fd=directory)
                sync(parent)
                return _left(handle, seen)
            finally:
                os.close(handle)
        except OSError as error:
            raise disk_fault(error, destination.path, "remove") from error


def _left(handle: int, seen: LocalFile) -> FileStat:
    """Return how the file looks under the names that remain; it does not matter where none does."""
    try:
        return stat_of(os.fstat(handle))
    except FileNotFoundError:  # what NTFS on Linux says of a file without a name
        return seen.stat


def _take(spot: Address, spare: Address, destination: Destination) -> None:
    """Rename what lies in a spot to a name that nobody else knows, if it is what was seen."""
    before = stat_of(os.stat(spot[1], dir_fd=spot[0], follow_symlinks=False))
    rename_without_clobber(spot, spare)
    after = stat_of(os.stat(spare[1], dir_fd=spare[0], follow_symlinks=False))
    if not is_one_file(before, after):
        with contextlib.suppress(FileExistsError):
            rename_without_clobber(spare, spot)
        _require_same(destination, same=False)


def _require_same(destination: Destination, same: bool) -> None:  # noqa: FBT001
    if not same:
        raise BusyError(
            f"{destination.path} changed since it was looked at; it was left alone",
            hint="Look at that file, then run `comfylock install --prune` again",
        )
