"""`install` and `status`: comfy.lock and the models folders."""

import dataclasses
import sys
import time
from typing import TYPE_CHECKING

import click

from comfylock.cli.completing import complete_refs, complete_workflows
from comfylock.cli.options import global_options, json_option, option
from comfylock.cli.output import close_reporter, finish, given, open_session, working_directory
from comfylock.cli.removing import review_removals

if TYPE_CHECKING:
    from comfylock.actions import Plan
    from comfylock.report.json_lines import JsonLines


@click.command()
@option("--dry-run", is_flag=True, help="Change nothing; show the plan.")
@option("--locked", is_flag=True, help="Fail if comfy.lock is stale.")
@option("--frozen", is_flag=True, help="Do not look at the workflows.")
@option(
    "--workflow",
    multiple=True,
    metavar="PATH",
    shell_complete=complete_workflows,
    help="Only what this workflow needs, or those in this folder; repeatable.",
)
@option(
    "--only",
    multiple=True,
    metavar="GLOB",
    shell_complete=complete_refs,
    help="Only keys such as 'loras/*'; repeatable.",
)
@option("--replace", is_flag=True, help="Move other files in a model's place aside.")
@option("--prune", is_flag=True, help="Remove what comfylock placed and no lock wants any more.")
@option("-y", "--yes", is_flag=True, help="Agree to what --prune removes.")
@option("-j", "--jobs", type=click.IntRange(1, 64), help="Models at once.  [default: 4]")
@option(
    "--connections",
    type=click.IntRange(1, 64),
    help="Most connections for one large file.  [default: 8]",
)
@option(
    "--link-mode",
    type=click.Choice(["auto", "reflink", "hardlink", "symlink", "copy"]),
    help="How a copy that lies elsewhere is used.  [default: auto]",
)
@option(
    "--verify",
    type=click.Choice(["stat", "full"]),
    default="stat",
    help="Trust what a file was hashed to before, or read all files again.",
)
@json_option
@option("--json-lines", is_flag=True, help="Print one JSON object a line as things happen.")
@global_options(with_variables=False)
def install(
    dry_run: bool,
    locked: bool,
    frozen: bool,
    workflow: tuple[str, ...],
    only: tuple[str, ...],
    replace: bool,
    prune: bool,
    yes: bool,
    jobs: int | None,
    connections: int | None,
    link_mode: str | None,
    verify: str,
    as_json: bool,
    json_lines: bool,
) -> int:
    """Make the models folder agree with comfy.lock.

    What is there already, under any name, is recognised by its hash; only the rest is downloaded,
    verified and placed. Nothing of yours is deleted or overwritten. comfy.lock is never written.
    Exit code 1: a model is missing, wrong, blocked or failed at the end.
    """
    began = time.monotonic()
    plain = not (dry_run or workflow or only or replace or link_mode or as_json)
    plain = plain and not (prune or json_lines)
    if plain and verify == "stat" and not (locked and frozen):
        known = _known_right("locked" if locked else "frozen" if frozen else "warn")
        if known is not None:
            return _say_checked(known, time.monotonic() - began)

    from comfylock.disk.scan import Verify
    from comfylock.operations.freshness import Freshness
    from comfylock.operations.install import InstallMode, Surplus
    from comfylock.operations.install import install as install_models
    from comfylock.operations.selection import Selection
    from comfylock.plan import OnOccupied
    from comfylock.report.install import install_page
    from comfylock.settings import Choices, LinkMode

    if locked and frozen:
        raise click.UsageError("--locked and --frozen exclude each other")
    if as_json and json_lines:
        raise click.UsageError("--json and --json-lines exclude each other")
    lines = _json_lines() if json_lines else None
    choices = Choices(
        jobs=jobs,
        connections=connections,
        link_mode=LinkMode(link_mode) if link_mode else None,
    )
    on_occupied = OnOccupied.REPLACE if replace else OnOccupied.BLOCK
    freshness = (
        Freshness.MUST_BE_FRESH if locked else Freshness.DO_NOT_LOOK if frozen else Freshness.WARN
    )
    with open_session(
        lines, choices=choices, on_occupied=on_occupied, verify=Verify(verify)
    ) as session:

        def review(plan: "Plan") -> "Plan":
            if not dry_run:
                plan = review_removals(
                    plan,
                    yes=yes,
                    as_json=as_json or json_lines,
                    quieten=lambda: close_reporter(session),
                )
            return plan if lines is None else lines.plan(plan)

        done = install_models(
            session,
            Selection(workflows=workflow, only=only),
            freshness,
            InstallMode.DRY_RUN if dry_run else InstallMode.APPLY,
            Surplus.PRUNE if prune else Surplus.KEEP,
            review,
        )
    page = install_page(done, seconds=time.monotonic() - began, dry_run=dry_run)
    if lines is not None:
        lines.end(page)
        page = dataclasses.replace(page, out=())
    return finish("install", page, session, as_json=as_json)


def _json_lines() -> "JsonLines":
    from comfylock.report.json_lines import JsonLines

    return JsonLines(sys.stdout, verbose=given("verbose", default=False))


def _known_right(manner: str) -> int | None:
    """Return how many models a receipt of an earlier install vouches for."""
    import os

    from comfylock.operations.quick import models_known_right

    return models_known_right(
        working_directory(),
        given("lockfile", default=None),
        given("models_dir", default=()),
        given("extra_model_paths", default=()),
        environment=os.environ,
        manner=manner,
    )


def _say_checked(models: int, seconds: float) -> int:
    from comfylock.report.sentences import checked_sentence

    if not given("quiet", default=False):
        click.echo(checked_sentence(models, seconds), err=True)
    return 0


@click.command(short_help="Show what is missing or different here.")
@json_option
@global_options(with_variables=False)
def status(as_json: bool) -> int:
    """Show which models are missing, and whether comfy.lock is fresh.

    Downloads and changes nothing; the exit code is 0 whatever is missing.
    """
    from comfylock.operations.status import status as models_status
    from comfylock.report.status import status_page

    with open_session() as session:
        page = status_page(models_status(session))
    return finish("status", page, session, as_json=as_json)
