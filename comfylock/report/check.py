"""The report of `check` and `verify`."""

from dataclasses import replace

from comfylock.names import shown
from comfylock.operations.check import Verdict
from comfylock.report.page import Page
from comfylock.report.sentences import all_are, counted
from comfylock.report.status import status_page


def check_page(found: Verdict) -> Page:
    """Show what is not as comfy.lock says; the exit code is the answer."""
    page = status_page(found.standing)
    models = len(found.standing.models)
    sentence = (
        f"{counted(len(found.findings), 'finding')} in {counted(models, 'model')}"
        if found.findings
        else f"{all_are(models, 'as comfy.lock says')}, and it is {found.standing.lock}"
    )
    summary = page.document["summary"]
    assert isinstance(summary, dict)
    return replace(
        page,
        out=(),
        err=(*(f"warning: {shown(text)}" for text in found.warnings), sentence),
        problems=found.findings,
        document={
            **page.document,
            "warnings": list(found.warnings),
            "summary": {**summary, "findings": len(found.findings)},
        },
        exit_code=1 if found.findings else 0,
    )
