"""Many small tasks side by side, such that an interrupt ends them at once."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def side_by_side(
    function: Callable[[_T], _R], items: Iterable[_T], *, workers: int
) -> Iterator[_R]:
    """Yield what `function` makes of each item, in the items' order, `workers` at a time.

    When the loop is left early (an error, an interrupt) what has not begun is dropped, and what
    is running is not waited for: it may be reading 24 GB, or hang on a silent server.
    """
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Turns:
    """One thread at a time for each key: who comes second finds what the first one has left."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}

    def of(self, key: str) -> threading.RLock:
        """Return what is held while something is done for a key; who holds it may take it again."""
        with self._guard:
            return self._locks.setdefault(key, threading.RLock())
