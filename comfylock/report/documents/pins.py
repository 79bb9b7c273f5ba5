"""What many documents hold: pins, candidates, changes, and what every document begins with.

A document is a `Head` and the fields of its command; one that tells why a command could not go on
has the head alone. Fields may be added, none is taken away or changes its meaning while `schema`
stays the same.
"""

from typing import NotRequired, TypedDict

from comfylock.lockfile.changes import ChangeKind, DifferenceKind
from comfylock.lockfile.model import Evidence


class Error(TypedDict):
    """One thing that went wrong."""

    slug: str
    message: str
    hint: str | None
    ref: str | None


class Head(TypedDict):
    """What every document begins with."""

    schema: int
    command: str
    ok: bool
    errors: list[Error]


#: A file of comfy.lock; keys that later versions add are kept as they are.
PinFields = TypedDict(
    "PinFields",
    {
        "size": NotRequired[int],
        "sha256": NotRequired[str],
        "blake3": NotRequired[str],
        "format": NotRequired[str],
        "evidence": Evidence,
        "name": NotRequired[str],
        "base-model": NotRequired[str],
        "aliases": NotRequired[list[str]],
        "sources": list[dict[str, str | int]],
    },
)


class TreePin(PinFields):
    """A file of comfy.lock with its key."""

    ref: str


class Candidate(TypedDict):
    """A file that may be meant; ids are Civitai's, null for files elsewhere."""

    spec: str
    model: int | None
    version: int | None
    file: int | None
    name: str
    file_name: str
    type: str | None
    base_model: str | None
    size: int | None
    sha256: str | None
    blake3: str | None


class Change(TypedDict):
    """A pin that differs from before."""

    ref: str
    change: ChangeKind
    evidence: Evidence
    old_name: str | None
    name: str | None


class Missed(TypedDict):
    """A reference that is not pinned; one that an earlier run has recorded has no slug."""

    ref: str
    workflows: list[str]
    slug: NotRequired[str]
    candidates: list[Candidate]


class Unmoved(TypedDict):
    """A pin that does not move by itself."""

    ref: str
    reason: str


class Difference(TypedDict):
    """One reason why comfy.lock is stale."""

    workflow: str
    kind: DifferenceKind
    ref: str | None
    alias: str | None


class Skipped(TypedDict):
    """A file that holds no workflow, or none that can be read."""

    path: str
    reason: str
