"""`lock`: inputs -> references -> requirements -> (old lock | resolve) -> comfy.lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from comfylock.errors import Problem
from comfylock.inputs import Inputs
from comfylock.lockfile.changes import Change, diff_locks
from comfylock.lockfile.model import Lock
from comfylock.locking import Findings, Missed, assemble, divide, resolve_all
from comfylock.references import Requirement
from comfylock.session import Session


class LockMode(StrEnum):
    """What `lock` does with its result."""

    WRITE = "write"
    DRY_RUN = "dry-run"


class OldLock(StrEnum):
    """What the lock that is there counts for."""

    KEEP = "keep"
    IGNORE = "ignore"


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """What `lock` did, or would do.

    Attributes:
        lock: the new lock.
        changes: pins that differ from the old lock.
        misses: references that could not be pinned in this run, each with the reason.
        remembered: references that the old lock records as unresolved; not asked for again.
        broken: workflows that cannot be read.
        written: whether the file was written.
        nobody_answered: every look-up failed; comfy.lock is as it was.
        notes: what the user should be told besides.
    """

    lock: Lock
    changes: tuple[Change, ...]
    misses: tuple[Missed, ...]
    remembered: tuple[Requirement, ...]
    broken: tuple[Problem, ...]
    written: bool
    nobody_answered: bool
    notes: tuple[str, ...]


def lock(session: Session, paths: Sequence[str], mode: LockMode, old_lock: OldLock) -> Locked:
    """Pin every model that the workflows need.

    Raises:
        CannotWorkError: as its subclasses say; comfy.lock is as it was.
    """
    old, notes = (None, ()) if old_lock is OldLock.IGNORE else session.old_lock()
    inputs = session.lock_inputs(paths, old)
    reading = session.read_workflows(inputs.read)
    requirements = session.requirements(reading.all_references)
    division = divide(requirements, old, session.project.models, session.has_local_file)
    answers = resolve_all(division.open, old, session.asking(division.open))
    new = assemble(
        session.wanted(reading),
        Findings(pins={**division.settled, **answers.pins}, unanswered=answers.unanswered),
        old,
        inputs=readable_inputs(inputs, reading.broken, old),
        unreadable=[problem.ref or "" for problem in reading.broken],
    )
    writes = mode is LockMode.WRITE and not answers.nobody_answered
    return Locked(
        lock=new,
        changes=diff_locks(old, new),
        misses=answers.misses,
        remembered=division.remembered,
        broken=reading.broken,
        written=writes and session.write_lock(new),
        nobody_answered=answers.nobody_answered,
        notes=(*notes, *inputs.notes),
    )


def readable_inputs(inputs: Inputs, broken: Sequence[Problem], old: Lock | None) -> tuple[str, ...]:
    """Return the inputs that the lock records: without files that were named and never readable."""
    known = old.inputs if old is not None else ()
    unreadable = {problem.ref for problem in broken}
    return tuple(item for item in inputs.recorded if item in known or item not in unreadable)
