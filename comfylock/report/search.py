"""The report of `search`: a table of candidates."""

from comfylock.artifacts import Artifact
from comfylock.names import shown
from comfylock.operations.search import Found, nothing_found
from comfylock.progress import size_text
from comfylock.report.columns import aligned
from comfylock.report.page import Page
from comfylock.report.pins import candidate_fields
from comfylock.report.sentences import counted

_HASH_DIGITS = 12


def search_page(found: Found) -> Page:
    """Show the candidates, one a line, with the ids that `pin` takes."""
    problems = (found.fault,) if found.fault is not None else ()
    if not found.candidates and not problems:
        problems = (nothing_found(found),)
    more = f"; {found.left_out} more with --limit" if found.left_out else ""
    return Page(
        out=tuple(aligned([_row(one) for one in found.candidates])),
        err=(f"Found {counted(len(found.candidates), 'file')}{more}",) if found.candidates else (),
        problems=problems,
        document={
            "candidates": [candidate_fields(one) for one in found.candidates],
            "summary": {"candidates": len(found.candidates), "left_out": found.left_out},
        },
        exit_code=2 if found.fault is not None else 0 if found.candidates else 1,
    )


def _row(one: Artifact) -> tuple[str, ...]:
    digest = one.digests.sha256 or one.digests.blake3
    return (
        one.spec,
        shown(one.model_type) or "-",
        shown(one.base_model) or "-",
        size_text(one.size_hint) if one.size_hint else "-",
        digest[:_HASH_DIGITS] if digest else "-",
        shown(one.file_name),
        shown(one.title),
    )
