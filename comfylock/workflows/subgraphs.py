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
from functools import cached_property
from typing import TypeAlias

from comfylock.names import extension
from comfylock.workflows.graphs import (
    INPUT_END,
    SETTERS,
    Definition,
    Graph,
    Link,
    first_inlet,
    is_on,
    node_type,
    slot_name,
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


@dataclass(frozen=True, slots=True)
class Trails:
    """What was found out about the links of a scope, so that nothing is followed twice.

    A hostile file can lead thousands of links through one long way, or to one large node.

    Attributes:
        brought: what `trace` said of a link.
        behind: what lies at an output, by node id and slot.
        inside: what `enter_subgraph` said of a node.
    """

    brought: "dict[str, Traced | None]" = field(default_factory=dict[str, "Traced | None"])
    behind: "dict[tuple[str, int], _Step]" = field(default_factory=dict[tuple[str, int], "_Step"])
    inside: "dict[str, Scope | None]" = field(default_factory=dict[str, "Scope | None"])


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
        trails: what was found out so far; not part of what the scope is.
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
    trails: Trails = field(default_factory=Trails)

    @cached_property
    def inlets(self) -> Mapping[str, str]:
        """The links into the instance by the names of its inputs, empty where there is none."""
        found: dict[str, str] = {}
        for slot in objects(self.instance.get("inputs")):
            for name in (as_text(slot.get("name")), slot_name(slot)):
                found.setdefault(name, as_id(slot.get("link")))
        return found


#: The value at the end of a way (``None``: nothing gives one), or the next link on it.
_Step: TypeAlias = Traced | tuple[Scope, str] | None

_UNKNOWN = Traced(None)


def enter_subgraph(outer: Scope, node_id: str, instance: JsonObject) -> Scope | None:
    """Return the inside of a subgraph instance, ``None`` for other nodes and for circles."""
    definition = outer.definitions.get(node_type(instance))
    if definition is None:
        return None
    known = outer.trails.inside
    if node_id not in known:
        known[node_id] = _inside(outer, node_id, instance, definition)
    return known[node_id]


def _inside(
    outer: Scope, node_id: str, instance: JsonObject, definition: Definition
) -> Scope | None:
    kind = node_type(instance)
    if kind in outer.lineage:
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
    way: list[tuple[Scope, str, Traced | None]] = []
    found: Traced | None = _UNKNOWN
    step: _Step = (scope, link_id)
    for _ in range(MAX_STEPS):
        if not isinstance(step, tuple):
            found = step
            break
        here, link_id = step
        if link_id in here.trails.brought:
            step = here.trails.brought[link_id]
            continue
        link = here.graph.link(link_id)
        if link is None:
            step = _UNKNOWN
            continue
        way.append((here, link_id, _held(here, link)))
        step = _step(here, link)
    for passed, passed_link, held in reversed(way):
        found = held if found is None else found
        passed.trails.brought[passed_link] = found
    return found


def _held(scope: Scope, link: Link) -> Traced | None:
    """Return the value that the instance around holds for the subgraph input a link comes from."""
    if link.origin != INPUT_END or scope.definition is None:
        return None
    name = scope.definition.input_at(link.origin_slot)
    return Traced(scope.given[name], promoted=True) if name in scope.given else None


def _step(scope: Scope, link: Link) -> _Step:
    """Return the value at a link's origin, or the next link on the way to it."""
    if link.origin == INPUT_END and scope.definition is not None and scope.parent is not None:
        outer = scope.inlets.get(scope.definition.input_at(link.origin_slot), "")
        return (scope.parent, outer) if outer in scope.parent.graph.links else None
    known, place = scope.trails.behind, (link.origin, link.origin_slot)
    if place not in known:
        known[place] = _behind(scope, link)
    return known[place]


def _behind(scope: Scope, link: Link) -> _Step:
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


def _set_value(scope: Scope, name: str) -> _Step:
    """Return the link into the SetNode of a name, which is in this graph or in one around it."""
    here: Scope | None = scope
    while here is not None:
        if name in here.graph.setters:
            return _through(here, here.graph.setters[name])
        here = here.parent
    return _UNKNOWN


def _through(scope: Scope, link_id: str) -> _Step:
    return (scope, link_id) if link_id else _UNKNOWN


def _source_value(scope: Scope, node_id: str, node: JsonObject) -> _Step:
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
