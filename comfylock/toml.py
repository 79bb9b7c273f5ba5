"""TOML text to typed values: a guarded parse, and a table that knows where in the file it stands.

Faults are told as one path inside the file, such as ``model."loras/x".sha256: expected …``; the
caller turns a `TomlError` into the error of its own file. Values are checked by exact type: in
TOML as in JSON `true` is no number.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

_T = TypeVar("_T")

#: tomllib takes quadratic time over the parts of one dotted key: 20,000 parts in 39 KB took 8 s.
MAX_KEY_PARTS = 100

#: Deepest nesting of tables and arrays; neither of our files needs more than four.
MAX_NESTING = 32

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# A closing quote is optional and the repeats are possessive, so that the scan is linear.
_QUOTED_OR_COMMENT = re.compile(r""""(?:[^"\\]|\\.)*+"?|'[^']*+'?|\#.*""")
_NAME = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\]|\\.)*+"|'[^']*+')"""
_NAMES = rf"{_NAME}(?:[ \t]*+\.[ \t]*+{_NAME})*+"
_HEADER = re.compile(rf"[ \t]*+\[{{1,2}}[ \t]*+({_NAMES})[ \t]*+\]{{1,2}}[ \t]*+(?:#.*)?\r?$")
_ASSIGNED = re.compile(rf"[ \t]*+({_NAMES})[ \t]*+=")
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TWICE = re.compile(r"Cannot (?:declare|mutate|define) .*|Cannot overwrite a value")
_WORDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class TomlError(ValueError):
    """A text that is no TOML, or a value that is not what its place in the file asks for."""


def parse_toml(text: str) -> dict[str, object]:
    """Return the document as plain values; time and depth are bounded for hostile texts.

    Raises:
        TomlError: with the line where the syntax breaks.
    """
    _refuse_long_keys(text)
    try:
        found: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(_syntax_message(str(error), text)) from error
    except RecursionError as error:
        raise TomlError("tables or lists are nested too deeply") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise TomlError(f"a value cannot be read: {error}") from error
    _refuse_depth(found)
    return found


def _refuse_long_keys(text: str) -> None:
    multi_line = '"""' in text or "'''" in text
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") <= MAX_KEY_PARTS:
            continue
        # Where a multi-line string may have begun on an earlier line, quotes prove nothing.
        bare = line if multi_line else _QUOTED_OR_COMMENT.sub("", line)
        if bare.count(".") > MAX_KEY_PARTS:
            raise TomlError(f"line {number}: a key of more than {MAX_KEY_PARTS} parts")


def _refuse_depth(document: dict[str, object]) -> None:
    level: list[object] = [document]
    for _ in range(MAX_NESTING):
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise TomlError(f"tables or lists are nested more than {MAX_NESTING} deep")


def _children(value: object) -> Collection[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def _syntax_message(said: str, text: str) -> str:
    place = _PLACE.search(said)
    reason = said[: place.start()] if place else said
    if place and _TWICE.fullmatch(reason):
        path = _path_at(text, int(place[1]) if place[1] else None)
        reason = f"{path}: " * bool(path) + "a table or key that was already given above"
    if place is None:
        return printable(reason)
    where = f"line {place[1]}" if place[1] else "at the end"
    return f"{where}: {printable(reason)}"


def _path_at(text: str, number: int | None) -> str:
    """Return the path of the table or key that ends in a line, or in the last one, as written."""
    key = ""
    for line in reversed(text.split("\n")[:number]):
        header = _HEADER.match(line)
        if header is not None:
            return f"{header[1]}.{key}" if key else header[1]
        if not key:
            assigned = _ASSIGNED.match(line)
            key = assigned[1] if assigned else ""
    return key


def printable(text: str) -> str:
    """Return a text with everything that does not print escaped as Python does."""
    return "".join(part if part.isprintable() else repr(part)[1:-1] for part in text)


def quoted(text: str) -> str:
    """Return a text in quotes, as TOML and our messages spell it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(escaped)}"'


def dotted(path: str, key: str) -> str:
    """Return the path of a key inside the table at `path`, as TOML spells it."""
    part = key if _BARE.fullmatch(key) else quoted(key)
    return f"{path}.{part}" if path else part


def excerpt(value: object) -> str:
    """Return a found value as messages quote it: printable, and not longer than a line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value if len(value) <= 80 else f"{value[:77]}...")
    if isinstance(value, int | float):
        return str(value) if abs(value) < 10**40 else "a huge number"
    return _WORDS.get(type(value), "a date or time")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a parsed file, and its path in it; every reader raises `TomlError`.

    Attributes:
        values: what the table holds.
        path: where it stands, empty for the whole file.
    """

    values: Mapping[str, object]
    path: str = ""

    def fault(self, key: str, complaint: str) -> TomlError:
        """Return the error for one key of this table, for the caller to raise."""
        return TomlError(f"{dotted(self.path, key)}: {complaint}")

    def unexpected(self, key: str, expected: str) -> TomlError:
        """Return the error for a value that is there and is not what it should be."""
        return self.fault(key, f"expected {expected}, found {excerpt(self.values[key])}")

    def get(self, key: str, kind: type[_T]) -> _T | None:
        """Return the value of a key, ``None`` where the table has none."""
        if key not in self.values:
            return None
        value = self.values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.unexpected(key, _WORDS[kind])
        return value

    def need(self, key: str, kind: type[_T]) -> _T:
        """Return the value of a key that must be there."""
        value = self.get(key, kind)
        if value is None:
            raise self.fault(key, "missing")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of texts in its order, ``None`` where the table has none."""
        found = cast("list[object] | None", self.get(key, list))
        if found is None:
            return None
        for position, value in enumerate(found):
            if not isinstance(value, str):
                path = f"{dotted(self.path, key)}[{position}]"
                raise TomlError(f"{path}: expected a text, found {excerpt(value)}")
        return tuple(cast("list[str]", found))

    def choice(self, key: str, choices: Collection[str]) -> str | None:
        """Return a text that is one of `choices`, ``None`` where the table has none."""
        value = self.get(key, str)
        if value is not None and value not in choices:
            raise self.unexpected(key, f"one of {', '.join(choices)}")
        return value

    def table(self, key: str) -> "Table":
        """Return a table inside this one; an empty one where there is none."""
        found = cast("dict[str, object]", self.get(key, dict) or {})
        return Table(found, dotted(self.path, key))

    def tables(self) -> Iterator[tuple[str, "Table"]]:
        """Yield every key of this table with its value, each of which must be a table."""
        for key in self.values:
            self.need(key, dict)
            yield key, self.table(key)

    def listed_tables(self, key: str) -> tuple["Table", ...]:
        """Return a list of tables; an empty one where there is none."""
        found = cast("list[object]", self.get(key, list) or [])
        return tuple(self._listed(key, position, value) for position, value in enumerate(found))

    def _listed(self, key: str, position: int, value: object) -> "Table":
        path = f"{dotted(self.path, key)}[{position}]"
        if not isinstance(value, dict):
            raise TomlError(f"{path}: expected a table, found {excerpt(value)}")
        return Table(cast("dict[str, object]", value), path)

    def unknown(self, known: Collection[str]) -> tuple[tuple[str, object], ...]:
        """Return the keys that are not in `known` with their values, sorted."""
        return tuple((key, self.values[key]) for key in sorted(self.values.keys() - set(known)))
