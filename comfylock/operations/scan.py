"""`scan`: inputs -> references."""

from collections.abc import Sequence
from dataclasses import dataclass

from comfylock.errors import Problem
from comfylock.reading import Skipped
from comfylock.references import Reference
from comfylock.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class Scanned:
    """What `scan` found; see `Reading` for the last two."""

    references: tuple[Reference, ...]
    passed_over: tuple[Skipped, ...]
    broken: tuple[Problem, ...]
    workflows: int


def scan(session: Session, paths: Sequence[str]) -> Scanned:
    """Return every reference of the workflows that `paths`, or the lock's inputs, lead to."""
    recorded = None if paths else session.old_lock()[0]
    reading = session.read_workflows(session.scan_inputs(paths, recorded))
    return Scanned(
        references=reading.all_references,
        passed_over=reading.passed_over,
        broken=reading.broken,
        workflows=len(reading.references),
    )
