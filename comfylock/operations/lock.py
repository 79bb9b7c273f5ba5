"""`lock`: inputs -> references -> requirements -> (old lock | resolve) -> comfy.lock."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from comfylock.artifacts import Candidate
from comfylock.candidates import hash_changed
from comfylock.errors import CannotWorkError, LockConflictError, Problem
from comfylock.inputs import Inputs
from comfylock.lockfile.changes import Change, diff_locks
from comfylock.lockfile.file import read_lock, read_lock_text
from comfylock.lockfile.model import Lock, Pin
from comfylock.locking import (
    Division,
    Findings,
    Missed,
    assemble,
    divide,
    recorded_pin,
    resolve_all,
)
from comfylock.operations.choose import choose
from comfylock.operations.remarks import denied_formats, learned_inputs, refused_spellings
from comfylock.operations.upgrade import Order, Upgraded, ordered_keys, upgrade
from comfylock.references import Requirement
from comfylock.session import Session
from comfylock.upgrading import Undecided, Unmoved


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
        previous: the lock before, ``None`` when there was none.
        held: pins that stay as they were until the user decides: other bytes under the same ids,
            or several files of a newer version.
        unmoved: pins that were to be upgraded and do not move by themselves.
        warnings: one line each, for what this comfylock does not know and ComfyUI will refuse.
        denied: pins of the new lock whose format the settings deny.
        learned: inputs that only a running ComfyUI told of, and their folders.
    """

    lock: Lock
    changes: tuple[Change, ...]
    misses: tuple[Missed, ...]
    remembered: tuple[Requirement, ...]
    broken: tuple[Problem, ...]
    written: bool
    nobody_answered: bool
    notes: tuple[str, ...]
    previous: Lock | None
    held: tuple[Undecided, ...]
    unmoved: tuple[Unmoved, ...]
    warnings: tuple[str, ...]
    denied: tuple[Problem, ...]
    learned: Mapping[str, str | None]


def lock(
    session: Session,
    paths: Sequence[str],
    mode: LockMode,
    old_lock: OldLock,
    orders: Sequence[Order] = (),
) -> Locked:
    """Pin every model that the workflows need.

    A session that takes no answer of before also asks again for what the lock records as
    unresolved; what is pinned moves only by an order.

    Args:
        session: the world.
        paths: inputs that are named now; they are added to the lock's.
        mode: whether the result is written.
        old_lock: what the lock that is there counts for.
        orders: which pins are to be upgraded, and which unresolved references asked for again.

    Raises:
        CannotWorkError: as its subclasses say; comfy.lock is as it was.
        UnresolvedError, AmbiguousError: an order means no reference, or several.
    """
    previous, notes = _previous(session, old_lock)
    old = previous if old_lock is OldLock.KEEP else None
    inputs = session.lock_inputs(paths, previous)
    reading = session.read_workflows(inputs.read)
    requirements = session.requirements(reading.all_references)
    division = divide(requirements, old, session.project.models, session.has_local_file)
    if session.asks_anew:
        division = division.reopened()
    division, upgraded = _upgraded(session, division, orders)
    answers = resolve_all(division.open, old, session.asking(division.open))
    held = _held(answers.pins, previous) if old is None else {}
    kept = _kept(answers.misses, old, session.project.models)
    pins = {**kept, **division.settled, **upgraded.moved, **answers.pins}
    new = assemble(
        session.wanted(reading),
        Findings(
            pins=pins | {key: one.old for key, one in held.items()}, unanswered=answers.unanswered
        ),
        old,
        inputs=readable_inputs(inputs, reading.broken, previous),
        unreadable=[problem.ref or "" for problem in reading.broken],
    )
    nobody_answered = answers.nobody_answered or upgraded.nobody_answered
    writes = mode is LockMode.WRITE and not nobody_answered
    return Locked(
        lock=new,
        changes=() if nobody_answered else diff_locks(previous, new),
        misses=answers.misses,
        remembered=division.remembered,
        broken=(*reading.broken, *upgraded.faults),
        written=writes and session.write_lock(new),
        nobody_answered=nobody_answered,
        notes=(*notes, *inputs.notes),
        previous=previous,
        held=(*upgraded.undecided, *held.values()),
        unmoved=upgraded.unmoved,
        warnings=(
            *(previous.warnings if previous is not None else ()),
            *refused_spellings(session, reading.all_references, new),
        ),
        denied=denied_formats(session, new),
        learned=learned_inputs(session, reading.all_references),
    )


