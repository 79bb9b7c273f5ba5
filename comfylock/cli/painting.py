"""Colour for what a line begins with: a sign, a state, `warning:` or `hint:`; never for names.

Everything can be read without it. The colours are those of the terminal's own palette, so they
suit light and dark ones alike.
"""

import re

import click

_COLOURS = {
    "+": "green", "-": "red", "*": "yellow", "?": "yellow", "!": "red",
    "missing": "red", "blocked": "red", "different": "yellow", "unresolved": "yellow",
    "ok": "green", "problem": "red", "warning": "yellow",
}  # fmt: skip
_HEADS = {"warning:": "yellow", "hint:": "cyan"}
_FIRST = re.compile(r"( *)(\S+)(?= )")


def painted_row(line: str) -> str:
    """Return a line of data with its sign or state in colour."""
    return _painted(line, _COLOURS)


def painted_note(line: str) -> str:
    """Return a line of everything else with its head in colour."""
    return _painted(line, _HEADS)


def _painted(line: str, colours: dict[str, str]) -> str:
    found = _FIRST.match(line)
    if found is None or found[2] not in colours:
        return line
    word = click.style(found[2], fg=colours[found[2]], bold=True)
    return f"{found[1]}{word}{line[found.end() :]}"
