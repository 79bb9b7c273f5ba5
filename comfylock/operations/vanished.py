"""Files that are gone from Civitai: outcomes of `install` -> what has become of each.

Asked after the work only, and only of what failed so; where nobody answers the outcome stays.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from comfylock.actions import Plan
from comfylock.candidates import of_content, oldest_first
from comfylock.errors import FetchError, Problem
from comfylock.lockfile.model import Pin
from comfylock.outcomes import Outcome
from comfylock.session import Session
from comfylock.vanished import explained, lost_source


def with_reasons(session: Session, plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Return the outcomes, those of files that are gone with what has become of them.

    After one question without an answer no further one is asked: each would be waited for.
    """
    pins = {action.pin.key: action.pin for action in plan.of_pins}
    known: dict[str, Problem] = {}
    with suppress(FetchError):
        for outcome in outcomes:
            problem, pin = outcome.problem, pins.get(outcome.ref)
            if problem is not None and pin is not None and problem.slug == "gone":
                known[outcome.ref] = _reason(session, pin, problem)
    return tuple(
        replace(outcome, problem=known.get(outcome.ref, outcome.problem)) for outcome in outcomes
    )


def _reason(session: Session, pin: Pin, problem: Problem) -> Problem:
    source = lost_source(pin)
    if source is None:
        return problem
    version = session.catalog.version_now(source.version)
    sha256 = frozenset(digest for digest in [pin.digests.sha256] if digest is not None)
    found = session.catalog.by_hashes(sorted(sha256))
    same = [one for versions in found.values() for one in of_content(versions, sha256)]
    return explained(problem, pin, version, oldest_first(same))
