"""Group nodes, which subgraphs replaced: a definition in `extra.groupNodes` and its instances.

An instance's widget values are those of the inner nodes, one after the other. Definitions without
an instance are their author's library and say nothing about this workflow.

Source: ComfyUI_frontend 1.58.1, extensions/core/groupNode.ts.
"""

from collections.abc import Iterator, Mapping

from comfylock.names import extension
from comfylock.workflows.graphs import (
    Graph,
    is_on,
    is_widget_slot,
    node_type,
    parse_graph,
    slot_name,
    widget_values,
)
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
from comfylock.workflows.subgraphs import Scope, Values, trace

_PREFIXES = ("workflow>", "workflow/")


def enter_group(
    outer: Scope, node_id: str, instance: JsonObject, groups: JsonObject
) -> Scope | None:
    """Return the inside of a group node, ``None`` for other nodes and for circles."""
    kind = node_type(instance)
    definition = as_object(groups.get(kind[len(_PREFIXES[0]) :]))
    if not kind.startswith(_PREFIXES) or not definition or kind in outer.lineage:
        return None
    inner = objects(definition.get("nodes"))
    return Scope(
        graph=_graph(definition, inner, _dealt(inner, widget_values(instance))),
        definitions=outer.definitions,
        prefix=f"{outer.prefix}{node_id}:",
        active=outer.active and is_on(instance),
        lineage=outer.lineage | {kind},
        parent=outer,
        instance=instance,
        forced=_forced(inner, dict(_linked_from_outside(outer, instance))),
    )


def _graph(definition: JsonObject, inner: list[JsonObject], values: list[list[Json]]) -> Graph:
    """Return the group as a graph: ids are positions, links between inner nodes get ids."""
    nodes: list[Json] = []
    for position, node in enumerate(inner):
        copy = dict(node)
        copy["id"] = position
        copy["widgets_values"] = values[position]
        copy["inputs"] = [{**slot, "link": None} for slot in objects(node.get("inputs"))]
        nodes.append(copy)
    links: list[Json] = []
    for number, raw in enumerate(as_list(definition.get("links"))):
        link = as_list(raw)
        target, slot = index_of(item_at(link, 2)), index_of(item_at(link, 3))
        node = as_object(item_at(nodes, target))
        entry = item_at(as_list(node.get("inputs")), slot)
        if isinstance(item_at(link, 0), int) and isinstance(entry, dict):
            entry["link"] = number
            links.append([number, item_at(link, 0), item_at(link, 1), target, slot])
    return parse_graph({"nodes": nodes, "links": links})


def _dealt(inner: list[JsonObject], values: list[Json]) -> list[list[Json]]:
    """Return the instance's values dealt out to the inner nodes.

    If there are not as many as the definition has (linked and hidden widgets are left out),
    model names are dealt by their order, and only if both sides have equally many.
    """
    own = [widget_values(node) for node in inner]
    if sum(map(len, own)) == len(values):
        rest = iter(values)
        return [[next(rest) for _ in part] for part in own]
    names = [value for value in values if _is_model_name(value)]
    if sum(_is_model_name(value) for part in own for value in part) != len(names):
        return own
    rest = iter(names)
    return [[next(rest) if _is_model_name(value) else value for value in part] for part in own]


def _is_model_name(value: Json) -> bool:
    return isinstance(value, str) and bool(extension(value))


def _linked_from_outside(outer: Scope, instance: JsonObject) -> Iterator[tuple[str, Json]]:
    for slot in objects(instance.get("inputs")):
        link_id = as_id(slot.get("link"))
        if is_widget_slot(slot) and link_id in outer.graph.links:
            traced = trace(outer, link_id)
            if traced is not None:
                yield slot_name(slot), traced.value


def _forced(inner: list[JsonObject], linked: Values) -> Mapping[str, Values]:
    """Return which inner widgets the links into a group node feed.

    A group's input bears the inner input's name, with the inner node's title or class before it
    if an earlier node of the group has an input of that name.
    """
    forced: dict[str, dict[str, Json]] = {}
    seen: set[str] = set()
    labels = tuple(f"{as_text(node.get('title')) or node_type(node)} " for node in inner)
    for position, (node, label) in enumerate(zip(inner, labels, strict=True)):
        kind = node_type(node)
        for name, value in linked.items():
            if kind in seen and name.startswith(label):
                forced.setdefault(str(position), {})[name[len(label) :]] = value
            elif kind not in seen and not name.startswith(labels):
                forced.setdefault(str(position), {})[name] = value
        seen.add(kind)
    return forced
