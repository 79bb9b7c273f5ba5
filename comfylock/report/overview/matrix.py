"""Workflows and what they need: a table, and the matrix of workflows by models."""

from collections.abc import Iterable, Sequence

from comfylock.names import basename
from comfylock.operations.report import Overview
from comfylock.operations.status import State
from comfylock.progress import size_text
from comfylock.report.overview.facts import STATE_WORDS, Row, open_count, workflow_bytes
from comfylock.report.overview.markup import Html, breakable, element, hidden, joined
from comfylock.report.overview.parts import MARKS, heads, section


def workflows(overview: Overview) -> Html:
    """Return the table of workflows; nothing where there are none."""
    paths = sorted(overview.lock.workflows)
    if not paths:
        return Html()
    known = overview.standing is not None or bool(overview.unresolved)
    head = [("workflow", None), ("models", "number"), ("size", "number")]
    head += [("open", "number")] if known else []
    rows = [_workflow_row(path, overview, known=known) for path in paths]
    caption = "What each workflow needs; open is what is not here or not pinned."
    return section(
        "workflows",
        "Workflows",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *heads(head))),
            element("tbody", *rows),
        ),
    )


def _workflow_row(path: str, overview: Overview, *, known: bool) -> Html:
    entry = overview.lock.workflows[path]
    lacking = open_count(overview, path)
    badge = element("span", f"{lacking} open" if lacking else "ready",
                    class_=f"badge {'missing' if lacking else 'present'}")  # fmt: skip
    return element(
        "tr",
        element("th", breakable(path), scope="row"),
        element("td", str(len(entry.models) + len(entry.unresolved)), class_="number"),
        element("td", size_text(workflow_bytes(overview, path)), class_="number"),
        *([element("td", badge, class_="number")] if known else []),
    )


def matrix(rows: Sequence[Row], overview: Overview) -> Html:
    """Return which workflow needs which model, in a frame that scrolls by itself."""
    paths = sorted(overview.lock.workflows)
    if not paths or not rows:
        return Html()
    head = [
        element(
            "th", element("div", breakable(_stem(path)), class_="across"), scope="col", title=path
        )
        for path in paths
    ]
    table = element(
        "table",
        element("caption", "Which workflow needs which model."),
        element("thead", element("tr", element("td", hidden("model")), *head)),
        element("tbody", *(_matrix_row(row, paths) for row in rows)),
        class_="matrix",
    )
    region = element(
        "div", table, class_="wide", role="region", tabindex=0, aria_label="Workflows by models"
    )
    return section("matrix", "Workflows by models", region, _legend(rows))


def _stem(path: str) -> str:
    name = basename(path)
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _matrix_row(row: Row, paths: Iterable[str]) -> Html:
    cells = (
        element("td", _dot(row) if path in row.workflows else Html(), class_="cell")
        for path in paths
    )
    return element("tr", element("th", breakable(row.ref), scope="row"), *cells)


def _dot(row: Row) -> Html:
    mark = "●" if row.state is None else MARKS[row.state]
    told = "needed" if row.state is None else f"needed, {STATE_WORDS[row.state]}"
    dot = element("span", mark, class_=f"dot {row.state or ''}".strip(), aria_hidden="true")
    return joined(dot, hidden(told))


def _legend(rows: Iterable[Row]) -> Html:
    states = {row.state for row in rows if row.workflows}
    items = [
        element(
            "li",
            element("span", MARKS[state], class_=f"dot {state}", aria_hidden="true"),
            f" needed, {STATE_WORDS[state]}",
        )
        for state in State
        if state in states
    ]
    return element("ul", *items, class_="legend") if items else Html()
