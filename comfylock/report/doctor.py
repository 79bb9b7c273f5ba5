"""The report of `doctor`: one line for each finding, its fix below, and who says what counts."""

from collections.abc import Iterator

from comfylock.names import shown
from comfylock.operations.findings import Examined, Finding, Health, Setting
from comfylock.progress import size_text
from comfylock.report.page import Page
from comfylock.report.sentences import counted


def doctor_page(found: Examined) -> Page:
    """Show the findings and the settings; a problem makes the answer a no."""
    problems, warnings = found.count(Health.PROBLEM), found.count(Health.WARNING)
    return Page(
        out=(
            *(line for finding in found.findings for line in _finding_lines(finding)),
            *_setting_lines(found.settings),
        ),
        err=(f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}",),
        document={
            "findings": [
                {
                    "area": finding.area,
                    "health": str(finding.health),
                    "message": _message(finding),
                    "fix": finding.fix,
                    "bytes": finding.bytes,
                }
                for finding in found.findings
            ],
            "settings": [
                {"name": one.name, "value": one.value, "origin": one.origin}
                for one in found.settings
            ],
            "summary": {str(health): found.count(health) for health in Health},
        },
        has_signs=True,
        exit_code=1 if problems else 0,
    )


def _finding_lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.health:<8} {finding.area:<10} {_message(finding)}"
    if finding.fix is not None:
        yield f"{'':<19} fix: {shown(finding.fix)}"


def _message(finding: Finding) -> str:
    return (
        finding.message
        if finding.bytes is None
        else f"{finding.message}: {size_text(finding.bytes)}"
    )


def _setting_lines(settings: tuple[Setting, ...]) -> Iterator[str]:
    if not settings:
        return
    yield ""
    yield "Settings that count here:"
    width = max(len(one.name) for one in settings)
    for one in settings:
        yield f"  {one.name:<{width}}  {shown(one.value)}  ({one.origin})"
