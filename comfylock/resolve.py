"""Requirement to pin, by a ladder of evidence; the first rung that knows decides.

The ladder: the user's word, the lock's own entry, the hash of a local file, what the workflow
embeds, the table of well-known files, one exact file name on the hub, the local file alone.

Rules:

- Nothing is guessed. Several contents for one name are `Ambiguous`; likeness only proposes.
- A fault of the catalogue ends the ladder: a lower rung might pin another file than the one that
  the rung in trouble would have found, and the lock would depend on the weather.
- What the user or the workflow knows by hash is never overruled by a name.

Pure but for the questions to its `Catalog`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from comfylock.addresses import CivitaiAddress, HuggingFaceAddress, parse_address, parse_pin
from comfylock.artifacts import (
    Artifact,
    HuggingFaceSource,
    ModelVersion,
    VersionId,
)
from comfylock.candidates import (
    Nobody,
    belongs,
    contents,
    contradicts_hints,
    follows,
    hash_changed,
    hinted_addresses,
    hinted_digests,
    is_meant,
    locked_among,
    most_alike_first,
    of_content,
    oldest_first,
    same_name,
    stem,
    why_no_file,
)
from comfylock.config import ModelWish
from comfylock.errors import FetchError, Problem
from comfylock.hashes import Digests
from comfylock.lockfile.model import Evidence, Pin
from comfylock.matching import name_words
from comfylock.names import basename, extension, is_pickle, shown, unsafe_reason
from comfylock.references import Requirement

_FORMATS = {"": "other", ".safetensors": "safetensors", ".sft": "safetensors", ".gguf": "gguf",
            ".onnx": "onnx"}  # fmt: skip


class Catalog(Protocol):
    """What the ladder asks of a hub. A "not found" is an answer; a fault is a `FetchError`."""

    def by_hashes(self, sha256: Sequence[str]) -> Mapping[str, tuple[ModelVersion, ...]]:
        """Return the versions that hold each content; a digest that is left out is not there."""
        ...

    def by_version(self, version: VersionId) -> ModelVersion | None:
        """Return a version, ``None`` when there is none."""
        ...

    def search_name(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        """Return every file of exactly this name (case aside) of a kind that the folder holds."""
        ...

    def search_text(self, text: str) -> tuple[Artifact, ...]:
        """Return files that may have to do with a text."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalMatch:
    """A file that lies in a models folder under the wanted name.

    Attributes:
        path: for messages.
        size: exact bytes.
        digests: of its bytes; SHA-256 is needed for looking it up.
        format: what its bytes are, one of the lock's formats.
    """

    path: str
    size: int
    digests: Digests
    format: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """A rung that did not know, and why; kept for `why`."""

    rung: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """The requirement is pinned; the key has an extension now."""

    key: str
    pin: Pin
    misses: tuple[Miss, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Ambiguous:
    """Several contents could be meant; the user has to say which."""

    key: str
    candidates: tuple[Artifact, ...]
    reason: str
    misses: tuple[Miss, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Unresolved:
    """Nothing pins the requirement; the candidates are only proposals."""

    key: str
    reason: Problem
    misses: tuple[Miss, ...] = ()
    candidates: tuple[Artifact, ...] = ()


Resolution = Resolved | Ambiguous | Unresolved


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """One requirement with all that is known before anyone is asked."""

    requirement: Requirement
    old: Pin | None
    wish: ModelWish
    local: LocalMatch | None
    catalog: Catalog

    @property
    def key(self) -> str:
        return self.requirement.key

    @property
    def name(self) -> str:
        return shown(basename(self.requirement.name))

    @property
    def hinted(self) -> frozenset[str]:
        return hinted_digests(self.requirement)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """Files that a rung takes for the wanted one; they pin if they are one content."""

    artifacts: tuple[Artifact, ...]
    evidence: Evidence


_Step = _Found | Miss | Resolution
_Rung = Callable[[_Case], _Step | None]


def resolve(
    requirement: Requirement,
    *,
    old: Pin | None,
    wish: ModelWish | None,
    local: LocalMatch | None,
    catalog: Catalog | None,
    rungs: tuple[str, ...],
) -> Resolution:
    """Return what a requirement is pinned to, or why it is not.

    Args:
        requirement: the wanted file.
        old: the lock's entry for it, kept as it is unless the user's word says otherwise.
            ``None`` to resolve anew.
        wish: what comfylock.toml says of it.
        local: the file of that name in a models folder, hashed.
        catalog: whom to ask; ``None`` when nobody can be asked.
        rungs: names of the evidence that may pin without asking. The user's own word and the
            user's own file need no leave.
    """
    case = _Case(
        requirement=requirement,
        old=old,
        wish=wish or ModelWish(),
        local=local,
        catalog=catalog or Nobody(),
    )
    misses: list[Miss] = []
    for name, rung in _LADDER:
        if name in _OPTIONAL and name not in rungs:
            continue
        try:
            step = rung(case)
            ended = _settled(case, step) if isinstance(step, _Found) else step
        except FetchError as error:
            ended = Unresolved(key=case.key, reason=error.problem(case.key))
        if isinstance(ended, Miss):
            misses.append(ended)
        elif ended is not None:
            return replace(ended, misses=tuple(misses))
    return _given_up(case, tuple(misses), may_propose="filename" in rungs)


def _from_wish(case: _Case) -> _Step | None:
    if case.wish.local:
        return _private(case)
    if case.wish.pin is None:
        return None
    address = parse_pin(case.wish.pin) or parse_address(case.wish.pin)
    if not isinstance(address, CivitaiAddress) or address.version is None:
        return _unresolved(
            case,
            f"comfylock.toml pins it to {shown(case.wish.pin)!r}, which names no Civitai version",
            "Pin it as `civitai:VERSION` or `civitai:VERSION/FILE`.",
        )
    if case.old is not None and follows(case.old, address):
        return _kept(case, case.old)
    version = case.catalog.by_version(address.version)
    if version is None:
        return _unresolved(
            case,
            f"comfylock.toml pins it to Civitai version {address.version}, which is not there",
            "Look for another with `comfylock search`, then `comfylock pin` it.",
        )
    return _meant_in(case, version, address)


def _private(case: _Case) -> _Step:
    if case.old is not None and case.old.evidence is Evidence.LOCAL:
        return _kept(case, case.old)
    step = _from_local_alone(case)
    if not isinstance(step, Miss):
        return step
    return _unresolved(
        case,
        f"comfylock.toml says that it is a local file, and {step.reason}",
        "Put the file into a models folder and lock again.",
    )


def _meant_in(case: _Case, version: ModelVersion, address: CivitaiAddress) -> _Step:
    """Choose the file of a version that the user pinned; the name need not be the same."""
    if address.file is not None:
        meant = tuple(one for one in version.files if one.source.file == address.file)
    else:
        fitting = [one for one in version.files if belongs(one, case.requirement.folder)]
        named = [one for one in fitting if same_name(case.requirement.name, one.file_name)]
        meant = tuple(named or fitting)
    if meant:
        return _Found(artifacts=meant, evidence=Evidence.PINNED)
    wanted = f"file {address.file}" if address.file is not None else "file for this folder"
    return replace(
        _unresolved(
            case,
            f"Civitai version {version.version} has no {wanted}",
            "Pin one of its files as `civitai:VERSION/FILE`.",
        ),
        candidates=version.files,
    )


def _from_lock(case: _Case) -> _Step | None:
    """Keep the lock's entry; one that rests on a word which the user took back is not kept."""
    if case.old is None or case.old.evidence is Evidence.PINNED:
        return None
    return _kept(case, case.old)


def _from_local_hash(case: _Case) -> _Step:
    if case.local is None:
        return Miss(rung="hash", reason="no file of this name is in a models folder")
    digest = case.local.digests.sha256
    if digest is None:
        return Miss(rung="hash", reason=f"{case.local.path} was not hashed with SHA-256")
    versions = case.catalog.by_hashes([digest]).get(digest, ())
    artifacts = of_content(versions, frozenset({digest}))
    if artifacts:
        return _Found(artifacts=artifacts, evidence=Evidence.HASH)
    if versions:
        return Miss(
            rung="hash",
            reason=f"Civitai version {versions[0].version} had it and no longer shows the file",
        )
    return Miss(rung="hash", reason=f"Civitai does not know the content of {case.local.path}")


def _from_embedded(case: _Case) -> _Step:
    if not case.requirement.hints:
        return Miss(rung="embedded", reason="the workflow says nothing of it but the name")
    addresses = hinted_addresses(case.requirement)
    found: list[Artifact] = []
    if case.hinted:
        for versions in case.catalog.by_hashes(sorted(case.hinted)).values():
            found += of_content(versions, case.hinted)
    for address in addresses:
        if isinstance(address, CivitaiAddress) and address.version is not None:
            version = case.catalog.by_version(address.version)
            files = version.files if version is not None else ()
            found += (one for one in files if is_meant(case.requirement, address, one))
    if found:
        return _Found(artifacts=tuple(found), evidence=Evidence.EMBEDDED)
    exact = [one for one in addresses if isinstance(one, HuggingFaceAddress)]
    return _from_exact_revision(case, exact) or Miss(
        rung="embedded", reason=why_no_file(case.requirement)
    )


def _from_exact_revision(case: _Case, addresses: Iterable[HuggingFaceAddress]) -> _Step | None:
    """Pin a file of one Hugging Face commit whose hash the workflow gives: nothing is left open."""
    for address in addresses:
        if address.is_exact and len(case.hinted) == 1:
            name = basename(address.file)
            if same_name(case.requirement.name, name):
                source = HuggingFaceSource(
                    repo=address.repo, revision=address.revision, file=address.file
                )
                pin = Pin(
                    key=_full_key(case, name),
                    size=None,
                    digests=Digests(sha256=min(case.hinted)),
                    evidence=Evidence.EMBEDDED,
                    format=format_of(name),
                    aliases=case.requirement.aliases,
                    sources=(source,),
                )
                return _pinned(case, pin)
    return None


def _from_known(case: _Case) -> _Step:
    return Miss(rung="known", reason=f"no table of well-known files names {case.name}")


def _from_file_name(case: _Case) -> _Step:
    found = case.catalog.search_name(case.requirement.name, case.requirement.folder)
    if not found:
        return Miss(rung="filename", reason="Civitai's search shows no file of exactly this name")
    if not any(one.digests for one in found):
        return replace(
            _unresolved(
                case,
                f"Civitai has {case.name} and no full hash of it, so it cannot be pinned",
                "Lock again when it is scanned, or download it once and lock again.",
            ),
            candidates=found,
        )
    if any(contradicts_hints(case.requirement, one) for one in found):
        return _ambiguous(case, found, "the workflow gives another hash than Civitai's file has")
    if case.local is not None and any(one.digests.contradicts(case.local.digests) for one in found):
        return _ambiguous(
            case, found, f"{case.local.path} has other bytes than Civitai's file of this name"
        )
    return _Found(artifacts=found, evidence=Evidence.FILENAME)


def _from_local_alone(case: _Case) -> _Step:
    local = case.local
    if local is None:
        return Miss(rung="local", reason="no file of this name is in a models folder")
    if not local.digests:
        return Miss(rung="local", reason=f"{local.path} was not hashed")
    if case.hinted and local.digests.sha256 not in case.hinted:
        return Miss(rung="local", reason=f"{local.path} has not the hash that the workflow gives")
    pin = Pin(
        key=_full_key(case, local.path),
        size=local.size,
        digests=local.digests,
        evidence=Evidence.LOCAL,
        format=local.format,
        aliases=case.requirement.aliases,
    )
    return _pinned(case, pin)


_LADDER: tuple[tuple[str, _Rung], ...] = (
    ("pinned", _from_wish),
    ("lock", _from_lock),
    ("hash", _from_local_hash),
    ("embedded", _from_embedded),
    ("known", _from_known),
    ("filename", _from_file_name),
    ("local", _from_local_alone),
)
_OPTIONAL = frozenset({"hash", "embedded", "known", "filename"})


def _settled(case: _Case, found: _Found) -> Resolution:
    """Pin what was found, if it is one content that may be pinned."""
    artifacts = oldest_first(found.artifacts)
    if len(contents(artifacts)) > 1:
        return _ambiguous(case, artifacts, "several files of different content could be meant")
    chosen = locked_among(case.old, artifacts) or artifacts[0]
    if any(one.unsafe for one in artifacts):
        return _refused(case, f"Civitai's scan calls {shown(chosen.file_name)} dangerous")
    if not chosen.digests:
        return _unresolved(
            case,
            f"Civitai has no full hash of {shown(chosen.file_name)}, so it cannot be pinned",
            "Lock again when it is scanned, or download it once and lock again.",
        )
    if is_pickle(chosen.file_name) and extension(case.key) and not is_pickle(case.key):
        return _refused(case, f"{shown(chosen.file_name)} is a pickle under another name")
    return _pinned(case, _pin_of(case, chosen, found.evidence))


def _pin_of(case: _Case, chosen: Artifact, evidence: Evidence) -> Pin:
    """Return the pin of an artifact; of a local file, size, hashes and format are its own."""
    measured = case.local if evidence is Evidence.HASH else None
    return Pin(
        key=_full_key(case, chosen.file_name),
        size=measured.size if measured else chosen.size_hint,
        digests=measured.digests.combined(chosen.digests) if measured else chosen.digests,
        evidence=evidence,
        format=measured.format if measured else format_of(chosen.file_name),
        aliases=case.requirement.aliases,
        name=shown(chosen.title),
        base_model=shown(chosen.base_model) or None,
        sources=(chosen.source,),
    )


def _pinned(case: _Case, pin: Pin) -> Resolution:
    complaint = unsafe_reason(pin.key)
    if complaint is not None:
        problem = Problem(
            slug="unsafe-path", message=f"{case.name} cannot be placed: {complaint}", ref=case.key
        )
        return Unresolved(key=case.key, reason=problem)
    changed = hash_changed(case.old, pin) if case.old is not None else None
    if changed is not None:
        return Unresolved(key=case.key, reason=changed)
    return Resolved(key=pin.key, pin=pin)


def _kept(case: _Case, old: Pin) -> Resolved:
    return Resolved(key=old.key, pin=replace(old, aliases=case.requirement.aliases))


def _given_up(case: _Case, misses: tuple[Miss, ...], *, may_propose: bool) -> Unresolved:
    return replace(
        _unresolved(
            case,
            f"nothing says for certain which file {case.name} is",
            f"Look for it with `comfylock search {stem(case.name)}`, then `comfylock pin` it.",
        ),
        misses=misses,
        candidates=_proposals(case) if may_propose else (),
    )


def _proposals(case: _Case) -> tuple[Artifact, ...]:
    """Return files with like names; without an answer there are none to propose."""
    words = " ".join(name_words(stem(case.requirement.name)))
    if not words:
        return ()
    try:
        found = oldest_first(case.catalog.search_text(words))
    except FetchError:
        return ()
    fitting = [one for one in found if belongs(one, case.requirement.folder)]
    return most_alike_first(case.requirement.name, fitting)


def _ambiguous(case: _Case, candidates: Iterable[Artifact], reason: str) -> Ambiguous:
    return Ambiguous(key=case.key, candidates=oldest_first(candidates), reason=reason)


def _unresolved(case: _Case, message: str, hint: str) -> Unresolved:
    problem = Problem(slug="unresolved", message=message, hint=hint, ref=case.key)
    return Unresolved(key=case.key, reason=problem)


def _refused(case: _Case, message: str) -> Unresolved:
    problem = Problem(
        slug="unsafe-format",
        message=message,
        hint="Look for another copy with `comfylock search`, or ignore the reference.",
        ref=case.key,
    )
    return Unresolved(key=case.key, reason=problem)


def _full_key(case: _Case, found: str) -> str:
    """Return the key with an extension; a prompt names an embedding without one."""
    return case.key if extension(case.key) else case.key + extension(found)


def format_of(name: str) -> str:
    """Return the lock's format of a file by its extension."""
    return "pickle" if is_pickle(name) else _FORMATS.get(extension(name), "other")
