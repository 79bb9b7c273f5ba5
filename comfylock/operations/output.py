"""Where `report` and `export` write to: a file that the user names, and none that matters."""

import stat
from collections.abc import Iterable
from pathlib import Path

from comfylock.errors import PathMissingError, PathOccupiedError
from comfylock.lockfile.file import read_lock
from comfylock.names import extension, shown
from comfylock.places import PROJECT_FILE
from comfylock.session import Session
from comfylock.writing import write_text


def write_output(session: Session, name: str, text: str) -> Path:
    """Write a text to the file that a person named; an older one there is overwritten.

    Raises:
        PathOccupiedError: a folder, a device, a model or a file that comfylock works from is there.
        PathMissingError: there is no such folder.
        PlaceError: the file cannot be written; nothing was changed.
    """
    path = session.path_of(name)
    if not path.parent.is_dir():
        raise PathMissingError(
            f"there is no folder {shown(str(path.parent))} to write {shown(path.name)} in",
            hint="Make it first",
        )
    complaint = _complaint(path, _inputs_of(session))
    if complaint is not None:
        raise PathOccupiedError(
            f"{shown(str(path))} is not overwritten: it is {complaint}",
            hint="Name another file with -o",
        )
    write_text(path, text)
    return path


def _inputs_of(session: Session) -> Iterable[Path]:
    yield session.lock_path
    yield session.base / PROJECT_FILE
    yield from (session.base / path for path in read_lock(session.lock_path).workflows)


def _complaint(path: Path, inputs: Iterable[Path]) -> str | None:
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return "no regular file"
    if extension(path.name):
        return "a model"
    if any(other.exists() and path.samefile(other) for other in inputs):
        return "a file that comfylock works from"
    return None
