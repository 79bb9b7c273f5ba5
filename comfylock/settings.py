"""What can be chosen, and which word counts: flag, variable, project's file, user's file, default.

Each place that says something is read into `Choices`; `choose_settings` lays them over each other.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from comfylock.errors import ConfigInvalidError
from comfylock.toml import Table, TomlError, excerpt

#: Names of evidence that may pin without asking, and which do when nobody says.
EVIDENCE = ("hash", "embedded", "pinned", "known", "filename", "local")
DEFAULT_EVIDENCE = ("hash", "embedded", "known", "filename")

MAX_WORKERS = 64

SETTING_KEYS = ("formats", "aliases", "inactive", "evidence", "link-mode", "jobs", "connections")

_E = TypeVar("_E", bound=StrEnum)
_FLAGS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}


class Formats(StrEnum):
    """What to do with formats whose files may run code when loaded."""

    DENY = "deny"
    WARN = "warn"
    ALLOW = "allow"


class Aliases(StrEnum):
    r"""Whether names with ``\`` are linked on POSIX, so that workflows from Windows run."""

    LINK = "link"
    OFF = "off"


class LinkMode(StrEnum):
    """How a file that lies elsewhere fills a spot; AUTO tries reflink, hardlink, copy."""

    AUTO = "auto"
    REFLINK = "reflink"
    HARDLINK = "hardlink"
    SYMLINK = "symlink"
    COPY = "copy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What one place says of the settings; ``None`` where it says nothing.

    Attributes:
        formats: what to do with pickle formats.
        aliases: whether to link names with backslashes.
        inactive: whether muted, bypassed and switched-off references count.
        evidence: what may pin without asking.
        link_mode: how a copy under another name fills a spot.
        jobs: how many models at once.
        connections: how many ranges of one file at once.
    """

    formats: Formats | None = None
    aliases: Aliases | None = None
    inactive: bool | None = None
    evidence: tuple[str, ...] | None = None
    link_mode: LinkMode | None = None
    jobs: int | None = None
    connections: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What counts in the end; see `Choices` for the meanings."""

    formats: Formats = Formats.WARN
    aliases: Aliases = Aliases.LINK
    inactive: bool = False
    evidence: tuple[str, ...] = DEFAULT_EVIDENCE
    link_mode: LinkMode = LinkMode.AUTO
    jobs: int = 4
    connections: int = 8


def choose_settings(*choices: Choices) -> Settings:
    """Return what counts: for each setting the first of `choices` that says something."""
    values: dict[str, Any] = {}
    for choice in reversed(choices):
        values |= said(choice)
    return Settings(**values)


def said(choices: Choices) -> dict[str, Any]:
    """Return what is said, by the names of `Choices`; what is not said is left out."""
    values = {field.name: getattr(choices, field.name) for field in fields(Choices)}
    return {name: value for name, value in values.items() if value is not None}


def read_choices(table: Table, spelled: Callable[[str], str] = str) -> Choices:
    """Return what a table says of the settings.

    Args:
        table: its other keys are passed over.
        spelled: how the table spells a setting such as ``link-mode``.

    Raises:
        TomlError: a value is none of those that the setting takes.
    """
    return Choices(
        formats=_choice(table, spelled("formats"), Formats),
        aliases=_choice(table, spelled("aliases"), Aliases),
        inactive=table.get(spelled("inactive"), bool),
        evidence=_evidence(table, spelled("evidence")),
        link_mode=_choice(table, spelled("link-mode"), LinkMode),
        jobs=_workers(table, spelled("jobs")),
        connections=_workers(table, spelled("connections")),
    )


def _choice(table: Table, key: str, kind: type[_E]) -> _E | None:
    value = table.choice(key, tuple(kind))
    return None if value is None else kind(value)


def _evidence(table: Table, key: str) -> tuple[str, ...] | None:
    listed = table.texts(key)
    for value in listed or ():
        if value not in EVIDENCE:
            known = ", ".join(EVIDENCE)
            raise table.fault(key, f"expected some of {known}, found {excerpt(value)}")
    return listed


def _workers(table: Table, key: str) -> int | None:
    value = table.get(key, int)
    if value is not None and not 1 <= value <= MAX_WORKERS:
        raise table.unexpected(key, f"a number from 1 to {MAX_WORKERS}")
    return value


def choices_from_environment(env: Mapping[str, str]) -> Choices:
    """Return what ``COMFYLOCK_FORMATS``, ``COMFYLOCK_JOBS`` and their like say; empty is unsaid.

    Raises:
        ConfigInvalidError: a value is none of those that the setting takes.
    """
    values = {_variable(key): env.get(_variable(key), "").strip() for key in SETTING_KEYS}
    typed = {variable: _typed(variable, text) for variable, text in values.items() if text}
    try:
        return read_choices(Table(typed), _variable)
    except TomlError as error:
        raise ConfigInvalidError(str(error)) from error


def _variable(key: str) -> str:
    return f"COMFYLOCK_{key.upper().replace('-', '_')}"


def _typed(variable: str, text: str) -> object:
    """Return a variable's text as the value that a settings file would hold."""
    match variable:
        case "COMFYLOCK_JOBS" | "COMFYLOCK_CONNECTIONS":
            return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text
        case "COMFYLOCK_INACTIVE":
            return _FLAGS.get(text.lower(), text)
        case "COMFYLOCK_EVIDENCE":
            return [part.strip() for part in text.split(",")]
        case _:
            return text
