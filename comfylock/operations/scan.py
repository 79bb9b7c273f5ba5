"""`scan`: inputs -> references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comfylock.errors import Problem
from comfylock.operations.remarks import learned_inputs, refused_spellings
from comfylock.reading import Skipped
from comfylock.references import Reference
from comfylock.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class Scanned:
    """What `scan` found; see `Reading` for what was not read.

    Attributes:
        warnings: one line each, for what ComfyUI will refuse.
        learned: inputs that only a running ComfyUI told of, and their folders where they are sure.
    """

    references: tuple[Reference, ...]
    passed_over: tuple[Skipped, ...]
    broken: tuple[Problem, ...]
    workflows: int
    warnings: tuple[str, ...]
    learned: Mapping[str, str | None]


def scan(session: Session, paths: Sequence[str]) -> Scanned:
    """Return every reference of the workflows that `paths`, or the lock's inputs, lead to."""
    recorded = None if paths else session.old_lock()[0]
    reading = session.read_workflows(session.scan_inputs(paths, recorded))
    references = reading.all_references
    return Scanned(
        references=references,
        passed_over=reading.passed_over,
        broken=reading.broken,
        workflows=len(reading.references),
        warnings=refused_spellings(session, references, None),
        learned=learned_inputs(session, references),
    )
