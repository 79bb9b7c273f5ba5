"""`export`: comfy.lock -> the same models in the words of another tool."""

from dataclasses import dataclass
from enum import StrEnum

from comfylock import __version__
from comfylock.errors import Problem
from comfylock.exports.aria2 import aria2_list
from comfylock.exports.bash import bash_script
from comfylock.exports.cyclonedx import bill_of_materials
from comfylock.exports.entries import Trust, fetchable, without_source
from comfylock.exports.table import lock_table
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Lock, Pin
from comfylock.operations.selection import Selection, select
from comfylock.session import Session
from comfylock.unpinned import unpinned


class ExportFormat(StrEnum):
    """What an export is written for."""

    BASH = "bash"
    ARIA2 = "aria2"
    CSV = "csv"
    CYCLONEDX = "cyclonedx"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """An export.

    Attributes:
        format: whom it is for.
        text: all of it.
        models: how many models it holds.
        problems: why others are not in it, or cannot be fetched by it.
        warnings: what the lock's reader noticed.
    """

    format: ExportFormat
    text: str
    models: int
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def export(session: Session, wanted: ExportFormat) -> Exported:
    """Return the lock in another tool's words; needs no models folder and makes no request.

    Raises:
        CannotWorkError: no lock, or one that cannot be read.
    """
    locked = read_lock(session.lock_path)
    pins, unresolved = select(locked, Selection())
    text, models, problems = _built(session, locked, pins, wanted)
    return Exported(
        format=wanted,
        text=text,
        models=models,
        problems=(*problems, *map(unpinned, unresolved)),
        warnings=locked.warnings,
    )


def _built(
    session: Session, locked: Lock, pins: tuple[Pin, ...], wanted: ExportFormat
) -> tuple[str, int, tuple[Problem, ...]]:
    """Return the text, how many models are in it, and what is wrong with others."""
    hub = session.hub
    match wanted:
        case ExportFormat.CSV:
            return lock_table(locked, hub), len(pins), without_source(pins)
        case ExportFormat.CYCLONEDX:
            text = bill_of_materials(
                locked, hub, project=session.base.name or "project", tool_version=__version__
            )
            return text, len(pins), without_source(pins)
        case ExportFormat.BASH | ExportFormat.ARIA2:
            trust = Trust(
                formats=session.settings.formats,
                allowed_hosts=frozenset(session.user.allow_hosts),
            )
            entries, problems = fetchable(pins, hub, trust)
            if wanted is ExportFormat.BASH:
                text = bash_script(entries, hub, aliases=session.settings.aliases)
                return text, len(entries), problems
            text, left_out = aria2_list(entries)
            return text, len(entries) - len(left_out), (*problems, *left_out)
