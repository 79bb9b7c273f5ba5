"""The case that the rungs look at, the answers they can give, and whom they may ask."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from comfylock.addresses import HuggingFaceAddress
from comfylock.artifacts import Artifact, Candidate, HostedFile, ModelVersion, VersionId
from comfylock.candidates import (
    Nobody,
    NoRepositories,
    hash_changed,
    hinted_digests,
    in_order,
)
from comfylock.config import ModelWish
from comfylock.errors import Problem
from comfylock.hashes import Digests
from comfylock.known import KnownFiles
from comfylock.lockfile.model import Evidence, Pin
from comfylock.names import basename, extension, is_pickle, quoted, shown, unsafe_reason
from comfylock.references import Requirement

_FORMATS = {"": "other", ".safetensors": "safetensors", ".sft": "safetensors", ".gguf": "gguf",
            ".onnx": "onnx"}  # fmt: skip


class Catalog(Protocol):
    """What the ladder asks of Civitai. A "not found" is an answer; a fault is a `FetchError`."""

    def by_hashes(self, sha256: Sequence[str]) -> Mapping[str, tuple[ModelVersion, ...]]:
        """Return the versions that hold each content; a digest that is left out is not there."""
        ...

    def by_version(self, version: VersionId) -> ModelVersion | None:
        """Return a version, ``None`` when there is none."""
        ...

    def search_name(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        """Return every file of exactly this name (case aside) of a kind that the folder holds."""
        ...

    def search_alike(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        """Return files that may have names like this one, in no order that means anything."""
        ...


class Repositories(Protocol):
    """What the ladder asks of Hugging Face; likewise."""

    def file_at(self, address: HuggingFaceAddress) -> HostedFile | None:
        """Return a file at the commit that its revision is at now, ``None`` when there is none."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogs:
    """Everything that can be asked; what is left out refuses to answer.

    Attributes:
        civitai: the hub of most checkpoints and LoRAs.
        huggingface: the hub of most other files.
        known: the table of well-known files.
        allowed_hosts: hosts of plain addresses that the user allows, lower case.
    """

    civitai: Catalog = field(default_factory=Nobody)
    huggingface: Repositories = field(default_factory=NoRepositories)
    known: KnownFiles = field(default_factory=KnownFiles)
    allowed_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalMatch:
    """A file that lies in a models folder under the wanted name.

    Attributes:
        path: for messages.
        size: exact bytes.
        digests: of its bytes; SHA-256 is needed for looking it up.
        format: what its bytes are, one of the lock's formats.
        foreign: what its first bytes surely are, where that is no model of its extension.
    """

    path: str
    size: int
    digests: Digests
    format: str
    foreign: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """A rung that did not know, and why; kept for `why`.

    Attributes:
        rung: its name.
        reason: why it did not know.
        hint: what would let it know, ``None`` when nothing the user can do.
    """

    rung: str
    reason: str
    hint: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """The requirement is pinned; the key has an extension now.

    Attributes:
        key: where it belongs.
        pin: what it is pinned to.
        misses: the rungs above that did not know.
        note: what else there is to say of the evidence, such as a table's date.
    """

    key: str
    pin: Pin
    misses: tuple[Miss, ...] = ()
    note: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ambiguous:
    """Several contents could be meant; the user has to say which."""

    key: str
    candidates: tuple[Candidate, ...]
    reason: str
    misses: tuple[Miss, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Unresolved:
    """Nothing pins the requirement; the candidates are only proposals.

    A fault is no answer: a hub could not be asked, or failed.
    """

    key: str
    reason: Problem
    misses: tuple[Miss, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    is_fault: bool = False


Resolution = Resolved | Ambiguous | Unresolved


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One requirement with all that is known before anyone is asked."""

    requirement: Requirement
    old: Pin | None
    wish: ModelWish
    local: LocalMatch | None
    catalogs: Catalogs

    @property
    def key(self) -> str:
        """The requirement's key."""
        return self.requirement.key

    @property
    def name(self) -> str:
        """The wanted file's name, fit to print."""
        return shown(basename(self.requirement.name))

    @property
    def hinted(self) -> frozenset[str]:
        """The SHA-256 digests that the workflows give."""
        return hinted_digests(self.requirement)

    def full_key(self, found: str) -> str:
        """Return the key with an extension; a prompt names an embedding without one."""
        return self.key if extension(self.key) else self.key + extension(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Files that a rung takes for the wanted one; they pin if they are one content."""

    files: tuple[Candidate, ...]
    evidence: Evidence
    note: str | None = None


Step = Found | Miss | Resolution


def pinned(case: Case, pin: Pin) -> Resolution:
    """Return the end of the ladder with this pin, unless its name or its past forbid it."""
    complaint = unsafe_reason(pin.key)
    if complaint is not None:
        problem = Problem(
            slug="unsafe-path",
            message=f"{case.name} cannot be placed: {complaint}",
            hint=f"Correct the name in the workflow, or `comfylock ignore {quoted(case.key)}`",
            ref=case.key,
        )
        return Unresolved(key=case.key, reason=problem)
    changed = hash_changed(case.old, pin) if case.old is not None else None
    if changed is not None:
        return Unresolved(key=case.key, reason=changed)
    return Resolved(key=pin.key, pin=pin)


def kept(case: Case, old: Pin) -> Resolved:
    """Return the end of the ladder with the lock's own entry."""
    return Resolved(key=old.key, pin=replace(old, aliases=case.requirement.aliases))


def ambiguous(case: Case, candidates: Iterable[Candidate], reason: str) -> Ambiguous:
    """Return the end of the ladder where the user has to choose."""
    return Ambiguous(key=case.key, candidates=in_order(candidates), reason=reason)


def unresolved(case: Case, message: str, hint: str) -> Unresolved:
    """Return the end of the ladder where nothing pins."""
    problem = Problem(slug="unresolved", message=message, hint=hint, ref=case.key)
    return Unresolved(key=case.key, reason=problem)


def refused(case: Case, message: str) -> Unresolved:
    """Return the end of the ladder where what is meant must not be pinned."""
    problem = Problem(
        slug="unsafe-format",
        message=message,
        hint="Look for another copy with `comfylock search`, or ignore the reference",
        ref=case.key,
    )
    return Unresolved(key=case.key, reason=problem)


def format_of(name: str) -> str:
    """Return the lock's format of a file by its extension."""
    return "pickle" if is_pickle(name) else _FORMATS.get(extension(name), "other")
