"""Why a lock is stale, as lines, an error, a warning and JSON."""

from collections.abc import Sequence

from comfylock.errors import Problem
from comfylock.lockfile.changes import Difference
from comfylock.operations.freshness import stale_message
from comfylock.report.page import hint_lines


def stale_problems(differences: Sequence[Difference]) -> tuple[Problem, ...]:
    """Return the error of a stale lock, or nothing."""
    if not differences:
        return ()
    message = stale_message(differences)
    return (Problem(slug="lock-stale", message=message, hint="Run `comfylock lock`"),)


def difference_fields(difference: Difference) -> dict[str, object]:
    """Return one difference as JSON tells it."""
    return {
        "workflow": difference.workflow,
        "kind": str(difference.kind),
        "ref": difference.ref,
        "alias": difference.alias,
    }


def stale_warning(differences: Sequence[Difference]) -> list[str]:
    """Return the lines of a warning, none for a fresh lock."""
    if not differences:
        return []
    text = stale_message(differences).split("\n")
    return [f"warning: {text[0]}", *text[1:], *hint_lines("Run `comfylock lock`")]
