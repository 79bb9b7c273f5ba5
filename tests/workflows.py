"""Short builders of UI workflows: nodes, links, subgraph definitions."""

from pathlib import Path

from comfylock.folders import load_node_table
from comfylock.references import Reference, collect_references
from comfylock.workflows.file import parse_document
from comfylock.workflows.model import Workflow

ROOT_LINK_END = -10


def node(node_id, type_, *values, mode=0, inputs=(), **more):
    """A node with its widget values by position."""
    return {
        "id": node_id,
        "type": type_,
        "mode": mode,
        "inputs": list(inputs),
        "widgets_values": list(values),
        **more,
    }


def slot(name, link=None, type_="COMBO"):
    """An input that stands for the widget of that name."""
    return {"name": name, "type": type_, "widget": {"name": name}, "link": link}


def link(link_id, origin, origin_slot, target, target_slot):
    """A link as schema 0.4 writes it."""
    return [link_id, origin, origin_slot, target, target_slot, "COMBO"]


def inner_link(link_id, origin, origin_slot, target, target_slot):
    """A link as subgraphs and schema 1 write it."""
    return {
        "id": link_id,
        "origin_id": origin,
        "origin_slot": origin_slot,
        "target_id": target,
        "target_slot": target_slot,
        "type": "COMBO",
    }


def subgraph(name, nodes, *, links=(), inputs=(), outputs=(), **more):
    """A subgraph definition."""
    return {
        "id": name,
        "name": name,
        "nodes": list(nodes),
        "links": list(links),
        "inputs": [{"name": entry, "type": "COMBO"} for entry in inputs],
        "outputs": [{"name": entry, "type": "COMBO"} for entry in outputs],
        **more,
    }


def ui(*nodes, links=(), subgraphs=(), groups=None, **more):
    """A UI workflow of schema 0.4."""
    return {
        "version": 0.4,
        "nodes": list(nodes),
        "links": list(links),
        "definitions": {"subgraphs": list(subgraphs)},
        "extra": {"groupNodes": groups or {}},
        **more,
    }


def references(document, folders=None) -> tuple[Reference, ...]:
    """The references of a document."""
    workflow = parse_document(document)
    assert isinstance(workflow, Workflow)
    return collect_references(workflow, "w.json", load_node_table(folders or {}))


def found(document, folders=None):
    """What is referenced, as (node, input, key or name, active) in document order."""
    return [
        (entry.node, entry.input, entry.key or entry.name, entry.active)
        for entry in references(document, folders)
    ]


def keys(document, folders=None):
    """The keys of the active references in document order."""
    return [entry.key for entry in references(document, folders) if entry.active]


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path
