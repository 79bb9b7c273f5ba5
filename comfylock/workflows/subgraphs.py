"""The value that counts: through links, reroutes, and in and out of subgraph instances.

A widget with a link keeps the value it had before, which no longer counts. What counts lies at the
link's other end: a PrimitiveNode, a node that selects a name, or the input of the subgraph around
it, whose value is the instance's (`promotions`). A link into the instance's own input comes before
that, an outer instance's value before an inner one's.

Sources: ComfyUI_frontend 1.58.1, SubgraphNode.ts; ComfyUI-KJNodes, setgetnodes.js (a GetNode looks
for its name in its own graph, then in those around it).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from comfylock.names import extension
from comfylock.workflows.graphs import (
    INPUT_END,
    SETTERS,
    Definition,
    Graph,
    Link,
    first_inlet,
    inlet,
    is_on,
    node_type,
    widget_values,
)
from comfylock.workflows.promotions import Values, promotions
from comfylock.workflows.shapes import Json, JsonObject, as_id, as_text, item_at, objects

#: Links, reroutes and borders that one value may pass; only a circle has more.
MAX_STEPS = 200

#: Nodes that hand on what comes into their first input.
REROUTES = frozenset({"Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss"})

_GETTERS = frozenset({"GetNode", "easy getNode"})

#: Nodes of the frontend's own that hold no value.
HANDING_ON = REROUTES | _GETTERS | set(SETTERS)

#: What tags of LoRAs in a text begin with.
LORA_TAG_START = "<lora:"

# Nodes that hand on the first of their inputs that brings anything.
_SWITCHES = frozenset({"Any Switch (rgthree)"})

# Nodes that put out what their one widget says.
_SELECTORS = frozenset(
    {"Checkpoint Selector", "easy ckptNames", "easy controlnetNames", "easy loraNames"}
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scope:
    """A graph at one place of the document: the root, or one instance of a subgraph or group.

    Attributes:
        prefix: path of the instance with a colon behind it, empty at the root.
        active: the instance, and all around it, is neither muted nor bypassed.
        lineage: what this place is inside of, so that a definition inside itself ends.
        given: values of subgraph inputs.
        inner: values of widgets inside, by node id and widget name.
        forced: as `inner`, but linked from outside the instance: they come before all else.
    """

    graph: Graph
    definitions: Mapping[str, Definition]
    prefix: str = ""
    active: bool = True
    lineage: frozenset[str] = frozenset()
    parent: "Scope | None" = None
    instance: JsonObject = field(default_factory=dict[str, Json])
    definition: Definition | None = None
    given: Values = field(default_factory=dict[str, Json])
    inner: Mapping[str, Values] = field(default_factory=dict[str, Values])
    forced: Mapping[str, Values] = field(default_factory=dict[str, Values])


@dataclass(frozen=True, slots=True)
class Traced:
    """What a link brings.

    Attributes:
        value: ``None`` where it cannot be known before the workflow runs.
        promoted: it is a widget value of a subgraph instance.
        source: path of the node that holds the value, empty if none does.
    """

    value: Json
    promoted: bool = False
    source: str = ""


_UNKNOWN = Traced(None)


def enter_subgraph(outer: Scope, node_id: str, instance: JsonObject) -> Scope | None:
    """Return the inside of a subgraph instance, ``None`` for other nodes and for circles."""
    kind = node_type(instance)
    definition = outer.definitions.get(kind)
    if definition is None or kind in outer.lineage:
        return None
    given, inner = promotions(instance, definition, outer.definitions, outer.inner.get(node_id, {}))
    return Scope(
        graph=definition.graph,
        definitions=outer.definitions,
        prefix=f"{outer.prefix}{node_id}:",
        active=outer.active and is_on(instance),
        lineage=outer.lineage | {kind},
        parent=outer,
        instance=instance,
        definition=definition,
        given=given,
        inner=inner,
    )


def trace(scope: Scope, link_id: str) -> Traced | None:
    """Follow a link to the value it brings.

    Returns:
        ``None`` if nothing outside gives a value, so that the widget's own holds.
    """
    here: Scope = scope
    instead: Traced | None = None
    for _ in range(MAX_STEPS):
        link = here.graph.link(link_id)
        if link is None:
            return _UNKNOWN
        if link.origin == INPUT_END and here.definition is not None and here.parent is not None:
            name = here.definition.input_at(link.origin_slot)
            if name in here.given:
                instead = Traced(here.given[name], promoted=True)
            link_id = inlet(here.instance, name)
            if link_id not in here.parent.graph.links:
                return instead
            here = here.parent
            continue
        step = _step(here, link)
        if isinstance(step, Traced):
            return step
        here, link_id = step
    return _UNKNOWN


def _step(scope: Scope, link: Link) -> Traced | tuple[Scope, str]:
    """Return the value at a link's origin, or the next link on the way to it."""
    node = scope.graph.nodes.get(link.origin)
    if node is None:
        return _UNKNOWN
    kind = node_type(node)
    inside = enter_subgraph(scope, link.origin, node)
    if inside is not None and inside.definition is not None:
        return _through(inside, inside.definition.outlets.get(link.origin_slot, ""))
    if kind in REROUTES:
        return _through(scope, first_inlet(node))
    if kind in _SWITCHES:
        return _through(scope, _first_live_inlet(scope.graph, node))
    if kind in _GETTERS:
        return _set_value(scope, as_text(item_at(widget_values(node), 0)))
    return _source_value(scope, link.origin, node)


