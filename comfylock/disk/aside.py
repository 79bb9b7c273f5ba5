"""What makes way for a model: renamed to ``.comfylock/replaced``, never removed, and back again."""

import contextlib
import os
import secrets
import stat as stat_bits
from pathlib import Path

from comfylock.disk.faults import disk_fault
from comfylock.disk.hashcache import stat_of
from comfylock.disk.place import Destination, is_one_file, opened_parent, publish
from comfylock.disk.rename import Address, rename_without_clobber
from comfylock.disk.tree import STATE_DIRECTORY, opened_below, sync
from comfylock.errors import BusyError
from comfylock.inventory import FileStat, LocalFile

_KEPT_BYTES = 150


def move_aside(destination: Destination, old: LocalFile) -> Path | None:
    """Rename what lies in a spot to ``.comfylock/replaced`` and return where it is now.

    Returns ``None`` where it is gone: another run may be about to put the same model there.

    Raises:
        BusyError: it is no longer the file that was seen; nothing was moved.
        PlaceError: as the disk says; nothing was moved.
    """
    base = destination.state_base
    with opened_parent(destination) as (parent, last):
        aside = f"{old.digests.label[:12]}-{secrets.token_hex(2)}-{_end_of(last)}.old"
        try:
            with opened_below(base, (STATE_DIRECTORY, "replaced")) as directory:
                _take_away((parent, last), (directory, aside), destination, old)
                sync(directory)
            sync(parent)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_fault(error, destination.path, "move aside") from error
    return base / STATE_DIRECTORY / "replaced" / aside


def _end_of(name: str) -> str:
    """Return as much of a name as fits behind our own marks, whole characters of its end."""
    return os.fsencode(name)[-_KEPT_BYTES:].decode("utf-8", "ignore")


def _take_away(spot: Address, aside: Address, destination: Destination, old: LocalFile) -> None:
    """Rename what lies in a spot if it is what was seen, and look again at what was renamed.

    In between, another run may have done the same and put the new file there.
    """
    status = os.stat(spot[1], dir_fd=spot[0], follow_symlinks=False)
    if stat_of(os.stat(spot[1], dir_fd=spot[0])) != old.stat:
        raise _changed_meanwhile(destination)
    # Of a link what counts is the link, and the file that it leads to was looked at.
    named = stat_of(status) if stat_bits.S_ISLNK(status.st_mode) else old.stat
    os.rename(spot[1], aside[1], src_dir_fd=spot[0], dst_dir_fd=aside[0])
    taken = stat_of(os.stat(aside[1], dir_fd=aside[0], follow_symlinks=False))
    if not is_one_file(taken, named):
        with contextlib.suppress(FileExistsError):
            rename_without_clobber(aside, spot)
        raise _changed_meanwhile(destination)


def _changed_meanwhile(destination: Destination) -> BusyError:
    return BusyError(
        f"{destination.path} changed since it was looked at; it was left alone",
        hint="Look at that file, then run `comfylock install` again",
    )


def move_back(destination: Destination, aside: Path) -> FileStat:
    """Undo `move_aside`, if nothing has taken the spot meanwhile, and say how the file now looks.

    Raises:
        PlaceError: as `publish`; the file stays where it is.
    """
    with opened_below(aside.parent, ()) as directory:
        return publish((directory, aside.name), destination)
