"""The reports of `lock` and `lock --check`."""

from comfylock.artifacts import Artifact
from comfylock.lockfile.changes import Change, ChangeKind
from comfylock.lockfile.model import Evidence, Pin
from comfylock.locking import Missed
from comfylock.names import is_pickle, shown
from comfylock.operations.freshness import Checked, LockState
from comfylock.operations.lock import Locked
from comfylock.progress import size_text
from comfylock.report.page import Page, counted
from comfylock.report.stale import difference_fields, stale_problems

_SIGNS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.UPDATED: "*"}


def lock_page(done: Locked, *, dry_run: bool) -> Page:
    """Show what `lock` pinned, what it could not, and why."""
    problems = (*done.broken, *(missed.problem for missed in done.misses))
    open_count = len(done.misses) + len(done.remembered)
    rows = [_change_line(change) for change in done.changes]
    for missed in done.misses:
        rows += [f"? {shown(missed.requirement.key)}  {missed.problem.slug}"]
        rows += [_candidate_line(candidate) for candidate in missed.candidates[:5]]
    rows += [f"? {shown(each.key)}  still unresolved" for each in done.remembered]
    return Page(
        out=tuple(rows),
        err=(*done.notes, *_remembered_hint(done), _lock_sentence(done, dry_run=dry_run)),
        problems=problems,
        document={
            "changes": [
                {
                    "ref": change.ref,
                    "change": str(change.change),
                    "evidence": str(_pin_of(change).evidence),
                }
                for change in done.changes
            ],
            "unresolved": [
                *(_missed_fields(missed) for missed in done.misses if not missed.is_ambiguous),
                *(
                    {"ref": each.key, "workflows": list(each.workflows), "candidates": []}
                    for each in done.remembered
                ),
            ],
            "ambiguous": [_missed_fields(missed) for missed in done.misses if missed.is_ambiguous],
            "summary": {
                "workflows": len(done.lock.workflows),
                "models": len(done.lock.models),
                "changed": len(done.changes),
                "unresolved": open_count,
                "written": done.written,
            },
        },
        exit_code=2 if done.nobody_answered else 1 if open_count or done.broken else 0,
    )


def _lock_sentence(done: Locked, *, dry_run: bool) -> str:
    models = counted(len(done.lock.models), "model")
    workflows = counted(len(done.lock.workflows), "workflow")
    open_count = len(done.misses) + len(done.remembered)
    if done.nobody_answered:
        return "Nobody could be asked; comfy.lock was not changed"
    verb = "Would lock" if dry_run else "Locked" if done.written else "Checked"
    unchanged = "" if dry_run or done.written else "; comfy.lock is up to date"
    tail = f", {open_count} not pinned" if open_count else ""
    return f"{verb} {models} of {workflows}{tail}{unchanged}"


def _remembered_hint(done: Locked) -> list[str]:
    if not done.remembered:
        return []
    return ["What was not found before is not asked for again, but by `comfylock lock --rebuild`"]


def _pin_of(change: Change) -> Pin:
    pin = change.new or change.old
    assert pin is not None, "a change has a pin on one side at least"
    return pin


def _change_line(change: Change) -> str:
    pin = _pin_of(change)
    parts = [f"{_SIGNS[change.change]} {shown(change.ref)}"]
    if change.change is not ChangeKind.REMOVED:
        if pin.name:
            parts.append(shown(pin.name))
        if pin.size:
            parts.append(size_text(pin.size))
        parts.append(f"by {_EVIDENCE_WORDS[pin.evidence]}")
        if is_pickle(pin.key):
            parts.append("pickle format: may run code when loaded")
    return "  ".join(parts)


_EVIDENCE_WORDS = {
    Evidence.HASH: "hash",
    Evidence.EMBEDDED: "what the workflow embeds",
    Evidence.PINNED: "comfylock.toml",
    Evidence.KNOWN: "the table of known files",
    Evidence.FILENAME: "exact file name",
    Evidence.LOCAL: "local file alone",
}


def _candidate_line(candidate: Artifact) -> str:
    source = candidate.source
    size = size_text(candidate.size_hint) if candidate.size_hint else "size unknown"
    base = f", {shown(candidate.base_model)}" if candidate.base_model else ""
    return (
        f"    civitai:{source.version}/{source.file}  {shown(candidate.title)}"
        f"  {shown(candidate.file_name)} ({size}{base})"
    )


def _missed_fields(missed: Missed) -> dict[str, object]:
    return {
        "ref": missed.requirement.key,
        "workflows": list(missed.requirement.workflows),
        "slug": missed.problem.slug,
        "candidates": [candidate_fields(candidate) for candidate in missed.candidates],
    }


def candidate_fields(candidate: Artifact) -> dict[str, object]:
    """Return a candidate as JSON tells it."""
    return {
        "model": candidate.source.model,
        "version": candidate.source.version,
        "file": candidate.source.file,
        "name": candidate.title,
        "file_name": candidate.file_name,
        "type": candidate.model_type,
        "base_model": candidate.base_model,
        "size": candidate.size_hint,
        "sha256": candidate.digests.sha256,
        "blake3": candidate.digests.blake3,
    }


def check_lock_page(found: Checked) -> Page:
    """Show whether comfy.lock is fresh: the answer of `lock --check`."""
    stale = stale_problems(found.differences)
    models = counted(len(found.lock.models), "model")
    workflows = counted(len(found.lock.workflows), "workflow")
    return Page(
        err=() if stale else (f"comfy.lock is fresh: {models} of {workflows}",),
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
