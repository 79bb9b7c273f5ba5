"""What is to be said of references besides their pins: by `scan`, `lock`, `check` and `doctor`."""

import os
from collections.abc import Collection, Mapping, Sequence

from comfylock.aliases import with_aliases
from comfylock.errors import Problem
from comfylock.lockfile.model import Lock
from comfylock.references import Reference
from comfylock.session import Session
from comfylock.settings import Formats


def refused_spellings(
    session: Session, references: Sequence[Reference], lock: Lock | None
) -> tuple[str, ...]:
    """Return a line about names that this system's ComfyUI refuses for their separators.

    A spelling that the lock has as an alias is none of them where an install links those.
    """
    from comfylock.spelling import Separator, misspelling_warning

    pins = lock.models.values() if lock is not None else ()
    linked = {pin.key for pin in with_aliases(pins, session.settings.aliases)}
    refused = [one for one in references if f"{one.folder}/{one.name}" not in linked]
    found = misspelling_warning(refused, Separator(os.sep))
    return () if found is None else (found,)


def learned_inputs(session: Session, references: Sequence[Reference]) -> Mapping[str, str | None]:
    """Return the inputs among these that only a running ComfyUI knows, with their folders."""
    if not session.node_table.told:
        return {}
    from comfylock.objectinfo import learned

    return learned(session.node_table, [(one.type, one.input) for one in references])


def denied_formats(
    session: Session, lock: Lock, *, but: Collection[str] = frozenset()
) -> tuple[Problem, ...]:
    """Return the pins whose format the settings deny, but for some, wherever their files are.

    They stay in the lock, which says what the workflows mean: whether a machine takes it is for
    that machine's settings.
    """
    if session.settings.formats is not Formats.DENY:
        return ()
    return tuple(
        Problem(
            slug="unsafe-format",
            ref=key,
            message=f"{key} may run code when it is loaded, and the settings deny such formats",
            hint='Replace it in the workflows, or set formats = "warn" below [lock]',
        )
        for key in sorted(lock.models.keys() - but)
        if lock.models[key].may_run_code
    )
