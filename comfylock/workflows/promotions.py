"""The widget values that a subgraph instance holds, and what inside the subgraph they stand for.

1. `properties.proxyWidgets` names an inner node and widget (or, with node id -1, a subgraph input)
   for each value; missing values leave the inner ones in force. A widget that a subgraph input
   feeds stands for that input, and so for all else that it feeds.
2. Without it, the values belong to the subgraph inputs that feed a widget, in definition order.

Through several instances one widget may share its name with another; a third item in the proxy, or
in older files ``17: text`` as the name, then tells the node that it is on.

Source: ComfyUI_frontend 1.58.1, SubgraphNode.ts (`_applyPromotedWidgetValues`),
proxyWidgetMigration.ts, legacyProxyWidgetNormalization.ts.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from comfylock.workflows.graphs import CONTROLS, Definition, node_type, widget_values
from comfylock.workflows.shapes import Json, JsonObject, as_id, as_list, as_object, as_text, item_at

Values: TypeAlias = "Mapping[str, Json]"

_INSTANCE_INPUT = "-1"
_PREFIX = re.compile(r"\s*(\d+)\s*:\s*(?=\S)")


@dataclass(frozen=True, slots=True)
class _Proxy:
    """What one value of an instance stands for.

    Attributes:
        leaf: the node deep inside that the widget is on, empty where the name is enough.
    """

    where: str
    name: str
    leaf: str = ""

    @property
    def label(self) -> str:
        """The name by which the instance inside, if it is one, knows the widget."""
        return f"{self.leaf}: {self.name}" if self.leaf else self.name


def promotions(
    instance: JsonObject,
    definition: Definition,
    definitions: Mapping[str, Definition],
    outside: Values,
) -> tuple[Values, Mapping[str, Values]]:
    """Return the values of subgraph inputs, and those of widgets inside by node id and name.

    Args:
        instance: the node.
        definition: of its subgraph.
        definitions: all of the document.
        outside: values that an instance around this one holds of its widgets.
    """
    given: dict[str, Json] = {}
    inner: dict[str, dict[str, Json]] = {}
    values = widget_values(instance)
    proxies = list(_proxies(instance, definition, definitions))
    if not proxies:
        given |= _by_inputs(definition, values)
    lone = _lone_labels(outside, proxies)
    for position, proxy in enumerate(proxies):
        value = _from_outside(outside, proxy, lone.get(proxy.name, ""))
        value = item_at(values, position) if value is None else value
        if value is None:
            continue
        entry = _entry(definition, proxy.where, proxy.name)
        if entry:
            given[entry] = value
        else:
            inner.setdefault(proxy.where, {})[proxy.label] = value
    given |= as_object(instance.get("widgets_values"))
    for label, value in outside.items():
        leaf, name = _unprefixed(label)
        entry = definition.input_of(leaf, name) if leaf in definition.graph.nodes else name
        if entry in definition.inputs:
            given[entry] = value
    return given, inner


def _proxies(
    instance: JsonObject, definition: Definition, definitions: Mapping[str, Definition]
) -> Iterator[_Proxy]:
    for raw in as_list(as_object(instance.get("properties")).get("proxyWidgets")):
        where, name, leaf = (item_at(as_list(raw), place) for place in range(3))
        proxy = _Proxy(as_id(where), as_text(name), as_id(leaf))
        if node_type(definition.graph.nodes.get(proxy.where, {})) in definitions:
            told, plain = _unprefixed(proxy.name)
            yield _Proxy(proxy.where, plain, proxy.leaf or told)
        else:
            yield _Proxy(proxy.where, proxy.name)


def _unprefixed(name: str) -> tuple[str, str]:
    """Return the node id in front of a widget's name, the last of several, and the name."""
    leaf, at = "", 0
    while match := _PREFIX.match(name, at):
        leaf, at = match[1], match.end()
    return leaf, name[at:]


def _entry(definition: Definition, where: str, name: str) -> str:
    """Return the subgraph input that feeds a proxy's widget, empty if none does."""
    return name if where == _INSTANCE_INPUT else definition.input_of(where, name)


def _lone_labels(outside: Values, proxies: Sequence[_Proxy]) -> Mapping[str, str]:
    """Return by name the labels from outside that can mean one proxy only."""
    counts = Counter(proxy.name for proxy in proxies)
    lone: dict[str, str] = {}
    for label in outside:
        name = _unprefixed(label)[1]
        if counts[name] == 1:
            lone.setdefault(name, label)
    return lone


def _from_outside(outside: Values, proxy: _Proxy, lone: str) -> Json:
    """Return the value that an outer instance holds for a proxy, ``None`` if it holds none."""
    labels = (f"{proxy.where}: {proxy.name}", proxy.label, proxy.name, lone)
    return next((outside[label] for label in labels if label in outside), None)


def _by_inputs(definition: Definition, values: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield the values by the inputs that they belong to.

    In older files a seed's `control_after_generate` follows it, which is no input.
    """
    spare = len(values) - len(definition.fed)
    waiting = iter(values)
    for name in definition.fed:
        value = next(waiting, None)
        if spare > 0 and value in CONTROLS:
            value, spare = next(waiting, None), spare - 1
        if value is not None:
            yield name, value
