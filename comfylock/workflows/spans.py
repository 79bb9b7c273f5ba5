r"""JSON text whose strings know where they stand, so that one can be changed and nothing else.

`json` judges what is JSON and what it says. Here the same text is cut into tokens and built up
once more, each string as a `PlacedText`; the two must say the same. What reads plain strings reads
placed ones too, so a value that comes out of a reader by any way still tells where it came from.

Indentation, the order of keys, the spelling of numbers, ``\u`` escapes, repeated keys and line
endings are never written anew: they are what lies between the tokens.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from comfylock.errors import WorkflowInvalidError
from comfylock.workflows.shapes import Json

#: New texts of strings, by where their tokens begin.
Edits: TypeAlias = "Mapping[int, str]"

# Possessive: one pass, whatever the text.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]]|[^\s"{}\[\],:]++', re.DOTALL)
_UNIT = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]",
    re.DOTALL,
)


class PlacedText(str):
    """A string value with the position of its token, the opening quote, in the text."""

    __slots__ = ("start",)

    def __new__(cls, value: str, start: int) -> "PlacedText":
        """Return a string that stands at `start`."""
        placed = super().__new__(cls, value)
        placed.start = start
        return placed

    start: int


def place_strings(text: str, document: Json) -> Json:
    """Return a document with its string values placed; keys stay plain.

    Args:
        text: valid JSON.
        document: what `json` made of it.

    Raises:
        WorkflowInvalidError: the two differ, so that no position can be trusted.
    """
    placed = _build(text)
    if list(differences(placed, document)):
        raise WorkflowInvalidError("its text cannot be told apart into values")
    return placed


def _build(text: str) -> Json:
    """Build the values of a valid text with a stack: hostile nesting must not reach ours."""
    root: list[Json] = []
    open_ones: list[list[Json] | dict[str, Json]] = [root]
    key: str | None = None
    for match in _TOKEN.finditer(text):
        part, inside = match[0], open_ones[-1]
        if part in {"}", "]"}:
            open_ones.pop()
            continue
        if isinstance(inside, dict) and key is None:
            key = _decoded(part)
            continue
        value = _value(part, match.start())
        if isinstance(inside, dict):
            inside[key or ""] = value
            key = None
        else:
            inside.append(value)
        if isinstance(value, dict | list):
            open_ones.append(value)
    return root[0]


def _value(part: str, start: int) -> Json:
    match part[0]:
        case "{":
            return {}
        case "[":
            return []
        case '"':
            return PlacedText(_decoded(part), start)
        case _:
            value: Json = json.loads(part)
            return value


def _decoded(part: str) -> str:
    text: str = json.loads(part) if "\\" in part else part[1:-1]
    return text


def differences(old: Json, new: Json) -> Iterator[tuple[str, str]]:
    """Yield the pairs of strings in which two documents differ.

    Raises:
        WorkflowInvalidError: they differ in something else.
    """
    waiting: list[tuple[Json, Json]] = [(old, new)]
    while waiting:
        one, other = waiting.pop()
        if isinstance(one, str) and isinstance(other, str):
            if one != other:
                yield one, other
        elif isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
            waiting.extend((value, other[name]) for name, value in one.items())
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            waiting.extend(zip(one, other, strict=True))
        elif type(one) is not type(other) or repr(one) != repr(other):  # NaN is not equal to itself
            raise WorkflowInvalidError("the rewritten file would differ in more than names")


def strings_of(values: Iterable[Json]) -> Iterator[PlacedText]:
    """Yield the placed strings among values."""
    for value in values:
        if isinstance(value, PlacedText):
            yield value


def edited(text: str, edits: Edits) -> str:
    """Return a text with some of its strings changed, character for character.

    Args:
        text: valid JSON.
        edits: new values, as long as the old ones. A character that stays keeps its spelling.

    Raises:
        WorkflowInvalidError: a new value is not as long as the old one.
    """
    parts: list[str] = []
    done = 0
    for start in sorted(edits):
        token = _token_at(text, start)
        parts += [text[done:start], _respelled_token(token, edits[start])]
        done = start + len(token)
    return "".join((*parts, text[done:]))


def _token_at(text: str, start: int) -> str:
    match = _TOKEN.match(text, start)
    assert match is not None, "an edit stands where a string was found"
    return match[0]


def _respelled_token(token: str, value: str) -> str:
    units = _UNIT.findall(token[1:-1])
    if len(units) != len(value):
        raise WorkflowInvalidError("a name cannot be matched with its spelling in the file")
    pairs = zip(units, value, strict=True)
    return f'"{"".join(_kept_or_new(unit, character) for unit, character in pairs)}"'


def _kept_or_new(unit: str, character: str) -> str:
    said: Any = json.loads(f'"{unit}"') if unit[0] == "\\" else unit
    return unit if said == character else json.dumps(character, ensure_ascii=False)[1:-1]
