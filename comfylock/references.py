"""What a workflow needs: references, and the requirements that they amount to.

A reference is one input of one node that names a model. All references to one (folder, name) are
one requirement. What the workflow says about a file beside its name (address, hash) is attached as
a hint only where it speaks of exactly that name in that folder.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from itertools import islice

from comfylock.errors import WorkflowInvalidError
from comfylock.folders import NodeTable, is_known_folder, suggested_folder
from comfylock.mentions import Found, Mention, ReferenceKind, mentions
from comfylock.names import canonical_folder, normalised_name, split_key
from comfylock.workflows.model import Declaration, Node, Workflow

__all__ = [
    "Found",
    "Hint",
    "HintKind",
    "InactivePolicy",
    "Reference",
    "ReferenceKind",
    "Requirement",
    "collect_references",
    "group",
]


class HintKind(StrEnum):
    """What a hint holds."""

    SHA256 = "sha256"
    BLAKE3 = "blake3"
    AUTOV2 = "autov2"
    AIR = "air"
    URL = "url"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Hint:
    """What the workflow says about a model beyond its name."""

    kind: HintKind
    value: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One input of one node that names a model.

    Attributes:
        workflow: the file, as the caller names it.
        node: path of ids, such as ``57:3`` for node 3 in the subgraph instance 57.
        type: class of the node that loads the model.
        input: the widget, or ``widgets_values[3]`` where its name is not known.
        name: verbatim.
        folder: ComfyUI's present name of the folder, ``None`` where it is not known.
        active: neither muted, bypassed nor switched off.
        suggested_folder: what the input's name sounds like, where it was
            found by scanning and nobody knows its folder.
    """

    workflow: str
    node: str
    type: str
    input: str
    name: str
    folder: str | None
    kind: ReferenceKind
    active: bool
    found: Found
    hints: tuple[Hint, ...] = ()
    suggested_folder: str | None = None

    @property
    def key(self) -> str | None:
        """``folder/name`` of what can be locked, ``None`` for everything else."""
        if self.folder is None or self.kind not in _LOCKABLE:
            return None
        return f"{self.folder}/{normalised_name(self.name)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirement:
    r"""All references to one (folder, name).

    Attributes:
        key: ``folder/name``.
        folder: the key up to its first ``/``.
        name: the rest of it.
        kind: of several, the one that says most.
        aliases: spellings with ``\``, sorted.
        workflows: who needs it, sorted.
        hints: without repetition, sorted.
        active: at least one reference is.
    """

    key: str
    folder: str
    name: str
    kind: ReferenceKind
    aliases: tuple[str, ...]
    workflows: tuple[str, ...]
    hints: tuple[Hint, ...]
    active: bool


class InactivePolicy(Enum):
    """What becomes of references that are muted, bypassed or switched off."""

    LEAVE_OUT = "leave-out"
    INCLUDE = "include"


_LOCKABLE = (ReferenceKind.FILE, ReferenceKind.EMBEDDING, ReferenceKind.STEM)

#: Places of one workflow that name models; the largest known have some 300.
MAX_MENTIONS = 50_000

_HASHES = {
    "SHA256": (HintKind.SHA256, re.compile(r"[0-9a-f]{64}")),
    "BLAKE3": (HintKind.BLAKE3, re.compile(r"[0-9a-f]{64}")),
    "AUTOV2": (HintKind.AUTOV2, re.compile(r"[0-9a-f]{10}")),
}

# Of one name: the templates have two, a hostile file may have thousands for each reference.
_MOST_DECLARATIONS = 32

_Declared = Mapping[str, Sequence[Declaration]]


def collect_references(workflow: Workflow, path: str, table: NodeTable) -> tuple[Reference, ...]:
    """Return all references of a workflow in document order.

    The same name in the same input of the same node counts once, and is active if it is anywhere.

    Args:
        workflow: what was read.
        path: how the references name it.
        table: which inputs name models.

    Raises:
        WorkflowInvalidError: it names models in too many places. The message names no file.
    """
    nodes = list(_mentioned(workflow, table))
    document = _by_name((*workflow.declared, *(d for node, _ in nodes for d in node.declared)))
    found: dict[tuple[str, str, str], Reference] = {}
    for node, named in nodes:
        own = _by_name(node.declared)
        for mention in named:
            reference = _reference(path, node, mention, _declared(mention, own, document))
            spot = (reference.node, reference.input, reference.name)
            if spot not in found or (reference.active and not found[spot].active):
                found[spot] = reference
    return tuple(found.values())


