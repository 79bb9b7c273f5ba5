"""The reports of `pin`, `unpin` and `ignore`."""

from comfylock.operations.choose import Chosen
from comfylock.places import PROJECT_FILE
from comfylock.report.page import Page, hint_lines
from comfylock.report.pins import change_fields, change_line, missed_fields, missed_lines
from comfylock.settings import Formats


def chosen_page(done: Chosen, formats: Formats) -> Page:
    """Show what comfylock.toml says now, and what it changed in the lock."""
    return Page(
        out=(
            *(change_line(change, formats) for change in done.changes),
            *(line for missed in done.misses for line in missed_lines(missed)),
        ),
        err=(*done.notes, *(f"{PROJECT_FILE}: {line}" for line in done.said), *_sentence(done)),
        problems=tuple(missed.problem for missed in done.misses),
        document={
            "said": list(done.said),
            "changes": [change_fields(change) for change in done.changes],
            "unresolved": [missed_fields(one) for one in done.misses if not one.is_ambiguous],
            "ambiguous": [missed_fields(one) for one in done.misses if one.is_ambiguous],
            "summary": {
                "said": len(done.said),
                "changed": len(done.changes),
                "unresolved": len(done.misses),
            },
        },
        has_signs=True,
        exit_code=_code(done),
    )


def _code(done: Chosen) -> int:
    if not done.misses:
        return 0
    nothing_done = not done.said and not done.changes
    return 2 if nothing_done and not any(missed.answered for missed in done.misses) else 1


def _sentence(done: Chosen) -> list[str]:
    if not done.said:
        return ["Nothing was written"]
    if not done.has_lock:
        return ["There is no comfy.lock yet", *hint_lines("Run `comfylock lock`")]
    return ["Updated comfy.lock" if done.updated else "comfy.lock holds that already"]
