"""`report`: comfy.lock x models folders -> everything that a report of them tells."""

from collections.abc import Mapping
from dataclasses import dataclass

from comfylock.errors import ModelsDirMissingError, Problem
from comfylock.events import Warned
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock, Pin
from comfylock.lockfile.review import content_bytes
from comfylock.names import split_key
from comfylock.operations.freshness import compare
from comfylock.operations.status import ModelState, Standing, State, standing_of
from comfylock.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderUse:
    """One folder of ComfyUI's, as far as the lock is concerned.

    Attributes:
        folder: its name, such as ``loras``.
        models: how many locked models belong there.
        bytes_locked: their size; one content counts once in a folder.
        bytes_here: how much of it is here, ``None`` when no models folder is known.
    """

    folder: str
    models: int
    bytes_locked: int
    bytes_here: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """What a report tells.

    Attributes:
        title: what the project is called.
        lock: the lock.
        standing: how each model stands here, ``None`` when no models folder is known.
        folders: disk use by folder, largest first.
        bytes_locked: size of all contents, each counted once.
    """

    title: str
    lock: Lock
    standing: Standing | None
    folders: tuple[FolderUse, ...]
    bytes_locked: int

    @property
    def states(self) -> Mapping[str, ModelState]:
        """How each model stands, by reference; empty when no models folder is known."""
        return {} if self.standing is None else {one.ref: one for one in self.standing.models}

    @property
    def unresolved(self) -> Mapping[str, tuple[str, ...]]:
        """The workflows of each reference that has no pin, by reference."""
        refs = {ref for entry in self.lock.workflows.values() for ref in entry.unresolved}
        return {
            ref: tuple(
                path
                for path, entry in sorted(self.lock.workflows.items())
                if ref in entry.unresolved
            )
            for ref in sorted(refs)
        }

    def missing(self) -> tuple[ModelState, ...]:
        """Return what is not as the lock says, by reference."""
        return tuple(one for one in self.states.values() if one.state is not State.PRESENT)


def report(session: Session) -> Overview:
    """Return what a report tells; downloads and changes nothing.

    Raises:
        CannotWorkError: no lock, or one that cannot be read.
    """
    locked = read_lock(session.lock_path)
    standing = _standing(session, locked)
    return Overview(
        title=session.base.name or "project",
        lock=locked,
        standing=standing,
        folders=_folders(locked, standing),
        bytes_locked=content_bytes(locked.models.values()),
    )


def _standing(session: Session, locked: Lock) -> Standing | None:
    """Return how the models stand; a machine without models can still tell what is locked."""
    differences = compare(session, locked, ()).differences
    try:
        return standing_of(session, locked, differences)
    except ModelsDirMissingError as error:
        session.reporter.on(Warned(message=_without_state(error.problem())))
        return None


def _without_state(problem: Problem) -> str:
    return f"{problem.message}: the report does not say which models are here"


def _folders(locked: Lock, standing: Standing | None) -> tuple[FolderUse, ...]:
    here = (
        None
        if standing is None
        else {one.ref for one in standing.models if one.state is State.PRESENT}
    )
    by_folder: dict[str, list[Pin]] = {}
    for key, pin in sorted(locked.models.items()):
        by_folder.setdefault(split_key(key)[0], []).append(pin)
    uses = [
        FolderUse(
            folder=folder,
            models=len(pins),
            bytes_locked=content_bytes(pins),
            bytes_here=None if here is None else content_bytes(p for p in pins if p.key in here),
        )
        for folder, pins in by_folder.items()
    ]
    return tuple(sorted(uses, key=lambda use: (-use.bytes_locked, use.folder)))
