"""What files were once hashed to, so that nothing is read twice: a hint, never a proof.

An append-only file of JSON lines, ``<models>/.comfylock/hashes.jsonl``. A row counts only while
size, mtime, inode and (on POSIX) ctime of its file are all as they were, and only if its check
value is right: a flipped bit costs a second reading and never yields a wrong hash. Losing the
file costs only time. Later rows win; torn or foreign lines are passed over.

Rows are not kept for files that were written about when they were hashed: a second write within
the same tick of the file system's clock would not show. Whole-second time stamps (exFAT keeps two
seconds) make that tick long.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from comfylock.disk.tree import open_to_append, read_own
from comfylock.hashes import Digests, is_digest
from comfylock.inventory import FileStat

_FINE_TICK_NS = 100_000_000
_COARSE_TICK_NS = 3_000_000_000
_COMPACT_FROM_BYTES = 64 * 1024


def stat_of(status: os.stat_result) -> FileStat:
    """Return the facts of a file that the cache compares."""
    ctime_ns = status.st_ctime_ns if os.name == "posix" else 0
    return FileStat(status.st_size, status.st_mtime_ns, status.st_ino, ctime_ns)


def is_settled(stat: FileStat, hashed_at_ns: int) -> bool:
    """Say whether a file was last changed long enough before it was hashed to trust the stat."""
    coarse = stat.mtime_ns % 1_000_000_000 == 0 and stat.ctime_ns % 1_000_000_000 == 0
    tick = _COARSE_TICK_NS if coarse else _FINE_TICK_NS
    # Every write moves the ctime, while anybody may set an mtime, also to a day to come.
    changed_ns = stat.ctime_ns or stat.mtime_ns
    return changed_ns + tick <= hashed_at_ns


@dataclass(frozen=True, slots=True)
class CachedHash:
    """One row: what the file with this stat was hashed to, and whether comfylock placed it.

    Attributes:
        stat: facts of the file.
        digests: its content.
        placed: comfylock put it there.
        origin: a source that it can be fetched from again, as messages name it; ``None`` where
            none was known when it was placed.
    """

    stat: FileStat
    digests: Digests
    placed: bool
    origin: str | None = None


class HashCache:
    """The rows of one models folder; safe to share between processes, used from one thread.

    Args:
        path: the file; it and its folder are made at the first write. Where that is not allowed
            (a read-only models folder) the cache works in memory only.
        root: paths below it are kept relative, so that the cache travels with a volume.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._root = str(root)
        self._rows: dict[str, CachedHash] | None = None
        self._by_stat: dict[FileStat, set[str]] | None = None
        self._lines = 0
        self._torn = False

    def lookup(self, path: str | Path, stat: FileStat) -> CachedHash | None:
        """Return the row of a file, if it is as it was."""
        row = self._loaded().get(self._name(path))
        return row if row is not None and row.stat == stat else None

    def record(
        self,
        path: str | Path,
        stat: FileStat,
        digests: Digests,
        *,
        placed: bool = False,
        origin: str | None = None,
    ) -> None:
        """Keep what a file was hashed to; what is known of the same file and content is kept too.

        A row that contradicts what was read is void as a whole: the file changed and its stat
        did not. One whose ctime alone differs counts again when the bytes are the same: somebody
        linked the file or changed its owner.
        """
        known = self._loaded().get(self._name(path))
        if known is not None and _is_same(known, stat, digests):
            digests = digests.combined(known.digests)
            placed = placed or known.placed
            origin = origin or known.origin
        row = CachedHash(stat, digests, placed, origin)
        if known == row:
            return
        self._keep(self._name(path), row)

    def carry_over(self, before: FileStat, after: FileStat) -> None:
        """Take all names of a file over to how an act of ours, which changed no byte, has left it.

        Linking a file moves the ctime of every name that it has: their rows would be void, and
        the next run would read the whole file again.
        """
        rows = self._loaded()
        for name in sorted(self._names_of(before)):
            self._keep(name, replace(rows[name], stat=after))

    def _keep(self, name: str, row: CachedHash) -> None:
        rows = self._loaded()
        if self._by_stat is not None:
            if name in rows:
                self._by_stat[rows[name].stat].discard(name)
            self._by_stat.setdefault(row.stat, set()).add(name)
        rows[name] = row
        self._append(_render(name, row))

    def _names_of(self, stat: FileStat) -> set[str]:
        """Return which rows are of one stat, without a look at all of them for each link."""
        if self._by_stat is None:
            self._by_stat = {}
            for name, row in self._loaded().items():
                self._by_stat.setdefault(row.stat, set()).add(name)
        return self._by_stat.get(stat, set())

    def placed(self) -> Iterator[tuple[str, CachedHash]]:
        """Yield path and row of every file that comfylock has placed at some time."""
        for name, row in self._loaded().items():
            if row.placed:
                yield os.path.join(self._root, name), row  # noqa: PTH118

    def compact(self) -> None:
        """Rewrite the file without the rows that later ones replaced, once that is worth it."""
        rows = self._loaded()
        if self._lines <= 2 * len(rows) or not self._is_large():
            return
        spare = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        with contextlib.suppress(OSError):
            spare.write_bytes(b"".join(_render(name, row) for name, row in sorted(rows.items())))
            spare.replace(self._path)
            self._lines = len(rows)

    def _is_large(self) -> bool:
        try:
            return self._path.stat().st_size >= _COMPACT_FROM_BYTES
        except OSError:
            return False

    def _name(self, path: str | Path) -> str:
        text = str(path)
        prefix = self._root + os.sep
        return text[len(prefix) :] if text.startswith(prefix) else text

    def _loaded(self) -> dict[str, CachedHash]:
        if self._rows is None:
            self._rows = {}
            with contextlib.suppress(OSError):
                content = read_own(self._path)
                self._torn = content[-1:] not in {b"", b"\n"}
                for line in content.splitlines():
                    self._lines += 1
                    parsed = _parse(line)
                    if parsed is not None:
                        self._rows[parsed[0]] = parsed[1]
        return self._rows

    def _append(self, line: bytes) -> None:
        # One write() with O_APPEND: lines of two processes do not mix on a local file system, and
        # where they do the check value drops the torn line.
        self._lines += 1
        if self._torn:
            line, self._torn = b"\n" + line, False
        try:
            handle = self._opened()
        except OSError:
            return
        with contextlib.suppress(OSError):
            os.write(handle, line)
        os.close(handle)

    def _opened(self) -> int:
        try:
            return open_to_append(self._path)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return open_to_append(self._path)


