"""The operating system's word on a file, in ours."""

import errno
from pathlib import Path

from comfylock.errors import (
    DiskError,
    DiskFullError,
    PermissionDeniedError,
    PlaceError,
    TooLargeError,
)

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_TOO_MANY_OPEN = frozenset({errno.EMFILE, errno.ENFILE})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def disk_fault(error: OSError, path: str | Path, act: str) -> PlaceError:
    """Return what `error` means for a user who wanted to `act` (read, write, link) on `path`."""
    if error.errno in _FULL:
        return DiskFullError(
            f"the disk is full: cannot {act} {path}",
            hint="Free some room and run this again; what was downloaded is kept",
        )
    if error.errno == errno.EFBIG:
        return TooLargeError(
            f"this disk cannot hold a file as large as {path}",
            hint="Use a models folder on another file system (FAT32 stops at 4 GB)",
        )
    reason = error.strerror or str(error)
    if error.errno in _DENIED:
        return PermissionDeniedError(
            f"cannot {act} {path}: {reason}",
            hint="Check who owns the folder and whether it is mounted read-only",
        )
    hint = "Check the disk, then run this again"
    if error.errno in _TOO_MANY_OPEN:
        hint = "Raise the limit (`ulimit -n`), or run this again with `--jobs 1 --connections 1`"
    return DiskError(f"cannot {act} {path}: {reason}", hint=hint)
