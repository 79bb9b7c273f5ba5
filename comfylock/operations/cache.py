"""`cache`: what comfylock keeps for itself, and how to be rid of it."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from comfylock.config import cache_dir
from comfylock.disk.kept import (
    KeptFile,
    Kind,
    kept_files,
    labels_in_place,
    remove_kept,
    state_directories,
)
from comfylock.errors import ModelsDirMissingError, Problem
from comfylock.session import Session

PART_KEPT_DAYS = 14
REPLACED_KEPT_DAYS = 30

_DAY_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What there is.

    Attributes:
        cache: the user's cache folder, whether or not it exists.
        states: the ``.comfylock`` folders below the models folder.
        files: all that is kept in them.
    """

    cache: Path
    states: tuple[Path, ...]
    files: tuple[KeptFile, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleared:
    """What was removed, or with a dry run would be; `problems` tell what could not be."""

    removed: tuple[KeptFile, ...]
    problems: tuple[Problem, ...] = ()


def look(session: Session) -> Kept:
    """List what is kept; where no models folder is known, that is the user's cache."""
    cache = cache_dir(session.environment)
    try:
        states = state_directories(session.directories)
    except ModelsDirMissingError:
        states = ()
    return Kept(cache=cache, states=states, files=kept_files(cache, states))


def is_old(file: KeptFile, now_s: float, in_place: Collection[str]) -> bool:
    """Say whether a file has been kept long enough, or is of no use any more.

    Args:
        file: a part or a replaced file; nothing else grows old here.
        now_s: seconds since the epoch.
        in_place: names of the contents that lie whole where they belong.
    """
    age_s = now_s - file.changed_s
    match file.kind:
        case Kind.PARTIAL:
            return file.label in in_place or age_s > PART_KEPT_DAYS * _DAY_S
        case Kind.REPLACED:
            return age_s > REPLACED_KEPT_DAYS * _DAY_S
        case Kind.ANSWERS:
            return False


def prune(session: Session, kinds: Collection[Kind], *, dry_run: bool) -> Cleared:
    """Remove what is old, of some kinds."""
    files = look(session).files
    parts = any(file.kind is Kind.PARTIAL for file in files)
    in_place = labels_in_place(session.hash_cache) if parts else frozenset[str]()
    now_s = time.time()
    return _clear(
        files, lambda file: file.kind in kinds and is_old(file, now_s, in_place), dry_run=dry_run
    )


def clear(session: Session, kinds: Collection[Kind], *, dry_run: bool) -> Cleared:
    """Remove everything of some kinds, except parts that a living run is writing."""
    return _clear(look(session).files, lambda file: file.kind in kinds, dry_run=dry_run)


def _clear(
    files: Collection[KeptFile], is_chosen: Callable[[KeptFile], bool], *, dry_run: bool
) -> Cleared:
    chosen = [file for file in files if file.is_idle and is_chosen(file)]
    if dry_run:
        return Cleared(removed=tuple(chosen))
    faults = {file.path: remove_kept(file) for file in chosen}
    return Cleared(
        removed=tuple(file for file in chosen if faults[file.path] is None),
        problems=tuple(fault.problem(str(path)) for path, fault in faults.items() if fault),
    )
