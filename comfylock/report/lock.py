"""The reports of `lock` and `lock --check`."""

from dataclasses import replace

from comfylock.errors import Problem
from comfylock.names import shown
from comfylock.operations.freshness import Checked, LockState, stale_problems
from comfylock.operations.lock import Locked
from comfylock.references import Requirement
from comfylock.report.page import Page, learned_lines
from comfylock.report.pins import (
    change_fields,
    change_line,
    held_fields,
    held_lines,
    missed_fields,
    missed_lines,
    unmoved_lines,
)
from comfylock.report.sentences import checked_sentence, counted
from comfylock.report.stale import difference_fields
from comfylock.settings import Formats


def lock_page(done: Locked, *, formats: Formats, seconds: float, dry_run: bool) -> Page:
    """Show what `lock` pinned in some seconds, what it could not, and why."""
    problems = (
        *done.broken,
        *(missed.problem for missed in done.misses),
        *(held.problem for held in done.held),
        *done.denied,
        *(_remembered_problem(each) for each in done.remembered),
    )
    open_count = len(done.misses) + len(done.remembered)
    rows = [change_line(change, formats) for change in done.changes]
    rows += [line for missed in done.misses for line in missed_lines(missed)]
    rows += [line for held in done.held for line in held_lines(held)]
    rows += [f"? {shown(each.key)}  still unresolved" for each in done.remembered]
    return Page(
        out=tuple(rows),
        err=(
            *done.notes,
            *(f"warning: {shown(warning)}" for warning in done.warnings),
            *learned_lines(done.learned),
            *unmoved_lines(done.unmoved),
            _lock_sentence(done, seconds=seconds, dry_run=dry_run),
        ),
        problems=problems,
        document={
            "changes": [change_fields(change) for change in done.changes],
            "unresolved": [
                *(missed_fields(missed) for missed in done.misses if not missed.is_ambiguous),
                *(
                    {
                        "ref": each.key,
                        "workflows": list(each.workflows),
                        "slug": "unresolved",
                        "candidates": [],
                    }
                    for each in done.remembered
                ),
            ],
            "ambiguous": [
                *(missed_fields(missed) for missed in done.misses if missed.is_ambiguous),
                *(held_fields(held, _users(done, held.old.key)) for held in done.held),
            ],
            "unmoved": [{"ref": one.old.key, "reason": one.reason} for one in done.unmoved],
            "warnings": list(done.warnings),
            "learned": dict(done.learned),
            "summary": {
                "workflows": len(done.lock.workflows),
                "models": len(done.lock.models),
                "changed": len(done.changes),
                "unresolved": open_count,
                "written": done.written,
            },
        },
        has_signs=True,
        exit_code=2 if done.nobody_answered else 1 if open_count or problems else 0,
    )


def update_page(done: Locked, *, formats: Formats, seconds: float, dry_run: bool) -> Page:
    """Show what `update` moved; a reference that is still open and was not meant is none of it."""
    asked = replace(done, remembered=())
    return lock_page(asked, formats=formats, seconds=seconds, dry_run=dry_run)


def _users(done: Locked, key: str) -> list[str]:
    return [path for path, entry in done.lock.workflows.items() if key in entry.models]


def _lock_sentence(done: Locked, *, seconds: float, dry_run: bool) -> str:
    models = counted(len(done.lock.models), "model")
    workflows = counted(len(done.lock.workflows), "workflow")
    open_count = len(done.misses) + len(done.remembered)
    if done.nobody_answered:
        return "Nobody could be asked; comfy.lock was not changed"
    tail = f", {open_count} not pinned" if open_count else ""
    if done.previous == done.lock if dry_run else not done.written:
        return f"{checked_sentence(len(done.lock.models), seconds)}{tail}"
    return f"{'Would lock' if dry_run else 'Locked'} {models} of {workflows}{tail}"


def _remembered_problem(requirement: Requirement) -> Problem:
    """Return the error of a reference that an earlier run has not pinned; nobody was asked now."""
    return Problem(
        slug="unresolved",
        ref=requirement.key,
        message="not pinned by an earlier run, and not asked for again",
        hint="`comfylock lock -P REF` asks again, `--refresh` for all that is open, and "
        "`comfylock why REF` says what was tried",
    )


def check_lock_page(found: Checked) -> Page:
    """Show whether comfy.lock is fresh: the answer of `lock --check`."""
    stale = stale_problems(found.differences)
    models = counted(len(found.lock.models), "model")
    workflows = counted(len(found.lock.workflows), "workflow")
    open_refs = {ref for entry in found.lock.workflows.values() for ref in entry.unresolved}
    tail = f", {len(open_refs)} not pinned" if open_refs else ""
    return Page(
        err=() if stale else (f"comfy.lock is fresh: {models} of {workflows}{tail}",),
        problems=(*found.broken, *stale),
        document={
            "lock": str(LockState.STALE if stale else LockState.FRESH),
            "changes": [],
            "unresolved": [],
            "ambiguous": [],
            "differences": [difference_fields(each) for each in found.differences],
            "summary": {
                "workflows": len(found.lock.workflows),
                "models": len(found.lock.models),
                "differences": len(found.differences),
            },
        },
        exit_code=1 if stale or found.broken else 0,
    )