def _first_live_inlet(graph: Graph, node: JsonObject) -> str:
    """Return the link into the first input that comes from a node that is not switched off."""
    for slot in objects(node.get("inputs")):
        link = graph.link(as_id(slot.get("link")))
        if link is not None and _is_live(graph.nodes.get(link.origin, {})):
            return as_id(slot.get("link"))
    return ""


def _is_live(node: JsonObject) -> bool:
    return is_on(node) or node_type(node) == "PrimitiveNode"


def _set_value(scope: Scope, name: str) -> Traced | tuple[Scope, str]:
    """Return the link into the SetNode of a name, which is in this graph or in one around it."""
    here: Scope | None = scope
    while here is not None:
        if name in here.graph.setters:
            return _through(here, here.graph.setters[name])
        here = here.parent
    return _UNKNOWN


def _through(scope: Scope, link_id: str) -> Traced | tuple[Scope, str]:
    return (scope, link_id) if link_id else _UNKNOWN


def _source_value(scope: Scope, node_id: str, node: JsonObject) -> Traced | tuple[Scope, str]:
    """Return the text that a node puts out, as far as it can be told from its widgets.

    Primitives and selectors put out their first widget. Of other nodes only this is taken: among
    their widgets exactly one names a model file, or holds tags of LoRAs.
    """
    path = f"{scope.prefix}{node_id}"
    kind = node_type(node)
    own: list[Json] = [*scope.inner.get(node_id, {}).values(), *widget_values(node)]
    if kind == "PrimitiveNode":  # lives in the frontend only: muting it changes nothing
        return Traced(item_at(own, 0), source=path)
    if not is_on(node):
        return _UNKNOWN
    if kind.startswith("Primitive") or kind in _SELECTORS:
        outer = _linked_inlet(scope.graph, node)
        return (scope, outer) if outer else Traced(item_at(own, 0), source=path)
    return Traced(only_telling_text(own), source=path)


def _linked_inlet(graph: Graph, node: JsonObject) -> str:
    links = (as_id(slot.get("link")) for slot in objects(node.get("inputs")))
    return next((link_id for link_id in links if link_id in graph.links), "")


def only_telling_text(values: list[Json]) -> str | None:
    """Return the one string that is a model's name or has tags, ``None`` if none or several are."""
    found = {
        value
        for value in values
        if isinstance(value, str) and (extension(value) or LORA_TAG_START in value)
    }
    return found.pop() if len(found) == 1 else None
