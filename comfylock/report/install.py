"""The report of `install`: the plan of a dry run, or what came of each action."""

from collections.abc import Sequence

from comfylock.apply import Outcome, Status
from comfylock.errors import Problem
from comfylock.names import quoted, shown
from comfylock.operations.freshness import LockState
from comfylock.operations.install import Installed
from comfylock.plan import (
    Action,
    Blocked,
    Download,
    Keep,
    Link,
    Replace,
    bytes_of,
    name_of,
    target_of,
)
from comfylock.progress import size_text
from comfylock.report.page import Page
from comfylock.report.sentences import checked_sentence, counted, took
from comfylock.report.stale import stale_warning


def install_page(done: Installed, *, seconds: float, dry_run: bool) -> Page:
    """Show the plan of a dry run, or what came of each action."""
    warnings = [f"warning: {shown(text)}" for text in done.warnings]
    warnings += stale_warning(done.differences)
    unresolved = tuple(_unresolved_problem(ref) for ref in done.unresolved)
    failed = _failures(done, dry_run=dry_run)
    rows = [_plan_line(action) for action in done.plan.actions if not isinstance(action, Keep)]
    if not dry_run:
        rows = [_outcome_line(outcome) for outcome in done.outcomes if outcome.action != "keep"]
    return Page(
        out=tuple(rows),
        err=(*warnings, _install_sentence(done, seconds=seconds, dry_run=dry_run)),
        problems=(*failed, *unresolved),
        document={
            "plan": [_plan_fields(action) for action in done.plan.actions],
            "results": [_outcome_fields(outcome) for outcome in _all_outcomes(done, dry_run)],
            "lock": str(LockState.STALE if done.differences else LockState.FRESH),
            "unresolved": list(done.unresolved),
            "summary": _install_summary(done, failed, dry_run=dry_run),
        },
        exit_code=_install_code(done, failed, unresolved),
    )


def _install_code(done: Installed, failed: Sequence[Problem], unresolved: Sequence[Problem]) -> int:
    if any(
        outcome.problem is not None and outcome.problem.slug == "interrupted"
        for outcome in done.outcomes
    ):
        return 130
    return 1 if failed or unresolved else 0


def _failures(done: Installed, *, dry_run: bool) -> tuple[Problem, ...]:
    if dry_run:
        return tuple(action.problem for action in done.plan.actions if isinstance(action, Blocked))
    problems = [outcome.problem for outcome in done.outcomes if outcome.problem is not None]
    interrupted = [problem for problem in problems if problem.slug == "interrupted"]
    others = [problem for problem in problems if problem.slug != "interrupted"]
    if interrupted:
        others.append(
            Problem(
                slug="interrupted",
                message=f"stopped; {counted(len(interrupted), 'model')} left to do",
                hint="What was downloaded is kept: `comfylock install` goes on from there",
            )
        )
    return tuple(others)


def _all_outcomes(done: Installed, dry_run: bool) -> tuple[Outcome, ...]:  # noqa: FBT001
    if dry_run or done.outcomes:
        return done.outcomes
    return tuple(
        Outcome(ref=action.pin.key, action="keep", status=Status.DONE, path=target_of(action))
        for action in done.plan.actions
    )


def _install_summary(
    done: Installed, failed: Sequence[Problem], *, dry_run: bool
) -> dict[str, object]:
    outcomes = _all_outcomes(done, dry_run)
    counts = {
        name: sum(1 for action in done.plan.actions if name_of(action) == name)
        for name in ("keep", "link", "download", "replace", "blocked")
    }
    return {
        **counts,
        "models": len(done.plan.actions),
        "done": sum(1 for outcome in outcomes if outcome.status is Status.DONE),
        "failed": len(failed),
        "unresolved": len(done.unresolved),
        "bytes": done.plan.bytes_to_fetch,
        "hashed": done.hashed_files,
    }


def _install_sentence(done: Installed, *, seconds: float, dry_run: bool) -> str:
    total = counted(len(done.plan.actions), "model")
    if done.plan.is_done:
        return checked_sentence(len(done.plan.actions), seconds)
    counts = _install_summary(done, (), dry_run=dry_run)
    if dry_run:
        words = {"keep": "present", "link": "to link", "download": "to download"}
        words |= {"replace": "to replace", "blocked": "blocked"}
        parts = [f"{counts[name]} {word}" for name, word in words.items() if counts[name]]
        size = size_text(done.plan.bytes_to_fetch)
        return f"Planned {total}: {', '.join(parts)}; {size} to fetch"
    changed = sum(
        1 for outcome in done.outcomes if outcome.status is Status.DONE and outcome.action != "keep"
    )
    left = sum(1 for outcome in done.outcomes if outcome.status is not Status.DONE)
    tail = f", {left} not installed" if left else ""
    return f"Installed {changed} of {total} in {took(seconds)}{tail}"


def _unresolved_problem(ref: str) -> Problem:
    return Problem(
        slug="unresolved",
        ref=ref,
        message=f"{ref} is in comfy.lock without a pin: nobody knows which file it is",
        hint=f"Say which with `comfylock pin {quoted(ref)} SPEC`, put the file where it belongs "
        f"and lock again, or `comfylock ignore {quoted(ref)}`",
    )


def _plan_line(action: Action) -> str:
    return f"{_sign(action)} {shown(action.pin.key)}  {_intent(action)}"


def _intent(action: Action) -> str:
    match action:
        case Link():
            return f"to be linked from {shown(action.after or str(action.source))}"
        case Download():
            size = size_text(action.pin.size) if action.pin.size is not None else "unknown size"
            return f"{size} from {shown(str(action.pin.sources[0]))}"
        case Replace():
            return f"to be replaced ({name_of(action.new)}); the old file is moved aside"
        case Blocked():
            return f"error[{action.problem.slug}]"
        case Keep():
            return "present"


def _sign(action: Action) -> str:
    match action:
        case Keep() | Link():
            return "="
        case Download():
            return "+"
        case Replace():
            return "*"
        case Blocked():
            return "!"


def _outcome_line(outcome: Outcome) -> str:
    if outcome.problem is not None:
        return f"! {shown(outcome.ref)}  {outcome.action} {outcome.status}: {outcome.problem.slug}"
    signs = {"link": "=", "download": "+", "replace": "*"}
    words = {"link": "linked", "download": "downloaded and verified", "replace": "replaced"}
    aside = (
        f"; the old file is now {shown(str(outcome.moved_aside))}" if outcome.moved_aside else ""
    )
    return f"{signs[outcome.action]} {shown(outcome.ref)}  {words[outcome.action]}{aside}"


def _plan_fields(action: Action) -> dict[str, object]:
    return {
        "ref": action.pin.key,
        "action": name_of(action),
        "path": str(target_of(action)),
        "bytes": bytes_of(action),
        "size": action.pin.size,
        "slug": action.problem.slug if isinstance(action, Blocked) else None,
    }


def _outcome_fields(outcome: Outcome) -> dict[str, object]:
    return {
        "ref": outcome.ref,
        "action": outcome.action,
        "status": str(outcome.status),
        "slug": outcome.problem.slug if outcome.problem else None,
        "path": str(outcome.path),
        "bytes": outcome.bytes,
        "moved_aside": str(outcome.moved_aside) if outcome.moved_aside else None,
    }
