"""The report of `outdated`."""

from collections.abc import Sequence

from comfylock.names import shown
from comfylock.operations.upgrade import Upgraded
from comfylock.progress import size_text
from comfylock.report.page import Page
from comfylock.report.pins import candidate_fields, held_fields, held_lines, unmoved_lines
from comfylock.report.sentences import counted
from comfylock.upgrading import Newer, civitai_source


def outdated_page(found: Upgraded, *, exit_code: bool) -> Page:
    """Show which entries have a newer version, and which do not move by themselves."""
    newer = [one for _, one in sorted(found.upgrades.items()) if isinstance(one, Newer)]
    rows = [_row(one) for one in newer]
    rows += [line for held in found.undecided for line in held_lines(held)]
    return Page(
        out=tuple(rows),
        err=(
            *unmoved_lines(found.unmoved),
            _sentence(found, newer),
        ),
        problems=(*(held.problem for held in found.undecided), *found.faults),
        document={
            "outdated": [_fields(one) for one in newer],
            "ambiguous": [held_fields(one, ()) for one in found.undecided],
            "unmoved": [{"ref": one.old.key, "reason": one.reason} for one in found.unmoved],
            "summary": {
                "models": len(found.upgrades) + len(found.faults),
                "outdated": len(newer),
                "ambiguous": len(found.undecided),
                "unmoved": len(found.unmoved),
                "failed": len(found.faults),
            },
        },
        has_signs=True,
        exit_code=_code(found, newer, exit_code=exit_code),
    )


def _code(found: Upgraded, newer: Sequence[Newer], *, exit_code: bool) -> int:
    if found.nobody_answered:
        return 2
    has_answer = newer or found.undecided
    return 1 if found.faults or _changed(found) or (exit_code and has_answer) else 0


def _changed(found: Upgraded) -> int:
    """Return how many files have other bytes at Civitai than when they were locked."""
    return sum(1 for held in found.undecided if held.problem.slug == "hash-mismatch")


def _sentence(found: Upgraded, newer: Sequence[Newer]) -> str:
    if found.nobody_answered:
        return "Nobody could be asked"
    changed = _changed(found)
    tail = f"; {counted(changed, 'file')} changed at Civitai" if changed else ""
    open_count = len(newer) + len(found.undecided) - changed
    if open_count:
        total = counted(len(found.upgrades) + len(found.faults), "model")
        verb = "has" if open_count == 1 else "have"
        return f"{open_count} of {total} {verb} a newer version{tail}"
    checked = len(found.upgrades) - len(found.unmoved)
    return f"No newer versions; asked for {counted(checked, 'model')}{tail}"


def _row(one: Newer) -> str:
    size = f"  {size_text(one.new.size)}" if one.new.size else ""
    return (
        f"* {shown(one.old.key)}  {shown(one.old.name or '?')} -> {shown(one.new.name or '?')}"
        f"  {one.artifact.spec}{size}"
    )


def _fields(one: Newer) -> dict[str, object]:
    source = civitai_source(one.old)
    return {
        "ref": one.old.key,
        "current": {
            "model": source.model if source else None,
            "version": source.version if source else None,
            "file": source.file if source else None,
            "name": one.old.name,
            "size": one.old.size,
        },
        "newest": candidate_fields(one.artifact),
    }
