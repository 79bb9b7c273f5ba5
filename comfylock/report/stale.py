"""Why a lock is stale, as a warning and as JSON."""

from collections.abc import Sequence

from comfylock.lockfile.changes import Difference
from comfylock.operations.freshness import stale_message
from comfylock.report.page import hint_lines


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
