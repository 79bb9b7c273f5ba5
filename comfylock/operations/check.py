"""`check`: what `status` tells, as an answer: yes or no."""

from dataclasses import dataclass, replace

from comfylock.errors import PathMissingError, Problem
from comfylock.lockfile.changes import Difference
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock
from comfylock.names import is_pickle, split_alias
from comfylock.operations.freshness import compare, stale_problems
from comfylock.operations.status import ModelState, Standing, State, standing_of
from comfylock.plan import Blocked, Link, Replace
from comfylock.session import Session
from comfylock.settings import Formats
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
    differences: tuple[Difference, ...] = ()
    broken: tuple[Problem, ...] = ()
    refused: tuple[str, ...] = ()
    if session.has_workflows(locked):
        try:
            compared = compare(session, locked, ())
            differences, broken = compared.differences, compared.broken
            refused = session.warnings(compared.references, locked)
        except PathMissingError as error:
            broken = (error.problem(),)
    standing = standing_of(session, locked, differences)
    drift = [_drift(model) for model in standing.models if model.state is not State.PRESENT]
    drift += [_alias_drift(action) for action in standing.aliases]
    return Verdict(
        standing=standing,
        findings=(*drift, *stale_problems(differences), *broken, *_denied(session, locked)),
        warnings=(*standing.warnings, *refused),
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


def _denied(session: Session, locked: Lock) -> list[Problem]:
    """Return the pins whose format the settings deny, whether or not their files are there."""
    if session.settings.formats is not Formats.DENY:
        return []
    return [
        Problem(
            slug="unsafe-format",
            ref=key,
            message=f"{key} may run code when it is loaded, and the settings deny such formats",
            hint='Replace it in the workflows, or set formats = "warn" below [lock]',
        )
        for key in sorted(locked.models)
        if is_pickle(key) or locked.models[key].format == "pickle"
    ]
