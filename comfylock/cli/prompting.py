"""Questions to a person at a terminal; never off one."""

import os
import sys
from typing import TYPE_CHECKING

import click

from comfylock.cli.output import given
from comfylock.names import shown
from comfylock.progress import size_text

if TYPE_CHECKING:
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
        for number, one in enumerate(missed.candidates, start=1):
            click.echo(f"  {number}) {_described(one)}", err=True)
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


def _described(one: "Candidate") -> str:
    from comfylock.artifacts import Artifact

    parts = [shown(one.title), shown(one.file_name)]
    parts += [size_text(one.size_hint)] if one.size_hint else []
    if isinstance(one, Artifact):
        parts += [shown(one.base_model)] if one.base_model else []
        parts += [f"{one.downloads} downloads"] if one.downloads is not None else []
        parts += [one.published[:10]] if one.published else []
    return "  ".join([*parts, one.spec])
