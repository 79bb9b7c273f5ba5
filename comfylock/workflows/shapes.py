"""Typed views of JSON that strangers wrote: what has the wrong shape is empty, never an error."""

from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]


def as_object(value: Json) -> JsonObject:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """Return the value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str:
    """Return the value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def as_id(value: Json) -> str:
    """Return an id of a node or link as text: the same id is a number here and a string there.

    Empty for what cannot be an id.
    """
    return str(value) if isinstance(value, int | str) else ""


def objects(value: Json) -> list[JsonObject]:
    """Return the objects of an array, leaving out whatever else it holds."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def item_at(values: list[Json], position: int) -> Json:
    """Return one item of an array, ``None`` where it has none there."""
    return values[position] if 0 <= position < len(values) else None


def index_of(value: Json) -> int:
    """Return the value if it can be a position in a list, else -1."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
