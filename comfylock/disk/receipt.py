"""What an install without work has looked at, so that the next one need only look again.

A receipt lists every file whose state the answer "nothing to do" rested on: the models, the
workflows, the settings, and places where nothing was. While each is as it was, by size, mtime,
inode and ctime, the answer stands, and comfy.lock need not even be parsed. Anything else, a
damaged receipt included, costs only the ordinary way. Like the hash cache it is a hint that rests
on the same facts; ``--verify full`` asks neither.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from comfylock.disk.hashcache import is_settled, now_ns, stat_of
from comfylock.inventory import FileStat

_DIRECTORY = "receipts"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Why there was nothing to do.

    Attributes:
        circumstances: digest of all that is not a file: lock text, folders, variables, flags.
        models: how many models were checked.
        seen: path and facts of each file or folder; ``None`` where nothing was.
    """

    circumstances: str
    models: int
    seen: tuple[tuple[str, FileStat | None], ...]


def digest_of(parts: Iterable[str | bytes]) -> str:
    """Return one digest of several texts; where one ends and the next begins counts."""
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def receipt_path(cache: Path, lock_path: Path, manner: str) -> Path:
    """Return where the receipt of a lock lies; each manner of asking has its own.

    It is in the user's cache: an install with nothing to do writes into no models folder.
    """
    return cache / _DIRECTORY / f"{digest_of([str(lock_path), manner])}.json"


def look(path: str | Path) -> FileStat | None:
    """Return a file's facts now, ``None`` where there is none."""
    try:
        return stat_of(os.stat(path))  # noqa: PTH116 - strings are several times faster here
    except OSError:
        return None


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Keep a receipt, unless a file was touched a moment ago: a second touch would not show."""
    now = now_ns()
    if not all(stat is None or is_settled(stat, now) for _, stat in receipt.seen):
        return
    body = json.dumps([receipt.circumstances, receipt.models, receipt.seen], default=_fields)
    spare = path.with_name(f"{path.name}.{os.getpid()}.new")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        spare.write_text(f"{digest_of([body])} {body}", encoding="ascii")
        spare.replace(path)


def _fields(stat: FileStat) -> tuple[int, int, int, int]:
    return (stat.size, stat.mtime_ns, stat.inode, stat.ctime_ns)


def models_still_right(path: Path, circumstances: str) -> int | None:
    """Return how many models a receipt vouches for, ``None`` when it does not (any more)."""
    try:
        check, _, body = path.read_text(encoding="ascii").partition(" ")
        if check != digest_of([body]):
            return None
        said, models, seen = json.loads(body)
    except (OSError, ValueError, RecursionError):
        return None
    if said != circumstances:
        return None
    for name, fields in seen:
        now = look(name)
        if (None if now is None else list(_fields(now))) != fields:
            return None
    return int(models)
