"""Which locks have installed into a models folder: ``<models>/.comfylock/locks.jsonl``.

One absolute path a line, as a JSON object, so that pruning for one project leaves alone what
another one needs. Lines are only ever added; one that makes no sense is passed over.
"""

import contextlib
import json
import os
from pathlib import Path

from comfylock.disk.tree import STATE_DIRECTORY, open_to_append, read_own

_FILE = "locks.jsonl"


def known_locks(primary: Path) -> tuple[Path, ...]:
    """Return the locks that have installed below a models folder, whether or not they exist.

    Raises:
        OSError: there is a list and it cannot be read.
    """
    try:
        text = read_own(primary / STATE_DIRECTORY / _FILE)
    except FileNotFoundError:
        return ()
    return _parsed(text)


def _parsed(text: bytes) -> tuple[Path, ...]:
    found = map(_parse, text.splitlines())
    return tuple(dict.fromkeys(path for path in found if path is not None))


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
        path = primary / STATE_DIRECTORY / _FILE
        before = b""
        with contextlib.suppress(FileNotFoundError):
            before = read_own(path)
        if own in _parsed(before):
            return
        path.parent.mkdir(exist_ok=True)
        # A line that a full disk has cut off must not swallow this one.
        torn = b"\n" if before and not before.endswith(b"\n") else b""
        handle = open_to_append(path)
        try:
            os.write(handle, torn + f"{json.dumps({'lock': str(own)})}\n".encode("ascii"))
        finally:
            os.close(handle)
