"""What came of the steps of a plan, as values."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from comfylock.actions import Action, Remove, bytes_of, key_of, name_of, target_of
from comfylock.errors import ComfylockError, Problem
from comfylock.events import Finished
from comfylock.lockfile.model import Pin


class Status(StrEnum):
    """How an action ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of one action.

    Attributes:
        ref: the key of the model or alias.
        action: the action's name.
        status: how it ended.
        path: where the file lies, or would lie.
        bytes: how many bytes the action was to fetch.
        problem: why it failed or was skipped.
        moved_aside: where the file that made way is now.
    """

    ref: str
    action: str
    status: Status
    path: Path
    bytes: int = 0
    problem: Problem | None = None
    moved_aside: Path | None = None


def still_needed(action: Remove, pin: Pin) -> Outcome:
    """Return that of a file which a model that is not installed still needs."""
    problem = Problem(
        slug="busy",
        ref=action.ref,
        message=f"{action.ref} was not removed: {pin.key}, which is not installed, needs its bytes",
        hint="Run `comfylock install --prune` again when that model is in place",
    )
    return ended(action, Status.SKIPPED, problem)


def failed(action: Action, error: ComfylockError) -> Finished:
    """Return the event that an action ended with an error."""
    return Finished(ref=key_of(action), succeeded=False, slug=error.slug, message=error.message)


def ended(
    action: Action, status: Status, problem: Problem | None, moved_aside: Path | None = None
) -> Outcome:
    """Return what came of an action."""
    return Outcome(
        ref=key_of(action),
        action=name_of(action),
        status=status,
        path=target_of(action),
        bytes=bytes_of(action),
        problem=problem,
        moved_aside=moved_aside,
    )
