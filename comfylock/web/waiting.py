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