Chooser = Callable[[Missed], Candidate | None]


def settle(session: Session, done: Locked, chooser: Chooser) -> Locked:
    """Ask for each ambiguous reference which file it means, and pin it to the answer.

    Each answer is written at once: what was answered before an interrupt stays.
    """
    misses: list[Missed] = []
    said: list[str] = []
    for missed in done.misses:
        artifact = chooser(missed) if missed.is_ambiguous else None
        chosen = choose(session, missed, artifact) if artifact is not None else None
        said += chosen.said if chosen is not None else ()
        misses += chosen.misses if chosen is not None else (missed,)
    if not said:
        return done
    new = read_lock(session.lock_path)
    return replace(
        done,
        lock=new,
        changes=diff_locks(done.previous, new),
        misses=tuple(misses),
        written=True,
        notes=(*done.notes, *(f"comfylock.toml: {line}" for line in said)),
    )


def _previous(session: Session, old_lock: OldLock) -> tuple[Lock | None, tuple[str, ...]]:
    """Return the lock that is there; a broken one is no hindrance to one that is made anew."""
    if old_lock is OldLock.KEEP:
        return session.old_lock()
    try:
        return session.old_lock()[0], ()
    except LockConflictError:
        return _either_side(session), ()
    except CannotWorkError:
        return None, ()


def _either_side(session: Session) -> Lock | None:
    """Return a lock in conflict as far as it can be read, for what it was made from."""
    from comfylock.lockfile.merge import merge_conflicted

    try:
        text = read_lock_text(session.lock_path)
        return merge_conflicted(text, session.lock_path.name).lock
    except CannotWorkError:
        return None


def _kept(misses: Sequence[Missed], old: Lock | None, wishes: Collection[str]) -> dict[str, Pin]:
    """Return the old pins of what could not be pinned anew.

    A question without an answer, or a word of the user's that leads to no file, costs no good
    pin; an answer does.
    """
    found = {
        missed.requirement.key: recorded_pin(missed.requirement.key, old)
        for missed in misses
        if not missed.answered or missed.requirement.key in wishes
    }
    return {key: pin for key, pin in found.items() if pin is not None}


def _upgraded(
    session: Session, division: Division, orders: Sequence[Order]
) -> tuple[Division, Upgraded]:
    """Look for newer versions of what is settled, and open what was unresolved, as ordered."""
    if not orders:
        return division, Upgraded(upgrades={}, faults=())
    by_key = {pin.key: asked for asked, pin in division.settled.items()}
    left = [*division.remembered, *division.open]
    meant = ordered_keys(orders, by_key, [requirement.key for requirement in left])
    asked_again = [one for one in division.remembered if one.key in meant]
    targets = {by_key[key]: order for key, order in meant.items() if key in by_key}
    return (
        replace(
            division,
            open=(*division.open, *asked_again),
            remembered=tuple(one for one in division.remembered if one.key not in meant),
        ),
        upgrade(session, {asked: division.settled[asked] for asked in targets}, targets),
    )


def _held(pins: Mapping[str, Pin], previous: Lock | None) -> dict[str, Undecided]:
    """Return the pins whose file has other bytes now than the lock that was there says."""
    held: dict[str, Undecided] = {}
    for asked, pin in pins.items():
        before = recorded_pin(asked, previous)
        changed = hash_changed(before, pin) if before is not None else None
        if before is not None and changed is not None:
            held[asked] = Undecided(old=replace(before, aliases=pin.aliases), problem=changed)
    return held


def readable_inputs(inputs: Inputs, broken: Sequence[Problem], old: Lock | None) -> tuple[str, ...]:
    """Return the inputs that the lock records: without files that were named and never readable."""
    known = old.inputs if old is not None else ()
    unreadable = {problem.ref for problem in broken}
    return tuple(item for item in inputs.recorded if item in known or item not in unreadable)
