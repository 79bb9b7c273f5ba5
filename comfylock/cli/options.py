"""The options that every command has, and how an option gets its variable.

Global options are accepted before and after the command's name; every option has a variable
``COMFYLOCK_<OPTION>``.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from comfylock import __version__

_F = TypeVar("_F", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)
_YES = frozenset({"1", "true", "t", "yes", "y", "on"})  # as click reads a switch's variable


def kept_options(context: click.Context) -> dict[str, Any]:
    """Return the global options so far, by name."""
    root = context.find_root()
    if root.obj is None:
        root.obj = {}
    kept: dict[str, Any] = root.obj
    return kept


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Collect a global option, wherever on the command line it stands; the last word counts."""
    kept = kept_options(context)
    name = parameter.name or ""
    if parameter.multiple:
        kept[name] = (*kept.get(name, ()), *value)
    elif value not in (None, False):
        kept[name] = value
    return value


def global_options(*, with_variables: bool) -> Callable[[_F], _F]:
    """Return a decorator that gives a command the global options.

    Variables are read at the top only: below, they would overrule a flag given there.
    """

    def kept_option(*names: str, **settings: Any) -> Callable[[_F], _F]:
        settings.setdefault("envvar", _variable(names) if with_variables else None)
        return click.option(
            *names, callback=_keep, expose_value=False, show_envvar=with_variables, **settings
        )

    def decorate(function: _F) -> _F:
        function = click.version_option(
            __version__, prog_name="comfylock", message="%(prog)s %(version)s"
        )(function)
        for add in reversed(
            [
                kept_option(
                    "-C", "--directory", type=_PATH, help="Work as if started in DIRECTORY."
                ),
                kept_option("--lockfile", type=_PATH, help="Use this file as comfy.lock."),
                kept_option(
                    "--models-dir",
                    type=_PATH,
                    multiple=True,
                    envvar=None,
                    help="ComfyUI's models folder; repeatable, files are placed in the first.",
                ),
                kept_option(
                    "--extra-model-paths",
                    type=_PATH,
                    multiple=True,
                    help="One of ComfyUI's extra_model_paths.yaml files; repeatable.",
                ),
                kept_option("--offline", is_flag=True, help="Make no request."),
                kept_option(
                    "-q", "--quiet", is_flag=True, help="Show errors only, and what was asked for."
                ),
                kept_option("-v", "--verbose", is_flag=True, help="Show details."),
                kept_option(
                    "--color",
                    type=click.Choice(["auto", "always", "never"]),
                    help="Whether to use colour.",
                ),
                kept_option("--no-progress", is_flag=True, help="Show no bars."),
            ]
        ):
            function = add(function)
        return function

    return decorate


def option(*names: str, **settings: Any) -> Callable[[_F], _F]:
    """Return an option with the variable that belongs to its name."""
    if settings.get("multiple"):
        settings.setdefault("type", _Listed())
    return click.option(*names, envvar=_variable(names), show_envvar=True, **settings)


def _variable(names: Sequence[str]) -> str:
    long = next(name for name in names if name.startswith("--"))
    return f"COMFYLOCK_{long[2:].upper().replace('-', '_')}"


def switched_on(name: str) -> bool:
    """Say whether a switch such as ``--json`` is given as its variable."""
    return os.environ.get(_variable([name]), "").strip().lower() in _YES


if TYPE_CHECKING:
    _Type = click.ParamType[str]
else:
    _Type = click.ParamType  # before 8.4 it could not be subscripted


class _Listed(_Type):
    """A text of which a variable may hold several, divided as in ``PATH``: names have blanks."""

    name = "text"
    envvar_list_splitter: ClassVar[str | None] = os.pathsep

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text as it is."""
        del param, ctx
        return value


object_info_option = option(
    "--object-info",
    metavar="FILE|URL",
    help="What a running ComfyUI says of its nodes, for inputs that comfylock does not know.",
)

refresh_option = option(
    "--refresh",
    is_flag=True,
    help="Ask the hubs anew, whatever they said before; not with --offline.",
)

json_option = option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


class Commands(click.Group):
    """The commands in the order in which one meets them, with their other names."""

    aliases: ClassVar[dict[str, str]] = {"sync": "install"}

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command; what it says of itself in one line is told whole, also by shells."""
        cmd.short_help = cmd.short_help or cmd.get_short_help_str(limit=1000)
        super().add_command(cmd, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which the commands were added."""
        del ctx
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name or its other name."""
        return super().get_command(ctx, self.aliases.get(cmd_name, cmd_name))
