"""The question before anything is removed."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from comfylock.cli.prompting import may_ask
from comfylock.errors import UsageError
from comfylock.names import shown, split_alias
from comfylock.progress import size_text

if TYPE_CHECKING:
    from comfylock.actions import Plan, Remove


def review_removals(
    plan: "Plan", *, yes: bool, as_json: bool, quieten: Callable[[], None]
) -> "Plan":
    """Return a plan as it is if its removals are agreed to, else without them.

    Args:
        plan: what is about to be carried out.
        yes: they were agreed to beforehand.
        as_json: nobody is there to be asked.
        quieten: takes the progress display off the screen.

    Raises:
        UsageError: somebody would have to be asked, and nobody is there.
    """
    from comfylock.actions import Plan, Remove

    removals = [action for action in plan.actions if isinstance(action, Remove)]
    if yes or not removals:
        return plan
    if not may_ask(as_json=as_json):
        raise UsageError(
            f"--prune would remove {_files(removals)}, and nobody is there to be asked",
            hint="Look at them with --dry-run, then add --yes",
        )
    quieten()
    if _agreed(removals):
        return plan
    click.echo("Nothing is removed.", err=True)
    return Plan(actions=plan.of_pins)


def _agreed(removals: "list[Remove]") -> bool:
    for action in removals:
        ref, alias = split_alias(action.ref)
        name = f"{shown(ref)}  as {shown(alias)}" if alias else shown(ref)
        click.echo(f"- {name}  {size_text(action.file.stat.size)}", err=True)
    freed = size_text(sum(action.frees_bytes for action in removals))
    click.echo(f"Remove {_files(removals)} and free {freed}? [y/N] ", err=True, nl=False)
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


def _files(removals: "list[Remove]") -> str:
    return "1 file" if len(removals) == 1 else f"{len(removals)} files"
