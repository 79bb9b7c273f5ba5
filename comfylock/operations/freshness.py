"""Whether comfy.lock says what the workflows need: `lock --check`, and what others ask first."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from comfylock.errors import LockStaleError, PathMissingError, Problem, UsageError
from comfylock.lockfile.changes import Difference, DifferenceKind, staleness
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock
from comfylock.references import Reference
from comfylock.session import Session


class LockState(StrEnum):
    """How comfy.lock stands to the workflows."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """Whether a lock says what the workflows need.

    Attributes:
        lock: the lock as it stands.
        differences: each reason why it is stale.
        broken: workflows that cannot be read.
        references: what the others name.
    """

    lock: Lock
    differences: tuple[Difference, ...]
    broken: tuple[Problem, ...]
    references: tuple[Reference, ...]


def check_lock(session: Session, paths: Sequence[str]) -> Checked:
    """Compare comfy.lock with the workflows; writes nothing and asks nobody.

    Raises:
        LockMissingError: there is no lock.
        CannotWorkError: it, or an input, cannot be read.
    """
    return compare(session, read_lock(session.lock_path), paths)


def compare(session: Session, locked: Lock, paths: Sequence[str]) -> Checked:
    """Compare a lock with the workflows.

    A workflow that cannot be read is no difference: what the lock knows of it stands. One that is
    gone is one, also where all of them are.
    """
    reading = session.read_workflows(_inputs_of(session, locked, paths))
    unreadable = {problem.ref for problem in reading.broken if problem.ref is not None}
    unknown = {
        key
        for path in unreadable
        if path in locked.workflows
        for key in locked.workflows[path].models
    }
    return Checked(
        lock=locked,
        differences=tuple(
            difference
            for difference in staleness(locked, session.wanted(reading))
            if difference.workflow not in unreadable
            and not (difference.kind is DifferenceKind.REMOVED_ALIAS and difference.ref in unknown)
        ),
        broken=reading.broken,
        references=reading.all_references,
    )


def _inputs_of(session: Session, locked: Lock, paths: Sequence[str]) -> tuple[str, ...]:
    try:
        return session.lock_inputs(paths, locked).read
    except PathMissingError:
        return ()  # all that the lock was made from is gone
    except UsageError:
        if paths:
            raise
        return tuple(path for path in locked.workflows if (session.base / path).exists())


def has_workflows(session: Session, locked: Lock) -> bool:
    """Say whether any workflow of a lock is here to be compared with it."""
    return any(map(session.leads_somewhere, (*locked.inputs, *locked.workflows)))


class Freshness(StrEnum):
    """What `install` makes of a lock that no longer says what the workflows need."""

    WARN = "warn"
    MUST_BE_FRESH = "locked"
    DO_NOT_LOOK = "frozen"


def differences_of(
    session: Session, locked: Lock, freshness: Freshness
) -> tuple[Difference, ...] | None:
    """Return why a lock is stale, ``None`` where nobody looked.

    An install needs no workflows: where none of them is here, nobody looks unless told to.

    Raises:
        LockStaleError: it must be fresh and is not.
    """
    must = freshness is Freshness.MUST_BE_FRESH
    if freshness is Freshness.DO_NOT_LOOK or not (must or has_workflows(session, locked)):
        return None
    found = compare(session, locked, ()).differences
    if found and must:
        raise LockStaleError(stale_message(found), hint="Run `comfylock lock`, then install again")
    return found


def stale_message(differences: Sequence[Difference]) -> str:
    """Return one sentence and a line per difference, the first twenty."""
    lines = [f"  {difference}" for difference in differences[:20]]
    more = len(differences) - len(lines)
    tail = [f"  … and {more} more"] if more > 0 else []
    return "\n".join(["comfy.lock does not say what the workflows need", *lines, *tail])


def stale_problems(differences: Sequence[Difference]) -> tuple[Problem, ...]:
    """Return the error of a stale lock, or nothing."""
    if not differences:
        return ()
    message = stale_message(differences)
    return (Problem(slug="lock-stale", message=message, hint="Run `comfylock lock`"),)
