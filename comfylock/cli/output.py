"""From the options to a session, and from a page to the terminal."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from comfylock.cli.options import kept_options
from comfylock.cli.painting import painted_note, painted_row
from comfylock.errors import UsageError
from comfylock.names import shown
from comfylock.progress import AnyReporter, make_reporter

#: What says with its lines what it did, not what it was asked.
_ACTS = frozenset({"lock", "install", "update", "pin", "unpin", "ignore", "fix-paths"})

if TYPE_CHECKING:
    from comfylock.events import Reporter
    from comfylock.hubs import Reuse
    from comfylock.report.page import Page
    from comfylock.session import Session


def given(name: str, *, default: Any) -> Any:
    """Return a global option."""
    return kept_options(click.get_current_context()).get(name, default)


def working_directory() -> Path:
    """Return the folder that `-C` names, or the one that the command was run in."""
    try:
        return Path(os.path.abspath(given("directory", default="")))  # noqa: PTH100 - not through links
    except FileNotFoundError as error:
        raise UsageError(
            "the folder that this was run in is gone",
            hint="Change to another one, or name it with -C",
        ) from error


def open_session(
    reporter: "Reporter | None" = None, *, refresh: bool = False, **wishes: Any
) -> "Session":
    """Return the session that the global options and a command's own wishes describe.

    Args:
        reporter: told of what happens, in place of bars or lines on stderr.
        refresh: no answer that was kept before may serve.
        **wishes: fields of `session.Wishes`.
    """
    from comfylock.session import Session, Wishes

    if refresh:
        wishes["reuse"] = _refreshing()
    directory = working_directory()
    if not directory.is_dir():
        raise UsageError(
            f"{shown(str(directory))} is not a folder", hint="Check the path given with -C"
        )
    return Session(
        Wishes(
            directory=directory,
            lockfile=given("lockfile", default=None),
            models_dirs=given("models_dir", default=()),
            extra_model_paths=given("extra_model_paths", default=()),
            offline=given("offline", default=False),
            **wishes,
        ),
        os.environ,
        reporter or _reporter(),
    )


def _refreshing() -> "Reuse":
    from comfylock.hubs import Reuse

    if given("offline", default=False):
        raise UsageError(
            "--refresh asks the hubs anew, and --offline forbids it",
            hint="Leave one of them out; COMFYLOCK_REFRESH and COMFYLOCK_OFFLINE count as well",
        )
    return Reuse.NEVER


def _reporter() -> AnyReporter:
    reporter = make_reporter(
        quiet=given("quiet", default=False),
        verbose=given("verbose", default=False),
        bars=not given("no_progress", default=False) and _colour() is not False,
        colour=_colour(),
    )
    # However the command ends: bars that stay hide the cursor.
    click.get_current_context().call_on_close(reporter.close)
    return reporter


def colour(kept: Mapping[str, Any]) -> bool | None:
    """Return whether to use colour: the flag's word, else the terminal's, else unsaid.

    Args:
        kept: the global options.
    """
    chosen: str = kept.get("color", "auto")
    if chosen != "auto":
        return chosen == "always"
    refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if refused else None


def _colour() -> bool | None:
    return colour(kept_options(click.get_current_context()))


def close_reporter(session: "Session") -> None:
    """End the progress display, so that other lines may be written."""
    close = getattr(session.reporter, "close", None)
    if close is not None:
        close()


def finish(command: str, page: "Page", session: "Session", *, as_json: bool) -> int:
    """End the progress display, print a page and return its exit code."""
    close_reporter(session)
    quiet = given("quiet", default=False)
    return show(page, command=command, as_json=as_json, quiet=quiet, colour=_colour())


def show(
    page: "Page", *, command: str, as_json: bool, quiet: bool, colour: bool | None = None
) -> int:
    """Print a page and return its exit code.

    Raises:
        OutputError: stdout takes no more.
    """
    from comfylock.report.page import json_text

    if as_json:
        _print([json_text(command, page)], colour)
    elif not (quiet and command in _ACTS):
        _print((painted_row(line) if page.has_signs else line for line in page.out), colour)
    if not quiet:
        for line in page.err:
            click.echo(painted_note(line), err=True, color=colour)
    _show_problems(page, colour)
    return page.exit_code


def _print(lines: Iterable[str], colour: bool | None) -> None:
    for line in lines:
        click.echo(line, color=colour)  # which flushes


def _show_problems(page: "Page", colour: bool | None) -> None:
    """Print the errors; a hint that several in a row share is printed once, behind the last."""
    from comfylock.report.alike import told_together
    from comfylock.report.page import hint_lines

    problems = told_together(page.problems, page.out)
    for position, problem in enumerate(problems):
        first, *more = problem.message.split("\n")
        head = click.style(f"error[{problem.slug}]", fg="red", bold=True)
        click.echo(f"{head}: {shown(first)}", err=True, color=colour)
        for line in more:
            click.echo(shown(line), err=True, color=colour)
        following = problems[position + 1] if position + 1 < len(problems) else None
        if following is None or following.hint != problem.hint:
            for line in hint_lines(problem.hint):
                click.echo(painted_note(line), err=True, color=colour)
            if following is not None and problem.hint is not None:
                click.echo("", err=True)
