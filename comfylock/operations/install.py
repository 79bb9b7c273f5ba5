"""`install`: comfy.lock x models folders -> plan -> apply -> outcomes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from comfylock.actions import Plan, filling_of
from comfylock.aliases import with_aliases
from comfylock.disk.parts import bytes_under_way
from comfylock.disk.registry import register_lock
from comfylock.lockfile.changes import Difference
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock
from comfylock.names import split_alias
from comfylock.operations.freshness import Freshness, differences_of
from comfylock.operations.selection import Selection, refuse_unknown_folders, select, with_workflows
from comfylock.outcomes import Outcome
from comfylock.places import PROJECT_FILE
from comfylock.plan import make_plan
from comfylock.session import Session
from comfylock.settings import Formats


class InstallMode(StrEnum):
    """Whether a plan is carried out."""

    APPLY = "apply"
    DRY_RUN = "dry-run"


class Surplus(StrEnum):
    """What becomes of files that comfylock placed and no lock wants any more."""

    KEEP = "keep"
    PRUNE = "prune"


#: Looks at a plan before it is carried out, and returns the part that may be.
Review = Callable[[Plan], Plan]


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """What `install` did, or with a dry run would do.

    Attributes:
        plan: the decision.
        outcomes: what came of it; none in a dry run, and none when there was nothing to do.
        unresolved: references that the lock holds without a pin.
        differences: why the lock is stale, ``None`` where nobody looked.
        warnings: what the readers of locks noticed.
        hashed_files: how many files were read to know all this.
        kept_bytes: what an interrupted run leaves for the next one to go on from.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    unresolved: tuple[str, ...]
    differences: tuple[Difference, ...] | None
    warnings: tuple[str, ...]
    hashed_files: int
    kept_bytes: int = 0


def manner_of(freshness: Freshness) -> str:
    """Return in which manner an install is asked for: a receipt of one is none for another.

    Where no workflow is here, `--locked` alone minds, and `--frozen` never looks.
    """
    return freshness.value


def _is_all_well(
    selection: Selection,
    differences: tuple[Difference, ...] | None,
    unresolved: tuple[str, ...],
    locked: Lock,
) -> bool:
    return selection == Selection() and not (differences or unresolved or locked.warnings)


def install(
    session: Session,
    selection: Selection,
    freshness: Freshness,
    mode: InstallMode,
    surplus: Surplus = Surplus.KEEP,
    review: Review = lambda plan: plan,
) -> Installed:
    """Make the models folders agree with comfy.lock.

    Raises:
        LockStaleError: with `Freshness.MUST_BE_FRESH`.
        CannotWorkError: no lock, no models folder, a lock that cannot be read.
    """
    locked = read_lock(session.lock_path)
    differences = differences_of(session, locked, freshness)
    refuse_unknown_folders(locked, session.known_folders)
    pins, unresolved = select(locked, with_workflows(session, locked, selection))
    pins = with_aliases(pins, session.settings.aliases)
    inventory = session.inventory(pins)
    plan = make_plan(pins, inventory, session.policy)
    warnings = locked.warnings
    if surplus is Surplus.PRUNE:
        from comfylock.operations.prune import with_removals

        plan, said = with_removals(session, locked, plan)
        warnings += said
    warnings += _format_warnings(plan, session.settings.formats)
    plan = review(plan)
    if mode is InstallMode.APPLY:
        register_lock(session.directories.primary, session.lock_path)
    outcomes: tuple[Outcome, ...] = ()
    if mode is InstallMode.APPLY and not plan.is_done:
        outcomes = _carried_out(session, plan)
    elif mode is InstallMode.APPLY and _is_all_well(selection, differences, unresolved, locked):
        from comfylock.operations.receipts import leave_receipt

        leave_receipt(session, locked, plan, manner=manner_of(freshness))
    return Installed(
        plan=plan,
        outcomes=outcomes,
        unresolved=unresolved,
        differences=differences,
        warnings=warnings,
        hashed_files=inventory.hashed_files,
        kept_bytes=_kept_bytes(session, plan) if session.stop.is_set() else 0,
    )


def _carried_out(session: Session, plan: Plan) -> tuple[Outcome, ...]:
    outcomes = session.apply(plan)
    if all(outcome.problem is None or outcome.problem.slug != "gone" for outcome in outcomes):
        return outcomes
    from comfylock.operations.vanished import with_reasons

    return with_reasons(session, plan, outcomes)


def _format_warnings(plan: Plan, formats: Formats) -> tuple[str, ...]:
    """Return what to say of files to be placed whose format may run code when it is loaded."""
    filled = [filling.pin for action in plan.of_pins if (filling := filling_of(action)) is not None]
    pickles = [pin for pin in filled if pin.may_run_code]
    keys = sorted({split_alias(pin.key)[0] for pin in pickles})
    if formats is not Formats.WARN or not keys:
        return ()
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    text = f"what may run code when it is loaded: {', '.join(keys[:5])}{more}"
    return (f'{text}; to stop this warning, set formats = "allow" below [lock] in {PROJECT_FILE}',)


def _kept_bytes(session: Session, plan: Plan) -> int:
    spots = {
        filling.pin.digests.label: session.destination(filling.pin.key)
        for action in plan.of_pins
        if (filling := filling_of(action)) is not None
    }
    return sum(bytes_under_way(spot.partial_directory, label) for label, spot in spots.items())
