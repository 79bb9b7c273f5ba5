"""The lines of `install --json-lines`, by the type that each begins with.

`docs/schemas/install-lines.json` is made from these; `report/json_lines.py` says in which order
they come.
"""

from typing import TypedDict

from comfylock.report.documents.models import InstallSummary, Planned, Result
from comfylock.report.documents.pins import Error


class NoSummary(TypedDict):
    """An install that could not begin has no numbers."""


class VersionLine(TypedDict):
    """The first line: the version of this schema, and of comfylock."""

    schema: int
    comfylock: str


class PlanLine(TypedDict):
    """What will be done: the entries are those of `install --json`."""

    models: int
    bytes: int
    plan: list[Planned]


class StartLine(TypedDict):
    """One act begins: download, link, hash or remove; of hash, `ref` is the path of the file."""

    ref: str
    alias: str | None
    act: str
    total_bytes: int | None
    done_bytes: int


class ProgressLine(TypedDict):
    """How far an act is, at most once a second for each model."""

    ref: str
    alias: str | None
    done_bytes: int
    total_bytes: int | None


class CompleteLine(TypedDict):
    """An act has ended; `act` is null where it never began."""

    ref: str
    alias: str | None
    act: str | None
    ok: bool
    bytes: int
    slug: str | None
    message: str | None


class MessageLine(TypedDict):
    """What concerns no model alone; notes come with `--verbose` only."""

    message: str


class SummaryLine(TypedDict):
    """The last line."""

    ok: bool
    exit_code: int
    results: list[Result]
    summary: InstallSummary | NoSummary


#: By type, in the order in which they may come.
LINES: dict[str, type] = {
    "version": VersionLine,
    "plan": PlanLine,
    "start": StartLine,
    "progress": ProgressLine,
    "complete": CompleteLine,
    "warning": MessageLine,
    "note": MessageLine,
    "error": Error,
    "summary": SummaryLine,
}
