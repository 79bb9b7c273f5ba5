"""The report of `status`: the missing list."""

from collections.abc import Iterable

from comfylock.names import shown
from comfylock.operations.freshness import LockState
from comfylock.operations.status import ModelState, Standing, State
from comfylock.progress import size_text
from comfylock.report.page import Page, hint_lines
from comfylock.report.sentences import counted
from comfylock.report.stale import difference_fields, stale_warning


def status_page(found: Standing) -> Page:
    """Show the missing list: what is not as comfy.lock says."""
    counts = {state: _count(found.models, state) for state in State}
    rows = [_state_line(model) for model in found.models if model.state is not State.PRESENT]
    if found.lock is LockState.MISSING:
        err = ["There is no comfy.lock here.", *hint_lines("Run `comfylock lock workflows/`")]
    else:
        err = [*stale_warning(found.differences), _standing_sentence(found, counts)]
    return Page(
        out=tuple(rows),
        err=tuple(err),
        document={
            "models": [
                {
                    "ref": model.ref,
                    "state": str(model.state),
                    "path": str(model.path) if model.path else None,
                    "size": model.size,
                    "slug": model.problem.slug if model.problem else None,
                }
                for model in found.models
            ],
            "lock": str(found.lock),
            "differences": [difference_fields(each) for each in found.differences],
            "summary": {
                **{str(state): count for state, count in counts.items()},
                "models": len(found.models),
                "bytes_to_fetch": found.bytes_to_fetch,
                "links": found.links,
            },
        },
    )


def _count(models: Iterable[ModelState], state: State) -> int:
    return sum(1 for model in models if model.state is state)


def _state_line(model: ModelState) -> str:
    size = f"  {size_text(model.size)}" if model.size is not None else ""
    slug = f"  {model.problem.slug}" if model.problem else ""
    return f"{model.state:<10}  {shown(model.ref)}{size}{slug}"


def _standing_sentence(found: Standing, counts: dict[State, int]) -> str:
    total = counted(len(found.models), "model")
    if counts[State.PRESENT] == len(found.models):
        return f"All {total} present"
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    links = f" ({found.links} of them by a link)" if found.links else ""
    fetch = f"; {size_text(found.bytes_to_fetch)} to fetch{links}"
    return f"{total}: {', '.join(parts)}{fetch}"
