"""Troubles of several models that are one trouble: what they share, with REF for the name."""

import re
from collections.abc import Sequence
from dataclasses import replace

from comfylock.errors import Problem
from comfylock.names import basename, extension, quoted, shown

#: How many names an error repeats that the page has told already.
_MOST_REPEATED = 10
# What differs from model to model in their hints, besides the name.
_SPEC = re.compile(r"\bcivitai:\d+(?:/\d+)?")
_DIGEST = re.compile(r" \((?:sha256|blake3):[0-9a-f]+…\)")


def without_name(problem: Problem) -> Problem:
    """Return a problem as it is the same for all models: REF and NAME stand for one's own name."""
    if problem.ref is None:
        return problem
    ref, name = problem.ref, basename(problem.ref)
    stem = name.removesuffix(extension(name))
    words = {quoted(ref): "REF", shown(ref): "REF", ref: "REF", shown(name): "NAME"}
    words |= {f"search {quoted(stem)}`": "search NAME`"}

    def general(text: str) -> str:
        for special, word in words.items():
            text = text.replace(special, word)
        return _DIGEST.sub("", _SPEC.sub("SPEC", text))

    return Problem(
        slug=problem.slug,
        message=general(problem.message).removeprefix("REF: "),
        hint=None if problem.hint is None else general(problem.hint),
    )


def told_together(problems: Sequence[Problem], rows: Sequence[str]) -> list[Problem]:
    """Return problems as they are printed: one for what is the same of several models.

    Their names follow its message. Not all of them are repeated where each stands in one of the
    rows that are printed before. A message that does not name its model gets the name in front.
    """
    alike: dict[Problem, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(without_name(problem), []).append(problem)
    return [
        _as_one(form, several, rows) if len(several) > 1 else _named(several[0])
        for form, several in alike.items()
    ]


def _as_one(form: Problem, several: Sequence[Problem], rows: Sequence[str]) -> Problem:
    refs = list(dict.fromkeys(shown(one.ref) for one in several if one.ref is not None))
    rest = refs[_MOST_REPEATED:]
    if rest and all(any(ref in row for row in rows) for ref in rest):
        refs[_MOST_REPEATED:] = [f"… and {len(rest)} more"]
    return replace(form, message="\n".join([form.message, *(f"  {ref}" for ref in refs)]))


def _named(problem: Problem) -> Problem:
    ref, message = problem.ref, problem.message
    if ref is None or ref in message or shown(ref) in message:
        return problem
    return replace(problem, message=f"{shown(ref)}: {message}")
