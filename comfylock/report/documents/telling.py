"""The documents of `diff`, `report` and `export`."""

from typing import TypedDict

from comfylock.lockfile.changes import ChangeKind
from comfylock.lockfile.review import Alarm
from comfylock.operations.export import ExportFormat
from comfylock.operations.freshness import LockState
from comfylock.operations.status import State
from comfylock.report.documents.pins import Change, PinFields


class AlarmFields(TypedDict):
    """What is unusual about a change."""

    slug: Alarm
    message: str


class ReviewedChange(Change):
    """A changed pin as a reviewer sees it; `repinned`: other bytes."""

    repinned: bool
    old: PinFields | None
    new: PinFields | None
    workflows: list[str]
    alarms: list[AlarmFields]


class ReviewedWorkflow(TypedDict):
    """A workflow whose needs changed."""

    path: str
    change: ChangeKind
    added: list[str]
    removed: list[str]
    unresolved: list[str]
    dropped: list[str]


class DiffSummary(TypedDict):
    """Numbers of changes."""

    added: int
    removed: int
    repinned: int
    described: int
    workflows: int
    alarms: int
    bytes_before: int
    bytes_after: int


class DiffDocument(TypedDict):
    """What differs between two locks."""

    old: str
    new: str
    equal: bool
    changes: list[ReviewedChange]
    workflows: list[ReviewedWorkflow]
    new_hosts: list[str]
    summary: DiffSummary


class ReportedModel(TypedDict):
    """A model and how it stands; no state where no models folder is known."""

    ref: str
    state: State | None
    slug: str | None
    workflows: list[str]
    pin: PinFields | None


class ReportedWorkflow(TypedDict):
    """A workflow and what it needs."""

    path: str
    models: list[str]
    unresolved: list[str]


class ReportedFolder(TypedDict):
    """How much of a ComfyUI folder the lock needs, and how much of that is here."""

    folder: str
    models: int
    bytes: int
    bytes_here: int | None


class ReportSummary(TypedDict):
    """Numbers of models by state, null where no models folder is known."""

    present: int | None
    missing: int | None
    different: int | None
    blocked: int | None
    unresolved: int
    models: int
    workflows: int
    bytes: int
    bytes_to_fetch: int | None


class ReportDocument(TypedDict):
    """An overview of workflows and models."""

    title: str
    lock: LockState | None
    models: list[ReportedModel]
    workflows: list[ReportedWorkflow]
    folders: list[ReportedFolder]
    summary: ReportSummary


class ExportSummary(TypedDict):
    """How many models there are, and how many are not in the export."""

    models: int
    problems: int


class ExportDocument(TypedDict):
    """`text` is the export, null where it was written to `output`."""

    format: ExportFormat
    output: str | None
    text: str | None
    summary: ExportSummary
