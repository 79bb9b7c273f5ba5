"""The documents of `lock`, `pin`, `unpin`, `ignore`, `update` and `outdated`."""

from typing import NotRequired, TypedDict

from comfylock.operations.freshness import LockState
from comfylock.report.documents.pins import Candidate, Change, Difference, Missed, Unmoved


class LockSummary(TypedDict):
    """`written` is missing with --check, `differences` without it."""

    workflows: int
    models: int
    changed: NotRequired[int]
    unresolved: NotRequired[int]
    written: NotRequired[bool]
    differences: NotRequired[int]


class LockDocument(TypedDict):
    """`lock` and `differences` are there with --check, what is said of pins without it."""

    lock: NotRequired[LockState]
    changes: list[Change]
    unresolved: list[Missed]
    ambiguous: list[Missed]
    differences: NotRequired[list[Difference]]
    unmoved: NotRequired[list[Unmoved]]
    warnings: NotRequired[list[str]]
    learned: NotRequired[dict[str, str | None]]
    summary: LockSummary


class ChosenSummary(TypedDict):
    """How much was said and changed."""

    said: int
    changed: int
    unresolved: int


class ChosenDocument(TypedDict):
    """`said` holds the lines that went into comfylock.toml."""

    said: list[str]
    changes: list[Change]
    unresolved: list[Missed]
    ambiguous: list[Missed]
    summary: ChosenSummary


class Current(TypedDict):
    """A pin as it stands; ids are Civitai's."""

    model: int | None
    version: int | None
    file: int | None
    name: str | None
    size: int | None


class Newer(TypedDict):
    """A pin that has a newer version."""

    ref: str
    current: Current
    newest: Candidate


class OutdatedSummary(TypedDict):
    """How many models were looked at, and what came of it."""

    models: int
    outdated: int
    ambiguous: int
    unmoved: int
    failed: int


class OutdatedDocument(TypedDict):
    """What has a newer version."""

    outdated: list[Newer]
    ambiguous: list[Missed]
    unmoved: list[Unmoved]
    summary: OutdatedSummary
