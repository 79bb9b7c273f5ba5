"""The report of `scan`."""

from comfylock.names import shown
from comfylock.operations.scan import Scanned
from comfylock.report.page import Page, learned_lines
from comfylock.report.sentences import counted


def scan_page(found: Scanned) -> Page:
    """Show the references of workflows, grouped by workflow."""
    rows: list[str] = []
    previous = None
    for reference in found.references:
        if reference.workflow != previous:
            rows.append(shown(reference.workflow))
            previous = reference.workflow
        place = reference.key or reference.name
        marks = [] if reference.active else ["inactive"]
        marks += [] if reference.found == "node" else [f"found by {reference.found}"]
        marks += [] if reference.kind == "file" else [str(reference.kind)]
        tail = f"  ({', '.join(marks)})" if marks else ""
        rows.append(f"  {shown(place)}  {shown(reference.type)}.{shown(reference.input)}{tail}")
    keys = {reference.key for reference in found.references if reference.key}
    summary = {
        "workflows": found.workflows,
        "references": len(found.references),
        "models": len(keys),
        "inactive": sum(1 for reference in found.references if not reference.active),
        "skipped": len(found.broken) + len(found.passed_over),
    }
    return Page(
        out=tuple(rows),
        err=(
            *(f"warning: {warning}" for warning in found.warnings),
            *learned_lines(found.learned),
            _scan_sentence(len(found.references), len(keys), found.workflows),
        ),
        problems=found.broken,
        document={
            "references": [
                {
                    "workflow": reference.workflow,
                    "node": reference.node,
                    "type": reference.type,
                    "input": reference.input,
                    "name": reference.name,
                    "folder": reference.folder,
                    "key": reference.key,
                    "kind": str(reference.kind),
                    "active": reference.active,
                    "found": str(reference.found),
                    "hints": [
                        {"kind": str(hint.kind), "value": hint.value} for hint in reference.hints
                    ],
                }
                for reference in found.references
            ],
            "skipped": [{"path": path, "reason": reason} for path, reason in _skipped(found)],
            "warnings": list(found.warnings),
            "learned": dict(found.learned),
            "summary": summary,
        },
    )


def _skipped(found: Scanned) -> list[tuple[str, str]]:
    """Return what was not read and why, by path, whichever reason it was."""
    passed_over = [(skip.path, skip.reason) for skip in found.passed_over]
    return sorted(passed_over + [(broken.ref or "", broken.message) for broken in found.broken])


def _scan_sentence(references: int, models: int, workflows: int) -> str:
    where = f"{counted(models, 'model')} in {counted(workflows, 'workflow')}"
    return f"Found {counted(references, 'reference')} to {where}"
