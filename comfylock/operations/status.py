"""`status`: comfy.lock x models folders -> states."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from comfylock.actions import Blocked, Download, Keep, Link, PinAction, Plan, Replace, target_of
from comfylock.aliases import with_aliases
from comfylock.errors import LockMissingError, Problem
from comfylock.inventory import Content, Inventory, LocalFile
from comfylock.lockfile.changes import Difference
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock
from comfylock.names import is_alias, split_alias
from comfylock.operations.freshness import LockState, compare
from comfylock.operations.selection import Selection, refuse_unknown_folders, select
from comfylock.plan import make_plan
from comfylock.session import Session


class State(StrEnum):
    """How one model stands."""

    PRESENT = "present"
    MISSING = "missing"
    DIFFERENT = "different"
    BLOCKED = "blocked"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelState:
    """One line of the missing list.

    Attributes:
        ref: the model's key, or the reference as asked for when unresolved.
        state: how it stands.
        path: where it lies or belongs; ``None`` when unresolved.
        size: bytes, ``None`` when not known.
        problem: what stands in the way of an install.
    """

    ref: str
    state: State
    path: Path | None
    size: int | None
    problem: Problem | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What `status` tells.

    Attributes:
        models: every model of the lock, sorted by key.
        lock: how the lock stands.
        differences: why it is stale.
        bytes_to_fetch: what an install would download.
        links: how many models an install would link instead.
        aliases: what is not in place of the aliases of models that are present.
        warnings: what the lock's reader noticed.
    """

    models: tuple[ModelState, ...]
    lock: LockState
    differences: tuple[Difference, ...]
    bytes_to_fetch: int
    links: int
    aliases: tuple[Link | Replace | Blocked, ...] = ()
    warnings: tuple[str, ...] = ()


def status(session: Session) -> Standing:
    """Say how each model stands; downloads and changes nothing.

    Raises:
        CannotWorkError: no models folder, a lock that cannot be read.
    """
    try:
        locked = read_lock(session.lock_path)
    except LockMissingError:
        return Standing(
            models=(), lock=LockState.MISSING, differences=(), bytes_to_fetch=0, links=0
        )
    return standing_of(session, locked, compare(session, locked, ()).differences)


def standing_of(session: Session, locked: Lock, differences: tuple[Difference, ...]) -> Standing:
    """Say how each model of a lock stands, given why the lock is stale."""
    refuse_unknown_folders(locked, session.known_folders)
    pins, unresolved = select(locked, Selection())
    pins = with_aliases(pins, session.settings.aliases)
    inventory = session.inventory(pins)
    plan = make_plan(pins, inventory, session.policy)
    actions = [action for action in plan.of_pins if not is_alias(action.pin.key)]
    models = [_model_state(action, inventory) for action in actions]
    models += [
        ModelState(ref=ref, state=State.UNRESOLVED, path=None, size=None) for ref in unresolved
    ]
    return Standing(
        models=tuple(sorted(models, key=lambda model: model.ref)),
        lock=LockState.STALE if differences else LockState.FRESH,
        differences=differences,
        bytes_to_fetch=plan.bytes_to_fetch,
        links=sum(1 for action in actions if isinstance(action, Link)),
        aliases=tuple(_lacking_aliases(plan, inventory)),
        warnings=locked.warnings,
    )


def _lacking_aliases(plan: Plan, inventory: Inventory) -> Iterator[Link | Replace | Blocked]:
    """Yield what an install would do for aliases alone, or what stands in the way of it."""
    for action in plan.of_pins:
        if is_alias(action.pin.key) and isinstance(action, Link | Replace | Blocked):
            model = inventory.spots[split_alias(action.pin.key)[0]].found
            if isinstance(model, LocalFile) and model.digests.agrees(action.pin.digests):
                yield action


def _model_state(action: PinAction, inventory: Inventory) -> ModelState:
    found = inventory.spots[action.pin.key].found
    return ModelState(
        ref=action.pin.key,
        state=_state_of(action, found),
        path=target_of(action),
        size=action.pin.size,
        problem=action.problem if isinstance(action, Blocked) else None,
    )


def _state_of(action: PinAction, found: Content) -> State:
    other = isinstance(found, LocalFile) and not found.digests.agrees(action.pin.digests)
    match action:
        case Keep():
            return State.PRESENT
        case Blocked():
            return State.DIFFERENT if other else State.BLOCKED
        case Replace():
            # It may be right as long as the file that it is a link to stays what it is.
            return State.DIFFERENT if other else State.PRESENT
        case Link() | Download():
            return State.MISSING
