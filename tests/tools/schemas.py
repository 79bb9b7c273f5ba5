"""Make ``docs/schemas/*.json`` from the types in ``comfylock.report.documents``.

    python -m tests.tools.schemas --write

Without ``--write`` it says whether they are up to date, by its exit code.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from inspect import cleandoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints, is_typeddict

from comfylock.report.documents.commands import DOCUMENTS
from comfylock.report.documents.lines import LINES
from comfylock.report.documents.pins import Head, PinFields
from comfylock.report.page import SCHEMA

FOLDER: Final = Path(__file__).parents[2] / "docs" / "schemas"

_PLAIN: Final = {str: "string", int: "integer", bool: "boolean", NoneType: "null"}
#: What comfy.lock's later versions may add to.
_OPEN: Final = (PinFields,)

Schema = dict[str, Any]

_LINES_FILE: Final = "install-lines.json"
_ELAPSED: Final[Schema] = {
    "type": "integer",
    "description": "Milliseconds since the command began.",
}


def schema_of(command: str, *, closed: bool = False) -> Schema:
    """Return the JSON Schema of a command's document.

    Args:
        command: its name, as the document gives it.
        closed: no field may be there that is not described; for tests, as fields may be added.
    """
    definitions: dict[str, Schema] = {}
    head = _object(Head, definitions, closed=closed)
    body = _object(DOCUMENTS[command], definitions, closed=closed)
    fixed: Schema = {"schema": {"const": SCHEMA}, "command": {"const": command}}
    document: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"comfylock {command} --json",
        "description": body.get("description", ""),
        "type": "object",
        "properties": {**head["properties"], **fixed, **body["properties"]},
        "required": head["required"],
        "anyOf": [
            {"required": body["required"]},
            {
                "description": "The command could not go on: see errors.",
                "properties": {"ok": {"const": False}, "errors": {"minItems": 1}},
                "not": {"required": ["summary"]},
            },
        ],
    }
    if closed:
        document["additionalProperties"] = False
    return document | {"$defs": dict(sorted(definitions.items()))}


def lines_schema(*, closed: bool = False) -> Schema:
    """Return the JSON Schema of one line of `install --json-lines`."""
    definitions: dict[str, Schema] = {}
    kinds = [_line(kind, definitions, closed=closed) for kind in LINES]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "comfylock install --json-lines",
        "description": "One line of what an install prints. Readers pass over types and fields "
        "that they do not know.",
        "oneOf": kinds,
        "$defs": dict(sorted(definitions.items())),
    }


def _line(kind: str, definitions: dict[str, Schema], *, closed: bool) -> Schema:
    body = _object(LINES[kind], definitions, closed=closed)
    head: Schema = {"type": {"const": kind}, "elapsed_ms": _ELAPSED}
    fixed: Schema = {"schema": {"const": SCHEMA}} if kind == "version" else {}
    return body | {
        "properties": head | body["properties"] | fixed,
        "required": [*head, *body["required"]],
    }


def _object(kind: Any, definitions: dict[str, Schema], *, closed: bool) -> Schema:
    hints = get_type_hints(kind)
    found: Schema = {"type": "object"}
    text = cleandoc(kind.__doc__ or "")
    if text and not text.startswith("dict("):
        found["description"] = " ".join(text.split())
    found["properties"] = {
        name: _value(hint, definitions, closed=closed) for name, hint in hints.items()
    }
    found["required"] = [name for name in hints if name in kind.__required_keys__]
    if closed and not any(hints.items() >= get_type_hints(one).items() for one in _OPEN):
        found["additionalProperties"] = False
    return found


def _value(hint: Any, definitions: dict[str, Schema], *, closed: bool) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        parts = [_value(one, definitions, closed=closed) for one in arguments]
        plain = [part["type"] for part in parts if part.keys() == {"type"}]
        return {"type": plain} if len(plain) == len(parts) else {"anyOf": parts}
    if origin is list:
        return {"type": "array", "items": _value(arguments[0], definitions, closed=closed)}
    if origin is dict:
        values = _value(arguments[1], definitions, closed=closed)
        return {"type": "object", "additionalProperties": values}
    if is_typeddict(hint):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}  # it may hold itself
            definitions[hint.__name__] = _object(hint, definitions, closed=closed)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if issubclass(hint, StrEnum):
        return {"enum": [str(one) for one in hint]}
    return {"type": _PLAIN[hint]}


def rendered() -> dict[str, str]:
    """Return the text of every schema by its file's name."""
    schemas = {f"{command.replace(' ', '-')}.json": schema_of(command) for command in DOCUMENTS}
    schemas[_LINES_FILE] = lines_schema()
    return {name: f"{json.dumps(schema, indent=2)}\n" for name, schema in schemas.items()}


def differences() -> Iterator[str]:
    """Yield the names of schemas that are stale, missing, or of no command."""
    wanted = rendered()
    for name, text in wanted.items():
        path = FOLDER / name
        if not path.is_file() or path.read_text("utf-8") != text:
            yield name
    yield from (path.name for path in FOLDER.glob("*.json") if path.name not in wanted)


def main(arguments: Sequence[str]) -> int:
    """Compare, and with ``--write`` bring the schemas up to date."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.schemas", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the schemas")
    chosen = parser.parse_args(arguments)
    stale = sorted(differences())
    if chosen.write and stale:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (FOLDER / name).unlink(missing_ok=True)
        for name, text in rendered().items():
            (FOLDER / name).write_text(text, "utf-8")
        print(f"wrote {', '.join(stale)}")
        return 0
    print(f"stale: {', '.join(stale)}" if stale else "the schemas are up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
