"""The report as Markdown, for a repository's page or a comment."""

from collections.abc import Iterator, Sequence

from comfylock.artifacts import Source
from comfylock.exports.links import page_address
from comfylock.lockfile.model import Pin
from comfylock.operations.report import Overview
from comfylock.progress import size_text
from comfylock.report.markdown import code, link, plain, sentence, table
from comfylock.report.overview.facts import (
    EVIDENCE_LABELS,
    STATE_WORDS,
    Advice,
    Row,
    advice_of,
    open_count,
    place_name,
    rows_of,
    verdict,
    workflow_bytes,
)

#: More columns than this are no table that anyone reads: then each model lists its workflows.
_MOST_COLUMNS = 8
_BAR_CHARACTERS = 20
_MOST_NAMES = 10


def markdown_report(overview: Overview) -> str:
    """Return the report; equal overviews give equal bytes."""
    rows = rows_of(overview)
    parts = [
        [f"# Models of {plain(overview.title)}", "", f"{verdict(overview)}."],
        _missing(overview),
        _folders(overview),
        _models(rows),
        _workflows(overview),
        _matrix(rows, sorted(overview.lock.workflows)),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _missing(overview: Overview) -> list[str]:
    advice = advice_of(overview)
    lines = [line for one in advice for line in _advice(one)]
    if overview.standing is None:
        lines.insert(
            0, "No models folder is known here, so this does not say which models are there."
        )
    return ["## What is missing", "", *lines] if lines else []


def _advice(advice: Advice) -> Iterator[str]:
    told = plain(advice.what)
    if advice.command is not None:
        told += f". Run {code(advice.command)}"
    if advice.more:
        told += f". {sentence(advice.more)}"
    if len(advice.rows) == 1:
        yield f"- {code(advice.rows[0].ref)}: {told}."
    else:
        yield f"- {told}{':' if advice.rows else '.'}"
        yield from (f"  - {code(row.ref)}{_size(row)}" for row in advice.rows[:_MOST_NAMES])
        if (more := len(advice.rows) - _MOST_NAMES) > 0:
            yield f"  - and {more} more, which the table of models tells"


def _size(row: Row) -> str:
    return "" if row.size is None else f", {size_text(row.size)}"


def _folders(overview: Overview) -> list[str]:
    if not overview.folders:
        return []
    total = max(sum(use.bytes_locked for use in overview.folders), 1)
    rows = [
        (
            code(use.folder),
            str(use.models),
            size_text(use.bytes_locked),
            "" if use.bytes_here is None else size_text(use.bytes_here),
            _bar(use.bytes_locked / total),
        )
        for use in overview.folders
    ]
    head = ("folder", "models:", "size:", "here:", "share")
    return ["## Where the bytes are", "", *table(head, rows)]


def _bar(share: float) -> str:
    filled = round(share * _BAR_CHARACTERS)
    return f"`{'█' * filled}{'░' * (_BAR_CHARACTERS - filled)}`"


def _models(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["## Models", "", "comfy.lock holds no models."]
    cells = [
        (
            code(row.ref),
            "" if row.pin is None else _what(row.pin),
            "" if row.size is None else size_text(row.size),
            "" if row.pin is None else _origin(row.pin),
            "" if row.pin is None else _rests_on(row.pin),
            "" if row.state is None else STATE_WORDS[row.state],
        )
        for row in rows
    ]
    head = ("model", "what", "size:", "source", "evidence", "state")
    return ["## Models", "", *table(head, cells)]


def _what(pin: Pin) -> str:
    return "<br>".join(plain(text) for text in (pin.name, pin.base_model) if text)


def _origin(pin: Pin) -> str:
    return "<br>".join(map(_source, pin.sources)) or "none"


def _source(source: Source) -> str:
    address = page_address(source)
    return plain(place_name(source)) if address is None else link(place_name(source), address)


def _rests_on(pin: Pin) -> str:
    tail = "<br>may run code when loaded" if pin.may_run_code else ""
    return f"{EVIDENCE_LABELS[pin.evidence]}{tail}"


def _workflows(overview: Overview) -> list[str]:
    rows = [
        (
            code(path),
            str(len(entry.models) + len(entry.unresolved)),
            size_text(workflow_bytes(overview, path)),
            str(open_count(overview, path)),
        )
        for path, entry in sorted(overview.lock.workflows.items())
    ]
    head = ("workflow", "models:", "size:", "open:")
    return ["## Workflows", "", *table(head, rows)] if rows else []


def _matrix(rows: Sequence[Row], paths: Sequence[str]) -> list[str]:
    if not rows or not paths:
        return []
    if len(paths) > _MOST_COLUMNS:
        lists = [(code(row.ref), "<br>".join(map(code, row.workflows))) for row in rows]
        return ["## Workflows by models", "", *table(("model", "needed by"), lists)]
    cells = [
        (code(row.ref), *("●" if path in row.workflows else "" for path in paths)) for row in rows
    ]
    return ["## Workflows by models", "", *table(("model", *map(code, paths)), cells)]
