"""`diff` and `merge-driver`: two locks, of files or of git's revisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from comfylock.errors import ComfylockError, LockInvalidError, LockMissingError
from comfylock.git import Repository
from comfylock.lockfile.file import MAX_LOCK_BYTES, parse_lock, read_lock, read_lock_text
from comfylock.lockfile.merge import Merged, merge_locks
from comfylock.lockfile.model import Dangling, Lock
from comfylock.lockfile.review import Review, review_locks
from comfylock.lockfile.text import render_lock
from comfylock.places import LOCK_FILE
from comfylock.session import Session
from comfylock.writing import write_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the two locks that are compared.

    Attributes:
        label: what messages call it.
        lock: the lock; an empty one where the revision has none.
        absent: the revision has no such file.
    """

    label: str
    lock: Lock
    absent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Diffed:
    """What `diff` found.

    Attributes:
        old: the lock before.
        new: the lock after.
        review: what differs.
    """

    old: Side
    new: Side
    review: Review


def diff(
    session: Session, old: str | None, new: str | None, environment: Mapping[str, str]
) -> Diffed:
    """Compare two locks; changes and downloads nothing.

    Args:
        session: whose lock is meant where nothing is named.
        old: a file, a folder, a revision or ``REVISION:PATH``; ``None`` for git's HEAD.
        new: likewise; ``None`` for the lock as it lies on the disk.
        environment: variables that git sees.

    Raises:
        UsageError, PathMissingError: a name means nothing, or git is not there to ask.
        LockMissingError, LockInvalidError, LockConflictError, LockVersionError: a side is no lock.
    """
    repository = Repository(folder=session.base, environment=environment)
    before = (
        _named(session, old, repository) if old is not None else _at("HEAD", session, repository)
    )
    after = _named(session, new, repository) if new is not None else _on_disk(session.lock_path)
    return Diffed(old=before, new=after, review=review_locks(before.lock, after.lock))


def _named(session: Session, text: str, repository: Repository) -> Side:
    path = session.path_of(text)
    if path.is_dir():
        return _on_disk(path / LOCK_FILE)
    if path.exists():
        return _on_disk(path)
    return _at(text, session, repository)


def _on_disk(path: Path) -> Side:
    return Side(label=path.name, lock=read_lock(path))


def _at(text: str, session: Session, repository: Repository) -> Side:
    revision, _, path = text.partition(":")
    path = path or f"./{session.lock_path.name}"
    label = f"{revision}:{path.removeprefix('./')}"
    data = repository.read(revision, path, MAX_LOCK_BYTES)
    if data is None:
        return Side(label=label, lock=_EMPTY, absent=True)
    if len(data) > MAX_LOCK_BYTES:
        raise LockInvalidError(f"{label} has more than {MAX_LOCK_BYTES} bytes")
    try:
        return Side(label=label, lock=parse_lock(data.decode("utf-8-sig"), label))
    except UnicodeDecodeError as error:
        raise LockInvalidError(f"{label} is not UTF-8") from error


_EMPTY = Lock(inputs=(), workflows={}, models={})


def merge_for_git(
    base: Path, ours: Path, theirs: Path, environment: Mapping[str, str]
) -> Merged | None:
    """Merge three locks as git's merge driver, into `ours`.

    Where both sides pin one model differently, or a side is no lock, the texts are merged line by
    line, so that the conflict stands in the file and nobody can commit one side by mistake.

    Returns:
        the merge, or ``None`` when a side could not be read; only a merge without conflicts was
        written as a lock.

    Raises:
        UsageError: there is no git to leave the markers.
        PlaceError: the merge could not be written.
    """
    try:
        merged = merge_locks(_side(ours), _side(theirs), _base(base))
    except ComfylockError:
        merged = None
    if merged is None or merged.conflicts:
        Repository(folder=ours.parent, environment=environment).merge_text(ours, base, theirs)
        return merged
    write_text(ours, render_lock(merged.lock))
    return merged


def _side(path: Path) -> Lock:
    return parse_lock(read_lock_text(path), path.name, Dangling.DROPPED)


def _base(path: Path) -> Lock | None:
    """Return what both sides came from; git hands over an empty file where there is none."""
    try:
        return _side(path)
    except (LockInvalidError, LockMissingError):
        return None
