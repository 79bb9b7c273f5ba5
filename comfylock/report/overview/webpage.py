"""The report as one web page: a single file without scripts, fonts or anything from elsewhere.

Its content policy forbids all that it does not use, down to the one style sheet by hash, so even
a hole in the escaping could run and load nothing. Links are made from ids.

Sources: W3C CSP Level 3 (hashes of inline styles), WCAG 2.2 (1.4.1 colour is never the only sign,
1.4.3 contrast, 1.4.10 reflow at 320 pixels).
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from comfylock.artifacts import Source
from comfylock.exports.links import page_address
from comfylock.lockfile.model import Evidence, Pin
from comfylock.names import split_key
from comfylock.operations.report import Overview
from comfylock.operations.status import State
from comfylock.progress import size_text
from comfylock.report.overview.facts import (
    EVIDENCE_LABELS,
    EVIDENCE_MEANINGS,
    Advice,
    Row,
    advice_of,
    count_in,
    place_name,
    rows_of,
    verdict,
)
from comfylock.report.overview.markup import Html, breakable, element, foreign, joined
from comfylock.report.overview.matrix import matrix, workflows
from comfylock.report.overview.parts import Part, contents, heads, part, state_badge
from comfylock.report.overview.sizes import bar, colours_of, folders
from comfylock.report.overview.style import STYLE
from comfylock.report.sentences import counted


def webpage(overview: Overview) -> str:
    """Return the page; equal overviews give equal bytes."""
    rows = rows_of(overview)
    title = f"Models of {overview.title}"
    parts = [
        one
        for one in (
            _missing(overview),
            folders(overview),
            _models(rows, overview),
            workflows(overview),
            matrix(rows, overview),
            _meanings(rows),
        )
        if one is not None
    ]
    body = element(
        "body",
        element(
            "header",
            element("h1", "Models of ", foreign(overview.title)),
            element("p", verdict(overview), class_="verdict"),
            _figures(overview),
            contents(parts),
        ),
        element("main", *(one.html for one in parts)),
        element("footer", element("p", _FOOT)),
    )
    return f"<!doctype html>\n{element('html', _head(title), body, lang='en')}\n"


_MOST_NAMES = 8
_FOOT = "Made by comfylock from comfy.lock and the models folder, without any request."


def _head(title: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(STYLE)),
    )


def _figures(overview: Overview) -> Html:
    locked = len(overview.lock.models)
    figures: list[tuple[str, str, str | None]] = [
        ("workflows", str(len(overview.lock.workflows)), None),
        ("models locked", str(locked), None),
        ("in all", size_text(overview.bytes_locked), None),
    ]
    if overview.standing is not None:
        present = count_in(overview.states.values(), State.PRESENT)
        lacking = locked - present
        figures.append(("here", str(present), "good" if not lacking else None))
        figures.append(("not here", str(lacking), "bad" if lacking else None))
    if overview.unresolved:
        figures.append(("not pinned", str(len(overview.unresolved)), "bad"))
    tiles = [
        element("div", element("dt", name), element("dd", value), class_=mood)
        for name, value, mood in figures
    ]
    return element("dl", *tiles, class_="figures")


# -------------------------------------------------------------------------- what is missing


def _missing(overview: Overview) -> Part | None:
    advice = advice_of(overview)
    if overview.standing is None:
        note = "No models folder is known on the machine that made this page, so it does not say "
        told = element("p", f"{note}which models are there.", class_="note")
        items = [element("ul", *map(_advice, advice), class_="advice")] if advice else []
        return part("missing", "What is missing", told, *items)
    if not advice:
        return None
    return part("missing", "What is missing", element("ul", *map(_advice, advice), class_="advice"))


def _advice(advice: Advice) -> Html:
    several = len(advice.rows) > 1
    parts = [element("h3", *([] if several else _subject(advice.rows)), advice.what)]
    if advice.command is not None:
        parts.append(element("pre", element("code", *_command(advice.command))))
    if advice.more:
        parts.append(element("p", _with_commands(advice.more), class_="note"))
    if several:
        parts += _names(advice.rows)
    return element("li", *parts)


def _names(rows: Sequence[Row]) -> Iterator[Html]:
    """Yield the models of one piece of advice; those beyond the first few wait to be asked for."""
    yield _list(rows[:_MOST_NAMES])
    if rest := rows[_MOST_NAMES:]:
        yield element("details", element("summary", f"and {len(rest)} more"), _list(rest))


def _list(rows: Iterable[Row]) -> Html:
    return element("ul", *(element("li", *_line(row)) for row in rows))


def _with_commands(text: str) -> Html:
    """Return a sentence whose parts between backticks are shown as what one types."""
    parts = text.split("`")
    return joined(
        *(element("code", part) if place % 2 else part for place, part in enumerate(parts))
    )


def _command(text: str) -> Iterator[Html]:
    """Yield a command whose options are not broken into lines at their hyphens."""
    for place, word in enumerate(text.split(" ")):
        option = element("span", word, class_="option") if word.startswith("-") else joined(word)
        yield joined(" " * bool(place), option)


def _subject(rows: Sequence[Row]) -> list[Html]:
    if not rows:
        return []
    line = element("span", *_line(rows[0]), class_="more")
    return [line]


def _line(row: Row) -> list[Html]:
    size = [] if row.size is None else [element("span", size_text(row.size), class_="bytes")]
    return [
        element("span", breakable(row.ref), class_="path"),
        *(joined(" ", one) for one in size),
        joined(" "),
        state_badge(row),
    ]


# ---------------------------------------------------------------------------------- models


def _models(rows: Sequence[Row], overview: Overview) -> Part:
    if not rows:
        return part("models", "Models", element("p", "comfy.lock holds no models."))
    largest = max((row.size or 0 for row in rows), default=0)
    colours = colours_of(overview)
    states = any(row.state is not None for row in rows)
    head = [("model", None), ("size and state" if states else "size", "size")]
    return part(
        "models",
        "Models",
        element(
            "table",
            element(
                "caption", "Every locked file: what it is, where it comes from, what it rests on."
            ),
            element("thead", element("tr", *heads(head))),
            *_model_groups(rows, largest, colours),
        ),
    )


def _model_groups(rows: Sequence[Row], largest: int, colours: Mapping[str, str]) -> Iterator[Html]:
    for (pinned, folder), group in groupby(rows, key=lambda row: (row.pin is not None, row.folder)):
        listed = list(group)
        told = counted(len(listed), "model") if pinned else "not pinned"
        head = element(
            "th", breakable(folder), element("span", f"  {told}", class_="note"),
            scope="rowgroup", colspan=2,
        )  # fmt: skip
        yield element(
            "tbody",
            element("tr", head, class_="group"),
            *(_model_row(row, largest, colours.get(folder, "f6")) for row in listed),
        )


def _model_row(row: Row, largest: int, colour: str) -> Html:
    name = element("span", breakable(split_key(row.ref)[1] or row.ref), class_="name")
    size: list[Html] = []
    if row.pin is not None:
        text = "unknown size" if row.size is None else size_text(row.size)
        size = [element("span", text, class_="bytes"), joined(" ")]
    picture = bar(row.size, largest, colour) if row.size is not None else Html()
    return element(
        "tr",
        element("th", name, *_what_it_is(row), scope="row"),
        element(
            "td", element("div", *size, state_badge(row), class_="facts"), picture, class_="size"
        ),
    )


def _what_it_is(row: Row) -> list[Html]:
    pin = row.pin
    if pin is None:
        return [_needed_by(row)]
    named = [foreign(text) for text in (pin.name, pin.base_model) if text]
    lines = [_with_dots(named)] if named else []
    lines.append(joined(_with_dots(map(_source, pin.sources)), *_signs(pin)))
    return [
        *(element("span", line, class_="more") for line in lines),
        element("div", _needed_by(row), _hashes(pin), class_="folded"),
    ]


def _needed_by(row: Row) -> Html:
    if not row.workflows:
        return element("span", "no workflow needs it", class_="note")
    paths = (element("div", breakable(path)) for path in row.workflows)
    told = f"needed by {counted(len(row.workflows), 'workflow')}"
    return element("details", element("summary", told), *paths)


def _with_dots(parts: Iterable[Html]) -> Html:
    return Html(" · ".join(parts))


def _source(source: Source) -> Html:
    address, name = page_address(source), breakable(place_name(source))
    if address is None:
        return name
    return element("a", name, href=address, rel="noopener noreferrer nofollow")


def _signs(pin: Pin) -> Iterator[Html]:
    if not pin.sources:
        yield element("span", "no source", class_="badge careful")
    yield joined(" ")
    mood = "badge careful" if pin.evidence is Evidence.FILENAME else "badge"
    yield element("span", EVIDENCE_LABELS[pin.evidence], class_=mood)
    if pin.may_run_code:
        yield joined(" ")
        yield element("span", "may run code when loaded", class_="badge careful")


def _hashes(pin: Pin) -> Html:
    named = (("SHA-256", pin.digests.sha256), ("BLAKE3", pin.digests.blake3))
    lines = [
        element("div", f"{name} ", element("code", digest)) for name, digest in named if digest
    ]
    return element("details", element("summary", "hashes"), *lines)


def _meanings(rows: Iterable[Row]) -> Part | None:
    seen = {row.pin.evidence for row in rows if row.pin is not None}
    pairs = [
        joined(
            element("dt", element("span", EVIDENCE_LABELS[evidence], class_="badge")),
            element("dd", EVIDENCE_MEANINGS[evidence]),
        )
        for evidence in Evidence
        if evidence in seen
    ]
    if not pairs:
        return None
    return part("evidence", "What a pin rests on", element("dl", *pairs, class_="meanings"))
