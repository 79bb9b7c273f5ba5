"""What `doctor` finds, as values."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to, such as ``folders``.
        health: how it is.
        message: one sentence or less; foreign names in it are as they may be printed.
        fix: the next step, where there is something to do.
        bytes: the size that it speaks of.
    """

    area: str
    message: str
    health: Health = Health.OK
    fix: str | None = None
    bytes: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A setting as it counts here.

    Attributes:
        name: as config.toml spells it.
        value: as text.
        origin: who says so: a flag, a variable, a file, or ``default``.
    """

    name: str
    value: str
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What `doctor` found.

    Attributes:
        findings: in the order in which a person would look.
        settings: what counts, and who says so; empty where settings cannot be read.
    """

    findings: tuple[Finding, ...]
    settings: tuple[Setting, ...]

    def count(self, health: Health) -> int:
        """Return how many findings are of one kind."""
        return sum(1 for finding in self.findings if finding.health is health)
