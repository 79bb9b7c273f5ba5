"""Read ComfyUI's own nodes and compare what they say with `tables/core_nodes.json`.

    python -m tests.tools.core_nodes PATH_TO_COMFYUI [--write]

Nothing of ComfyUI is imported or run: its sources are read as syntax trees. An input counts when
what it offers is computed from ``folder_paths.get_filename_list("folder")``, directly, through
variables, or in a function of the class, in both forms of node: `INPUT_TYPES` and `define_schema`.

Classes listed in the table's ``by_hand`` are never changed: they say what no such call does. What
a newer ComfyUI no longer has stays too, for workflows outlive nodes.
"""

import argparse
import ast
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfylock
from comfylock.names import canonical_folder

TABLE = Path(comfylock.__file__).parent / "tables" / "core_nodes.json"

_VALUES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
_SEEDS = {"seed", "noise_seed"}
_UPLOADS = {"image_upload", "video_upload", "upload"}
_FORCED = {"forceInput", "force_input"}

Row = list[Any]
Rows = dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a node: its name, the expression of what it offers, how many widgets it has."""

    name: str
    options: ast.expr | None
    widgets: int


class Scope:
    """What the names in a class's function stand for."""

    def __init__(self, module: ast.Module, owner: ast.ClassDef, function: ast.FunctionDef) -> None:
        self.functions = {
            item.name: item for item in owner.body if isinstance(item, ast.FunctionDef)
        }
        self.values: dict[str, ast.expr] = {}
        for statement in (*module.body, *owner.body, *ast.walk(function)):
            for name, value in _assigned(statement):
                self.values[name] = value

    def folders(self, expression: ast.AST, seen: frozenset[str] = frozenset()) -> list[str]:
        """Return the folders that an expression lists, in the order of their calls."""
        found: list[str] = []
        for part in ast.walk(expression):
            called = _called(part)
            if called == "get_filename_list" and isinstance(part, ast.Call):
                argument = part.args[0] if part.args else None
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    found.append(canonical_folder(argument.value))
            elif called in self.functions and called not in seen:
                found += self.folders(self.functions[called], seen | {called})
            elif isinstance(part, ast.Name) and part.id in self.values and part.id not in seen:
                found += self.folders(self.values[part.id], seen | {part.id})
        return list(dict.fromkeys(found))

    def resolved(self, expression: ast.expr) -> ast.expr:
        """Return what a plain name stands for, or the expression itself."""
        if isinstance(expression, ast.Name) and expression.id in self.values:
            return self.values[expression.id]
        return expression


def _assigned(statement: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name):
            yield target.id, statement.value


def _called(part: ast.AST) -> str:
    if not isinstance(part, ast.Call):
        return ""
    function = part.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _text(expression: ast.AST | None) -> str:
    value = expression.value if isinstance(expression, ast.Constant) else None
    return value if isinstance(value, str) else ""


# ----------------------------------------------------------------------------- both forms


def rows_of_source(text: str) -> Rows:
    """Return the rows of the nodes that one source file defines."""
    module = ast.parse(text)
    classes = {item.name: item for item in module.body if isinstance(item, ast.ClassDef)}
    rows: Rows = {}
    for owner in classes.values():
        for function in owner.body:
            if not isinstance(function, ast.FunctionDef):
                continue
            scope = Scope(module, owner, function)
            if function.name == "INPUT_TYPES":
                for node in _mapped(module, owner.name):
                    rows[node] = _rows(_v1_inputs(function, scope), scope)
            elif function.name == "define_schema":
                node, inputs = _v3_inputs(function, scope)
                rows[node or owner.name] = _rows(inputs, scope)
    _inherit(module, classes, rows)
    return {node: found for node, found in rows.items() if found}


def _rows(inputs: Sequence[Input], scope: Scope) -> list[Row]:
    rows: list[Row] = []
    index = 0
    for one in inputs:
        folders = scope.folders(one.options) if one.options is not None else []
        if folders:
            first, *also = folders
            rows.append([one.name, index, first, *(["file", {"also": also}] if also else [])])
        index += one.widgets
    return rows


