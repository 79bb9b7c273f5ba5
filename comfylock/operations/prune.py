"""`install --prune`: what no lock wants any more, as removals behind a plan."""

from dataclasses import replace
from pathlib import Path

from comfylock.actions import Plan
from comfylock.disk.faults import disk_fault
from comfylock.disk.placed import links_below, placed_files
from comfylock.disk.registry import known_locks
from comfylock.errors import LockConflictError, LockInvalidError, LockMissingError, LockVersionError
from comfylock.lockfile.file import parse_lock, read_lock_text
from comfylock.lockfile.model import Lock
from comfylock.pruning import Surroundings, find_removals
from comfylock.session import Session


def with_removals(session: Session, locked: Lock, plan: Plan) -> tuple[Plan, tuple[str, ...]]:
    """Return a plan with the removals behind it, and what is to be said of other locks.

    Raises:
        LockInvalidError, LockConflictError, LockVersionError: another lock that installs into
            this models folder cannot be read, so nobody knows what it wants.
    """
    others, warnings = _other_locks(session)
    around = Surroundings(locks=(locked, *others), links=links_below(session.directories.roots()))
    placed = placed_files(session.hash_cache, session.directories)
    removals = find_removals(placed, around, plan, session.policy)
    return replace(plan, actions=(*plan.actions, *removals)), warnings


def _other_locks(session: Session) -> tuple[list[Lock], tuple[str, ...]]:
    primary, own = session.directories.primary, session.lock_path.resolve()
    try:
        known = known_locks(primary)
    except OSError as error:
        raise disk_fault(error, primary, "read the list of locks in") from error
    locks: list[Lock] = []
    warnings: list[str] = []
    for path in known:
        if path == own:
            continue
        try:
            locks.append(_read(path))
        except LockMissingError:
            warnings.append(f"{path}, which installed here too, is gone and no longer counts")
    return locks, tuple(warnings)


def _read(path: Path) -> Lock:
    try:
        return parse_lock(read_lock_text(path), str(path))
    except (LockInvalidError, LockConflictError, LockVersionError) as error:
        raise type(error)(
            f"nothing is pruned: another lock that installs here cannot be used\n  {error.message}",
            hint="Repair that lock, or delete it if its models are no longer needed",
        ) from error
