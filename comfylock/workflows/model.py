"""What a workflow is once it is read: a flat list of nodes with the values that count.

Subgraphs and group nodes are unfolded, links into widgets are followed, and what is muted or
bypassed is marked. Which of the values name models is not decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from comfylock.workflows.shapes import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """What a workflow says about one model file beside its name (`properties.models`).

    Attributes:
        name: the file name, as the widget is expected to hold it.
        url: where the author fetched it, empty if not said.
        directory: the folder below the models folder, empty if not said.
        hash: hex digest, empty if not said.
        hash_type: name of the hash, such as ``SHA256``.
    """

    name: str
    url: str
    directory: str
    hash: str
    hash_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One node as it runs.

    Attributes:
        id: path of ids through the subgraph instances around it, such as ``57:3``.
        type: the node's class.
        active: neither it nor anything around it is muted or bypassed.
        values: widget values by position; empty where the format has names only.
        names: the widgets' names by position, empty when the file does not tell them.
        named: widget values by name, of formats that have names only.
        linked: widgets whose value comes through a link, by name; ``None`` where it cannot be
            known before the workflow runs.
        unsure: those of `linked` that may be no widget's value: the API format does not tell
            them from loaded models, and a group node not which inner node they go to.
        promoted: widgets whose value a subgraph instance holds, by name. Wrongly wired
            subgraphs exist: only a value of the right type counts, else the node's own.
        stale: positions of `values` that `linked` or `promoted` overrule.
        declared: what this node says about model files.
    """

    id: str
    type: str
    active: bool
    values: tuple[Json, ...] = ()
    names: tuple[str, ...] = ()
    named: Mapping[str, Json]
    linked: Mapping[str, Json]
    unsure: frozenset[str] = frozenset()
    promoted: Mapping[str, Json]
    stale: frozenset[int] = frozenset()
    declared: tuple[Declaration, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """A workflow that was read.

    Attributes:
        nodes: in document order, the inside of a subgraph where its instance stands.
        declared: what the document as a whole says about model files.
        sources: ids of nodes whose text another node takes through a link.
    """

    nodes: tuple[Node, ...]
    declared: tuple[Declaration, ...] = ()
    sources: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class NotAWorkflow:
    """A readable JSON file that is no workflow, and what it looks like instead."""

    reason: str
