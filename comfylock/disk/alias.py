r"""A second name of a model's file: a name with ``\`` in its folder's own directory.

It costs no room: reflink, else hard link, else a relative symbolic link, which stays right when
the models folder is moved or mounted elsewhere. Never a copy.
"""

import os

from comfylock.disk.faults import disk_fault
from comfylock.disk.hashcache import stat_of
from comfylock.disk.place import Destination, link_file, opened_parent
from comfylock.disk.tree import sync
from comfylock.errors import DiskError, PathOccupiedError, PlaceError
from comfylock.hashes import Digests
from comfylock.inventory import FileStat, LocalFile
from comfylock.settings import LinkMode


def link_alias(source: LocalFile, destination: Destination, wanted: Digests) -> FileStat:
    """Give a model's file a second name and say how it then looks.

    Raises:
        BusyError: the source is no longer the file that was seen.
        PathOccupiedError: something lies under that name; it is left alone.
        PlaceError: as the disk says.
    """
    for mode in (LinkMode.REFLINK, LinkMode.HARDLINK):
        try:
            return link_file(source, destination, wanted, mode)
        except DiskError:
            continue  # the file system has no such links, or they are on different disks
    return _symlink(source, destination)


def _symlink(source: LocalFile, destination: Destination) -> FileStat:
    where = os.path.relpath(source.path, destination.path.parent)
    with opened_parent(destination) as (parent, last):
        try:
            os.symlink(where, last, dir_fd=parent)
            sync(parent)
            return stat_of(os.stat(last, dir_fd=parent))
        except FileExistsError as error:
            raise _appeared(destination) from error
        except OSError as error:
            raise _refused(error, destination) from error


def leads_to(destination: Destination, source: LocalFile) -> bool:
    """Say whether a name is one of the very file already."""
    try:
        return stat_of(destination.path.stat()) == source.stat
    except OSError:
        return False


def _appeared(destination: Destination) -> PathOccupiedError:
    return PathOccupiedError(
        f"{destination.path} appeared meanwhile; it was left alone",
        hint="Look at that file, then run `comfylock install` again",
    )


def _refused(error: OSError, destination: Destination) -> PlaceError:
    fault = disk_fault(error, destination.path, "link")
    fault.hint = (
        'Where the disk takes no such names, set aliases = "off" below [lock] in comfylock.toml '
        "and mend the workflows with `comfylock fix-paths`"
    )
    return fault
