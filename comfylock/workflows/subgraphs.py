"""The value that counts: through links, reroutes, and in and out of subgraph instances.

A widget with a link keeps the value it had before, which no longer counts. What counts lies at the
link's other end: a PrimitiveNode, a node that selects a name, or the input of the subgraph around
it, whose value is the instance's. Rules for an instance's widget values:

1. `properties.proxyWidgets` names an inner node and widget (or, with node id -1, a subgraph
   input) for each value; missing values leave the inner ones in force.
2. Without it, the values belong to the subgraph inputs that feed a widget, in definition order.
3. A link into the instance's own input comes before both, an outer instance's value before an
   inner one's.

Source: ComfyUI_frontend 1.58.1, SubgraphNode.ts and proxyWidgetMigration.ts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from comfylock.names import extension
from comfylock.workflows.graphs import (
    INPUT_END,
    Definition,
    Graph,
    Link,
    first_inlet,
    inlet,
    is_on,
    node_type,
    widget_values,
)
from comfylock.workflows.shapes import Json, JsonObject, as_id, as_list, as_object, as_text, item_at

#: Links, reroutes and borders that one value may pass; only a circle has more.
MAX_STEPS = 200

#: Nodes that hand on what comes into their first input.
REROUTES = frozenset({"Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss"})

_GETTERS = frozenset({"GetNode", "easy getNode"})
_INSTANCE_INPUT = "-1"

Values = Mapping[str, Json]


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
    given, inner = _promotions(instance, definition, outer.inner.get(node_id, {}))
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


def _promotions(
    instance: JsonObject, definition: Definition, outside: Values
) -> tuple[Values, Mapping[str, Values]]:
    given: dict[str, Json] = {}
    inner: dict[str, dict[str, Json]] = {}
    values = widget_values(instance)
    proxies = as_list(as_object(instance.get("properties")).get("proxyWidgets"))
    if not proxies:
        given |= {
            name: value
            for name, value in zip(definition.fed, values, strict=False)
            if value is not None
        }
    for position, proxy in enumerate(proxies):
        where, name = as_id(item_at(as_list(proxy), 0)), as_text(item_at(as_list(proxy), 1))
        value = outside.get(name, item_at(values, position))
        if value is None:
            continue
        if where == _INSTANCE_INPUT:
            given[name] = value
        else:
            inner.setdefault(where, {})[name] = value
    given |= as_object(instance.get("widgets_values"))
    given |= {name: value for name, value in outside.items() if name in definition.inputs}
    return given, inner


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
            name = _input_name(here.definition, link.origin_slot)
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


def _input_name(definition: Definition, slot: int) -> str:
    return definition.inputs[slot] if 0 <= slot < len(definition.inputs) else ""


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
    if kind in _GETTERS:
        return _through(
            scope, scope.graph.setters.get(as_text(item_at(widget_values(node), 0)), "")
        )
    return _source_value(scope, link.origin, node)


def _through(scope: Scope, link_id: str) -> Traced | tuple[Scope, str]:
    return (scope, link_id) if link_id else _UNKNOWN


def _source_value(scope: Scope, node_id: str, node: JsonObject) -> Traced | tuple[Scope, str]:
    """Return the text that a node puts out, as far as it can be told from its widgets.

    Primitives put out their first widget. Of other nodes only this is taken: among their widgets
    exactly one names a model file.
    """
    path = f"{scope.prefix}{node_id}"
    kind = node_type(node)
    own: list[Json] = [*scope.inner.get(node_id, {}).values(), *widget_values(node)]
    if kind == "PrimitiveNode":  # lives in the frontend only: muting it changes nothing
        return Traced(item_at(own, 0), source=path)
    if not is_on(node):
        return _UNKNOWN
    if kind.startswith("Primitive"):
        outer = inlet(node, "value")
        return (scope, outer) if outer else Traced(item_at(own, 0), source=path)
    return Traced(only_model_name(own), source=path)


def only_model_name(values: list[Json]) -> str | None:
    """Return the one string that ends in a model extension, ``None`` if none or several do."""
    found = {value for value in values if isinstance(value, str) and extension(value)}
    return found.pop() if len(found) == 1 else None
