"""When to ask again: backoff, shared by all threads that talk to one host.

A host that says "slow down" says it to all of us, so the pause it asks for holds back every
request to it, not only the one that was refused.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_WAIT_S = 120.0  # a longer Retry-After ends the work instead of holding it
_LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """How time passes; tests pass in their own.

    Attributes:
        sleep: takes seconds.
        clock: monotonic seconds.
        chance: a number in [0, 1), for the jitter.
    """

    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


def backoff_s(attempt: int, chance: float) -> float:
    """Return the pause after a failed attempt (counted from 0): 1 to 30 s with 25 % of jitter."""
    planned = min(_LONGEST_BACKOFF_S, 2.0 ** min(attempt, 10))
    return min(_LONGEST_BACKOFF_S, max(1.0, planned * (0.75 + chance / 2)))


class Pauses:
    """The times before which no request goes to a host. Safe for threads."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, place: str) -> None:
        """Sleep until a host and port may be asked again."""
        with self._lock:
            remaining_s = self._until.get(place, 0.0) - self._waiting.clock()
        if remaining_s > 0:
            self._waiting.sleep(remaining_s)

    def extend(self, place: str, seconds: float) -> None:
        """Hold back requests to a host and port for so long from now; a longer pause stands."""
        with self._lock:
            until = self._waiting.clock() + seconds
            self._until[place] = max(until, self._until.get(place, until))


class Reach:
    """Which origins have answered in this run, and which are given up because they never did.

    An outage in the middle of long work is waited out by whoever does the work. But a host that
    nobody has reached yet, say because this machine is offline, is waited for once and not again
    by each of forty models. Safe for threads.
    """

    def __init__(self, clock: Callable[[], float], patience_s: float = 15.0) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._answered: set[str] = set()
        self._silent_since: dict[str, float] = {}
        self._given_up: dict[str, str] = {}
        self._lock = threading.Lock()

    def answered(self, origin: str) -> None:
        """Note that a host is there."""
        with self._lock:
            self._answered.add(origin)
            self._given_up.pop(origin, None)

    def failed(self, origin: str, began_s: float, reason: str) -> bool:
        """Note that a host could not be reached, and say whether it is given up now."""
        with self._lock:
            since_s = self._silent_since.setdefault(origin, began_s)
            if origin in self._answered or self._clock() - since_s < self._patience_s:
                return False
            self._given_up.setdefault(origin, reason)
            return True

    def given_up(self, origin: str) -> str | None:
        """Return why a host is not asked any more, ``None`` where it is."""
        with self._lock:
            return self._given_up.get(origin)
