"""Which newer file an entry of the lock may move to. Pure.

A newer version is one of the same Civitai model for the same base model, published later. In it,
only a file of the same kind (type, format, precision, variant) takes the place of the locked one;
the name, which uploaders change at will, never decides. Where several fit, the user has to say.

What does not move: files that are pinned by the user, local ones, and what has no source on
Civitai. What has other bytes at Civitai than the lock says is an error first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from comfylock.artifacts import Artifact, CivitaiSource, ModelVersion, VersionId
from comfylock.candidates import belongs, contents, hash_changed, oldest_first
from comfylock.errors import Problem
from comfylock.lockfile.model import Evidence, Pin
from comfylock.names import is_pickle, shown, split_key
from comfylock.rungs.case import format_of

_UNMOVED = {
    Evidence.PINNED: "pinned in comfylock.toml",
    Evidence.LOCAL: "a local file that no hub has",
    Evidence.KNOWN: "from the table of well-known files",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Newer:
    """A newer file to move to.

    Attributes:
        old: the entry as it is.
        new: the entry as it would be.
        artifact: the file that it would be pinned to.
    """

    old: Pin
    new: Pin
    artifact: Artifact


@dataclass(frozen=True, kw_only=True, slots=True)
class Newest:
    """There is nothing newer."""

    old: Pin


@dataclass(frozen=True, kw_only=True, slots=True)
class Unmoved:
    """An entry that does not move by itself, and why."""

    old: Pin
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Undecided:
    """A newer version is there, and the user has to say which of its files.

    Attributes:
        old: the entry as it is.
        problem: what is in the way.
        candidates: the files of the newer version.
    """

    old: Pin
    problem: Problem
    candidates: tuple[Artifact, ...] = ()


Upgrade = Newer | Newest | Unmoved | Undecided


def why_unmoved(pin: Pin) -> str | None:
    """Return why an entry does not move to newer versions, ``None`` when it does."""
    if pin.evidence in _UNMOVED:
        return _UNMOVED[pin.evidence]
    if civitai_source(pin) is None:
        return "it has no source on Civitai, and other sources have no versions"
    return None


def civitai_source(pin: Pin) -> CivitaiSource | None:
    """Return the first Civitai source of an entry."""
    return next((one for one in pin.sources if isinstance(one, CivitaiSource)), None)


def newest(pin: Pin, versions: Sequence[ModelVersion], now: str) -> Upgrade:
    """Return where an entry moves to.

    Args:
        pin: an entry with a Civitai source.
        versions: of its model; none when the page is gone.
        now: ISO time in UTC; versions that are still sold for early access are passed over.
    """
    source = civitai_source(pin)
    assert source is not None, "only entries with a Civitai source have versions"
    changed = _changed(pin, versions)
    if changed is not None:
        return Undecided(old=pin, problem=changed)
    if not versions:
        return Unmoved(old=pin, reason=f"Civitai shows no versions of model {source.model}")
    locked = next((one for one in versions if one.version == source.version), None)
    later = [
        one
        for one in versions
        if _is_for_the_same(one, locked, pin) and _is_later(one, locked, source.version)
    ]
    open_to_all = [one for one in later if not _is_sold(one, now)]
    if not open_to_all:
        return _nothing_newer(pin, later)
    return moved_to(pin, max(open_to_all, key=_age), versions)


def moved_to(pin: Pin, version: ModelVersion, versions: Sequence[ModelVersion]) -> Upgrade:
    """Return what an entry becomes with a given version of its model.

    Args:
        pin: the entry.
        version: where it should move.
        versions: where the locked file's traits are looked up.
    """
    changed = _changed(pin, [version])
    if changed is not None:
        return Undecided(old=pin, problem=changed)
    locked = _locked_file(pin, [*versions, version])
    fitting = _of_same_kind(pin, locked, version)
    different = contents(fitting)
    if len(different) == 1 and fitting[0].digests and not any(one.unsafe for one in fitting):
        return _move(pin, fitting[0])
    title = f"version {version.version} ({shown(version.name)})"
    if len(different) > 1:
        problem = _which_file(pin, fitting, f"{len(different)} files of {title} fit equally")
        return Undecided(old=pin, problem=problem, candidates=fitting)
    if not fitting:
        offered = version.files or ()
        problem = _which_file(pin, offered, f"{title} has no file of the same kind")
        return Undecided(old=pin, problem=problem, candidates=tuple(offered))
    if any(one.unsafe for one in fitting):
        return Unmoved(old=pin, reason=f"Civitai's scan calls the file of {title} dangerous")
    return Unmoved(old=pin, reason=f"Civitai has no full hash of the file of {title} yet")


def _nothing_newer(pin: Pin, sold: Sequence[ModelVersion]) -> Upgrade:
    if not sold:
        return Newest(old=pin)
    last = max(sold, key=_age)
    until = f" until {last.sold_until[:10]}" if last.sold_until else ""
    return Unmoved(old=pin, reason=f"version {last.version} is in early access{until}")


def _changed(pin: Pin, versions: Iterable[ModelVersion]) -> Problem | None:
    """Return the fault that a locked file has other bytes at Civitai than when it was locked."""
    for version in versions:
        for one in version.files:
            if one.source in pin.sources:
                now = replace(pin, digests=one.digests, sources=(one.source,))
                found = hash_changed(pin, now)
                if found is not None:
                    return found
    return None


def _is_for_the_same(one: ModelVersion, locked: ModelVersion | None, pin: Pin) -> bool:
    """Say whether a version is for the locked one's base model, and of its type."""
    if locked is None:
        standard = one.base_model_type in {"", "Standard"}
        return standard and shown(one.base_model) == (pin.base_model or "")
    types = {one.base_model_type, locked.base_model_type} - {""}
    return one.base_model == locked.base_model and len(types) < 2


