"""Questions to a person at a terminal; never off one."""

import os
import sys
from typing import TYPE_CHECKING

import click

from comfylock.cli.output import given
from comfylock.names import shown
from comfylock.progress import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from comfylock.artifacts import Candidate
    from comfylock.locking import Missed


def may_ask(*, as_json: bool) -> bool:
    """Say whether somebody is there to be asked."""
    if as_json or given("quiet", default=False) or os.environ.get("CI"):
        return False
    return sys.stdin.isatty() and sys.stderr.isatty()


class Questions:
    """Asks which file each ambiguous reference means, until the input ends."""

    def __init__(self) -> None:
        self._over = False

    def __call__(self, missed: "Missed") -> "Candidate | None":
        """Return the chosen candidate, ``None`` for none."""
        if self._over:
            return None
        key = missed.requirement.key
        click.echo(f"{shown(key)}: {missed.problem.message}", err=True)
        for line in _choices(missed.candidates):
            click.echo(f"  {line}", err=True)
        return self._answer(missed.candidates)

    def _answer(self, candidates: "tuple[Candidate, ...]") -> "Candidate | None":
        while True:
            click.echo(f"Which one? 1-{len(candidates)}, Enter skips: ", err=True, nl=False)
            line = sys.stdin.readline()
            self._over = not line
            text = line.strip()
            if not text:
                return None
            if text.isdecimal() and 1 <= int(text) <= len(candidates):
                return candidates[int(text) - 1]


def _choices(candidates: "Sequence[Candidate]") -> list[str]:
    """Return the choices as aligned lines; a file name that all of them have is not repeated."""
    from comfylock.report.columns import aligned

    alike = len({one.file_name for one in candidates}) == 1
    rows = [_cells(one, named=not alike) for one in candidates]
    return aligned([(f"{number})", *cells) for number, cells in enumerate(rows, start=1)])


def _cells(one: "Candidate", *, named: bool) -> tuple[str, ...]:
    from comfylock.artifacts import Artifact

    size = size_text(one.size_hint) if one.size_hint else "-"
    facts = ("-", "-", "-")
    if isinstance(one, Artifact):
        times = "-" if one.downloads is None else f"{one.downloads} downloads"
        facts = (shown(one.base_model or "-"), times, (one.published or "-")[:10])
    name = (shown(one.file_name),) if named else ()
    return (shown(one.title), *name, size, *facts, one.spec)
