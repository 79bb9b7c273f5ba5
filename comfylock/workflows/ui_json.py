"""UI workflows, as the frontend saves them: unfolded into nodes with the values that count.

Widget values lie in a list by position, or (some custom nodes) in an object by name. The newer
`widgets_values_named` tells the names only: by default the frontend restores the list, and where
the two disagree the list is right.

Sources: ComfyUI_frontend 1.58.1, LGraphNode.ts, widgetValueStore.ts, coreSettings.ts
(`Comfy.Workflow.NamedValuesRestore`, off), executionUtil.ts (what is left out of the prompt).
"""

from collections.abc import Iterator, Mapping

from comfylock.errors import WorkflowInvalidError
from comfylock.workflows.graphs import (
    CONTROLS,
    is_named_widget,
    is_on,
    is_widget_slot,
    node_type,
    parse_definitions,
    parse_graph,
    slot_name,
    widget_values,
)
from comfylock.workflows.groups import enter_group
from comfylock.workflows.model import Declaration, Node, Workflow
from comfylock.workflows.shapes import Json, JsonObject, as_id, as_object, as_text, objects
from comfylock.workflows.subgraphs import (
    HANDING_ON,
    LORA_TAG_START,
    Scope,
    enter_subgraph,
    trace,
)

#: Nodes of a workflow with all subgraphs unfolded. Definitions in definitions multiply: some 20
#: lines of hostile JSON unfold into millions.
MAX_NODES = 50_000

_NAME_TYPES = ("STRING", "COMBO", "*")  # a tuple: hostile types may be lists


def is_ui_workflow(document: JsonObject) -> bool:
    """Say whether an object is a UI workflow: it has nodes with ids and types, or none yet."""
    nodes = document.get("nodes")
    if not isinstance(nodes, list):
        return False
    if not nodes:
        return "links" in document and ("version" in document or "last_node_id" in document)
    return any("id" in node and isinstance(node.get("type"), str) for node in objects(nodes))


def parse_ui_workflow(document: JsonObject) -> Workflow:
    """Return what a UI workflow holds.

    Raises:
        WorkflowInvalidError: subgraphs within subgraphs unfold into too many nodes.
    """
    groups = as_object(as_object(document.get("extra")).get("groupNodes"))
    root = Scope(graph=parse_graph(document), definitions=parse_definitions(document))
    declared = list(declarations(document))
    sources: set[str] = set()
    nodes: list[Node] = []
    visited = 0
    waiting = [_members(root)]
    while waiting:
        scope, node_id, raw = next(waiting[-1], (root, "", None))
        if raw is None:
            waiting.pop()
            continue
        visited += 1
        if visited > MAX_NODES:
            raise WorkflowInvalidError(
                f"with its subgraphs unfolded it has more than {MAX_NODES} nodes"
            )
        inside = enter_subgraph(scope, node_id, raw) or enter_group(
            scope, node_id, raw, groups, sources
        )
        if inside is None:
            if not _is_only_drawn(scope, node_id, raw):
                nodes.append(_node(scope, node_id, raw, sources))
        else:
            declared.extend(declarations(as_object(raw.get("properties"))))
            waiting.append(_members(inside))
    return Workflow(nodes=tuple(nodes), declared=tuple(declared), sources=frozenset(sources))


def _members(scope: Scope) -> Iterator[tuple[Scope, str, JsonObject | None]]:
    for node_id, raw in scope.graph.nodes.items():
        yield scope, node_id, raw


def declarations(properties: JsonObject) -> Iterator[Declaration]:
    """Yield what `models` of a node's properties, or of a workflow, says about model files."""
    for entry in objects(properties.get("models")):
        name = as_text(entry.get("name"))
        if name:
            yield Declaration(
                name=name,
                url=as_text(entry.get("url")),
                directory=as_text(entry.get("directory")),
                hash=as_text(entry.get("hash")),
                hash_type=as_text(entry.get("hash_type")),
            )


