"""Leaving a receipt behind: `quick` reads it at the next install."""

import os
from collections.abc import Iterator
from pathlib import Path

from comfylock.actions import Keep, Plan, target_of
from comfylock.config import cache_dir, config_dir
from comfylock.disk.receipt import Receipt, look, receipt_path, write_receipt
from comfylock.inputs import is_glob
from comfylock.inventory import FileStat
from comfylock.lockfile.model import Lock
from comfylock.names import split_key
from comfylock.operations.quick import circumstances
from comfylock.places import PROJECT_FILE
from comfylock.session import Session
from comfylock.workflows.find import find_workflow_files


def leave_receipt(session: Session, locked: Lock, plan: Plan, *, manner: str) -> None:
    """Write down what an install that found nothing to do has looked at.

    Nothing is written where the answer rests on more than can be listed: inputs with globs, files
    whose hash was too new to remember.
    """
    inputs = (*locked.inputs, *session.project.workflows)
    if manner != "frozen" and any(map(is_glob, inputs)):
        return
    text = session.lock_path.read_bytes()
    settings = [
        session.base / PROJECT_FILE,
        config_dir(session.environment) / "config.toml",
    ]
    seen = {str(path): look(path) for path in settings}
    for path, stat in _models(session, plan):
        if stat is None:
            return
        seen[path] = stat
    for path in _absent(session, plan):
        if look(path) is not None:
            return
        seen[path] = None
    if manner != "frozen":
        seen |= {str(path): look(path) for path in _workflows(session, inputs)}
    write_receipt(
        receipt_path(cache_dir(session.environment), session.lock_path, manner),
        Receipt(
            circumstances=circumstances(text, session.directories, session.environment),
            models=len(locked.models),
            seen=tuple(seen.items()),
        ),
    )


def _models(session: Session, plan: Plan) -> Iterator[tuple[str, FileStat | None]]:
    """Yield each kept file with its facts, if the hash cache trusts them."""
    for action in plan.actions:
        assert isinstance(action, Keep), "a receipt is for a plan without work"
        stat = look(action.path)
        trusted = stat is not None and session.hash_cache.lookup(action.path, stat) is not None
        yield str(action.path), stat if trusted else None


def _absent(session: Session, plan: Plan) -> Iterator[str]:
    """Yield the places that ComfyUI would look into before it finds a kept file."""
    for action in plan.of_pins:
        folder, name = split_key(action.pin.key)
        for directory in session.directories.directories(folder):
            path = f"{directory}{os.sep}{name}"
            if path == str(target_of(action)):
                break
            yield path


def _workflows(session: Session, inputs: tuple[str, ...]) -> Iterator[Path]:
    """Yield every workflow file, and every folder in which a new one would turn up."""
    base = session.base
    there = [item for item in inputs if (base / item).exists()]
    yield from (base / item for item in inputs)
    for item in there:
        for folder, _, _ in os.walk(base / item, followlinks=True):
            yield Path(folder)
    yield from find_workflow_files(there, base, session.project.exclude)
