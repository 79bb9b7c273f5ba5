"""The report of `install`: the plan of a dry run, or what came of each action."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from comfylock.actions import (
    Action,
    Blocked,
    Download,
    Keep,
    Link,
    PinAction,
    Remove,
    Replace,
    bytes_of,
    key_of,
    name_of,
    target_of,
)
from comfylock.errors import Problem, StoppedError
from comfylock.names import is_alias, shown, split_alias
from comfylock.operations.freshness import LockState
from comfylock.operations.install import Installed
from comfylock.outcomes import Outcome, Status
from comfylock.progress import size_text
from comfylock.report.page import Page
from comfylock.report.sentences import checked_sentence, counted, took
from comfylock.report.stale import stale_warning
from comfylock.unpinned import unpinned

_WORDS = {"keep": "kept", "link": "linked", "download": "downloaded", "replace": "replaced"}
#: How models end, in the order of the last line: what was done, and what is left to do.
_DONE = ("downloaded", "linked", "replaced")
_LEFT = ("blocked", "failed", "skipped", "left to do")


def install_page(done: Installed, *, seconds: float, dry_run: bool) -> Page:
    """Show the plan of a dry run, or what came of each action."""
    warnings = [f"warning: {shown(text)}" for text in done.warnings]
    warnings += stale_warning(done.differences or ())
    unresolved = tuple(unpinned(ref) for ref in done.unresolved)
    failed = _failures(done, dry_run=dry_run)
    rows = [_plan_line(action) for action in done.plan.actions if not isinstance(action, Keep)]
    if not dry_run:
        told = [outcome for outcome in done.outcomes if not _is_untouched(outcome)]
        sizes = {action.pin.key: action.pin.size for action in done.plan.of_pins}
        rows = [_outcome_line(outcome, sizes.get(outcome.ref)) for outcome in told]
    return Page(
        out=tuple(rows),
        err=(*warnings, _install_sentence(done, seconds=seconds, dry_run=dry_run)),
        problems=(*failed, *unresolved),
        document={
            "plan": [plan_fields(action) for action in done.plan.actions],
            "results": [_outcome_fields(outcome) for outcome in _all_outcomes(done, dry_run)],
            "lock": _lock_state(done),
            "unresolved": list(done.unresolved),
            "summary": _install_summary(done, failed, dry_run=dry_run),
        },
        has_signs=True,
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
        blocked = (action for action in done.plan.of_pins if isinstance(action, Blocked))
        return tuple(_of_model(action.problem) for action in blocked)
    problems = [
        _of_model(outcome.problem)
        for outcome in done.outcomes
        # An alias without its model is no failure of its own.
        if outcome.problem is not None
        and not (is_alias(outcome.ref) and outcome.status is Status.SKIPPED)
    ]
    interrupted = [problem for problem in problems if problem.slug == "interrupted"]
    others = [problem for problem in problems if problem.slug != "interrupted"]
    if interrupted:
        others.append(
            Problem(
                slug="interrupted",
                message=_stopped_sentence(done, len(interrupted)),
                hint=StoppedError.next_step,
            )
        )
    return tuple(others)


def _is_untouched(outcome: Outcome) -> bool:
    """Say whether nothing was done, because all was well or the user stopped it before."""
    slug = outcome.problem.slug if outcome.problem else ""
    return outcome.action == "keep" or slug == "interrupted"


def _stopped_sentence(done: Installed, left: int) -> str:
    kept = f"; {size_text(done.kept_bytes)} of them kept" if done.kept_bytes else ""
    return f"stopped with {counted(left, 'model')} left to do{kept}"


def _of_model(problem: Problem) -> Problem:
    """Return a problem that names the model where it is about one of its aliases."""
    return replace(problem, ref=split_alias(problem.ref)[0]) if problem.ref else problem


def _all_outcomes(done: Installed, dry_run: bool) -> tuple[Outcome, ...]:  # noqa: FBT001
    if dry_run or done.outcomes:
        return done.outcomes
    return tuple(
        Outcome(ref=key_of(action), action="keep", status=Status.DONE, path=target_of(action))
        for action in done.plan.actions
    )


def _lock_state(done: Installed) -> str | None:
    if done.differences is None:
        return None
    return str(LockState.STALE if done.differences else LockState.FRESH)


def _install_summary(
    done: Installed, failed: Sequence[Problem], *, dry_run: bool
) -> dict[str, object]:
    outcomes = _all_outcomes(done, dry_run)
    models = _models(done)
    counts = {
        name: sum(1 for action in models if name_of(action) == name)
        for name in ("keep", "link", "download", "replace", "blocked")
    }
    aliases = [action for action in done.plan.of_pins if is_alias(action.pin.key)]
    removals = [action for action in done.plan.actions if isinstance(action, Remove)]
    own = {action.pin.key for action in models}
    return {
        **counts,
        "remove": len(removals),
        "aliases": len(aliases),
        "models": len(models),
        "done": sum(
            1 for outcome in outcomes if outcome.status is Status.DONE and outcome.ref in own
        ),
        "failed": len(failed),
        "unresolved": len(done.unresolved),
        "bytes": done.plan.bytes_to_fetch,
        "frees": sum(action.frees_bytes for action in removals),
        "hashed": done.hashed_files,
    }


def _install_sentence(done: Installed, *, seconds: float, dry_run: bool) -> str:
    models = _models(done)
    total = counted(len(models), "model")
    if done.plan.is_done:
        return checked_sentence(len(models), seconds)
    counts = _install_summary(done, (), dry_run=dry_run)
    if dry_run:
        words = {"keep": "present", "link": "to link", "download": "to download"}
        words |= {"replace": "to replace", "blocked": "blocked"}
        parts = [f"{counts[name]} {word}" for name, word in words.items() if counts[name]]
        size = size_text(done.plan.bytes_to_fetch)
        return f"Planned {total}: {', '.join(parts)}; {size} to fetch{_dry_tail(done)}"
    ended = _ended(done, {action.pin.key for action in models})
    if len(ended["in place"]) == len(models) == len(ended["kept"]):
        return f"Checked {total} in {took(seconds)}{_tail(done)}"
    return f"{_done_sentence(ended, took(seconds))}; {_balance(ended, len(models))}{_tail(done)}"


def _aliases(count: int) -> str:
    return "1 alias" if count == 1 else f"{count} aliases"


def _models(done: Installed) -> list[PinAction]:
    """Return what is done for the models themselves: no aliases, no removals."""
    return [action for action in done.plan.of_pins if not is_alias(action.pin.key)]


def _ended(done: Installed, keys: Collection[str]) -> dict[str, list[Outcome]]:
    """Return the outcomes of these models by how they ended, in the words of the last line."""
    ended: dict[str, list[Outcome]] = {word: [] for word in ("in place", "kept", *_DONE, *_LEFT)}
    for outcome in done.outcomes:
        if outcome.ref not in keys:
            continue
        if outcome.status is Status.DONE:
            ended["in place"].append(outcome)
            ended[_WORDS[outcome.action]].append(outcome)
        else:
            ended[_why_not(outcome)].append(outcome)
    return ended


def _why_not(outcome: Outcome) -> str:
    if outcome.action == "blocked":
        return "blocked"
    if outcome.problem is not None and outcome.problem.slug == "interrupted":
        return "left to do"
    return "skipped" if outcome.status is Status.SKIPPED else "failed"


def _done_sentence(ended: Mapping[str, Sequence[Outcome]], took_text: str) -> str:
    """Return what was installed, and how: ``Installed 3 models in 2.1 s: 2 downloaded, …``."""
    count = sum(len(ended[word]) for word in _DONE)
    if not count:
        return f"Installed no models in {took_text}"
    parts = [f"{len(ended[word])} {word}{_fetched(ended[word])}" for word in _DONE if ended[word]]
    return f"Installed {counted(count, 'model')} in {took_text}: {', '.join(parts)}"


def _fetched(outcomes: Sequence[Outcome]) -> str:
    total = sum(outcome.bytes for outcome in outcomes)
    return f" ({size_text(total)})" if total else ""


def _balance(ended: Mapping[str, Sequence[Outcome]], models: int) -> str:
    """Return how the models stand after all: ``11 of 13 in place, 2 failed``."""
    parts = [f"{len(ended['in place'])} of {models} in place"]
    return ", ".join([*parts, *(f"{len(ended[word])} {word}" for word in _LEFT if ended[word])])


def _dry_tail(done: Installed) -> str:
    """Return what a dry run says of aliases and removals."""
    aliases = [
        action
        for action in done.plan.of_pins
        if is_alias(action.pin.key) and not isinstance(action, Keep | Blocked)
    ]
    removals = [action for action in done.plan.actions if isinstance(action, Remove)]
    tail = f"; {_aliases(len(aliases))} to link" if aliases else ""
    if removals:
        freed = size_text(sum(action.frees_bytes for action in removals))
        tail += f"; {counted(len(removals), 'file')} to remove, {freed} to free"
    return tail


def _tail(done: Installed) -> str:
    """Return what became of aliases and removals."""
    well = {
        (outcome.ref, outcome.action) for outcome in done.outcomes if outcome.status is Status.DONE
    }
    aliases = [ref for ref, action in well if is_alias(ref) and action in {"link", "replace"}]
    freed = {
        action.ref: action.frees_bytes
        for action in done.plan.actions
        if isinstance(action, Remove) and (action.ref, "remove") in well
    }
    tail = f"; linked {_aliases(len(aliases))}" if aliases else ""
    if freed:
        tail += f"; removed {counted(len(freed), 'file')}, {size_text(sum(freed.values()))} freed"
    return tail


def _plan_line(action: Action) -> str:
    ref, alias = split_alias(key_of(action))
    spelled = f"  as {shown(alias)}" if alias else ""
    return f"{_sign(action)} {shown(ref)}{spelled}  {_intent(action)}"


def _intent(action: Action) -> str:
    match action:
        case Link():
            origin = f" from {shown(action.after or str(action.source))}"
            return f"to be linked{'' if is_alias(action.pin.key) else origin}"
        case Download():
            size = size_text(action.pin.size) if action.pin.size is not None else "unknown size"
            size += f" ({size_text(action.lacking)} too many, if that is true)" * bool(
                action.lacking
            )
            return f"{size} from {shown(str(action.pin.sources[0]))}"
        case Replace():
            return f"to be replaced ({name_of(action.new)}); the old file is moved aside"
        case Blocked():
            return f"error[{action.problem.slug}]"
        case Keep():
            return "present"
        case Remove():
            return f"to be removed, {_freed(action)}; {shown(action.origin)} has it"


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
        case Remove():
            return "-"


def _freed(action: Remove) -> str:
    if not action.frees_bytes:
        return "frees nothing: the file has other names"
    return f"frees {size_text(action.frees_bytes)}"


def _outcome_line(outcome: Outcome, size: int | None) -> str:
    ref, alias = split_alias(outcome.ref)
    name = f"{shown(ref)}  as {shown(alias)}" if alias else shown(ref)
    if outcome.problem is not None:
        what = "blocked" if outcome.action == "blocked" else f"{outcome.action} {outcome.status}"
        return f"! {name}  {what}: {outcome.problem.slug}"
    signs = {"link": "=", "download": "+", "replace": "*", "remove": "-"}
    words = {**_WORDS, "download": "downloaded and verified", "remove": "removed"}
    told = f"  {size_text(size)}" if size is not None and outcome.action == "download" else ""
    aside = (
        f"; the old file is now {shown(str(outcome.moved_aside))}" if outcome.moved_aside else ""
    )
    return f"{signs[outcome.action]} {name}{told}  {words[outcome.action]}{aside}"


def plan_fields(action: Action) -> dict[str, object]:
    """Return an action as JSON documents tell it."""
    ref, alias = split_alias(key_of(action))
    size = action.file.stat.size if isinstance(action, Remove) else action.pin.size
    return {
        "ref": ref,
        "alias": alias,
        "action": name_of(action),
        "path": str(target_of(action)),
        "bytes": bytes_of(action),
        "size": size,
        "frees": action.frees_bytes if isinstance(action, Remove) else 0,
        "slug": action.problem.slug if isinstance(action, Blocked) else None,
    }


def _outcome_fields(outcome: Outcome) -> dict[str, object]:
    ref, alias = split_alias(outcome.ref)
    return {
        "ref": ref,
        "alias": alias,
        "action": outcome.action,
        "status": str(outcome.status),
        "slug": outcome.problem.slug if outcome.problem else None,
        "path": str(outcome.path),
        "bytes": outcome.bytes,
        "moved_aside": str(outcome.moved_aside) if outcome.moved_aside else None,
    }
