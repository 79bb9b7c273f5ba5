"""The page of `report`: a text on stdout, or a file and a line about it."""

from pathlib import Path

from comfylock.lockfile.model import pin_to_dict
from comfylock.names import shown
from comfylock.operations.report import Overview
from comfylock.operations.status import State
from comfylock.report.overview.facts import Row, count_in, rows_of
from comfylock.report.overview.markdown import markdown_report
from comfylock.report.overview.webpage import webpage
from comfylock.report.page import Page, json_text
from comfylock.report.written import wrote


def report_text(overview: Overview, form: str) -> str:
    """Return the report as `html`, `markdown` or `json`."""
    match form:
        case "html":
            return webpage(overview)
        case "markdown":
            return markdown_report(overview)
        case _:
            return f"{json_text('report', Page(document=report_document(overview)))}\n"


def report_page(overview: Overview, text: str, written: Path | None) -> Page:
    """Show a report, or say where it was written."""
    notes = [f"warning: {shown(note)}" for note in overview.lock.warnings]
    if written is not None:
        notes.append(wrote(written, text))
    return Page(
        out=() if written is not None else (text.removesuffix("\n"),),
        err=tuple(notes),
        document=report_document(overview),
    )


def report_document(overview: Overview) -> dict[str, object]:
    """Return the report as JSON tells it."""
    standing = overview.standing
    return {
        "title": overview.title,
        "lock": None if standing is None else str(standing.lock),
        "models": [_row_fields(row) for row in rows_of(overview)],
        "workflows": [
            {"path": path, "models": list(entry.models), "unresolved": list(entry.unresolved)}
            for path, entry in sorted(overview.lock.workflows.items())
        ],
        "folders": [
            {
                "folder": use.folder,
                "models": use.models,
                "bytes": use.bytes_locked,
                "bytes_here": use.bytes_here,
            }
            for use in overview.folders
        ],
        "summary": {
            **{str(state): _count(overview, state) for state in State},
            "models": len(overview.lock.models),
            "workflows": len(overview.lock.workflows),
            "bytes": overview.bytes_locked,
            "bytes_to_fetch": None if standing is None else standing.bytes_to_fetch,
        },
    }


def _count(overview: Overview, state: State) -> int | None:
    if state is State.UNRESOLVED:
        return len(overview.unresolved)
    return None if overview.standing is None else count_in(overview.states.values(), state)


def _row_fields(row: Row) -> dict[str, object]:
    problem = row.standing.problem if row.standing is not None else None
    return {
        "ref": row.ref,
        "state": None if row.state is None else str(row.state),
        "slug": None if problem is None else problem.slug,
        "workflows": list(row.workflows),
        "pin": None if row.pin is None else pin_to_dict(row.pin),
    }
