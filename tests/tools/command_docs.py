"""Make ``docs/commands.md`` from the command line itself.

    python -m tests.tools.command_docs --write

Without ``--write`` it says whether the page is up to date, by its exit code.
"""

# ruff: noqa: E501 - the lines of the page are longer than those of code

import argparse
import sys
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Final, cast

import click

from comfylock.cli.main import comfylock
from comfylock.cli.options import Commands

PAGE: Final = Path(__file__).parents[2] / "docs" / "commands.md"

HEAD: Final = """\
# Commands

Made from the command line by `python -m tests.tools.command_docs --write`; do not edit.

Every command also takes the [global options](#global-options), before or after its name, and every option may be
given as the variable that is named with it; a switch is 1 or 0, and what is repeatable is divided as in `PATH`. Exit codes:
0 done or in sync; 1 the answer is no, or some models failed; 2 could not do the job; 130 interrupted. With `--json`, one document is printed on standard output; their fields are in
[schemas](schemas).
"""

VARIABLES: Final = """\
## Variables

| variable | what it holds |
|---|---|
| `CIVITAI_TOKEN`, `CIVITAI_API_KEY`, `CIVITAI_API_TOKEN` | your key for Civitai; the first that is set counts |
| `HF_TOKEN` | your key for Hugging Face |
| `COMFYLOCK_MODELS_DIR` | models folders, divided as in `PATH`; files are placed in the first |
| `COMFYUI_PATH` | ComfyUI's folder, whose models folder counts where none is named |
| `COMFYLOCK_CIVITAI_URL`, `HF_ENDPOINT` | where the hubs are, for mirrors; https, or http to this machine |
| `COMFYLOCK_CACHE_DIR`, `COMFYLOCK_CONFIG_DIR` | where answers of the hubs are kept, and where your own config.toml is |
| `COMFYLOCK_FORMATS`, `COMFYLOCK_ALIASES`, `COMFYLOCK_INACTIVE`, `COMFYLOCK_EVIDENCE`, `COMFYLOCK_CONNECTIONS` | \
settings, as in comfylock.toml and config.toml |
| `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR` | proxies and certificates |
| `NO_COLOR`, `CI` | no colour; no questions |
"""


def rendered() -> str:
    """Return the page."""
    parts = [HEAD, _contents()]
    parts += [_command(path, command) for path, command in commands()]
    parts += [_section("Global options", _options(_globals())), VARIABLES]
    return "\n".join(parts)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command that help shows, with its names, groups before their members."""
    for name, command in comfylock.commands.items():
        if command.hidden:
            continue
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())


def _contents() -> str:
    names = [path for path, _ in commands()]
    links = [f"[{name}](#comfylock-{name.replace(' ', '-')})" for name in names]
    return f"{' · '.join(links)}\n"


def _command(path: str, command: click.Command) -> str:
    own = [one for one in command.params if isinstance(one, click.Option) and not _is_global(one)]
    usage = " ".join([f"comfylock {path}", *_usage(command, has_options=bool(own))])
    others = [other for other, name in Commands.aliases.items() if name == path]
    usage = "\n".join([usage, *(f"comfylock {other}  # the same" for other in others)])
    return _section(
        f"comfylock {path}", f"```text\n{usage}\n```\n\n{_prose(command)}\n", _options(own)
    )


def _usage(command: click.Command, *, has_options: bool) -> Iterator[str]:
    if has_options:
        yield "[OPTIONS]"
    if isinstance(command, click.Group):
        yield "COMMAND"
    for one in command.params:
        if isinstance(one, click.Argument):
            name = one.metavar or (one.name or "").upper()
            if isinstance(one.type, click.Choice):
                name = "|".join(map(str, one.type.choices))
            yield name if one.required or one.metavar else f"[{name}]{'…' if one.nargs < 0 else ''}"


def _prose(command: click.Command) -> str:
    """Return the help text; a block that help does not wrap is one here too."""
    paragraphs = cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        f"```text\n{one.removeprefix(chr(8)).strip(chr(10))}\n```" if one.startswith("\b") else one
        for one in paragraphs
    )


def _globals() -> list[click.Option]:
    return [one for one in comfylock.params if isinstance(one, click.Option)]


def _is_global(option: click.Option) -> bool:
    return option.name in {one.name for one in _globals()}


def _options(options: Sequence[click.Option]) -> str:
    if not options:
        return ""
    rows = [
        f"| {_names(one)} | {_cell(one.help or '')} | {_variable(one)} |"
        for one in options
        if not one.hidden
    ]
    return "\n".join(["| option | what it does | variable |", "|---|---|---|", *rows, ""])


def _names(option: click.Option) -> str:
    *short, long = option.opts
    value = "" if option.is_flag else f" {_metavar(option)}"
    return _cell(", ".join([*(f"`{name}`" for name in short), f"`{long}{value}`"]))


def _metavar(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, cast("click.Choice[str]", option.type).choices))
    if isinstance(option.type, click.IntRange):
        return f"{option.type.min}-{option.type.max}"
    return "PATH" if isinstance(option.type, click.Path) else "TEXT"


def _variable(option: click.Option) -> str:
    if option.name == "models_dir":
        return "`COMFYLOCK_MODELS_DIR`"
    return f"`{option.envvar}`" if isinstance(option.envvar, str) else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _section(title: str, *parts: str) -> str:
    return "\n".join([f"## {title}", "", *(part for part in parts if part)])


def main(arguments: Sequence[str]) -> int:
    """Compare, and with ``--write`` bring the page up to date."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.command_docs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the page")
    chosen = parser.parse_args(arguments)
    text = rendered()
    fresh = PAGE.is_file() and PAGE.read_text("utf-8") == text
    if chosen.write and not fresh:
        PAGE.write_text(text, "utf-8")
        print(f"wrote {PAGE.name}")
        return 0
    print(f"{PAGE.name} is {'up to date' if fresh else 'stale'}")
    return 0 if fresh else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