def _mapped(module: ast.Module, name: str) -> list[str]:
    """Return the ids under which a V1 class is registered: by a mapping, or its own `NodeId`."""
    for statement in module.body:
        for target, value in _assigned(statement):
            if target == "NODE_CLASS_MAPPINGS" and isinstance(value, ast.Dict) and value.keys:
                pairs = zip(value.keys, value.values, strict=True)
                return [_text(key) for key, mapped in pairs if _is_name(mapped, name)]
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            for item in statement.body:
                own = [_text(value) for target, value in _assigned(item) if target == "NodeId"]
                if own:
                    return own
    return []


def _is_name(expression: ast.AST, name: str) -> bool:
    return isinstance(expression, ast.Name) and expression.id == name


def _inherit(module: ast.Module, classes: dict[str, ast.ClassDef], rows: Rows) -> None:
    """Give a V1 class without inputs of its own those of its base."""
    for owner in classes.values():
        if any(
            isinstance(item, ast.FunctionDef) and item.name == "INPUT_TYPES" for item in owner.body
        ):
            continue
        for base in owner.bases:
            parents = _mapped(module, base.id) if isinstance(base, ast.Name) else []
            for node in _mapped(module, owner.name):
                if parents and rows.get(parents[0]):
                    rows.setdefault(node, rows[parents[0]])


# ------------------------------------------------------------------------------ INPUT_TYPES


def _v1_inputs(function: ast.FunctionDef, scope: Scope) -> list[Input]:
    returned = next((part for part in ast.walk(function) if isinstance(part, ast.Return)), None)
    if returned is None or returned.value is None:
        return []
    sections = scope.resolved(returned.value)
    if not isinstance(sections, ast.Dict):
        return []
    inputs: list[Input] = []
    for section, content in sorted(
        zip(map(_text, sections.keys), sections.values, strict=True),
        key=lambda pair: pair[0] != "required",
    ):
        inside = scope.resolved(content)
        if section in {"required", "optional"} and isinstance(inside, ast.Dict):
            inputs += [
                _v1_input(_text(key), scope.resolved(value), scope)
                for key, value in zip(inside.keys, inside.values, strict=True)
            ]
    return inputs


def _v1_input(name: str, value: ast.expr, scope: Scope) -> Input:
    parts = value.elts if isinstance(value, ast.Tuple | ast.List) else []
    if not parts:
        return Input(name, None, 0)
    settings = _settings(scope.resolved(parts[1])) if len(parts) > 1 else {}
    kind = _kind(scope.resolved(parts[0]))
    if (kind is not None and kind not in _VALUES) or any(settings.get(word) for word in _FORCED):
        return Input(name, None, 0)
    return Input(name, parts[0] if kind is None else None, _widgets(name, kind, settings))


def _kind(expression: ast.expr) -> str | None:
    """Return the type that an expression names, ``None`` for a list of choices."""
    if isinstance(expression, ast.Constant):
        return str(expression.value)
    if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Name):
        return expression.attr if expression.value.id in {"IO", "io"} else None
    return None


def _settings(expression: ast.expr) -> dict[str, object]:
    if not isinstance(expression, ast.Dict):
        return {}
    return {
        _text(key): value.value if isinstance(value, ast.Constant) else True
        for key, value in zip(expression.keys, expression.values, strict=True)
    }


def _widgets(name: str, kind: str | None, settings: Mapping[str, object]) -> int:
    controlled = settings.get("control_after_generate")
    if controlled is None:
        controlled = kind == "INT" and name in _SEEDS
    return 1 + bool(controlled) + any(settings.get(word) for word in _UPLOADS)


# ---------------------------------------------------------------------------- define_schema


def _v3_inputs(function: ast.FunctionDef, scope: Scope) -> tuple[str, list[Input]]:
    schema = next((part for part in ast.walk(function) if _called(part) == "Schema"), None)
    if not isinstance(schema, ast.Call):
        return "", []
    told = {word.arg: word.value for word in schema.keywords if word.arg}
    listed = scope.resolved(told["inputs"]) if "inputs" in told else None
    parts = listed.elts if isinstance(listed, ast.List) else []
    inputs = [_v3_input(scope.resolved(part)) for part in parts]
    return _text(told.get("node_id")), [one for one in inputs if one is not None]


