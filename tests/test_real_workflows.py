"""The workflows that ComfyUI ships declare their models: every declaration must be found."""

import importlib.metadata
import json
from pathlib import Path

import pytest

from comfylock.folders import load_node_table
from comfylock.names import canonical_folder
from comfylock.references import Found, InactivePolicy, collect_references, group
from comfylock.workflows.file import read_workflow
from comfylock.workflows.model import Workflow

TABLE = load_node_table()


def files(package):
    listed = importlib.metadata.files(package)
    assert listed is not None
    return [Path(str(entry.locate())) for entry in listed if entry.suffix == ".json"]


def graphs(document):
    return [document, *document.get("definitions", {}).get("subgraphs", [])]


def declared(path):
    """What the nodes of a file declare, as (folder, name), once for each node."""
    document = json.loads(path.read_bytes())
    return [
        (canonical_folder(entry["directory"]), entry["name"])
        for graph in graphs(document)
        for node in graph["nodes"]
        for entry in node.get("properties", {}).get("models", ())
    ]


@pytest.mark.parametrize(
    ("package", "workflows", "declarations"),
    [
        ("comfyui-workflow-templates-json", 644, 1204),
        ("comfyui-subgraph-blueprints", 115, 347),
    ],
)
def test_every_declared_model_is_found_in_its_folder(package, workflows, declarations):
    """By the table of nodes alone: a declaration gives no reference and no folder here."""
    read = seen = 0
    missed: list[tuple[str, str, str]] = []
    for path in files(package):
        workflow = read_workflow(path)
        if not isinstance(workflow, Workflow):
            continue
        read += 1
        references = collect_references(workflow, path.name, TABLE)
        known = {(entry.folder, entry.name) for entry in references if entry.found is Found.NODE}
        for folder, name in declared(path):
            seen += 1
            if (folder, name) not in known:
                missed.append((path.name, folder, name))
        group(references, inactive=InactivePolicy.INCLUDE)
    assert missed == []
    assert (workflows, declarations) == (read, seen)
