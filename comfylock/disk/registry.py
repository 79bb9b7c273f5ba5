"""Which locks have installed into a models folder: ``<models>/.comfylock/locks.jsonl``.

One absolute path a line, as a JSON object, so that pruning for one project leaves alone what
another one needs. Lines are only ever added; one that makes no sense is passed over.
"""

import contextlib
import json
import os
from pathlib import Path

from comfylock.disk.tree import STATE_DIRECTORY

_FILE = "locks.jsonl"


def known_locks(primary: Path) -> tuple[Path, ...]:
    """Return the locks that have installed below a models folder, whether or not they exist.

    Raises:
        OSError: there is a list and it cannot be read.
    """
    try:
        lines = (primary / STATE_DIRECTORY / _FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    return tuple(dict.fromkeys(path for line in lines if (path := _parse(line)) is not None))


def _parse(line: bytes) -> Path | None:
    try:
        found = json.loads(line)["lock"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(found, str) or "\0" in found or not Path(found).is_absolute():
        return None
    return Path(found)


def register_lock(primary: Path, lock_path: Path) -> None:
    """Add a lock to the list, once; where the folder cannot be written, nothing is placed either.

    Paths are kept with all links resolved, so that one lock is one line.
    """
    own = lock_path.resolve()
    with contextlib.suppress(OSError):
        if own in known_locks(primary):
            return
        path = primary / STATE_DIRECTORY / _FILE
        path.parent.mkdir(exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(path, flags, 0o666)
        try:
            os.write(handle, f"{json.dumps({'lock': str(own)})}\n".encode("ascii"))
        finally:
            os.close(handle)