def _v3_input(part: ast.expr) -> Input | None:
    """Return one ``io.Combo.Input("name", options=…)``."""
    if not isinstance(part, ast.Call) or not isinstance(part.func, ast.Attribute):
        return None
    owner = part.func.value
    kind = (owner.attr if isinstance(owner, ast.Attribute) else "").upper()
    words = {word.arg: word.value for word in part.keywords if word.arg}
    name = _text(part.args[0] if part.args else words.get("id"))
    if kind == "MULTICOMBO":
        kind = "COMBO"
    settings = {
        word: value.value if isinstance(value, ast.Constant) else True
        for word, value in words.items()
    }
    if kind not in _VALUES or any(settings.get(word) for word in _FORCED):
        return Input(name, None, 0)
    options = words.get("options") or (part.args[1] if len(part.args) > 1 else None)
    return Input(name, options if kind == "COMBO" else None, _widgets(name, kind, settings))


# ------------------------------------------------------------------------------- the table


def rows_of_checkout(root: Path) -> Rows:
    """Return the rows of all nodes that ComfyUI itself defines."""
    rows: Rows = {}
    for path in (root / "nodes.py", *sorted((root / "comfy_extras").glob("*.py"))):
        rows |= rows_of_source(path.read_text("utf-8"))
    return rows


def merged(table: dict[str, Any], rows: Rows) -> dict[str, Any]:
    """Return a table with the rows that were read; hand rows and nodes that are gone stay."""
    hand = set(table.get("by_hand", ()))
    nodes = dict(table["nodes"])
    for node, found in rows.items():
        if node not in hand and sorted(found) != sorted(nodes.get(node, [])):
            nodes[node] = found
    return table | {"nodes": dict(sorted(nodes.items()))}


def compared(table: dict[str, Any], rows: Rows) -> list[str]:
    """Return one line for each class on which the table and the sources disagree."""
    hand, known = set(table.get("by_hand", ())), table["nodes"]
    lines = [f"new      {node}: {rows[node]}" for node in sorted(rows.keys() - known.keys())]
    for node in sorted(known.keys() | rows.keys()):
        if node in hand:
            if node in rows and sorted(rows[node]) != sorted(known[node]):
                lines.append(f"by hand  {node}: {known[node]}, the source says {rows[node]}")
        elif node in known and node not in rows:
            lines.append(f"gone     {node}: {known[node]}")
        elif node in known and sorted(rows[node]) != sorted(known[node]):
            lines.append(f"changed  {node}: {known[node]} -> {rows[node]}")
    return lines


def rendered(table: dict[str, Any]) -> str:
    """Return a table as its file holds it: a class a line."""
    head = [
        f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},"
        for key, value in table.items()
        if key != "nodes"
    ]
    lines = [
        f"  {json.dumps(node)}: {json.dumps(rows, separators=(',', ':'))}"
        for node, rows in table["nodes"].items()
    ]
    return "\n".join(["{", *head, ' "nodes": {', ",\n".join(lines), " }", "}", ""])


def main(arguments: Sequence[str]) -> int:
    """Compare, and with ``--write`` bring the table up to date."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.core_nodes", description=__doc__)
    parser.add_argument("checkout", type=Path, help="folder of ComfyUI's sources")
    parser.add_argument("--write", action="store_true", help="write the table")
    parser.add_argument("--table", type=Path, default=TABLE, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if not (chosen.checkout / "nodes.py").is_file():
        parser.error(f"{chosen.checkout} holds no nodes.py: it is no checkout of ComfyUI")
    table = json.loads(chosen.table.read_text("utf-8"))
    rows = rows_of_checkout(chosen.checkout)
    lines = compared(table, rows)
    print("\n".join([*lines, f"{len(rows)} classes read, {len(lines)} differences"]))
    if chosen.write:
        chosen.table.write_text(rendered(merged(table, rows)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
