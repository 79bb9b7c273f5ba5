"""How comfylock speaks: hints have one form, and a command in a text can be pasted as it is."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfylock.errors import ComfylockError
from tests.shop import put_workflow

PACKAGE = Path(__file__).parent.parent / "comfylock"
MODULES = {
    str(path.relative_to(PACKAGE)): ast.parse(path.read_text("utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
#: What parameters, fields and class attributes are called that hold a hint.
HINT_NAMES = {"hint", "fix", "next_step"}
#: How the functions are called that return a hint.
HINT_MAKERS = ("hint", "next_step", "_say_the_hash")
#: Functions that return a reason and a hint.
HINT_RETURNERS = {"why_no_link"}

Text = ast.Constant | ast.JoinedStr


def hint_positions() -> dict[str, int]:
    """Return the functions that take a hint by position, and which argument it is."""
    found = {"hint_lines": 0}
    for tree in MODULES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [one.arg for one in node.args.args if one.arg not in {"self", "cls"}]
                at = next((at for at, one in enumerate(names) if one in HINT_NAMES), None)
                if at is not None:
                    found[node.name] = at
    return found


HINT_POSITIONS = hint_positions()
#: Texts that have a name of their own; modules may give one name to different ones.
NAMED = [
    (target.id, node.value)
    for tree in MODULES.values()
    for node in tree.body
    if isinstance(node, ast.Assign)
    for target in node.targets
    if isinstance(target, ast.Name)
]


def hints() -> Iterator[tuple[str, Text]]:
    """Yield every text in the code that is told as the next step, with where it stands."""
    for module, tree in MODULES.items():
        inside = set(ast.walk(tree))
        for node in ast.walk(tree):
            for one in (text for value in _hints_at(node) for text in _texts(value)):
                place = f"{module}:{one.lineno}" if one in inside else f"{module} by name"
                yield place, one


def _hints_at(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments) if (
            name in HINT_POSITIONS
        ):
            yield from arguments[HINT_POSITIONS[name] : HINT_POSITIONS[name] + 1]
        case ast.keyword(arg=name, value=value) if name in HINT_NAMES:
            yield value
        case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value) if (
            name in {*HINT_NAMES, "_REPAIR"}
        ):
            yield value
        case ast.FunctionDef(name=name) if name in HINT_RETURNERS:
            pairs = (one.value for one in ast.walk(node) if isinstance(one, ast.Return))
            yield from (one.elts[1] for one in pairs if isinstance(one, ast.Tuple))
        case ast.FunctionDef(name=name) if name.endswith(HINT_MAKERS):
            returned = (one.value for one in ast.walk(node) if isinstance(one, ast.Return))
            yield from (one for one in returned if one is not None)


def _texts(value: ast.expr) -> Iterator[Text]:
    match value:
        case ast.Constant(value=str()) | ast.JoinedStr():
            yield value
        case ast.IfExp(body=body, orelse=otherwise):
            yield from _texts(body)
            yield from _texts(otherwise)
        case ast.BoolOp(values=values):
            for one in values:
                yield from _texts(one)
        case ast.Name(id=name):
            for one in (text for named, text in NAMED if named == name):
                yield from _texts(one)
        case _:
            pass


def spoken(text: Text) -> str:
    """Return a text of the code with ``…`` for each value in it."""
    if isinstance(text, ast.Constant):
        return str(text.value)
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "…" for part in text.values
    )


def all_errors(base: type[ComfylockError] = ComfylockError) -> Iterator[type[ComfylockError]]:
    """Yield every kind of error of ours."""
    for kind in base.__subclasses__():
        yield kind
        yield from all_errors(kind)


def complaint(hint: str) -> str | None:
    """Return what is wrong with the form of a hint: one sentence, a capital first, no full stop."""
    if hint.endswith((".", "!", ";", ":", " ")):
        return "it ends with a sign"
    if hint[:1].islower():
        return "it begins with a small letter"
    if any(mark in hint for mark in (". ", "! ")):
        return "it has more than one sentence"
    return None


HINTS = list(hints())


def test_hints_are_found():
    assert len(HINTS) > 200


@pytest.mark.parametrize("error", [one for one in all_errors() if one.next_step])
def test_the_next_step_of_an_error_is_among_the_hints(error):
    assert error.next_step in {spoken(text) for _, text in HINTS}


@pytest.mark.parametrize(("place", "text"), HINTS, ids=[place for place, _ in HINTS])
def test_a_hint_is_one_sentence_without_a_full_stop(place, text):
    said = spoken(text)
    assert complaint(said) is None, f"{place}: {said}"


# --------------------------------------------------------------- commands that may be pasted

PROGRAMS = ("comfylock ", "chmod ", "git ")
#: Values in commands that are numbers.
NUMBERS = {"version", "file", "address.version"}


def values_in_commands() -> Iterator[tuple[str, str]]:
    """Yield every value within a command between backticks: where it stands, and its code."""
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                values = (ast.unparse(value) for value in _typed(node))
                yield from ((f"{module}:{node.lineno}", value) for value in values)


def _typed(text: ast.JoinedStr) -> Iterator[ast.expr]:
    before = ""
    for part in text.values:
        if isinstance(part, ast.Constant):
            before += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            _, _, inside = before.rpartition("`")
            if before.count("`") % 2 and inside.startswith(PROGRAMS):
                yield part.value
            before += "…"


@pytest.mark.parametrize(("place", "value"), list(values_in_commands()))
def test_what_stands_in_a_command_is_quoted_for_the_shell(place, value):
    assert value in NUMBERS or value.startswith("quoted("), f"{place}: {value}"


def test_the_command_of_a_hint_takes_any_name_as_one_word(world):
    put_workflow(world, "loras/it's $(touch pwned).safetensors")
    hint = world.here("lock", "workflows", "--json").document["errors"][0]["hint"]
    command = re.findall("`([^`]*)`", hint)[0]
    assert shlex.split(command) == ["comfylock", "search", "it's $(touch pwned)"]
