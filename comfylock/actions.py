"""What a plan consists of: one action per locked model, as a value.

`plan` decides on them, `apply` carries them out, `report` tells of them.
"""

from dataclasses import dataclass
from pathlib import Path

from comfylock.errors import Problem
from comfylock.inventory import LocalFile
from comfylock.lockfile.model import Pin


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """The right file is there."""

    pin: Pin
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """The right bytes lie, or will lie, under another name.

    Attributes:
        room_bytes: what it takes on the disk: the file's size if it has to be copied, else 0.
        found: the file as it was seen; ``None`` for one that this plan will download.
        after: key of the action that brings it: a download, or what fills the model's own spot
            where this link is an alias.
    """

    pin: Pin
    source: Path
    target: Path
    room_bytes: int
    found: LocalFile | None = None
    after: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """The bytes must come from a source.

    Attributes:
        bytes_left: ``None`` when the size is not known.
        lacking: how many bytes more would have to be free if the lock's size is right, where that
            is not certain; else 0.
    """

    pin: Pin
    target: Path
    bytes_left: int | None
    lacking: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Replace:
    """Other content in the spot makes way for the right one: `old` is moved aside."""

    pin: Pin
    old: LocalFile
    new: Link | Download


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocked:
    """Nothing is done for this model, and why."""

    pin: Pin
    target: Path
    problem: Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Remove:
    """A file that comfylock placed and that no lock wants any more goes, see `pruning`.

    Attributes:
        ref: the key of the model that it was placed as.
        file: the file as it was seen.
        origin: a source from which it can be fetched again.
        frees_bytes: what the disk gains; 0 where other names of the file remain.
    """

    ref: str
    file: LocalFile
    origin: str
    frees_bytes: int


#: What is done for a locked model or alias.
PinAction = Keep | Link | Download | Replace | Blocked
Action = PinAction | Remove


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One action per locked model and alias, sorted by key, then what is removed."""

    actions: tuple[Action, ...]

    @property
    def is_done(self) -> bool:
        """Say whether there is nothing to do and nothing that stands in the way."""
        return all(isinstance(action, Keep) for action in self.actions)

    @property
    def of_pins(self) -> tuple[PinAction, ...]:
        """What is done for locked models and aliases."""
        return tuple(action for action in self.actions if not isinstance(action, Remove))

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes that downloads of known size will bring."""
        return sum(bytes_of(action) for action in self.actions)


def bytes_of(action: Action) -> int:
    """Return the bytes that an action will fetch, as far as that is known."""
    match action:
        case Download():
            return action.bytes_left or 0
        case Replace():
            return bytes_of(action.new)
        case Keep() | Link() | Blocked() | Remove():
            return 0


def name_of(action: Action) -> str:
    """Return the action's name in reports: ``keep link download replace blocked remove``."""
    return type(action).__name__.lower()


def key_of(action: Action) -> str:
    """Return the key of the model or alias that an action is about."""
    return action.ref if isinstance(action, Remove) else action.pin.key


def filling_of(action: Action) -> Link | Download | None:
    """Return how an action fills its spot, ``None`` where it does not."""
    match action:
        case Link() | Download():
            return action
        case Replace():
            return action.new
        case Keep() | Blocked() | Remove():
            return None


def target_of(action: Action) -> Path:
    """Return where the action's file lies or will lie."""
    match action:
        case Keep():
            return action.path
        case Replace():
            return action.new.target
        case Remove():
            return action.file.path
        case Link() | Download() | Blocked():
            return action.target
