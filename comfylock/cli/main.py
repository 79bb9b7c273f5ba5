"""The commands, and what runs one: the only place that catches `ComfylockError`."""

import os
import sys
from collections.abc import Sequence

import click

from comfylock import __version__
from comfylock.cli.asking import scan, search, tree, why
from comfylock.cli.caching import cache
from comfylock.cli.checking import check, verify
from comfylock.cli.choosing import ignore, pin, unpin
from comfylock.cli.completing import completions
from comfylock.cli.fixing import fix_paths
from comfylock.cli.installing import install, status
from comfylock.cli.keys import auth
from comfylock.cli.locking import lock, outdated, update
from comfylock.cli.options import Commands, global_options
from comfylock.cli.output import show
from comfylock.cli.starting import doctor, init
from comfylock.cli.telling import diff, export, merge_driver, report
from comfylock.errors import ComfylockError, StoppedError, UsageError


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; whatever goes wrong is printed."""
    as_json = "--json" in arguments or os.environ.get("COMFYLOCK_JSON", "") not in {"", "0"}
    try:
        result = comfylock.main(args=list(arguments), prog_name="comfylock", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        return _stop(arguments, as_json=as_json)
    except click.ClickException as error:
        usage = UsageError(error.format_message(), hint=_usage_hint(error))
        if _as_lines(arguments):
            _end_lines(usage, begun=False)
        return _fail(usage, arguments, as_json=as_json)
    except ComfylockError as error:
        if _as_lines(arguments):
            _end_lines(error, begun=True)
        return _fail(error, arguments, as_json=as_json)
    except BrokenPipeError:
        return 1
    return result if isinstance(result, int) else 0


def _stop(arguments: Sequence[str], *, as_json: bool) -> int:
    """Tell in one line, or in the document that was asked for, that the user interrupted."""
    stopped = StoppedError("stopped")
    if _as_lines(arguments):
        _end_lines(stopped, begun=True)
    if as_json:
        return _fail(stopped, arguments, as_json=True)
    click.echo(stopped.message, err=True)
    return stopped.exit_code


def _usage_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "comfylock"
    return f"Run `{path} --help`"


def _fail(error: ComfylockError, arguments: Sequence[str], *, as_json: bool) -> int:
    from comfylock.report.page import error_page

    name = _command_name(arguments)
    return show(error_page(error), command=name, as_json=as_json, quiet=False)


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


def _as_lines(arguments: Sequence[str]) -> bool:
    asked = os.environ.get("COMFYLOCK_JSON_LINES", "") not in {"", "0"}
    return "--json-lines" in arguments or (asked and bool({"install", "sync"} & set(arguments)))


def _end_lines(error: ComfylockError, *, begun: bool) -> None:
    from comfylock.report.json_lines import JsonLines
    from comfylock.report.page import error_page

    JsonLines(sys.stdout, begun=begun).end(error_page(error))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="COMFYLOCK_MODELS_DIR or COMFYUI_PATH name the models folder too; CIVITAI_TOKEN and "
    "HF_TOKEN hold your keys.",
)
@click.version_option(__version__, prog_name="comfylock", message="%(prog)s %(version)s")
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
