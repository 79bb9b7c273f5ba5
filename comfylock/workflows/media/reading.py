"""The texts in a media file -> one workflow: the UI graph, else the API graph, else settings."""

from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, TypeAlias

from comfylock.errors import WorkflowInvalidError
from comfylock.names import shown
from comfylock.workflows.media.embedded import Embedded, embedded
from comfylock.workflows.media.parameters import parse_parameters, workflow_of
from comfylock.workflows.model import Declaration, Node, NotAWorkflow, Workflow

_Parse: TypeAlias = Callable[[str], Workflow | NotAWorkflow]


def workflow_in(file: BinaryIO, parse: _Parse) -> Workflow | NotAWorkflow:
    """Return the workflow in a media file.

    Args:
        file: open, of a kind that `kind_of` knows.
        parse: what reads the text of a graph; it may raise `WorkflowInvalidError`.

    Raises:
        WorkflowInvalidError: the file is damaged, or its graph cannot be understood. The message
            names no file.
    """
    return _parsed(embedded(file) or Embedded(), parse)


def _parsed(found: Embedded, parse: _Parse) -> Workflow | NotAWorkflow:
    if found.members:
        return _together(found, parse)
    faults: list[WorkflowInvalidError] = []
    for text in (found.workflow, found.prompt):
        try:
            workflow = parse(text) if text else None
        except WorkflowInvalidError as error:
            faults.append(error)
            continue
        if isinstance(workflow, Workflow):
            return workflow
    resources = parse_parameters(found.parameters or "")
    if resources:
        return workflow_of(resources)
    if faults:
        raise faults[0]
    return NotAWorkflow(reason="it holds no workflow")


def _together(archive: Embedded, parse: _Parse) -> Workflow | NotAWorkflow:
    """Return the workflows of an archive's members as one; ids begin with the member's name.

    Members that cannot be read are passed over, like those that hold none.
    """
    nodes: list[Node] = []
    declared: list[Declaration] = []
    sources: set[str] = set()
    reasons: list[str] = []
    for member in archive.members:
        try:
            found = _parsed(member.embedded, parse)
        except WorkflowInvalidError as error:
            found = NotAWorkflow(reason=error.message)
        if isinstance(found, NotAWorkflow):
            reasons.append(f"{shown(member.name)}: {member.reason or found.reason}")
            continue
        nodes += (replace(node, id=f"{member.name}:{node.id}") for node in found.nodes)
        declared += found.declared
        sources |= {f"{member.name}:{source}" for source in found.sources}
    if len(reasons) == len(archive.members):
        return NotAWorkflow(reason=f"none of its members holds a workflow ({reasons[0]})")
    return Workflow(nodes=tuple(nodes), declared=tuple(declared), sources=frozenset(sources))
