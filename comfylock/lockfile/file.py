"""comfy.lock on disk: read with every bound that a stranger's file needs, written whole or not.

Reading tolerates what editors and git do to a text (CRLF, a byte order mark) and refuses all
else. Writing happens only where the bytes differ, so a lock without changes keeps its time stamp,
and by way of a file beside it, so a reader sees the old lock or the new one.
"""

import re
import stat
from pathlib import Path

from comfylock.errors import (
    LockConflictError,
    LockInvalidError,
    LockMissingError,
    LockVersionError,
)
from comfylock.lockfile.model import LOCK_VERSION, Dangling, Lock, lock_from_dict
from comfylock.lockfile.text import render_lock
from comfylock.names import shown
from comfylock.toml import TomlError, parse_toml
from comfylock.writing import write_text

__all__ = [
    "LOCK_VERSION", "MAX_LOCK_BYTES", "parse_lock", "read_lock", "read_lock_text", "render_lock",
    "write_lock",
]  # fmt: skip

#: A lock of 100,000 models has about 40 MB; the largest real ones have some hundred.
MAX_LOCK_BYTES = 32 * 1024 * 1024

_MARKER = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?: |$)", re.MULTILINE)


def read_lock(path: Path) -> Lock:
    """Return the lock in a file.

    Raises:
        LockMissingError: there is no such file.
        LockInvalidError: it cannot be read, is no UTF-8 or breaks the format.
        LockConflictError: it holds merge conflict markers.
        LockVersionError: a newer comfylock wrote it.
    """
    return parse_lock(read_lock_text(path), path.name)


def read_lock_text(path: Path) -> str:
    r"""Return the text of a lock file with ``\n`` at line ends, conflict markers and all.

    Raises:
        LockMissingError, LockInvalidError: as `read_lock`.
    """
    try:
        _check_regular(path)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise LockMissingError(
            f"there is no lock at {shown(str(path))}",
            hint="Run `comfylock lock WORKFLOWS` to write one, or name it with --lockfile",
        ) from error
    except OSError as error:
        raise LockInvalidError(
            f"{shown(str(path))} cannot be read: {error.strerror}",
            hint="Check who may read it, and the disk",
        ) from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LockInvalidError(f"{path.name}: line {line}: the text is not UTF-8") from error


def _check_regular(path: Path) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise LockInvalidError(f"{shown(str(path))} is not a file")
    if found.st_size > MAX_LOCK_BYTES:
        raise LockInvalidError(
            f"{shown(str(path))} has {found.st_size} bytes; a lock has at most {MAX_LOCK_BYTES}"
        )


def parse_lock(text: str, name: str, dangling: Dangling = Dangling.REFUSED) -> Lock:
    """Return the lock that a text describes; `name` is what messages call the file.

    Raises:
        LockInvalidError, LockConflictError, LockVersionError: as `read_lock`.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    _refuse_markers(text, name)
    try:
        return lock_from_dict(parse_toml(text), dangling)
    except TomlError as error:
        raise LockInvalidError(f"{name}: {error}") from error
    except LockInvalidError as error:
        raise LockInvalidError(f"{name}: {error.message}") from error
    except LockVersionError as error:
        raise LockVersionError(f"{name}: {error.message}", hint=error.hint) from error


def _refuse_markers(text: str, name: str) -> None:
    marker = _MARKER.search(text)
    if marker is not None:
        line = text.count("\n", 0, marker.start()) + 1
        raise LockConflictError(f"{name} has merge conflict markers (line {line})")


def write_lock(path: Path, lock: Lock) -> bool:
    """Write a lock where its bytes differ from the file's; say whether they did.

    A symbolic link stays one: what it points to is written. The file keeps its permissions.

    Raises:
        DiskFullError, PermissionDeniedError, DiskError: nothing was changed.
        LockInvalidError: the value breaks the format, so that no one could read it again; nothing
            was changed.
    """
    text = render_lock(lock)
    return write_text(path, text, lambda: parse_lock(text, path.name))
