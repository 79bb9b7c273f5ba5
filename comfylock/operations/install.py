"""`install`: comfy.lock x models folders -> plan -> apply -> outcomes."""

from dataclasses import dataclass
from enum import StrEnum

from comfylock.apply import Outcome
from comfylock.lockfile.changes import Difference
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock
from comfylock.operations.freshness import Freshness, differences_of
from comfylock.operations.selection import Selection, select
from comfylock.plan import Plan, make_plan
from comfylock.session import Session


class InstallMode(StrEnum):
    """Whether a plan is carried out."""

    APPLY = "apply"
    DRY_RUN = "dry-run"


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """What `install` did, or with a dry run would do.

    Attributes:
        plan: the decision.
        outcomes: what came of it; none in a dry run, and none when there was nothing to do.
        unresolved: references that the lock holds without a pin.
        differences: why the lock is stale.
        warnings: what the lock's reader noticed.
        hashed_files: how many files were read to know all this.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    unresolved: tuple[str, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]
    hashed_files: int


def manner_of(freshness: Freshness) -> str:
    """Return in which manner an install is asked for: a receipt of one is none for the other."""
    return "frozen" if freshness is Freshness.DO_NOT_LOOK else "fresh"


def _is_all_well(
    selection: Selection,
    differences: tuple[Difference, ...],
    unresolved: tuple[str, ...],
    locked: Lock,
) -> bool:
    return selection == Selection() and not (differences or unresolved or locked.warnings)


def install(
    session: Session, selection: Selection, freshness: Freshness, mode: InstallMode
) -> Installed:
    """Make the models folders agree with comfy.lock.

    Raises:
        LockStaleError: with `Freshness.MUST_BE_FRESH`.
        CannotWorkError: no lock, no models folder, a lock that cannot be read.
    """
    locked = read_lock(session.lock_path)
    differences = differences_of(session, locked, freshness)
    pins, unresolved = select(locked, selection)
    inventory = session.inventory(pins)
    plan = make_plan(pins, inventory, session.policy)
    outcomes: tuple[Outcome, ...] = ()
    if mode is InstallMode.APPLY and not plan.is_done:
        outcomes = session.apply(plan)
    elif mode is InstallMode.APPLY and _is_all_well(selection, differences, unresolved, locked):
        from comfylock.operations.receipts import leave_receipt

        leave_receipt(session, locked, plan, manner=manner_of(freshness))
    return Installed(
        plan=plan,
        outcomes=outcomes,
        unresolved=unresolved,
        differences=differences,
        warnings=locked.warnings,
        hashed_files=inventory.hashed_files,
    )
