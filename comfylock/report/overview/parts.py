"""What all parts of the page share: a section, the head of a table, the sign of a state."""

from collections.abc import Iterable

from comfylock.operations.status import State
from comfylock.report.overview.facts import STATE_WORDS, Row
from comfylock.report.overview.markup import Html, element

MARKS = {
    State.PRESENT: "✓",
    State.MISSING: "↓",
    State.DIFFERENT: "≠",
    State.BLOCKED: "!",
    State.UNRESOLVED: "?",
}


def section(name: str, title: str, *content: str) -> Html:
    """Return a part of the page under a heading that links can lead to."""
    head = element("h2", title, id=name)
    return element("section", head, *content, aria_labelledby=name)


def heads(names: Iterable[tuple[str, str | None]]) -> list[Html]:
    """Return the headings of columns, each with its class."""
    return [element("th", name, scope="col", class_=kind) for name, kind in names]


def state_badge(row: Row) -> Html:
    """Return how a model stands, as a sign and a word; nothing where nobody knows."""
    if row.state is None:
        return Html()
    text = f"{MARKS[row.state]} {STATE_WORDS[row.state]}"
    return element("span", text, class_=f"badge {row.state}")
