"""The commands, and what runs one: the only place that catches `ComfylockError`."""

import errno
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import click

from comfylock.cli.asking import scan, search, tree, why
from comfylock.cli.caching import cache
from comfylock.cli.checking import check, verify
from comfylock.cli.choosing import ignore, pin, unpin
from comfylock.cli.completing import completions
from comfylock.cli.fixing import fix_paths
from comfylock.cli.installing import install, status
from comfylock.cli.keys import auth
from comfylock.cli.locking import lock, outdated, update
from comfylock.cli.options import Commands, global_options, switched_on
from comfylock.cli.output import colour, show
from comfylock.cli.starting import doctor, init
from comfylock.cli.telling import diff, export, merge_driver, report
from comfylock.errors import (
    CannotWorkError,
    ComfylockError,
    NetworkError,
    OfflineError,
    OutputError,
    PlaceError,
    StoppedError,
    UsageError,
)
from comfylock.names import shown

#: Where these stop one model, its answer is no; where they stop the command, there is none.
_NOBODYS_ANSWER = (PlaceError, NetworkError, OfflineError)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What the words of a command line say of its output, before click understands them.

    Attributes:
        command: its name, with its group's: ``cache info``.
        as_json: one document is wanted, whatever happens.
        as_lines: a document a line is wanted, as things happen.
    """

    command: str
    as_json: bool
    as_lines: bool


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; whatever goes wrong is printed."""
    asked = _asked(arguments)
    kept: dict[str, Any] = {}
    try:
        result = comfylock.main(
            args=list(arguments), prog_name="comfylock", standalone_mode=False, obj=kept
        )
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        return _refuse(error, asked, kept)
    except (click.Abort, ComfylockError) as error:
        fault = error if isinstance(error, ComfylockError) else StoppedError("stopped")
        return _fail(fault, asked, kept, begun=True)
    except BrokenPipeError:
        return 1
    except OSError as error:
        return _fail(_of_the_system(error), asked, kept, begun=True)
    return result if isinstance(result, int) else 0


def _asked(arguments: Sequence[str]) -> _Asked:
    words = list(arguments)
    words = words[: words.index("--")] if "--" in words else words
    command = _command_name(words)
    as_lines = command == "install" and ("--json-lines" in words or switched_on("--json-lines"))
    as_json = "--json" in words or switched_on("--json")
    if command in {"diff", "report"}:
        as_json = as_json or "--format=json" in words or ("--format", "json") in pairwise(words)
    return _Asked(command=command, as_json=as_json, as_lines=as_lines and not as_json)


def _refuse(error: click.ClickException, asked: _Asked, kept: Mapping[str, Any]) -> int:
    """Say what is wrong with the command line; one without a command gets the help."""
    message = error.format_message().removesuffix(".")
    if type(error).__name__ == "NoArgsIsHelpError":  # since click 8.2, its message is the help
        if not asked.as_json:
            click.echo(message, err=True)
            return UsageError.exit_code
        message = "no command is given"
    return _fail(UsageError(message, hint=_usage_hint(error)), asked, kept, begun=False)


def _of_the_system(error: OSError) -> ComfylockError:
    """Return the error of what no other place expected: the system refuses the whole command."""
    from comfylock.disk.faults import disk_fault

    named = shown(str(error.filename or "what this needs"))
    if error.errno == errno.ENAMETOOLONG:  # whichever argument it came from
        return UsageError(f"{named} is a longer name than this system has", hint="Check the path")
    return disk_fault(error, named, "use")


def _usage_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "comfylock"
    return f"Run `{path} --help`"


def _fail(error: ComfylockError, asked: _Asked, kept: Mapping[str, Any], *, begun: bool) -> int:
    from comfylock.report.page import error_page

    page = error_page(error)
    if isinstance(error, _NOBODYS_ANSWER):
        page = replace(page, exit_code=CannotWorkError.exit_code)
    if asked.as_lines and not isinstance(error, OutputError):
        from comfylock.report.json_lines import JsonLines

        JsonLines(sys.stdout, begun=begun).end(page)
    if isinstance(error, StoppedError) and not asked.as_json:
        click.echo(error.message, err=True)
        return error.exit_code
    as_json = asked.as_json and not isinstance(error, OutputError)
    return show(page, command=asked.command, as_json=as_json, quiet=False, colour=colour(kept))


def _command_name(arguments: Sequence[str]) -> str:
    """Return the name of the command that was asked for, with its group's: ``cache info``."""
    named = [Commands.aliases.get(word, word) for word in arguments]
    name = next((word for word in named if word in comfylock.commands), "comfylock")
    command = comfylock.commands.get(name)
    if not isinstance(command, click.Group):
        return name
    behind = named[named.index(name) + 1 :]
    inner = next((word for word in behind if word in command.commands), None)
    return name if inner is None else f"{name} {inner}"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="COMFYLOCK_MODELS_DIR or COMFYUI_PATH name the models folder too; CIVITAI_TOKEN and "
    "HF_TOKEN hold your keys.",
)
@global_options(with_variables=True)
def comfylock() -> None:
    """Lock and install the models of ComfyUI workflows, by hash.

    `comfylock lock workflows/` pins every model that the workflows name to one exact file, in
    comfy.lock. `comfylock install` makes the models folder agree with it on any machine.
    """


for command in (
    lock,
    install,
    status,
    check,
    verify,
    search,
    pin,
    unpin,
    ignore,
    why,
    tree,
    outdated,
    update,
    scan,
    diff,
    report,
    export,
    merge_driver,
    fix_paths,
    cache,
    init,
    doctor,
    auth,
    completions,
):
    comfylock.add_command(command)
