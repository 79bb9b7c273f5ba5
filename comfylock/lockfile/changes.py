"""What differs: between two locks, and between a lock and what the workflows ask for now.

Both are values of values; nothing is read here. Staleness is told in lines that a person can act
on, one for each difference, never as "the digest is another".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from comfylock.lockfile.model import Lock, Pin, WorkflowEntry
from comfylock.names import extension, shown


class ChangeKind(StrEnum):
    """What happened to a pin from one lock to the next."""

    ADDED = "added"
    REMOVED = "removed"
    UPDATED = "updated"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One pin that differs between two locks.

    Attributes:
        ref: the model's key.
        change: what happened.
        old: the pin before, ``None`` when added.
        new: the pin after, ``None`` when removed.
    """

    ref: str
    change: ChangeKind
    old: Pin | None
    new: Pin | None


def diff_locks(old: Lock | None, new: Lock) -> tuple[Change, ...]:
    """Return the pins that differ, sorted by key; without an old lock all are added."""
    before: Mapping[str, Pin] = old.models if old is not None else {}
    changes = (
        _change(key, before.get(key), new.models.get(key))
        for key in sorted(before.keys() | new.models.keys())
    )
    return tuple(change for change in changes if change.old != change.new)


def _change(key: str, old: Pin | None, new: Pin | None) -> Change:
    if old is None:
        return Change(ref=key, change=ChangeKind.ADDED, old=None, new=new)
    kind = ChangeKind.REMOVED if new is None else ChangeKind.UPDATED
    return Change(ref=key, change=kind, old=old, new=new)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    r"""What one workflow asks for now.

    Attributes:
        keys: as references spell them; an embedding or stem may lack its extension.
        aliases: for some of these keys, the spellings with ``\`` that the workflow uses.
    """

    keys: frozenset[str]
    aliases: Mapping[str, tuple[str, ...]]


class DifferenceKind(StrEnum):
    """How the workflows differ from what the lock recorded."""

    ADDED_FILE = "added file"
    REMOVED_FILE = "removed file"
    ADDED_REFERENCE = "added reference"
    REMOVED_REFERENCE = "removed reference"
    ADDED_ALIAS = "added alias"
    REMOVED_ALIAS = "removed alias"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One reason why a lock is stale.

    Attributes:
        workflow: path of the workflow file.
        kind: what differs.
        ref: the model's key, ``None`` where a whole file differs.
        alias: the spelling, where an alias differs.
    """

    workflow: str
    kind: DifferenceKind
    ref: str | None = None
    alias: str | None = None

    def __str__(self) -> str:
        """Return the difference as one printable line."""
        sign = "-" if self.kind.startswith("removed") else "+"
        if self.ref is None:
            return f"{sign} {shown(self.workflow)}"
        spelled = f" (spelled {shown(self.alias)})" if self.alias is not None else ""
        return f"{shown(self.workflow)}  {sign} {shown(self.ref)}{spelled}"


def matches(asked: str, recorded: str) -> bool:
    """Say whether a recorded key is what a reference asks for.

    It is when they are equal, or when the recorded one adds a model extension to one without.
    """
    return asked == recorded or (not extension(asked) and asked == _stem(recorded))


def _stem(key: str) -> str:
    return key.removesuffix(key[len(key) - len(extension(key)) :])


def staleness(lock: Lock, wanted: Mapping[str, Wanted]) -> tuple[Difference, ...]:
    """Return every difference between a lock and what its workflows ask for now.

    Args:
        lock: the lock as it stands.
        wanted: by path, all workflows that the lock's inputs lead to now.

    Returns:
        differences sorted by workflow, then by key; none when the lock is fresh. A reference that
        the lock records as unresolved is no difference.
    """
    return tuple(_differences(lock, wanted))


def _differences(lock: Lock, wanted: Mapping[str, Wanted]) -> Iterator[Difference]:
    surplus = _surplus_aliases(lock, wanted)
    for path in sorted(lock.workflows.keys() | wanted.keys()):
        if path not in lock.workflows:
            yield Difference(workflow=path, kind=DifferenceKind.ADDED_FILE)
        elif path not in wanted:
            yield Difference(workflow=path, kind=DifferenceKind.REMOVED_FILE)
        else:
            yield from _references(lock.workflows[path], wanted[path])
            yield from _missing_aliases(lock, lock.workflows[path], wanted[path])
            yield from (found for found in surplus if found.workflow == path)


def _references(entry: WorkflowEntry, wanted: Wanted) -> Iterator[Difference]:
    recorded = {*entry.models, *entry.unresolved}
    recorded_stems = {_stem(key) for key in recorded}
    asked = {shown(key) for key in wanted.keys}
    asked_stems = {key for key in asked if not extension(key)}
    for key in sorted(asked | recorded):
        if key not in recorded and (extension(key) or key not in recorded_stems):
            kind = DifferenceKind.ADDED_REFERENCE
        elif key not in asked and _stem(key) not in asked_stems:
            kind = DifferenceKind.REMOVED_REFERENCE
        else:
            continue
        yield Difference(workflow=entry.path, kind=kind, ref=key)


def _missing_aliases(lock: Lock, entry: WorkflowEntry, wanted: Wanted) -> Iterator[Difference]:
    for asked, key in _pairs(entry.models, wanted.aliases):
        for alias in sorted(set(wanted.aliases[asked]) - set(lock.models[key].aliases)):
            yield Difference(
                workflow=entry.path, kind=DifferenceKind.ADDED_ALIAS, ref=key, alias=alias
            )


def _surplus_aliases(lock: Lock, wanted: Mapping[str, Wanted]) -> tuple[Difference, ...]:
    """Return the recorded spellings that no workflow uses, each under one workflow of its model."""
    spelled = {
        (key, alias)
        for path, entry in lock.workflows.items()
        if path in wanted
        for asked, key in _pairs(entry.models, wanted[path].aliases)
        for alias in wanted[path].aliases[asked]
    }
    first = {
        key: path
        for path in sorted(lock.workflows.keys() & wanted.keys(), reverse=True)
        for key in lock.workflows[path].models
    }
    return tuple(
        Difference(workflow=first[key], kind=DifferenceKind.REMOVED_ALIAS, ref=key, alias=alias)
        for key in sorted(first)
        for alias in lock.models[key].aliases
        if (key, alias) not in spelled
    )


def _pairs(recorded: Iterable[str], asked: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (asked, recorded) for each key that was asked for and each recorded one it means."""
    wanted = sorted(asked)
    yield from ((ask, key) for key in recorded for ask in wanted if matches(ask, key))
