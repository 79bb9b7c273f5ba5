"""Workflows and what they need: a table, and the matrix of workflows by models."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from comfylock.meters import shortened
from comfylock.names import basename, split_key
from comfylock.operations.report import Overview
from comfylock.operations.status import State
from comfylock.progress import size_text
from comfylock.report.overview.facts import STATE_WORDS, Row, open_count, workflow_bytes
from comfylock.report.overview.markup import Html, breakable, element, hidden, joined
from comfylock.report.overview.parts import MARKS, Part, heads, part


def workflows(overview: Overview) -> Part | None:
    """Return the table of workflows; nothing where there are none."""
    paths = sorted(overview.lock.workflows)
    if not paths:
        return None
    known = overview.standing is not None or bool(overview.unresolved)
    head = [("workflow", None), ("models", "number"), ("size", "number")]
    head += [("open", "number")] if known else []
    rows = [_workflow_row(path, overview, known=known) for path in paths]
    caption = "What each workflow needs; open is what is not here or not pinned."
    return part(
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


def matrix(rows: Sequence[Row], overview: Overview) -> Part | None:
    """Return which workflow needs which model, in a frame that scrolls by itself.

    Its headings stay in sight. Long names are shortened in the middle: in full they are above.
    """
    paths = sorted(overview.lock.workflows)
    if not paths or not rows:
        return None
    head = [
        element(
            "th",
            element("div", breakable(shortened(label, _ACROSS)), class_="across"),
            scope="col",
            title=path,
        )
        for path, label in zip(paths, _labels(paths), strict=True)
    ]
    table = element(
        "table",
        element("caption", "Which workflow needs which model."),
        element("thead", element("tr", element("td", hidden("model")), *head)),
        *_matrix_groups(rows, paths),
        class_="matrix",
    )
    frame = "wide tall" if len(rows) > _MOST_IN_SIGHT else "wide"
    region = element(
        "div", table, class_=frame, role="region", tabindex=0, aria_label="Workflows by models"
    )
    notes = [element("p", _TOO_WIDE, class_="note paper")] if len(paths) > _MOST_ON_PAPER else []
    kind = "roomy vast" if notes else "roomy"
    return part("matrix", "Workflows by models", *notes, region, _legend(rows), kind=kind)


#: Rows that are shown without a frame of their own height.
_MOST_IN_SIGHT = 30
#: Characters that the style has room for: in a heading that stands upright, and in a row.
_ACROSS, _ALONG = 26, 44
#: Columns of a landscape page.
_MOST_ON_PAPER = 60
_TOO_WIDE = "The table is too wide for paper: who needs a model is told with each model above."


def _labels(paths: Sequence[str]) -> list[str]:
    """Return short headings, each its own: the name, or the whole path where several share it."""
    stems = Counter(map(_stem, paths))
    return [_stem(path) if stems[_stem(path)] == 1 else path for path in paths]


def _stem(path: str) -> str:
    name = basename(path)
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _matrix_groups(rows: Iterable[Row], paths: Sequence[str]) -> Iterator[Html]:
    for folder, group in groupby(rows, key=lambda row: row.folder):
        head = element("th", breakable(folder), scope="rowgroup", colspan=len(paths) + 1)
        yield element(
            "tbody",
            element("tr", head, class_="group"),
            *(_matrix_row(row, paths) for row in group),
        )


def _matrix_row(row: Row, paths: Iterable[str]) -> Html:
    cells = (
        element("td", _dot(row) if path in row.workflows else Html(), class_="cell")
        for path in paths
    )
    name = breakable(shortened(split_key(row.ref)[1] or row.ref, _ALONG))
    return element("tr", element("th", name, scope="row", title=row.ref), *cells)


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
