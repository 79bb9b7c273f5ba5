"""API workflows (prompts), as the server takes them: nodes by id, inputs by name.

Muted and bypassed nodes, subgraphs and the frontend's own nodes are gone from them; an input that
is a link is a list of node id and output number.

Source: ComfyUI_frontend 1.58.1, executionUtil.ts, app.ts (`isApiJson`).
"""

from collections.abc import Mapping

from comfylock.workflows.model import Node, Workflow
from comfylock.workflows.shapes import Json, JsonObject, as_id, as_object, as_text, item_at
from comfylock.workflows.subgraphs import MAX_STEPS, REROUTES, only_telling_text


def is_api_workflow(document: JsonObject) -> bool:
    """Say whether an object is an API workflow: most of what it holds has a class."""
    nodes = sum(_is_node(value) for value in document.values())
    return nodes > 0 and 2 * nodes > len(document)


def _is_node(value: Json) -> bool:
    return isinstance(value, dict) and isinstance(value.get("class_type"), str)


def parse_api_workflow(document: JsonObject) -> Workflow:
    """Return what an API workflow holds."""
    nodes = {key: value for key, value in document.items() if isinstance(value, dict)}
    sources: set[str] = set()
    return Workflow(
        nodes=tuple(
            _node(key, value, nodes, sources) for key, value in nodes.items() if _is_node(value)
        ),
        sources=frozenset(sources),
    )


def _node(key: str, raw: JsonObject, nodes: Mapping[str, JsonObject], sources: set[str]) -> Node:
    named: dict[str, Json] = {}
    linked: dict[str, Json] = {}
    texts: set[str] = set()
    for name, value in as_object(raw.get("inputs")).items():
        origin = _origin(value)
        if origin is None:
            named[name] = _unwrapped(value)
            continue
        linked[name], source = _trace(origin, nodes)
        if source:
            texts.add(name)
            sources.add(source)
    return Node(
        id=key,
        type=as_text(raw.get("class_type")),
        active=True,
        named=named,
        linked=linked,
        unsure=frozenset(linked) - texts,
        promoted={},
    )


def _origin(value: Json) -> str | None:
    """Return the id of the node that a link comes from, ``None`` for values."""
    if not isinstance(value, list) or len(value) != 2 or isinstance(value[1], bool):
        return None
    origin = as_id(value[0])
    return origin if origin and isinstance(value[1], int) else None


def _unwrapped(value: Json) -> Json:
    """Return a list that is wrapped so as not to be taken for a link."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value


def _trace(origin: str, nodes: Mapping[str, JsonObject]) -> tuple[str | None, str]:
    """Return a linked text, ``None`` if it cannot be told before the workflow runs, and its source.

    The source is the id of a node that puts out nothing but that text, else empty.
    """
    for _ in range(MAX_STEPS):
        node = nodes.get(origin, {})
        kind = as_text(node.get("class_type"))
        inputs = list(as_object(node.get("inputs")).values())
        onward = _origin(item_at(inputs, 0))
        if onward is not None and (kind in REROUTES or kind.startswith("Primitive")):
            origin = onward
            continue
        if kind.startswith("Primitive"):
            text = as_text(item_at(inputs, 0))
            return (text, origin) if text else (None, "")
        return only_telling_text(inputs), ""
    return None, ""