def _node(scope: Scope, node_id: str, raw: JsonObject, sources: set[str]) -> Node:
    values = tuple(widget_values(raw))
    slots = objects(raw.get("inputs"))
    live = [slot for slot in slots if slot.get("link") is not None]
    names = _widget_names(raw, slots, values)
    promoted = dict(scope.inner.get(node_id, {}))
    forced = scope.forced.get(node_id, {})
    linked = dict(forced)
    _follow_links(scope, live, linked, promoted, sources)
    overruled = {**promoted, **linked}
    linked |= _tagged_texts(scope, live, sources)
    return Node(
        id=f"{scope.prefix}{node_id}",
        type=node_type(raw),
        active=scope.active and is_on(raw),
        values=values,
        names=names,
        named=as_object(raw.get("widgets_values")),
        linked=linked,
        unsure=frozenset(forced).difference(map(slot_name, slots)) if forced else frozenset(),
        promoted=promoted,
        stale=_stale(slots, values, names, overruled),
        declared=tuple(declarations(as_object(raw.get("properties")))),
    )


def _is_only_drawn(scope: Scope, node_id: str, raw: JsonObject) -> bool:
    """Say whether a node says nothing: it hands on, or is a primitive that no link starts from."""
    kind = node_type(raw)
    return kind in HANDING_ON or (kind == "PrimitiveNode" and node_id not in scope.graph.origins)


def _follow_links(
    scope: Scope,
    slots: list[JsonObject],
    linked: dict[str, Json],
    promoted: dict[str, Json],
    sources: set[str],
) -> None:
    """Add to `linked` and `promoted` what the links into a node's widgets bring."""
    for slot in filter(is_widget_slot, slots):
        link_id, name = as_id(slot.get("link")), slot_name(slot)
        if link_id not in scope.graph.links or name in linked:
            continue
        traced = trace(scope, link_id)
        if traced is None:
            continue
        if traced.promoted:
            promoted[name] = traced.value
        else:
            linked[name] = traced.value
            if traced.source and isinstance(traced.value, str):
                sources.add(traced.source)


def _tagged_texts(
    scope: Scope, slots: list[JsonObject], sources: set[str]
) -> Iterator[tuple[str, Json]]:
    """Yield the texts with tags of LoRAs that come into inputs that stand for no widget."""
    for slot in slots:
        if slot.get("type") != "STRING" or is_widget_slot(slot):
            continue
        link_id = as_id(slot.get("link"))
        traced = trace(scope, link_id) if link_id in scope.graph.links else None
        if traced and isinstance(traced.value, str) and LORA_TAG_START in traced.value:
            if traced.source:
                sources.add(traced.source)
            yield slot_name(slot), traced.value


def _widget_names(
    raw: JsonObject, slots: list[JsonObject], values: tuple[Json, ...]
) -> tuple[str, ...]:
    """Return the names of a node's widgets by position, empty when the file does not tell.

    Newer files list every widget among the inputs, but for `control_after_generate`, which lies
    behind a seed. Older ones list only those that were converted, in the order of conversion: the
    counts tell the two apart.
    """
    named = as_object(raw.get("widgets_values_named"))
    if named:
        return tuple(named) if len(named) == len(values) else ()
    names = tuple(slot_name(slot) for slot in slots if is_named_widget(slot))
    if names and len(names) < len(values):
        names = tuple(_with_controls(names, values))
    return names if len(names) == len(values) else ()


def _with_controls(names: tuple[str, ...], values: tuple[Json, ...]) -> Iterator[str]:
    """Yield the names, and a control's where a number is followed by what only controls say."""
    at = 0
    for name in names:
        yield name
        at += 1
        if at < len(values) and values[at] in CONTROLS and isinstance(values[at - 1], int):
            yield "control_after_generate"
            at += 1


def _stale(
    slots: list[JsonObject],
    values: tuple[Json, ...],
    names: tuple[str, ...],
    overruled: Mapping[str, Json],
) -> frozenset[int]:
    """Return the positions whose stored value no longer counts.

    Where the file does not tell the widgets' names, all texts are stale if at least as many
    text widgets as there are texts are overruled; else none is.
    """
    if not overruled:
        return frozenset()
    if names:
        return frozenset(at for at, name in enumerate(names) if name in overruled)
    texts = [at for at, value in enumerate(values) if isinstance(value, str)]
    named_texts = {
        slot_name(slot)
        for slot in slots
        if slot.get("type") in _NAME_TYPES or isinstance(slot.get("type"), list)
    }
    replaced = {
        name for name, value in overruled.items() if name in named_texts or isinstance(value, str)
    }
    return frozenset(texts) if len(replaced) >= len(texts) else frozenset()
