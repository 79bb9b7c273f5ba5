"""What happens during long work, told to whoever listens.

The work reports values to a `Reporter`; how (or whether) they are shown is the listener's
business. `Planned` comes before the first act. Order of events per model: `Started`, any number
of `Advanced`, then one `Finished`; between them `Measured` where a size was wrong.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A plan is about to be carried out.

    Attributes:
        fetches: how many models will be downloaded.
        total_bytes: what there is to download of them, as far as sizes are known.
    """

    fetches: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """Work on one model begins.

    Attributes:
        ref: the model's key.
        act: what is done: ``download``, ``link``, ``hash``.
        total_bytes: how much there is to do, ``None`` when not known.
        done_bytes: how much of it an earlier run has done.
    """

    ref: str
    act: str
    total_bytes: int | None = None
    done_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Advanced:
    """More bytes of a model are done; `count` is the number since the last event.

    A negative count takes back bytes that must be fetched again.
    """

    ref: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A model turns out to be of another size than it was said to be."""

    ref: str
    total_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """Work on one model ended, well or not.

    Attributes:
        ref: the model's key.
        succeeded: whether it is as it should be.
        slug: the kind of fault, where there was one.
        message: what went wrong, where something did.
    """

    ref: str
    succeeded: bool
    slug: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepped:
    """One more of many small things is done.

    Attributes:
        what: what is counted, such as ``Looked up``.
        done: how many are done by now.
        total: how many there are.
    """

    what: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned:
    """Something that the user should know and that does not stop the work."""

    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """A detail for `--verbose`: a retry, a cache that was rebuilt, a file passed over."""

    message: str


Event = Planned | Started | Advanced | Measured | Finished | Stepped | Warned | Noted


class Reporter(Protocol):
    """Listens to events; called from several threads at once."""

    def on(self, event: Event) -> None:
        """Take one event. Must not raise and must not take long."""
        ...


class Silence:
    """A reporter that shows nothing."""

    def on(self, event: Event) -> None:
        """Take no notice."""
