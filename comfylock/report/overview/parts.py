"""What all parts of the page share: a section, the head of a table, the sign of a state."""

from collections.abc import Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of the page under a heading.

    Attributes:
        name: what links lead to.
        title: the heading.
        html: all of it.
    """

    name: str
    title: str
    html: Html


def part(name: str, title: str, *content: str, kind: str | None = None) -> Part:
    """Return a part of the page; its kind is a class for the style sheet."""
    head = element("h2", title, id=name)
    html = element("section", head, *content, aria_labelledby=name, class_=kind)
    return Part(name=name, title=title, html=html)


def contents(parts: Iterable[Part]) -> Html:
    """Return links to the parts of the page."""
    links = (element("li", element("a", one.title, href=f"#{one.name}")) for one in parts)
    return element("nav", element("ul", *links), aria_label="On this page")


def heads(names: Iterable[tuple[str, str | None]]) -> list[Html]:
    """Return the headings of columns, each with its class."""
    return [element("th", name, scope="col", class_=kind) for name, kind in names]


def state_badge(row: Row) -> Html:
    """Return how a model stands, as a sign and a word; nothing where nobody knows."""
    if row.state is None:
        return Html()
    text = f"{MARKS[row.state]} {STATE_WORDS[row.state]}"
    return element("span", text, class_=f"badge {row.state}")
