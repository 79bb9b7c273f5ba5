"""Answers of the API, kept in SQLite: what was asked, when, and the JSON that came.

Only answers are kept, and true "not found"s for a short time; never a fault, and never a key (a
request's key is no part of what was asked). The cache is a hint: a file that is damaged, foreign
or of another schema is moved aside and begun anew, and where none can be written the answers live
in memory for this run. Several processes may use one file.

SQLite does not notice a flipped bit: measured, one in fifty made the answer to another question
out of a row. So each row has a check value over question, time and answer, and counts as nothing
where it is wrong.
"""

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from comfylock.events import Noted, Reporter
from comfylock.hubs import Reuse

FRESH_S = 24 * 3600.0
MISSING_FRESH_S = 3600.0
MOMENT_S = 600.0  # one command after the other, as in `outdated` and `update`

_APPLICATION_ID = 0x636C6170  # "clap": comfylock's API answers
_SCHEMA_VERSION = 2
_KEEP_S = 90 * 24 * 3600.0
_BUSY_S = 5.0
_MAX_UNPACKED_BYTES = 128 * 1024 * 1024
_SCHEMA = """
CREATE TABLE answers (
    request TEXT PRIMARY KEY NOT NULL,
    kept_at REAL NOT NULL,
    body BLOB NOT NULL
) STRICT
"""  # body: check value, then zlib-packed JSON, or nothing for "not found"
_CHECK_BYTES = 8

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """An answer from the cache.

    Attributes:
        answer: the JSON, ``None`` for a true "not found".
        age_s: seconds since it was kept; below 0 if the clock has gone back since.
        is_fresh: whether it may be used without asking again.
    """

    answer: object | None
    age_s: float
    is_fresh: bool


class ResponseCache:
    """The kept answers. Safe for threads.

    Args:
        path: the file; its folder is made. ``None`` keeps answers in memory only.
        clock: seconds since the epoch.
        reporter: told when the file had to be rebuilt or cannot be used.
        reuse: which answers are fresh.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        clock: Callable[[], float],
        reporter: Reporter,
        reuse: Reuse = Reuse.DAY,
    ) -> None:
        self._path = path
        self._reuse = reuse
        self._clock = clock
        self._reporter = reporter
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._of_this_run: set[str] = set()

    def get(self, request: str) -> Kept | None:
        """Return what is kept for a request, however old, or ``None``.

        Of what may not be reused at all nothing is returned, so that no fault falls back on it.
        """
        if self._reuse is Reuse.NEVER and request not in self._of_this_run:
            return None
        rows = self._run(
            lambda database: database.execute(
                "SELECT kept_at, body FROM answers WHERE request = ?", (request,)
            ).fetchall()
        )
        for kept_at, body in rows or ():
            packed = _checked(request, kept_at, body)
            answer = _unpacked(packed) if packed else None
            if packed is None or (packed and answer is None):
                return None
            age_s = self._clock() - kept_at
            limit_s = FRESH_S if packed else MISSING_FRESH_S
            return Kept(answer=answer, age_s=age_s, is_fresh=self._is_fresh(age_s, limit_s))
        return None

    def _is_fresh(self, age_s: float, limit_s: float) -> bool:
        if self._reuse is Reuse.MOMENT:
            limit_s = min(limit_s, MOMENT_S)
        return self._reuse in {Reuse.ALWAYS, Reuse.NEVER} or 0 <= age_s < limit_s

    def put(self, request: str, answer: object | None) -> None:
        """Keep an answer; ``None`` means that the API said "not found"."""
        packed = b""
        if answer is not None:
            packed = zlib.compress(json.dumps(answer, separators=(",", ":")).encode(), 1)
        kept_at = float(self._clock())
        row = (request, kept_at, _check(request, kept_at, packed) + packed)
        done = self._run(
            lambda database: database.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", row
            )
        )
        if done is not None:  # a file that is busy keeps its older answer
            self._of_this_run.add(request)

    def close(self) -> None:
        """Close the file; a later use opens it again."""
        with self._lock:
            self._drop()

    def _run(self, act: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Run one statement; a damaged file is rebuilt once, and no fault goes out."""
        with self._lock:
            for _ in range(2):
                try:
                    return act(self._opened())
                except sqlite3.OperationalError as error:
                    self._give_way(error)
                except (sqlite3.DatabaseError, UnicodeError) as error:
                    self._set_aside(error)
        return None

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = _open(self._path)
            self._prune(self._database)
        return self._database

    def _prune(self, database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM answers WHERE kept_at < ?", (self._clock() - _KEEP_S,))

    def _give_way(self, error: sqlite3.OperationalError) -> None:
        """Go on without the file, unless it is only busy at this moment."""
        if "locked" in str(error) or "busy" in str(error):
            return
        self._drop()
        if self._path is not None:
            self._reporter.on(Noted(message=f"the cache {self._path} cannot be used: {error}"))
            self._path = None

    def _set_aside(self, error: Exception) -> None:
        self._drop()
        if self._path is None:
            return
        aside = self._path.with_name(f"{self._path.name}.damaged")
        self._reporter.on(Noted(message=f"the cache {self._path} is rebuilt: {error}"))
        try:
            os.replace(self._path, aside)  # noqa: PTH105 - replaces an older one on every system
        except OSError:
            self._path = None
            return
        for suffix in ("-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink()

    def _drop(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None


class _ForeignFileError(sqlite3.DatabaseError):
    """A sound database that is not ours, or of another schema."""


def _open(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(
        path or ":memory:", timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        with _transaction(database):
            _prepare(database)
        database.execute("PRAGMA journal_mode = WAL").fetchall()
        database.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        database.close()
        raise
    return database


@contextmanager
def _transaction(database: sqlite3.Connection) -> Generator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _prepare(database: sqlite3.Connection) -> None:
    """Make the table in a new file; refuse a file that holds anything else."""
    marks = tuple(
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    if marks == (_APPLICATION_ID, _SCHEMA_VERSION):
        return
    if marks != (0, 0) or database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise _ForeignFileError("it was not written by this version of comfylock")
    database.execute(_SCHEMA)
    database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _check(request: str, kept_at: float, packed: bytes) -> bytes:
    said = f"{request}\0{kept_at.hex()}\0".encode("utf-8", "surrogateescape")
    return blake2b(said + packed, digest_size=_CHECK_BYTES).digest()


def _checked(request: str, kept_at: object, body: object) -> bytes | None:
    """Return the packed answer of a row, or ``None`` where the row is damaged."""
    if not isinstance(body, bytes) or not isinstance(kept_at, float):
        return None
    packed = body[_CHECK_BYTES:]
    return packed if body[:_CHECK_BYTES] == _check(request, kept_at, packed) else None


def _unpacked(packed: bytes) -> object | None:
    """Return the kept JSON, or ``None`` where it is none."""
    try:
        body = zlib.decompressobj().decompress(packed, _MAX_UNPACKED_BYTES)
        answer: object = json.loads(body)
    except (zlib.error, ValueError, RecursionError):
        return None
    return answer