def _mentioned(workflow: Workflow, table: NodeTable) -> Iterator[tuple[Node, tuple[Mention, ...]]]:
    rows = {kind: table.rows(kind) for kind in {node.type for node in workflow.nodes}}
    left = MAX_MENTIONS
    for node in workflow.nodes:
        found = tuple(islice(mentions(node, rows[node.type], workflow.sources), left + 1))
        left -= len(found)
        if left < 0:
            raise WorkflowInvalidError(f"it names models in more than {MAX_MENTIONS} places")
        yield node, found


def _by_name(declarations: Iterable[Declaration]) -> _Declared:
    found: dict[str, list[Declaration]] = {}
    for declaration in declarations:
        entries = found.setdefault(normalised_name(declaration.name), [])
        if len(entries) < _MOST_DECLARATIONS:
            entries.append(declaration)
    return found


def _declared(mention: Mention, own: _Declared, document: _Declared) -> tuple[Declaration, ...]:
    """Return what is said about exactly this file; the node's own word comes first."""
    name = normalised_name(mention.name)
    for said in (own.get(name, ()), document.get(name, ())):
        fitting = tuple(entry for entry in said if _fits(mention, entry))
        if fitting:
            return fitting
    return ()


def _fits(mention: Mention, declaration: Declaration) -> bool:
    folder = _directory(declaration)
    folders = (mention.folder, *mention.also)
    return mention.folder is None or folder is None or folder in folders


def _directory(declaration: Declaration) -> str | None:
    """Return the folder that a declaration names, ``None`` for none and for unknown ones."""
    first, slash, rest = declaration.directory.replace("\\", "/").strip("/").partition("/")
    return f"{canonical_folder(first)}{slash}{rest}" if is_known_folder(first) else None


def _reference(
    path: str, node: Node, mention: Mention, declared: tuple[Declaration, ...]
) -> Reference:
    folder = mention.folder
    told = {_directory(entry) for entry in declared} - {None}
    if len(told) == 1 and (folder is None or folder not in told):
        folder = told.pop()
    return Reference(
        workflow=path,
        node=_printable(node.id),
        type=_printable(node.type),
        input=_printable(mention.input),
        name=_printable(mention.name),
        folder=folder,
        kind=mention.kind,
        active=node.active and mention.on,
        found=mention.found,
        hints=_hints(mention, declared),
        suggested_folder=_suggestion(mention) if folder is None else None,
    )


def _suggestion(mention: Mention) -> str | None:
    return suggested_folder(mention.input) if mention.found is Found.SCAN else None


def _printable(text: str) -> str:
    r"""Return a text without lone surrogates, which JSON can spell (``\ud800``) and UTF-8 not."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _hints(mention: Mention, declared: tuple[Declaration, ...]) -> tuple[Hint, ...]:
    found: set[Hint] = set()
    if mention.kind is ReferenceKind.URL:
        found.add(Hint(kind=HintKind.URL, value=_printable(mention.name)))
    if mention.name.startswith("urn:air:"):
        found.add(Hint(kind=HintKind.AIR, value=_printable(mention.name)))
    for entry in declared:
        if entry.url.startswith(("http://", "https://")):
            found.add(Hint(kind=HintKind.URL, value=_printable(entry.url)))
        kind, shape = _HASHES.get(entry.hash_type.upper().replace("-", ""), (None, None))
        digest = entry.hash.lower()
        if kind is not None and shape is not None and shape.fullmatch(digest):
            found.add(Hint(kind=kind, value=digest))
    return tuple(sorted(found))


def group(references: Iterable[Reference], *, inactive: InactivePolicy) -> tuple[Requirement, ...]:
    """Return the requirements that references amount to, sorted by key.

    References without a key are left out: they cannot be locked.
    """
    by_key: dict[str, list[Reference]] = {}
    for reference in references:
        key = reference.key
        if key is not None and (reference.active or inactive is InactivePolicy.INCLUDE):
            by_key.setdefault(key, []).append(reference)
    return tuple(_requirement(key, by_key[key]) for key in sorted(by_key))


def _requirement(key: str, references: list[Reference]) -> Requirement:
    folder, name = split_key(key)
    names = {reference.name for reference in references}
    return Requirement(
        key=key,
        folder=folder,
        name=name,
        kind=min((reference.kind for reference in references), key=_LOCKABLE.index),
        aliases=tuple(sorted(spelling for spelling in names if "\\" in spelling)),
        workflows=tuple(sorted({reference.workflow for reference in references})),
        hints=tuple(sorted({hint for reference in references for hint in reference.hints})),
        active=any(reference.active for reference in references),
    )