def _is_later(one: ModelVersion, locked: ModelVersion | None, locked_id: VersionId) -> bool:
    if locked is None:
        return one.version > locked_id
    return _age(one) > _age(locked)


def _age(version: ModelVersion) -> tuple[str, int]:
    return (version.published, version.version)


def _is_sold(version: ModelVersion, now: str) -> bool:
    if version.sold_until is None:
        return False
    return version.sold_until == "" or version.sold_until > now


def _locked_file(pin: Pin, versions: Iterable[ModelVersion]) -> Artifact | None:
    return next(
        (one for version in versions for one in version.files if one.source in pin.sources), None
    )


def _of_same_kind(pin: Pin, locked: Artifact | None, version: ModelVersion) -> tuple[Artifact, ...]:
    """Return the files of a version that are of the locked one's kind, oldest first.

    What an uploader has not said of a file speaks neither for nor against it; only where it
    is the same in all that both say are the exact ones preferred.
    """
    folder, _ = split_key(pin.key)
    files = [
        one
        for one in version.files
        if belongs(one, folder)
        and format_of(one.file_name) == pin.format
        and is_pickle(one.file_name) == is_pickle(pin.key)
    ]
    if locked is None:
        return oldest_first(files)
    files = [one for one in files if one.file_type == locked.file_type]
    exact = [one for one in files if one.traits == locked.traits]
    return oldest_first(exact or [one for one in files if one.traits.agree(locked.traits)])


def _move(pin: Pin, artifact: Artifact) -> Upgrade:
    if artifact.source in pin.sources:
        return Newest(old=pin)
    new = replace(
        pin,
        size=artifact.size_hint,
        digests=artifact.digests,
        name=shown(artifact.title),
        base_model=shown(artifact.base_model) or None,
        sources=(artifact.source,),
        unknown_in_sources=(),
    )
    return Newer(old=pin, new=new, artifact=artifact)


def _which_file(pin: Pin, files: Sequence[Artifact], message: str) -> Problem:
    hint = "Say which one with `comfylock pin`"
    return Problem(
        slug="ambiguous" if files else "unresolved",
        ref=pin.key,
        message=f"{shown(pin.key)} was not moved: {message}",
        hint=hint if files else None,
    )
