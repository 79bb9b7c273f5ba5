"""The documents of `scan`, `search`, `why` and `tree`."""

from typing import TypedDict

from comfylock.lockfile.model import Evidence
from comfylock.references import Found, HintKind, ReferenceKind
from comfylock.report.documents.pins import Candidate, PinFields, Skipped, TreePin


class Hint(TypedDict):
    """What a workflow says of a model beside its name."""

    kind: HintKind
    value: str


class Reference(TypedDict):
    """One input of one node that names a model; `name` is verbatim."""

    workflow: str
    node: str
    type: str
    input: str
    name: str
    folder: str | None
    key: str | None
    kind: ReferenceKind
    active: bool
    found: Found
    hints: list[Hint]


class ScanSummary(TypedDict):
    """How much was found."""

    workflows: int
    references: int
    models: int
    inactive: int
    skipped: int


class ScanDocument(TypedDict):
    """The references in workflows."""

    references: list[Reference]
    skipped: list[Skipped]
    warnings: list[str]
    learned: dict[str, str | None]
    summary: ScanSummary


class SearchSummary(TypedDict):
    """How many files were found, and how many more there are."""

    candidates: int
    left_out: int


class SearchDocument(TypedDict):
    """Files on Civitai."""

    candidates: list[Candidate]
    summary: SearchSummary


class Need(TypedDict):
    """One node that needs a model."""

    workflow: str
    node: str
    type: str
    input: str
    name: str
    active: bool


class RungMiss(TypedDict):
    """Why one kind of evidence says nothing."""

    rung: str
    reason: str


class WhySummary(TypedDict):
    """Whether and how it is pinned."""

    pinned: bool
    evidence: Evidence | None
    references: int


class WhyDocument(TypedDict):
    """`pin` is what is locked, `found` what the evidence says now."""

    ref: str
    needed_by: list[Need]
    workflows: list[str]
    pin: PinFields | None
    found: PinFields | None
    misses: list[RungMiss]
    reason: str | None
    candidates: list[Candidate]
    summary: WhySummary


class Branch(TypedDict):
    """One workflow and what it needs."""

    path: str
    models: list[TreePin]
    unresolved: list[str]


class TreeSummary(TypedDict):
    """How much there is; a model that several need counts once."""

    workflows: int
    models: int
    unresolved: int
    bytes: int


class TreeDocument(TypedDict):
    """What each workflow needs."""

    workflows: list[Branch]
    summary: TreeSummary
