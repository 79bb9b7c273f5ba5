"""A small text file of the user's: read whole, replaced whole."""

import os
from pathlib import Path

from comfylock.disk.faults import disk_fault
from comfylock.errors import BusyError, PathMissingError, PermissionDeniedError
from comfylock.names import shown
from comfylock.writing import write_text


def read_beginning(path: Path, limit: int) -> bytes:
    """Return the bytes of a file, the first `limit` of them where there are more.

    Raises:
        PathMissingError: there is no such file.
        PlaceError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except FileNotFoundError as error:
        raise PathMissingError(
            f"there is no file {shown(str(path))}", hint="Check the path", ref=str(path)
        ) from error
    except OSError as error:
        raise disk_fault(error, shown(str(path)), "read") from error


def replace_text(path: Path, old: bytes, new: bytes) -> None:
    """Put new text in a file's place at once; it keeps its permissions, and a link stays one.

    Args:
        path: the file.
        old: what it was read as.
        new: what it becomes, in UTF-8.

    Raises:
        BusyError: another program has changed it meanwhile; it is as that program left it.
        PermissionDeniedError: the file is read-only.
        PlaceError: it cannot be written; it is as it was.
    """

    def verify() -> None:
        if read_beginning(path, len(old) + 1) != old:
            raise BusyError(
                f"{shown(str(path))} was changed by another program just now", hint="Run it again"
            )

    if not os.access(path, os.W_OK):
        raise PermissionDeniedError(
            f"{shown(str(path))} is read-only", hint="Make it writable, then run it again"
        )
    write_text(path, new.decode(), verify)
