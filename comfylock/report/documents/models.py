"""The documents of `install`, `status`, `check` and `verify`."""

from typing import NotRequired, TypedDict

from comfylock.operations.freshness import LockState
from comfylock.operations.status import State
from comfylock.outcomes import Status
from comfylock.report.documents.pins import Difference


class Planned(TypedDict):
    """One action; `alias` is the spelling where it is about one."""

    ref: str
    alias: str | None
    action: str
    path: str
    bytes: int | None
    size: int | None
    frees: int
    slug: str | None


class Result(TypedDict):
    """How one action ended."""

    ref: str
    alias: str | None
    action: str
    status: Status
    slug: str | None
    path: str
    bytes: int
    moved_aside: str | None


class InstallSummary(TypedDict):
    """Numbers of models by action, and what came of them."""

    keep: int
    link: int
    download: int
    replace: int
    blocked: int
    remove: int
    aliases: int
    models: int
    done: int
    failed: int
    unresolved: int
    bytes: int
    frees: int
    hashed: int


class InstallDocument(TypedDict):
    """The plan, and with anything but a dry run its outcomes; no `lock` where nobody looked."""

    plan: list[Planned]
    results: list[Result]
    lock: LockState | None
    unresolved: list[str]
    summary: InstallSummary


class ModelState(TypedDict):
    """How one model stands."""

    ref: str
    state: State
    path: str | None
    size: int | None
    slug: str | None


class StatusSummary(TypedDict):
    """Numbers of models by state; `findings` with check and verify."""

    present: int
    missing: int
    different: int
    blocked: int
    unresolved: int
    models: int
    bytes_to_fetch: int
    links: int
    findings: NotRequired[int]


class StatusDocument(TypedDict):
    """What is not as comfy.lock says."""

    models: list[ModelState]
    lock: LockState
    differences: list[Difference]
    warnings: list[str]
    summary: StatusSummary
