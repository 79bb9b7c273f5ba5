"""Where the bytes of downloads come from, and how many streams may be open at once."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from comfylock.artifacts import Source
from comfylock.disk.pieces import Scale
from comfylock.errors import ComfylockError
from comfylock.events import Reporter
from comfylock.settings import Settings
from comfylock.web.fetch import Stretch


class Body(Protocol):
    """One answer's stream of a file."""

    @property
    def start(self) -> int:
        """Offset of the first byte."""
        ...

    @property
    def total(self) -> int | None:
        """Length of the whole file."""
        ...

    @property
    def validator(self) -> str | None:
        """The server's name of this version."""
        ...

    @property
    def address(self) -> str:
        """Who answered, for further stretches; never to be shown."""
        ...

    @property
    def gives_ranges(self) -> bool:
        """Whether the server says that it can begin elsewhere."""
        ...

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes as they come. Raises `FetchError` when the stream breaks."""
        ...


class Fetcher(Protocol):
    """Opens the bytes of a source from an offset on."""

    def open(
        self,
        source: Source,
        *,
        start: int,
        validator: str | None,
        stretch: Stretch | None = None,
    ) -> AbstractContextManager[Body]:
        """Ask for a file. The answer may start at 0 where `start` was asked for.

        Raises:
            RangeRefusedError: this `stretch` cannot be had by itself.
            FetchError: there is no such stream to be had, now or ever.
        """
        ...


class Connections:
    """How many streams may be open at once, over all downloads of a run. Safe for threads.

    Args:
        per_file: at most so many for one file.
        total: no further one for a file that has one already, once there are so many.
        scale: when more than one are used.
    """

    def __init__(self, per_file: int = 1, total: int = 1, scale: Scale | None = None) -> None:
        self.per_file = per_file
        self.scale = scale or Scale()
        self._total = total
        self._open = 0
        self._lock = threading.Lock()

    @contextmanager
    def first(self) -> Generator[None]:
        """Count a file's first connection, which it always gets: how many files is for others."""
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            self.give_back()

    def take(self) -> bool:
        """Take one more for a file, if there is one left."""
        with self._lock:
            if self._open >= self._total:
                return False
            self._open += 1
            return True

    def give_back(self) -> None:
        """Say that one is closed."""
        with self._lock:
            self._open -= 1


def connections_of(settings: Settings) -> Connections:
    """Return what the settings allow; every model at work has at least one connection."""
    most = settings.connections
    return Connections(per_file=most, total=max(most, settings.jobs))


class OtherLengthError(ComfylockError):
    """A model is of another length than was thought, and files of that length are here.

    Attributes:
        size: the length in bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the server has {size:,} bytes, and so have files that are here")
        self.size = size


#: Told how long a model is before its first byte is read; raises where that changes everything.
OnLength = Callable[[int], None]


def _no_matter(size: int) -> None:
    """Take no notice of a length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long faults that may pass are waited out.

    Attributes:
        tries: how many in a row may bring no new byte.
        first_wait_s: seconds before the second try; each further wait is twice as long.
        longest_wait_s: no wait is longer, unless the server asks for it.
    """

    tries: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Receiving:
    """What a download needs besides the model and the part.

    Attributes:
        fetcher: where streams come from.
        reporter: told of every piece.
        stop: set when the user interrupts.
        patience: how long faults are waited out.
        connections: how many there may be.
        on_length: told the length of the model by each answer that has one.
    """

    fetcher: Fetcher
    reporter: Reporter
    stop: threading.Event
    patience: Patience = field(default_factory=Patience)
    connections: Connections = field(default_factory=Connections)
    on_length: OnLength = _no_matter

    def over_one_connection(self) -> "Receiving":
        """Return the same for who has had trouble with several."""
        return replace(self, connections=Connections(scale=self.connections.scale))
