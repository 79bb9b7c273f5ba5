"""Two locks made one: what git could not merge as text is merged entry by entry.

Entries are independent, so nearly every conflict in the text is none in the meaning: both sides
added a model, and the lines met. What is left, one model pinned to different files, is a question
for the user. The workflows are read again after a merge, so their entries only need to be a good
first answer.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from comfylock.errors import ComfylockError, LockConflictError
from comfylock.lockfile.file import parse_lock, read_lock_text
from comfylock.lockfile.model import Dangling, Lock, Pin, Unknown, WorkflowEntry
from comfylock.names import collision_form

_T = TypeVar("_T")
_MARKER = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?: |$)")
_OURS, _BASE, _THEIRS = "<<<<<<<", "|||||||", "======="
_END = ">>>>>>>"
_DIGEST_CHARACTERS = len("sha256:") + 12
#: Which markers may follow which; the empty one is the text outside of conflicts.
_FOLLOWS = {"": {_OURS}, _OURS: {_BASE, _THEIRS}, _BASE: {_THEIRS}, _THEIRS: {_END}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """The outcome of a merge.

    Attributes:
        lock: both sides together; where they conflict, ours.
        conflicts: keys that both sides pinned to different files, sorted.
        rivals: their side's pin of each of these keys.
        from_ours: how many entries, workflows and models, only our side gave.
        from_theirs: likewise for their side.
    """

    lock: Lock
    conflicts: tuple[str, ...]
    rivals: Mapping[str, Pin]
    from_ours: int
    from_theirs: int


def read_conflicted(path: Path) -> tuple[Lock, str]:
    """Return the lock in a file with conflict markers, both sides merged, and a sentence about it.

    Raises:
        LockMissingError, LockInvalidError, LockVersionError: as `read_lock`.
        LockConflictError: the markers make no sense, or the sides disagree.
    """
    merged = merge_conflicted(read_lock_text(path), path.name)
    if merged.conflicts:
        raise LockConflictError(
            f"both sides of the merge pin these models differently:{told_conflicts(merged)}",
            hint="Keep one side of each by hand, or run `comfylock lock --rebuild`",
        )
    sides = f"{merged.from_ours} only in ours, {merged.from_theirs} only in theirs"
    return merged.lock, f"Merged both sides of {path.name}; entries: {sides}"


def told_conflicts(merged: Merged) -> str:
    """Return both sides of each conflict, as lines below a message."""
    ours = {collision_form(key): pin for key, pin in merged.lock.models.items()}
    return "".join(
        f"\n  {key}\n    ours    {_told(ours[collision_form(key)])}\n    theirs  {_told(rival)}"
        for key, rival in merged.rivals.items()
    )


def _told(pin: Pin) -> str:
    source = str(pin.sources[0]) if pin.sources else "no source"
    return f"{pin.name or pin.key}, {source}, {str(pin.digests)[:_DIGEST_CHARACTERS]}…"


def split_conflict(text: str) -> tuple[str, str, str | None]:
    """Return our text, their text and, where git wrote it (diff3), the base's.

    Raises:
        LockConflictError: a marker stands where it makes no sense.
    """
    sides: dict[str, list[str]] = {_OURS: [], _THEIRS: [], _BASE: []}
    current, with_base = "", False
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        marker = _MARKER.match(line)
        if marker is not None:
            current = _next_state(current, marker[1], number)
            with_base = with_base or current == _BASE
            continue
        for lines in [sides[current]] if current else sides.values():
            lines.append(line)
    if current:
        raise _senseless("the last conflict has no end")
    ours, theirs, base = ("\n".join(sides[side]) for side in (_OURS, _THEIRS, _BASE))
    return ours, theirs, base if with_base else None


def _next_state(current: str, marker: str, number: int) -> str:
    if marker not in _FOLLOWS[current]:
        raise _senseless(f"the merge conflict marker in line {number} is out of place")
    return "" if marker == _END else marker


def _senseless(reason: str) -> LockConflictError:
    return LockConflictError(
        f"the merge conflict cannot be read: {reason}",
        hint="Take one side from version control, then run `comfylock lock`",
    )


def merge_conflicted(text: str, name: str) -> Merged:
    """Return the merge of both sides of a lock text with conflict markers.

    A side may name models that only the other one has: such references are dropped, and found
    again when the workflows are read. A base that makes no sense (zdiff3 cuts it) is not used.

    Raises:
        LockInvalidError, LockVersionError: a side is no lock.
        LockConflictError: the markers make no sense.
    """
    ours, theirs, base = split_conflict(text)
    return merge_locks(
        parse_lock(ours, f"{name} (our side)", Dangling.DROPPED),
        parse_lock(theirs, f"{name} (their side)", Dangling.DROPPED),
        _base(base, name) if base is not None else None,
    )


def _base(text: str, name: str) -> Lock | None:
    try:
        return parse_lock(text, f"{name} (base)", Dangling.DROPPED)
    except ComfylockError:
        return None


def merge_locks(ours: Lock, theirs: Lock, base: Lock | None) -> Merged:
    """Return two locks as one; `base` is what both came from, ``None`` when not known.

    Without a base nothing counts as removed. A pin changed on one side and removed on the other
    stays.
    """
    before: Mapping[str, Pin] = base.models if base is not None else {}
    models, conflicts = _merged_models(ours.models, theirs.models, before)
    workflows = _merged_workflows(ours, theirs, base, models)
    lock = Lock(
        inputs=_merged_set(ours.inputs, theirs.inputs, base.inputs if base is not None else ()),
        workflows=workflows,
        models=models,
        unknown=_merged_unknown(ours.unknown, theirs.unknown),
        warnings=tuple(dict.fromkeys((*ours.warnings, *theirs.warnings))),
    )
    return Merged(
        lock=lock,
        conflicts=conflicts,
        rivals={key: theirs.models[key] for key in conflicts},
        from_ours=_only_in(lock, ours, theirs),
        from_theirs=_only_in(lock, theirs, ours),
    )


def _merged_models(
    ours: Mapping[str, Pin], theirs: Mapping[str, Pin], base: Mapping[str, Pin]
) -> tuple[dict[str, Pin], tuple[str, ...]]:
    merged: dict[str, Pin] = {}
    conflicts: list[str] = []
    spots: dict[str, str] = {}
    # Ours come first: of two keys that are one file on some disks, ours stays.
    for key in [*sorted(ours), *sorted(theirs.keys() - ours.keys())]:
        mine, other = ours.get(key), theirs.get(key)
        pin = _merged_pin(mine, other, base.get(key))
        if pin is None:
            continue
        if spots.setdefault(collision_form(key), key) != key:
            conflicts.append(key)
            continue
        merged[key] = pin
        if mine is not None and other is not None and not _compatible(mine, other, base.get(key)):
            conflicts.append(key)
    return merged, tuple(sorted(conflicts))


def _compatible(ours: Pin, theirs: Pin, base: Pin | None) -> bool:
    return base in (ours, theirs) or ours.digests.agrees(theirs.digests)


def _merged_pin(ours: Pin | None, theirs: Pin | None, base: Pin | None) -> Pin | None:
    if theirs in (ours, base):
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        return ours or theirs
    return _united(ours, theirs) if ours.digests.agrees(theirs.digests) else ours


def _united(ours: Pin, theirs: Pin) -> Pin:
    """Return one content that both sides described differently, with all that either knows."""
    return replace(
        ours,
        size=ours.size or theirs.size,
        digests=ours.digests.combined(theirs.digests),
        aliases=ours.aliases + theirs.aliases,
        name=ours.name or theirs.name,
        base_model=ours.base_model or theirs.base_model,
        sources=tuple(dict.fromkeys(ours.sources + theirs.sources)),
        unknown=_merged_unknown(ours.unknown, theirs.unknown),
        unknown_in_sources=ours.unknown_in_sources,
    )


def _merged_workflows(
    ours: Lock, theirs: Lock, base: Lock | None, models: Mapping[str, Pin]
) -> dict[str, WorkflowEntry]:
    before: Mapping[str, WorkflowEntry] = base.workflows if base is not None else {}
    merged: dict[str, WorkflowEntry] = {}
    for path in sorted(ours.workflows.keys() | theirs.workflows.keys()):
        entry = _merged_entry(
            ours.workflows.get(path), theirs.workflows.get(path), before.get(path)
        )
        if entry is not None:
            merged[path] = replace(
                entry,
                models=tuple(key for key in entry.models if key in models),
                unresolved=tuple(set(entry.unresolved) - set(entry.models)),
            )
    return merged


def _merged_entry(
    ours: WorkflowEntry | None, theirs: WorkflowEntry | None, base: WorkflowEntry | None
) -> WorkflowEntry | None:
    if theirs in (ours, base):
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        return ours or theirs
    return WorkflowEntry(
        path=ours.path,
        models=_merged_set(ours.models, theirs.models, base.models if base else ()),
        unresolved=_merged_set(ours.unresolved, theirs.unresolved, base.unresolved if base else ()),
        unknown=_merged_unknown(ours.unknown, theirs.unknown),
    )


def _merged_set(ours: Iterable[str], theirs: Iterable[str], base: Iterable[str]) -> tuple[str, ...]:
    mine, other, before = set(ours), set(theirs), set(base)
    return tuple(sorted((mine & other) | (mine - before) | (other - before)))


def _merged_unknown(ours: Unknown, theirs: Unknown) -> Unknown:
    merged = dict(theirs) | dict(ours)
    return tuple(sorted(merged.items(), key=lambda item: item[0]))


def _only_in(merged: Lock, side: Lock, other: Lock) -> int:
    """Count the entries of a merge that one side has and the other has not, or not so."""
    return _count(merged.models, side.models, other.models) + _count(
        merged.workflows, side.workflows, other.workflows
    )


def _count(merged: Mapping[str, _T], side: Mapping[str, _T], other: Mapping[str, _T]) -> int:
    return sum(
        1 for key, value in merged.items() if side.get(key) == value and other.get(key) != value
    )
