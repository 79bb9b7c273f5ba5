"""Two locks, and what a reviewer of the change should look at.

Lock files are where an attack hides from review: hex digits that nobody reads. So a change is told
in models, versions, sizes and hosts, and what is unusual about it carries an `Alarm`. Alarms judge
the new lock against the old one: what stood there before has been reviewed before.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from comfylock.artifacts import CivitaiSource, HuggingFaceSource, Source, UrlSource
from comfylock.hashes import Digests
from comfylock.lockfile.changes import Change, ChangeKind, diff_locks, matches
from comfylock.lockfile.model import Evidence, Lock, Pin, WorkflowEntry

#: A file that is this many times as large as the one before is worth a look.
_GROWN = 1.5
#: Models come from them by ids, so to be there for the first time is nothing unusual.
_HUBS = frozenset({"civitai.com", "huggingface.co"})


class Alarm(StrEnum):
    """What is unusual about a changed pin, loudest first."""

    HASH_CHANGED = "hash-changed"
    NEW_HOST = "new-host"
    PICKLE = "pickle-format"
    OTHER_PLACE = "other-place"
    NEW_SOURCE = "new-source"
    WEAKER_HASHES = "weaker-hashes"
    FILENAME = "by-file-name"
    NO_SOURCE = "no-source"
    GROWN = "grown"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewedModel:
    """One changed pin.

    Attributes:
        change: the pin before and after.
        alarms: what is unusual about it, loudest first.
        workflows: who needs it now, or needed it, sorted.
        repinned: other bytes than before; false where only the description changed.
    """

    change: Change
    alarms: tuple[Alarm, ...]
    workflows: tuple[str, ...]
    repinned: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewedWorkflow:
    """One workflow whose needs changed.

    Attributes:
        path: its file.
        change: what became of it.
        added: keys that it needs now and did not before.
        removed: the other way round.
        unresolved: references that are unresolved now and were not before.
        dropped: references that were unresolved, and are neither that nor pinned now.
    """

    path: str
    change: ChangeKind
    added: tuple[str, ...]
    removed: tuple[str, ...]
    unresolved: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What differs between two locks.

    Attributes:
        models: changed pins, sorted by key.
        workflows: workflows whose needs changed, sorted by path.
        new_hosts: hosts that the old lock fetched nothing from, sorted.
        bytes_before: size of all contents of the old lock, each counted once.
        bytes_after: likewise for the new one.
        equal: the locks are one value; false also where only inputs or unknown keys differ.
    """

    models: tuple[ReviewedModel, ...]
    workflows: tuple[ReviewedWorkflow, ...]
    new_hosts: tuple[str, ...]
    bytes_before: int
    bytes_after: int
    equal: bool


def review_locks(old: Lock, new: Lock) -> Review:
    """Return what differs from one lock to the next."""
    past = _Past(
        hosts=_HUBS | frozenset(_hosts(old)),
        digests={source: pin.digests for pin in old.models.values() for source in pin.sources},
    )
    return Review(
        models=tuple(_reviewed(change, past, old, new) for change in diff_locks(old, new)),
        workflows=tuple(_workflows(old, new)),
        new_hosts=tuple(sorted(set(_hosts(new)) - past.hosts)),
        bytes_before=content_bytes(old.models.values()),
        bytes_after=content_bytes(new.models.values()),
        equal=old == new,
    )


def host_of_source(source: Source) -> str:
    """Return the host that a source is fetched from, with a port where it names one."""
    match source:
        case CivitaiSource():
            return "civitai.com"
        case HuggingFaceSource():
            return "huggingface.co"
        case UrlSource(url=url):
            return urlsplit(url).netloc.lower()