def _is_same(known: CachedHash, stat: FileStat, digests: Digests) -> bool:
    if known.stat == stat:
        return not known.digests.contradicts(digests)
    return replace(known.stat, ctime_ns=stat.ctime_ns) == stat and known.digests.agrees(digests)


def now_ns() -> int:
    """Return the wall clock, as file systems stamp their files with it."""
    return time.time_ns()


def _check(fields: str) -> str:
    return blake2b(fields.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _render(name: str, row: CachedHash) -> bytes:
    stat = row.stat
    fields = json.dumps(
        [
            name,
            [stat.size, stat.mtime_ns, stat.inode, stat.ctime_ns],
            row.digests.sha256,
            row.digests.blake3,
            row.placed,
            row.origin,
        ]
    )
    return f"{_check(fields)} {fields}\n".encode("ascii")


def _parse(line: bytes) -> tuple[str, CachedHash] | None:
    try:
        check, _, fields = line.decode("ascii").partition(" ")
        if check != _check(fields):
            return None
        name, numbers, sha256, blake3, placed, origin = json.loads(fields)
        size, mtime_ns, inode, ctime_ns = map(int, numbers)
    except (ValueError, TypeError, RecursionError):
        return None
    stat = FileStat(size, mtime_ns, inode, ctime_ns)
    digests = Digests(sha256=_digest(sha256), blake3=_digest(blake3))
    if not isinstance(name, str) or not digests:
        return None
    origin = origin if isinstance(origin, str) else None
    return name, CachedHash(stat, digests, placed is True, origin)


def _digest(value: object) -> str | None:
    return value if isinstance(value, str) and is_digest(value) else None
