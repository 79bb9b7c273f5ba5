"""`why` and `tree`: who needs what, and on which evidence it was pinned."""

from collections.abc import Mapping
from dataclasses import dataclass

from comfylock.artifacts import Candidate
from comfylock.config import ModelWish
from comfylock.errors import Problem
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock, Pin, WorkflowEntry
from comfylock.names import quoted
from comfylock.operations.selection import below
from comfylock.operations.subject import Subject, Subjects
from comfylock.resolve import Ambiguous, Miss, Resolution, Resolved, Unresolved, resolve
from comfylock.selecting import matching_workflows
from comfylock.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """What is known of one reference.

    Attributes:
        subject: who asks for it, and the lock's pin.
        wish: what comfylock.toml says of it, ``None`` for nothing.
        misses: what did not know it now, by rung, in the order of the ladder.
        found: what the first rung that knows would pin it to.
        reason: why it would not be pinned, or why nobody could be asked.
        candidates: files that it may mean.
    """

    subject: Subject
    wish: ModelWish | None
    misses: tuple[Miss, ...]
    found: Pin | None
    reason: Problem | None
    candidates: tuple[Candidate, ...]


def why(session: Session, ref: str) -> Explained:
    """Say who needs a reference, and climb the ladder for it as if it were not locked.

    With a session that reuses kept answers of any age, the hub is asked only for what was never
    asked before. Nothing is written.

    Raises:
        UnresolvedError, AmbiguousError: the REF means no reference, or several.
    """
    subject = Subjects(session).one(ref)
    asking = session.asking([subject.requirement])
    wish = asking.wishes.get(subject.key)
    answer = resolve(
        subject.requirement,
        old=None,
        wish=wish,
        local=asking.local.get(subject.key),
        catalog=asking.catalog,
        rungs=asking.rungs,
    )
    return Explained(
        subject=subject,
        wish=wish,
        misses=answer.misses,
        found=answer.pin if isinstance(answer, Resolved) else None,
        reason=_reason(answer),
        candidates=() if isinstance(answer, Resolved) else answer.candidates,
    )


def _reason(answer: Resolution) -> Problem | None:
    match answer:
        case Resolved():
            return None
        case Ambiguous():
            return Problem(
                slug="ambiguous",
                message=answer.reason,
                hint=f"Say which one with `comfylock pin {quoted(answer.key)} SPEC`",
                ref=answer.key,
            )
        case Unresolved():
            return answer.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """What workflows need, by the lock.

    Attributes:
        lock: the lock.
        entries: the workflows that are meant, by path, sorted.
    """

    lock: Lock
    entries: Mapping[str, WorkflowEntry]


def tree(session: Session, workflow: str | None) -> Tree:
    """Return what one workflow, or each, needs; the lock is enough for that.

    Raises:
        LockMissingError: there is no lock.
        UnresolvedError, AmbiguousError: the name means no workflow of the lock, or several.
    """
    lock = read_lock(session.lock_path)
    paths = sorted(lock.workflows)
    if workflow is not None:
        paths = list(matching_workflows(workflow, paths, below(session, workflow)))
    return Tree(lock=lock, entries={path: lock.workflows[path] for path in paths})
