"""The lock with one reference changed, and every other entry as it was. Pure.

A workflow's entry is changed only where the workflow asks for the reference, or the lock says so;
whatever else has become stale stays stale, for `lock` to tell.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from comfylock.lockfile.changes import matches
from comfylock.lockfile.model import Lock, Pin, WorkflowEntry
from comfylock.names import shown


def with_pin(lock: Lock, asked: str, pin: Pin, wanting: Collection[str]) -> Lock:
    """Return the lock with a reference pinned.

    Args:
        lock: the lock before.
        asked: the key as workflows ask for it; it may lack the extension that the pin's has.
        pin: what it is pinned to now.
        wanting: paths of workflows that ask for it now; those the lock does not know are left out.
    """
    entries = {
        path: _entry_with_pin(entry, asked, pin.key)
        if path in wanting or _names(entry, asked)
        else entry
        for path, entry in lock.workflows.items()
    }
    return _with_entries(lock, entries, {**lock.models, pin.key: pin})


def without_pin(lock: Lock, asked: str, wanting: Collection[str]) -> Lock:
    """Return the lock with a reference recorded as unresolved; arguments as for `with_pin`."""
    entries = {
        path: _unresolved_entry(entry, asked) if path in wanting or _names(entry, asked) else entry
        for path, entry in lock.workflows.items()
    }
    return _with_entries(lock, entries, lock.models)


def without_reference(lock: Lock, asked: str) -> Lock:
    """Return the lock without any word of a reference."""
    entries = {path: _entry_without(entry, asked) for path, entry in lock.workflows.items()}
    return _with_entries(lock, entries, lock.models)


def locked_key(lock: Lock, asked: str) -> str | None:
    """Return the key of the pin that answers for a reference, ``None`` when it is not pinned."""
    return next((key for key in sorted(lock.models) if matches(asked, key)), None)


def _names(entry: WorkflowEntry, asked: str) -> bool:
    return shown(asked) in entry.unresolved or any(matches(asked, key) for key in entry.models)


def _entry_without(entry: WorkflowEntry, asked: str) -> WorkflowEntry:
    return replace(
        entry,
        models=tuple(key for key in entry.models if not matches(asked, key)),
        unresolved=tuple(ref for ref in entry.unresolved if ref != shown(asked)),
    )


def _entry_with_pin(entry: WorkflowEntry, asked: str, key: str) -> WorkflowEntry:
    rest = _entry_without(entry, asked)
    return replace(rest, models=(*rest.models, key))


def _unresolved_entry(entry: WorkflowEntry, asked: str) -> WorkflowEntry:
    rest = _entry_without(entry, asked)
    return replace(rest, unresolved=(*rest.unresolved, asked))


def _with_entries(
    lock: Lock, entries: Mapping[str, WorkflowEntry], models: Mapping[str, Pin]
) -> Lock:
    """Drop the pins that these entries have made superfluous, and no others."""
    before = {key for entry in lock.workflows.values() for key in entry.models}
    after = {key for entry in entries.values() for key in entry.models}
    kept = {key: pin for key, pin in models.items() if key in after or key not in before}
    return replace(lock, workflows=entries, models=kept)
