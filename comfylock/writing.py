"""Our own small text files to disk: whole or not at all, and only where the bytes differ."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from comfylock.errors import DiskError, DiskFullError, PermissionDeniedError, PlaceError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_text(
    path: Path,
    text: str,
    check: Callable[[], object] = lambda: None,
    *,
    mode: int | None = None,
) -> bool:
    """Write a text where its bytes differ from the file's; say whether they did.

    A symbolic link stays one: what it points to is written. The file keeps its permissions,
    unless others are asked for, and its owner where the system lets us: root, in a container or
    not, must not take the user's files away.

    Args:
        path: the file; its folder must be there.
        text: all of it.
        check: called before anything is written; what it raises goes out.
        mode: permissions that the file then has, from its first byte on.

    Raises:
        DiskFullError, PermissionDeniedError, DiskError: nothing was changed.
    """
    data = text.encode()
    try:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        if _holds(target, data):
            return False
        check()
        _replace(target, data, mode)
    except OSError as error:
        raise _translated(error, path) from error
    return True


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def _replace(path: Path, data: bytes, mode: int | None) -> None:
    beside = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    descriptor = os.open(
        beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            _keep_owner(path, beside)
            if mode is None:
                _keep_mode(path, beside)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    _sync_directory(path.parent)


def _keep_owner(path: Path, beside: Path) -> None:
    if os.name == "nt":
        return
    with suppress(FileNotFoundError):
        old, new = path.stat(), beside.stat()
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with suppress(PermissionError):
                os.chown(beside, old.st_uid, old.st_gid)


def _keep_mode(path: Path, beside: Path) -> None:
    with suppress(FileNotFoundError):
        beside.chmod(stat.S_IMODE(path.stat().st_mode))


def _sync_directory(path: Path) -> None:
    """Make the new name last through a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks refuse; the file itself is safe
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _translated(error: OSError, path: Path) -> PlaceError:
    if error.errno in _FULL:
        return DiskFullError(
            f"{path} was not written: the disk is full", hint="Free some space and run it again"
        )
    if error.errno in _FORBIDDEN:
        return PermissionDeniedError(
            f"{path} was not written: {error.strerror}",
            hint="Check who may write in its folder",
        )
    return DiskError(f"{path} was not written: {error.strerror or error}")
