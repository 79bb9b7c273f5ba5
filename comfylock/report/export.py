"""The page of `export`: a text on stdout, or a file and a line about it."""

from pathlib import Path

from comfylock.names import shown
from comfylock.operations.export import Exported
from comfylock.report.page import Page
from comfylock.report.sentences import counted
from comfylock.report.written import wrote


def export_page(done: Exported, written: Path | None) -> Page:
    """Show an export, or say where it was written, and what is not in it."""
    notes = [f"warning: {shown(note)}" for note in done.warnings]
    if written is not None:
        notes.append(f"{wrote(written, done.text)}: {counted(done.models, 'model')}")
    return Page(
        out=() if written is not None else (done.text.removesuffix("\n"),),
        err=tuple(notes),
        problems=done.problems,
        document={
            "format": str(done.format),
            "output": None if written is None else str(written),
            "text": done.text if written is None else None,
            "summary": {"models": done.models, "problems": len(done.problems)},
        },
        exit_code=1 if done.problems else 0,
    )
