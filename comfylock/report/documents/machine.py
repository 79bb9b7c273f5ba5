"""The documents of `fix-paths`, `cache`, `init`, `doctor` and `auth`."""

from typing import TypedDict

from comfylock.disk.kept import Kind
from comfylock.hubs import Site
from comfylock.operations.findings import Health
from comfylock.operations.init import Act
from comfylock.report.documents.pins import Skipped

#: A name and what it becomes.
RewrittenName = TypedDict("RewrittenName", {"from": str, "to": str})


class RewrittenFile(TypedDict):
    """A workflow in which names change."""

    path: str
    names: list[RewrittenName]
    places: int


class FixSummary(TypedDict):
    """How much was, or would be, rewritten."""

    workflows: int
    files: int
    names: int
    places: int
    written: bool


class FixDocument(TypedDict):
    """Workflows in which names change."""

    files: list[RewrittenFile]
    skipped: list[Skipped]
    summary: FixSummary


class KeptFile(TypedDict):
    """A file that comfylock keeps; one in use is not removed."""

    kind: Kind
    path: str
    size: int
    in_use: bool


class KeptBytes(TypedDict):
    """Bytes by kind."""

    answers: int
    partial: int
    replaced: int


class KeptSummary(TypedDict):
    """How much is kept, or was removed."""

    files: int
    bytes: int
    by_kind: KeptBytes


class StatesSummary(TypedDict):
    """How many folders there are."""

    states: int


class CacheDirDocument(TypedDict):
    """The user's cache, and our folders beside models."""

    cache: str
    states: list[str]
    summary: StatesSummary


class CacheInfoDocument(TypedDict):
    """All that is kept."""

    cache: str
    states: list[str]
    files: list[KeptFile]
    summary: KeptSummary


class ClearedDocument(TypedDict):
    """What was removed, or with a dry run would be."""

    removed: list[KeptFile]
    summary: KeptSummary


class SetUpFile(TypedDict):
    """A file of the first set-up."""

    path: str
    act: Act


class WrittenSummary(TypedDict):
    """How many files were written or added to."""

    written: int


class InitDocument(TypedDict):
    """What was written and found."""

    files: list[SetUpFile]
    workflows: list[str]
    models_dir: str | None
    extra_paths: int
    summary: WrittenSummary


class FindingFields(TypedDict):
    """One thing that was looked at; `fix` is the next step."""

    area: str
    health: Health
    message: str
    fix: str | None
    bytes: int | None


class SettingFields(TypedDict):
    """A setting as it counts, and who says so."""

    name: str
    value: str
    origin: str


class HealthSummary(TypedDict):
    """Numbers of findings."""

    ok: int
    warning: int
    problem: int


class DoctorDocument(TypedDict):
    """What works here and what does not."""

    findings: list[FindingFields]
    settings: list[SettingFields]
    summary: HealthSummary


class LoginSummary(TypedDict):
    """Whether the hub was asked whose key it is."""

    checked: bool


class LoginDocument(TypedDict):
    """Whose key is kept where; the key itself is in no document."""

    site: Site
    account: str | None
    kept: str
    overruled_by: str | None
    summary: LoginSummary


class SignedOut(TypedDict):
    """From where keys were removed, and which variables still hold one."""

    site: Site
    removed: list[str]
    left: list[str]


class LogoutSummary(TypedDict):
    """How many keys were removed."""

    removed: int


class LogoutDocument(TypedDict):
    """What became of the keys."""

    sites: list[SignedOut]
    summary: LogoutSummary


class HeldKey(TypedDict):
    """Where there are keys for a site; the first place is the one that counts.

    A key that can be none (it holds a blank, or a quote of a word processor) is not usable.
    """

    site: Site
    counts: str | None
    places: list[str]
    exposed: bool
    usable: bool | None


class KeysSummary(TypedDict):
    """For how many sites there is a key."""

    keys: int


class AuthStatusDocument(TypedDict):
    """Which key counts for each site."""

    keys: list[HeldKey]
    summary: KeysSummary
