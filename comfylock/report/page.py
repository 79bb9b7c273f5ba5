"""What every command's report has in common: the page, its JSON form, errors and counts.

Data goes to stdout (`Page.out`), everything else to stderr (`Page.err`). Text is readable without
colour. `--json` is one document with the same head for every command: ``schema``, ``command``,
``ok``, ``errors``. Foreign names are shown with their control characters escaped; JSON escapes
them by itself.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from comfylock.errors import ComfylockError, Problem
from comfylock.names import basename, extension, quoted, shown

SCHEMA = 1

#: How many names an error repeats that the page has told already.
_MOST_REPEATED = 10
#: What differs from model to model in their hints, besides the name.
_SPEC = re.compile(r"\bcivitai:\d+(?:/\d+)?")
_DIGEST = re.compile(r" \((?:sha256|blake3):[0-9a-f]+…\)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What a command prints and ends with.

    Attributes:
        out: lines of data.
        err: lines of everything else.
        problems: what went wrong, in the order to be told.
        document: the fields of the JSON document beside its head.
        exit_code: what the process ends with.
    """

    out: tuple[str, ...] = ()
    err: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    document: dict[str, object] = field(default_factory=dict[str, object])
    exit_code: int = 0


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


def told_together(page: Page) -> list[Problem]:
    """Return a page's problems as they are printed: one for what is the same of several models.

    Their names follow its message, and stand as REF and NAME in it and in its hint. Not all names
    are repeated where the page has a line for each already. A message that is about one model and
    does not name it gets the name in front.
    """
    alike: dict[tuple[str, str, str | None], list[Problem]] = {}
    for problem in page.problems:
        alike.setdefault(_without_name(problem), []).append(problem)
    return [
        _as_one(form, several, page.out) if len(several) > 1 else _named(several[0])
        for form, several in alike.items()
    ]


def _without_name(problem: Problem) -> tuple[str, str, str | None]:
    """Return what a problem has in common with those of other models."""
    if problem.ref is None:
        return problem.slug, problem.message, problem.hint
    ref, name = problem.ref, basename(problem.ref)
    stem = name.removesuffix(extension(name))
    words = {quoted(ref): "REF", shown(ref): "REF", ref: "REF", shown(name): "NAME"}
    words |= {f"search {quoted(stem)}`": "search NAME`"}

    def general(text: str) -> str:
        for special, word in words.items():
            text = text.replace(special, word)
        return _DIGEST.sub("", _SPEC.sub("SPEC", text))

    hint = None if problem.hint is None else general(problem.hint)
    return problem.slug, general(problem.message).removeprefix("REF: "), hint


def _as_one(
    form: tuple[str, str, str | None], several: Sequence[Problem], rows: Sequence[str]
) -> Problem:
    slug, message, hint = form
    refs = list(dict.fromkeys(shown(one.ref) for one in several if one.ref is not None))
    rest = refs[_MOST_REPEATED:]
    if rest and all(any(ref in row for row in rows) for ref in rest):
        refs[_MOST_REPEATED:] = [f"… and {len(rest)} more"]
    return Problem(
        slug=slug, message="\n".join([message, *(f"  {ref}" for ref in refs)]), hint=hint
    )


def _named(problem: Problem) -> Problem:
    ref, message = problem.ref, problem.message
    if ref is None or ref in message or shown(ref) in message:
        return problem
    return replace(problem, message=f"{ref}: {message}")


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
