"""What every command's report has in common: the page, its JSON form, errors and counts.

Data goes to stdout (`Page.out`), everything else to stderr (`Page.err`). Text is readable without
colour. `--json` is one document with the same head for every command: ``schema``, ``command``,
``ok``, ``errors``. Foreign names are shown with their control characters escaped; JSON escapes
them by itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from comfylock.errors import ComfylockError, Problem
from comfylock.names import shown

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What a command prints and ends with.

    Attributes:
        out: lines of data.
        err: lines of everything else.
        problems: what went wrong, in the order to be told.
        document: the fields of the JSON document beside its head.
        exit_code: what the process ends with.
        has_signs: the lines of data begin with signs or states, which may be coloured.
    """

    out: tuple[str, ...] = ()
    err: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    document: dict[str, object] = field(default_factory=dict[str, object])
    exit_code: int = 0
    has_signs: bool = False


def json_text(command: str, page: Page) -> str:
    """Return a page as the JSON document that `--json` prints."""
    head: dict[str, object] = {
        "schema": SCHEMA,
        "command": command,
        "ok": page.exit_code == 0,
        "errors": [_problem_fields(problem) for problem in page.problems],
    }
    return json.dumps(head | page.document, indent=2)


def _problem_fields(problem: Problem) -> dict[str, object]:
    return {
        "slug": problem.slug,
        "message": problem.message,
        "hint": problem.hint,
        "ref": problem.ref,
    }


def hint_lines(hint: str | None) -> list[str]:
    """Return a hint with the blank line before it."""
    if hint is None:
        return []
    first, *more = hint.split("\n")
    return ["", f"hint: {shown(first)}", *(shown(line) for line in more)]


def learned_lines(learned: Mapping[str, str | None]) -> list[str]:
    """Return what comfylock.toml needs, so that inputs are known without a running ComfyUI."""
    sure = [f'  "{shown(name)}" = "{shown(folder)}"' for name, folder in learned.items() if folder]
    if not sure:
        return []
    return [
        "Only the running ComfyUI knows these inputs; for comfylock.toml:",
        "  [folders]",
        *sure,
    ]


def error_page(error: ComfylockError) -> Page:
    """Return the page of a command that could not go on."""
    return Page(problems=(error.problem(),), exit_code=error.exit_code)