def content_bytes(pins: Iterable[Pin]) -> int:
    """Return the size of the contents of pins; two keys with one content count once."""
    return sum({pin.digests.label: pin.size or 0 for pin in pins}.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Past:
    """What the old lock vouches for.

    Attributes:
        hosts: where it fetched from.
        digests: by source, whatever key it stood under.
    """

    hosts: frozenset[str]
    digests: Mapping[Source, Digests]


def _hosts(lock: Lock) -> Iterator[str]:
    for pin in lock.models.values():
        yield from (host_of_source(source) for source in pin.sources)


def _reviewed(change: Change, past: _Past, old: Lock, new: Lock) -> ReviewedModel:
    lock = old if change.new is None else new
    repinned = (
        change.old is not None
        and change.new is not None
        and not change.old.digests.agrees(change.new.digests)
    )
    return ReviewedModel(
        change=change,
        alarms=tuple(sorted(_alarms(change, past), key=list(Alarm).index)),
        workflows=tuple(
            sorted(path for path, entry in lock.workflows.items() if change.ref in entry.models)
        ),
        repinned=repinned,
    )


def _alarms(change: Change, past: _Past) -> Iterator[Alarm]:
    old, new = change.old, change.new
    if new is None:
        return
    if any(past.digests.get(source, _NONE).contradicts(new.digests) for source in new.sources):
        yield Alarm.HASH_CHANGED
    if any(host_of_source(source) not in past.hosts for source in new.sources):
        yield Alarm.NEW_HOST
    if not new.sources and (old is None or old.sources):
        yield Alarm.NO_SOURCE
    same = old is not None and old.digests.agrees(new.digests)
    if new.may_run_code and not (same and old is not None and old.may_run_code):
        yield Alarm.PICKLE
    if new.evidence is Evidence.FILENAME and not (
        same and old is not None and old.evidence is Evidence.FILENAME
    ):
        yield Alarm.FILENAME
    if old is not None:
        yield from _update_alarms(old, new)


_NONE = Digests()


def _update_alarms(old: Pin, new: Pin) -> Iterator[Alarm]:
    if old.digests.agrees(new.digests):
        if set(new.sources) - set(old.sources):
            yield Alarm.NEW_SOURCE
    elif old.sources and new.sources and not _places(old) & _places(new):
        yield Alarm.OTHER_PLACE
    if (old.digests.sha256 and not new.digests.sha256) or (
        old.digests.blake3 and not new.digests.blake3
    ):
        yield Alarm.WEAKER_HASHES
    if old.size and new.size and new.size > old.size * _GROWN:
        yield Alarm.GROWN


def _places(pin: Pin) -> set[tuple[str, str]]:
    """Return the pages that a pin's sources belong to: a newer version stays on its page."""
    return {_place(source) for source in pin.sources}


def _place(source: Source) -> tuple[str, str]:
    match source:
        case CivitaiSource(model=model):
            return "civitai", str(model)
        case HuggingFaceSource(repo=repo):
            return "huggingface", repo
        case UrlSource():
            return "url", host_of_source(source)


def _workflows(old: Lock, new: Lock) -> Iterator[ReviewedWorkflow]:
    for path in sorted(old.workflows.keys() | new.workflows.keys()):
        before, after = old.workflows.get(path), new.workflows.get(path)
        if before == after:
            continue
        had, has = _models(before), _models(after)
        yield ReviewedWorkflow(
            path=path,
            change=_kind(before, after),
            added=tuple(sorted(has - had)),
            removed=tuple(sorted(had - has)),
            unresolved=tuple(sorted(_unresolved(after) - _unresolved(before))),
            dropped=tuple(
                ref
                for ref in sorted(_unresolved(before) - _unresolved(after))
                if not any(matches(ref, key) for key in has)
            ),
        )


def _kind(before: WorkflowEntry | None, after: WorkflowEntry | None) -> ChangeKind:
    if before is None:
        return ChangeKind.ADDED
    return ChangeKind.REMOVED if after is None else ChangeKind.UPDATED


def _models(entry: WorkflowEntry | None) -> set[str]:
    return set() if entry is None else set(entry.models)


def _unresolved(entry: WorkflowEntry | None) -> set[str]:
    return set() if entry is None else set(entry.unresolved)
