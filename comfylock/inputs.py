"""What a command line names, as the inputs that comfy.lock records: relative to it, with ``/``."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from comfylock.errors import PathMissingError, UsageError
from comfylock.names import shown

_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Where workflows come from in one run.

    Attributes:
        read: everything to read now.
        recorded: what the lock keeps; comfylock.toml's own inputs are not repeated there.
        notes: what the user should be told.
    """

    read: tuple[str, ...]
    recorded: tuple[str, ...]
    notes: tuple[str, ...] = ()


def relative_input(text: str, directory: Path, base: Path) -> str:
    """Return a path or glob of the command line, relative to the lock's folder.

    Args:
        text: as typed, relative to `directory`.
        directory: where the command was run.
        base: the lock's folder.

    Raises:
        UsageError: it leads out of the lock's folder.
    """
    absolute = os.path.normpath(directory.absolute() / text)
    relative = os.path.relpath(absolute, base.absolute())
    if _leads_out(relative):  # the same folder may have been named through a link
        relative = os.path.relpath(os.path.realpath(absolute), os.path.realpath(base))
    if _leads_out(relative):
        raise UsageError(
            f"{shown(text)} does not lie below {shown(str(base.absolute()))}, the folder of "
            "comfy.lock",
            hint="Run comfylock where the workflows are, or name a folder with -C or --lockfile",
        )
    return PurePath(relative).as_posix()


def _leads_out(relative: str) -> bool:
    return relative.split(os.sep, 1)[0] == os.pardir


def gather_inputs(
    named: Sequence[str],
    recorded: Sequence[str],
    configured: Sequence[str],
    leads_somewhere: Callable[[str], bool],
) -> Inputs:
    """Return what to read: what is named now, what the lock records, what comfylock.toml says.

    A recorded path that is gone is dropped, with a note; a glob that matches nothing now stays
    recorded and is not read. What is named now is read in any case, which says that it is missing.

    Raises:
        UsageError: nothing is named anywhere.
        PathMissingError: all that was ever named is gone; the lock would become empty.
    """
    known = sorted({*recorded, *configured})
    there = [item for item in known if leads_somewhere(item)]
    gone = [item for item in known if item not in there]
    if not named and not known:
        raise UsageError(
            "no workflows are named, and there is no comfy.lock that knows them",
            hint="Name files or folders, as in `comfylock lock workflows/`",
        )
    if not named and not there:
        raise PathMissingError(
            f"{', '.join(map(shown, gone))} is no longer there, and nothing else is named",
            hint="Name the workflows, as in `comfylock lock workflows/`",
        )
    return Inputs(
        read=tuple(sorted({*named, *there})),
        recorded=tuple(
            sorted({*named, *(item for item in recorded if item in there or is_glob(item))})
        ),
        notes=tuple(map(_gone, gone)),
    )


def _gone(item: str) -> str:
    if is_glob(item):
        return f"{shown(item)} matches nothing now"
    return f"{shown(item)} is no longer there; it was dropped from the inputs"


def is_glob(item: str) -> bool:
    """Say whether an input is a pattern rather than a path."""
    return any(character in _GLOB_CHARACTERS for character in item)
