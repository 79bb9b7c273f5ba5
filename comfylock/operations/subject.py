"""The reference that a person means by REF, with what the workflows and the lock say of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from comfylock.errors import LockMissingError, UnresolvedError
from comfylock.lockfile.changes import matches
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock, Pin
from comfylock.locking import recorded_pin
from comfylock.names import shown, split_key
from comfylock.operations.freshness import has_workflows
from comfylock.places import PROJECT_FILE
from comfylock.references import Reference, ReferenceKind, Requirement
from comfylock.selecting import any_refs, matching_refs, one_ref
from comfylock.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One reference.

    Attributes:
        key: as workflows ask for it; what only the lock knows goes by the lock's key.
        requirement: what is to be resolved.
        references: who asks for it now, also where inactive.
        pin: the lock's entry, ``None`` when it has none.
    """

    key: str
    requirement: Requirement
    references: tuple[Reference, ...]
    pin: Pin | None

    @property
    def workflows(self) -> frozenset[str]:
        """The workflows that ask for it now."""
        return frozenset(self.requirement.workflows)


class Subjects:
    """All references that can be meant: what the workflows ask for now, and what the lock holds.

    Attributes:
        lock: the lock as it stands, ``None`` when there is none.
    """

    def __init__(self, session: Session) -> None:
        self.lock = _lock(session)
        self._ignore = session.project.ignore
        self._references = _references(session, self.lock)
        requirements = session.requirements(self._references)
        self._requirements = {requirement.key: requirement for requirement in requirements}

    @property
    def keys(self) -> tuple[str, ...]:
        """Every reference by its key, sorted."""
        asked = set(self._requirements)
        return tuple(
            sorted(asked | {ref for ref in _locked(self.lock) if not _is_asked(ref, asked)})
        )

    def one(self, ref: str) -> Subject:
        """Return the one that a REF means.

        Raises:
            UnresolvedError, AmbiguousError: it means none, or several.
        """
        self._refuse_ignored(ref)
        return self.named(one_ref(ref, self.keys))

    def all(self, ref: str) -> tuple[Subject, ...]:
        """Return those that a REF means; several only for a glob.

        Raises:
            UnresolvedError, AmbiguousError: as `one`.
        """
        self._refuse_ignored(ref)
        return tuple(self.named(key) for key in matching_refs(ref, self.keys))

    def ignored(self, ref: str) -> tuple[str, ...]:
        """Return the entries of comfylock.toml by which a REF is ignored, if it is no other."""
        if any_refs(ref, self.keys):
            return ()
        return any_refs(ref, self._ignore) or tuple(
            glob for glob in self._ignore if fnmatchcase(ref, glob)
        )

    def _refuse_ignored(self, ref: str) -> None:
        if by := self.ignored(ref):
            raise UnresolvedError(
                f"{shown(ref)} is ignored: {PROJECT_FILE} names {shown(by[0])} below [ignore]",
                hint="Take it out there, then run `comfylock lock`",
            )

    def named(self, key: str) -> Subject:
        """Return the one of a key."""
        pin = recorded_pin(key, self.lock)
        return Subject(
            key=key,
            requirement=self._requirements.get(key) or _from_lock(key, pin, self.lock),
            references=tuple(one for one in self._references if one.key == key),
            pin=pin,
        )


def _lock(session: Session) -> Lock | None:
    try:
        return read_lock(session.lock_path)
    except LockMissingError:
        return None


def _references(session: Session, lock: Lock | None) -> tuple[Reference, ...]:
    """Read the workflows; a lock that came without them is enough to go on."""
    if lock is not None and not has_workflows(session, lock):
        return ()
    return session.read_workflows(session.lock_inputs((), lock).read).all_references


def _locked(lock: Lock | None) -> Iterable[str]:
    if lock is None:
        return ()
    entries = lock.workflows.values()
    return {*lock.models, *(ref for entry in entries for ref in entry.unresolved)}


def _is_asked(recorded: str, asked: set[str]) -> bool:
    """Say whether a recorded reference is an asked one; the lock has no invisible characters."""
    return any(matches(one, recorded) or shown(one) == recorded for one in asked)


def _from_lock(key: str, pin: Pin | None, lock: Lock | None) -> Requirement:
    folder, name = split_key(key)
    entries = lock.workflows.values() if lock is not None else ()
    return Requirement(
        key=key,
        folder=folder,
        name=name,
        kind=ReferenceKind.FILE,
        aliases=pin.aliases if pin is not None else (),
        workflows=tuple(
            sorted(one.path for one in entries if key in one.models or key in one.unresolved)
        ),
        hints=(),
        active=True,
    )
