"""A model's bytes under another name, looked for when its true length has become known.

The scan before a plan looks at files of the lock's size, which is the uploader's word. Where the
server tells another length, files of that length are hashed before anything is fetched.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from comfylock.disk.hashcache import HashCache, is_settled, now_ns, stat_of
from comfylock.disk.read import hash_file
from comfylock.disk.walk import walk_files
from comfylock.errors import BusyError, PlaceError
from comfylock.events import Finished, Reporter, Started
from comfylock.hashes import Digests, needed_to_check
from comfylock.inventory import LocalFile


class Copies:
    """The files of the models folders by length, as they were when first asked for.

    Safe for threads. Each content is looked for among the files of one length once.

    Args:
        roots: gives the folders to look through; called when the first length is asked for.
        cache: what files were hashed to before; used under `guard` only.
        guard: one thread at a time at the cache.
        reporter: told of each file that is read.
    """

    def __init__(
        self,
        roots: Callable[[], Sequence[Path]],
        cache: HashCache,
        guard: threading.Lock,
        reporter: Reporter,
    ) -> None:
        self._roots = roots
        self._cache, self._guard = cache, guard
        self._reporter = reporter
        self._walking = threading.Lock()
        self._by_size: dict[int, list[str]] | None = None
        self._looked_for: set[tuple[str, int]] = set()

    def may_be_here(self, wanted: Digests, size: int) -> bool:
        """Say whether files of this length are here that have not been looked at for a content."""
        return (wanted.label, size) not in self._looked_for and bool(self._of_size(size))

    def find(self, wanted: Digests, size: int) -> LocalFile | None:
        """Return a file with this content among those of a length; reads what nobody has hashed."""
        self._looked_for.add((wanted.label, size))
        found = (self._hashed(path, needed_to_check(wanted)) for path in self._of_size(size))
        return next((one for one in found if one and one.digests.agrees(wanted)), None)

    def _of_size(self, size: int) -> Iterable[str]:
        with self._walking:
            if self._by_size is None:
                self._by_size = defaultdict(list)
                for path, status in walk_files(self._roots()):
                    self._by_size[status.st_size].append(path)
            return tuple(self._by_size.get(size, ()))

    def _hashed(self, path: str, algorithms: tuple[str, ...]) -> LocalFile | None:
        try:
            stat = stat_of(os.stat(path))  # noqa: PTH116 - the paths of a walk are strings
        except OSError:
            return None
        with self._guard:
            row = self._cache.lookup(path, stat)
        if row is not None and all(getattr(row.digests, name) for name in algorithms):
            return LocalFile(path=Path(path), stat=stat, digests=row.digests, placed=row.placed)
        return self._read(path, algorithms)

    def _read(self, path: str, algorithms: tuple[str, ...]) -> LocalFile | None:
        started_ns = now_ns()
        self._reporter.on(Started(ref=path, act="hash"))
        try:
            stat, digests = hash_file(path, algorithms)
        except (PlaceError, BusyError, FileNotFoundError):
            self._reporter.on(Finished(ref=path, succeeded=False))
            return None
        self._reporter.on(Finished(ref=path, succeeded=True))
        if is_settled(stat, started_ns):
            with self._guard:
                self._cache.record(path, stat, digests)
        return LocalFile(path=Path(path), stat=stat, digests=digests)
