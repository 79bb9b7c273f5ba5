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
from comfylock.workflows.promotions import Values
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
from comfylock.workflows.subgraphs import Scope, trace

#: Inner nodes times linked inputs that are looked at; real groups have a few dozen of each.
_MOST_PAIRS = 100_000
_PREFIXES = ("workflow>", "workflow/")


def enter_group(
    outer: Scope, node_id: str, instance: JsonObject, groups: JsonObject, sources: set[str]
) -> Scope | None:
    """Return the inside of a group node, ``None`` for other nodes and for circles.

    Args:
        outer: where the node is.
        node_id: its id there.
        instance: the node.
        groups: definitions by name.
        sources: nodes whose text the group takes through a link are added.
    """
    kind = node_type(instance)
    if not kind.startswith(_PREFIXES):
        return None
    definition = as_object(groups.get(kind[len(_PREFIXES[0]) :]))
    if not definition or kind in outer.lineage:
        return None
    inner = objects(definition.get("nodes"))
    return Scope(
        graph=_graph(definition, inner, _dealt(definition, inner, widget_values(instance))),
        definitions=outer.definitions,
        prefix=f"{outer.prefix}{node_id}:",
        active=outer.active and is_on(instance),
        lineage=outer.lineage | {kind},
        parent=outer,
        instance=instance,
        forced=_forced(inner, dict(_linked_from_outside(outer, instance, sources))),
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


def _dealt(definition: JsonObject, inner: list[JsonObject], values: list[Json]) -> list[list[Json]]:
    """Return the instance's values dealt out to the inner nodes.

    Hidden widgets, and those that a link inside the group feeds, have none at the instance: their
    values are the definition's. If the numbers do not come out, model names are dealt by their
    order, and only if both sides have equally many.
    """
    own = [widget_values(node) for node in inner]
    absent = _absent(definition, inner)
    shown = [max(0, len(part) - len(absent[place])) for place, part in enumerate(own)]
    for counts in ([len(part) for part in own], shown):
        if sum(counts) == len(values):
            rest = iter(values)
            dealt = [[next(rest) for _ in range(count)] for count in counts]
            return [_laid_over(mine, given) for mine, given in zip(own, dealt, strict=True)]
    names = [value for value in values if _is_model_name(value)]
    if sum(_is_model_name(value) for part in own for value in part) != len(names):
        return own
    rest = iter(names)
    return [[next(rest) if _is_model_name(value) else value for value in part] for part in own]


def _absent(definition: JsonObject, inner: list[JsonObject]) -> list[set[str]]:
    """Return, for each inner node, the widgets that its instances hold no value of."""
    absent: list[set[str]] = [set() for _ in inner]
    for place, settings in as_object(definition.get("config")).items():
        inputs = as_object(as_object(settings).get("input"))
        hidden = {name for name, one in inputs.items() if as_object(one).get("visible") is False}
        if place.isdecimal() and int(place) < len(inner):
            absent[int(place)] |= hidden
    for raw in as_list(definition.get("links")):
        link = as_list(raw)
        target, slot = index_of(item_at(link, 2)), index_of(item_at(link, 3))
        if not isinstance(item_at(link, 0), int) or not 0 <= target < len(inner):
            continue
        entry = as_object(item_at(as_list(inner[target].get("inputs")), slot))
        if is_widget_slot(entry):
            absent[target].add(slot_name(entry))
    return absent


def _laid_over(own: list[Json], given: list[Json]) -> list[Json]:
    """Return a node's own values with the given ones in the first places that their types fit.

    Which widget is missing is known by name alone, and the names of a node's widgets are not in
    the file; a text does not stand where a number was.
    """
    if len(own) == len(given):
        return given
    laid, waiting = list(own), given[::-1]
    for place, value in enumerate(own):
        if waiting and _is_alike(value, waiting[-1]):
            laid[place] = waiting.pop()
    return own if waiting else laid


def _is_alike(one: Json, other: Json) -> bool:
    return isinstance(one, str) == isinstance(other, str)


def _is_model_name(value: Json) -> bool:
    return isinstance(value, str) and bool(extension(value))


def _linked_from_outside(
    outer: Scope, instance: JsonObject, sources: set[str]
) -> Iterator[tuple[str, Json]]:
    for slot in objects(instance.get("inputs")):
        link_id = as_id(slot.get("link"))
        if is_widget_slot(slot) and link_id in outer.graph.links:
            traced = trace(outer, link_id)
            if traced is not None:
                if traced.source and isinstance(traced.value, str):
                    sources.add(traced.source)
                yield slot_name(slot), traced.value


def _forced(inner: list[JsonObject], linked: Values) -> Mapping[str, Values]:
    """Return which inner widgets the links into a group node feed.

    A group's input bears the inner input's name, with the inner node's title or class before it
    if an earlier node of the group has an input of that name.
    """
    if len(inner) * len(linked) > _MOST_PAIRS:
        return {}
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
