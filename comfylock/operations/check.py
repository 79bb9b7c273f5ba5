"""`check`: what `status` tells, as an answer: yes or no."""

from dataclasses import dataclass, replace

from comfylock.actions import Blocked, Link, Replace
from comfylock.errors import Problem
from comfylock.lockfile.file import read_lock
from comfylock.names import split_alias
from comfylock.operations.freshness import compare, stale_problems
from comfylock.operations.remarks import denied_formats, refused_spellings
from comfylock.operations.status import ModelState, Standing, State, standing_of
from comfylock.session import Session
from comfylock.unpinned import unpinned


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What `check` found.

    Attributes:
        standing: how each model stands.
        findings: everything that makes the answer a no.
        warnings: what the lock's reader noticed, and names that ComfyUI will refuse although
            their models are there; no reason for a no.
    """

    standing: Standing
    findings: tuple[Problem, ...]
    warnings: tuple[str, ...]


def check(session: Session) -> Verdict:
    """Say whether models, lock and workflows agree; changes and downloads nothing.

    Raises:
        CannotWorkError: no lock, no models folder, a lock that cannot be read.
    """
    locked = read_lock(session.lock_path)
    compared = compare(session, locked, ())
    standing = standing_of(session, locked, compared.differences)
    said = {one.ref for one in standing.models if one.problem is not None}
    drift = [_drift(model) for model in standing.models if model.state is not State.PRESENT]
    drift += [_alias_drift(action) for action in standing.aliases]
    return Verdict(
        standing=standing,
        findings=(
            *drift,
            *stale_problems(compared.differences),
            *compared.broken,
            *denied_formats(session, locked, but=said),
        ),
        warnings=(*standing.warnings, *refused_spellings(session, compared.references, locked)),
    )


def _drift(model: ModelState) -> Problem:
    if model.problem is not None:
        return model.problem
    if model.state is State.UNRESOLVED:
        return unpinned(model.ref)
    hints = {
        State.MISSING: "Run `comfylock install`",
        State.DIFFERENT: "Run `comfylock install`, which moves the old file aside",
    }
    words = {
        State.MISSING: "is not there",
        State.DIFFERENT: "has other bytes than the lock says",
    }
    word, hint = words.get(model.state, "cannot be placed"), hints.get(model.state)
    return Problem(slug="drift", ref=model.ref, message=f"{model.ref} {word}", hint=hint)


def _alias_drift(action: Link | Replace | Blocked) -> Problem:
    ref, alias = split_alias(action.pin.key)
    if isinstance(action, Blocked):
        return replace(action.problem, ref=ref)
    return Problem(
        slug="drift",
        ref=ref,
        message=f"{ref} has no link {alias}, the name by which workflows ask for it",
        hint='Run `comfylock install`, or set aliases = "off" if nobody needs such names',
    )
