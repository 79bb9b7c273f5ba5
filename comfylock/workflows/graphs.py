"""One graph of a UI workflow as it lies in the file: nodes by id, links by id.

Links are arrays of six in schema 0.4 and objects in schema 1 and in all subgraphs. They are
parsed when they are asked for: most are never followed.

Source: ComfyUI_frontend 1.58.1, workflowSchema.ts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from comfylock.workflows.shapes import (
    Json,
    JsonObject,
    as_id,
    as_list,
    as_object,
    as_text,
    index_of,
    item_at,
    objects,
)

#: Ids of the two ends of a subgraph inside its definition.
INPUT_END = "-10"
OUTPUT_END = "-20"
_ENDS = (-10, INPUT_END, -20, OUTPUT_END)  # a tuple: hostile ids may be lists

#: Nodes that keep what comes into their first input under a name.
SETTERS = ("SetNode", "easy setNode")

#: What `control_after_generate`, a widget behind a seed that no input stands for, can say.
CONTROLS = ("fixed", "increment", "decrement", "randomize")

_INACTIVE_MODES = (2, 4)  # muted, bypassed


@dataclass(frozen=True, slots=True)
class Link:
    """A link: from an output slot of one node to an input slot of another."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes and links of a workflow, a subgraph definition or a group.

    Attributes:
        nodes: in document order; of two nodes with one id, links mean the first.
        links: as they lie in the file.
        setters: the link into each SetNode, by the name under which GetNodes fetch its value.
        origins: ids of the nodes that a link starts from; told only if there are primitives.
    """

    nodes: Mapping[str, JsonObject]
    links: Mapping[str, Json]
    setters: Mapping[str, str]
    origins: frozenset[str]

    def link(self, link_id: str) -> Link | None:
        """Return the link of this id, ``None`` if the graph has none."""
        raw = self.links.get(link_id)
        if isinstance(raw, dict):
            return Link(
                as_id(raw.get("origin_id")), index_of(raw.get("origin_slot")),
                as_id(raw.get("target_id")), index_of(raw.get("target_slot")),
            )  # fmt: skip
        if isinstance(raw, list):
            return Link(
                as_id(item_at(raw, 1)), index_of(item_at(raw, 2)),
                as_id(item_at(raw, 3)), index_of(item_at(raw, 4)),
            )  # fmt: skip
        return None


@dataclass(frozen=True, slots=True)
class Definition:
    """A subgraph definition.

    Attributes:
        inputs: names of its inputs by slot.
        fed: of these, the ones that feed a widget, in order: an instance without
            `proxyWidgets` lists its widget values by them.
        feeders: the slot of the input that feeds a widget, by node id and widget name.
        outlets: the link behind each output slot.
    """

    graph: Graph
    inputs: tuple[str, ...]
    fed: tuple[str, ...]
    feeders: Mapping[tuple[str, str], int]
    outlets: Mapping[int, str]

    def input_of(self, node_id: str, widget: str) -> str:
        """Return the name of the input that feeds a widget inside, empty if none does."""
        return self.input_at(self.feeders.get((node_id, widget), -1))

    def input_at(self, slot: int) -> str:
        """Return the name of the input at a slot, empty if there is none."""
        return self.inputs[slot] if 0 <= slot < len(self.inputs) else ""


def parse_graph(raw: JsonObject) -> Graph:
    """Return the graph of a workflow or a subgraph definition."""
    nodes: dict[str, JsonObject] = {}
    setters: dict[str, str] = {}
    for position, node in enumerate(objects(raw.get("nodes"))):
        if isinstance(node.get("type"), str):
            name = as_id(node.get("id"))
            nodes[name if name and name not in nodes else f"{name}#{position}"] = node
        if node.get("type") in SETTERS:
            setters.setdefault(as_text(item_at(widget_values(node), 0)), first_inlet(node))
    links: dict[str, Json] = {}
    for link in as_list(raw.get("links")):
        if isinstance(link, dict):
            links[as_id(link.get("id"))] = link
        elif isinstance(link, list) and link:
            links[as_id(link[0])] = link
    has_primitives = any(node.get("type") == "PrimitiveNode" for node in nodes.values())
    origins = map(_origin, links.values()) if has_primitives else ()
    return Graph(nodes, links, setters, frozenset(origins))


def _origin(link: Json) -> str:
    return as_id(link.get("origin_id") if isinstance(link, dict) else item_at(as_list(link), 1))


def parse_definitions(document: JsonObject) -> dict[str, Definition]:
    """Return all subgraph definitions by id, those inside other definitions too."""
    found: dict[str, Definition] = {}
    waiting = [document]
    while waiting:
        for raw in objects(as_object(waiting.pop().get("definitions")).get("subgraphs")):
            name = as_id(raw.get("id"))
            if name and name not in found:
                found[name] = _parse_definition(raw)
                waiting.append(raw)
    return found


def _parse_definition(raw: JsonObject) -> Definition:
    graph = parse_graph(raw)
    inputs = tuple(as_text(entry.get("name")) for entry in objects(raw.get("inputs")))
    fed: set[int] = set()
    feeders: dict[tuple[str, str], int] = {}
    outlets: dict[int, str] = {}
    takers: dict[str, Mapping[str, JsonObject]] = {}
    for link_id, told in graph.links.items():
        link = graph.link(link_id) if _touches_an_end(told) else None
        if link is None:
            continue
        if link.target == OUTPUT_END:
            outlets.setdefault(link.target_slot, link_id)
        if link.origin == INPUT_END:
            target = graph.nodes.get(link.target, {})
            if link.target not in takers:
                takers[link.target] = _slots_by_link(target)
            slot = takers[link.target].get(link_id) or _slot_at(target, link.target_slot)
            if is_named_widget(slot):
                fed.add(link.origin_slot)
                feeders.setdefault((link.target, slot_name(slot)), link.origin_slot)
    names = tuple(name for slot, name in enumerate(inputs) if slot in fed)
    return Definition(graph, inputs, names, feeders, outlets)


def _touches_an_end(link: Json) -> bool:
    """Say whether a link may lead in or out of its subgraph: most do not, and are not parsed."""
    if isinstance(link, dict):
        return link.get("origin_id") in _ENDS or link.get("target_id") in _ENDS
    return True


def _slots_by_link(node: JsonObject) -> Mapping[str, JsonObject]:
    """Return a node's linked inputs: a link's own slot number may be out of date."""
    slots = objects(node.get("inputs"))
    return {as_id(slot.get("link")): slot for slot in slots if slot.get("link") is not None}


def _slot_at(node: JsonObject, position: int) -> JsonObject:
    return as_object(item_at(as_list(node.get("inputs")), position))


def is_named_widget(slot: JsonObject) -> bool:
    """Say whether an input slot says that it stands for a widget."""
    return isinstance(slot.get("widget"), dict)


def node_type(node: JsonObject) -> str:
    """Return a node's class."""
    return as_text(node.get("type"))


def is_on(node: JsonObject) -> bool:
    """Say whether a node is neither muted nor bypassed by its own mode."""
    return node.get("mode") not in _INACTIVE_MODES


def widget_values(node: JsonObject) -> list[Json]:
    """Return a node's widget values by position; empty where they are kept by name."""
    return as_list(node.get("widgets_values"))


def slot_name(slot: JsonObject) -> str:
    """Return the name of the widget that an input slot stands for, or of the slot itself."""
    return as_text(as_object(slot.get("widget")).get("name")) or as_text(slot.get("name"))


def is_widget_slot(slot: JsonObject) -> bool:
    """Say whether an input slot stands for a widget.

    Combos are lists or ``COMBO`` and are always widgets, also in files that do not say so.
    """
    kind = slot.get("type")
    return is_named_widget(slot) or kind == "COMBO" or isinstance(kind, list)


def first_inlet(node: JsonObject) -> str:
    """Return the id of the link into a node's first input, empty if there is none."""
    slots = objects(node.get("inputs"))
    return as_id(slots[0].get("link")) if slots else ""
