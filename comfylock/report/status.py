"""The report of `status`: the missing list."""

from collections.abc import Iterable, Mapping

from comfylock.names import shown
from comfylock.operations.freshness import LockState
from comfylock.operations.status import ModelState, Standing, State
from comfylock.progress import size_text
from comfylock.report.page import Page, hint_lines
from comfylock.report.sentences import all_are, counted
from comfylock.report.stale import difference_fields, stale_warning


def status_page(found: Standing) -> Page:
    """Show the missing list: what is not as comfy.lock says."""
    counts = {state: _count(found.models, state) for state in State}
    rows = [_state_line(model) for model in found.models if model.state is not State.PRESENT]
    if found.lock is LockState.MISSING:
        err = ["There is no comfy.lock here", *hint_lines("Run `comfylock lock workflows/`")]
    else:
        err = [
            *(f"warning: {shown(text)}" for text in found.warnings),
            *stale_warning(found.differences),
            _standing_sentence(found, counts),
            *hint_lines(_next_step(counts)),
        ]
    return Page(
        out=tuple(rows),
        err=tuple(err),
        has_signs=True,
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
            "warnings": list(found.warnings),
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
    if counts[State.PRESENT] == len(found.models):
        return all_are(len(found.models), "present")
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    links = f" ({found.links} of them by a link)" if found.links else ""
    size = size_text(found.bytes_to_fetch) if found.bytes_to_fetch else "nothing"
    total = counted(len(found.models), "model")
    return f"{total}: {', '.join(parts)}; {size} to fetch{links}"


def _next_step(counts: Mapping[State, int]) -> str | None:
    if counts[State.MISSING]:
        return "Run `comfylock install`"
    if counts[State.DIFFERENT] or counts[State.BLOCKED]:
        return "`comfylock check` says what stands in the way of each"
    if counts[State.UNRESOLVED]:
        return "`comfylock why REF` says what was tried, `comfylock pin REF SPEC` which file it is"
    return None
