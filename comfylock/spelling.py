r"""Names with the other system's separator, and workflow files rewritten to this one's.

ComfyUI compares names as strings, and its lists hold the system's own separator: a workflow saved
on Windows says ``SDXL\ink.safetensors`` and is refused elsewhere (`value_not_in_list`), and the
other way round. A rewrite changes the separators inside names that the reader reports and nothing
else, and shows it before anything is written.

Sources: ComfyUI v0.25.0, folder_paths.py (`recursive_search`: os.path.relpath), execution.py (the
comparison), sd1_clip.py (embeddings are opened as paths, so ``/`` is right on every system).
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from comfylock.errors import WorkflowInvalidError
from comfylock.folders import NodeTable
from comfylock.mentions import (
    EMBEDDING_NAME,
    LORA_TAG,
    Found,
    Mention,
    ReferenceKind,
    embedding_name,
    mentions,
)
from comfylock.references import Reference, collect_references
from comfylock.workflows.file import parse_document, parse_json
from comfylock.workflows.model import Node, NotAWorkflow, Workflow
from comfylock.workflows.shapes import Json, JsonObject, as_list, as_object, as_text, objects
from comfylock.workflows.spans import PlacedText, differences, edited, place_strings, strings_of


class Separator(StrEnum):
    """What stands between folders in the names that one system's ComfyUI lists."""

    SLASH = "/"
    BACKSLASH = "\\"


_KINDS = {
    Separator.SLASH: frozenset(
        {
            ReferenceKind.FILE,
            ReferenceKind.STEM,
            ReferenceKind.EMBEDDING,
            ReferenceKind.DIRECTORY,
        }
    ),
    # A slash may belong to a repository's id, and in texts it works on Windows as well.
    Separator.BACKSLASH: frozenset({ReferenceKind.FILE, ReferenceKind.STEM}),
}
_SURE = {
    Separator.SLASH: frozenset(Found),
    Separator.BACKSLASH: frozenset({Found.NODE}),
}
_SEPARATORS = re.compile(r"[\\/]")

# In prompts a backslash also escapes brackets: it separates only where a name goes on behind it.
# A widget of an unknown node may hold a prompt that happens to end like a file.
_CLEAR = {
    Found.TEXT: re.compile(r"(?:[^\\]|\\(?=[^\W_]))*"),
    Found.SCAN: re.compile(r"(?:[^\\,]|\\(?=\w))*"),
}

_PROMPT_UNIT = re.compile(r"\\[()]|.", re.DOTALL)

_INSTANCES = ("workflow>", "workflow/")


def respelled(name: str, kind: ReferenceKind, found: Found, separator: Separator) -> str:
    r"""Return a name as this system's ComfyUI lists it, unchanged where that is not sure.

    Args:
        name: verbatim.
        kind: repository ids, addresses and whatever else is no file name stay.
        found: ``/`` becomes ``\`` only in inputs that are known to list files.
        separator: this system's.
    """
    sure = kind in _KINDS[separator] and found in _SURE[separator]
    if not sure or not _is_relative(name, kind):
        return name
    if found in _CLEAR and not _CLEAR[found].fullmatch(name):
        return name
    return _SEPARATORS.sub(lambda _: separator, name)


def _is_relative(name: str, kind: ReferenceKind) -> bool:
    """Say whether a name leads downward from a folder: no drive, share, root, ``..`` or gap."""
    parts = _SEPARATORS.split(name)
    if kind is ReferenceKind.DIRECTORY and len(parts) > 1 and not parts[-1]:
        parts.pop()
    return ":" not in parts[0] and not {"", ".", ".."}.intersection(parts)


def is_misspelled(reference: Reference, separator: Separator) -> bool:
    """Say whether this system's ComfyUI would refuse a reference for its separators alone."""
    return _wanted(reference, separator) != reference.name


def misspelling_warning(references: Sequence[Reference], separator: Separator) -> str | None:
    """Return one line about names that this system's ComfyUI refuses, ``None`` if there are none.

    What is muted, bypassed or switched off is not validated and does not count.
    """
    wrong = [one for one in references if one.active and is_misspelled(one, separator)]
    if not wrong:
        return None
    files = len({reference.workflow for reference in wrong})
    sign = "\\" if separator is Separator.SLASH else "/"
    count = len({(one.folder, one.name) for one in wrong})
    names = "1 model name is" if count == 1 else f"{count} model names are"
    where = "1 workflow" if files == 1 else f"{files} workflows"
    return (
        f"{names} spelled with {sign} in {where}, which ComfyUI on this system refuses;"
        " `comfylock fix-paths` rewrites them"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewritten:
    """A workflow file with this system's separators.

    Attributes:
        data: the file's bytes; the very same where nothing changes.
        names: each name that changes and what it becomes, in document order.
        places: how many strings of the file change.
    """

    data: bytes
    names: tuple[tuple[str, str], ...] = ()
    places: int = 0


def rewrite_workflow(
    data: bytes, separator: Separator, table: NodeTable
) -> Rewritten | NotAWorkflow:
    """Return a workflow file in which the names of models have this system's separators.

    Args:
        data: the file.
        separator: this system's.
        table: which node inputs name models.

    Raises:
        WorkflowInvalidError: it cannot be read, or it cannot be shown that the rewritten file
            would differ in the reported names only. The message names no file.
    """
    document = parse_json(data)
    workflow = parse_document(document)
    if isinstance(workflow, NotAWorkflow):
        return workflow
    before = collect_references(workflow, "", table)
    names = {one.name: _wanted(one, separator) for one in before if is_misspelled(one, separator)}
    if not names:
        return Rewritten(data=data)
    text = data.removeprefix(BOM_UTF8).decode()
    edits = _find_edits(place_strings(text, document), separator, table)
    changed = edited(text, edits).encode()
    result = data[: len(data) - len(text.encode())] + changed
    _prove(result, document, edits, before, (separator, table))
    return Rewritten(data=result, names=tuple(names.items()), places=len(edits))


def _wanted(reference: Reference, separator: Separator) -> str:
    return respelled(reference.name, reference.kind, reference.found, separator)


# ---------------------------------------------------------------------------- what to change


@dataclass(slots=True)
class _InTexts:
    """Names to change within prompts: what each becomes."""

    embeddings: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class _Reported:
    """The names to change: where the reader found them, and whose they are.

    Attributes:
        edits: new values by position.
        names: new name by old one, for values that are a name.
        classes: (class, name) of each node that such a value belongs to.
        texts: names within the prompts of a class.
    """

    edits: dict[int, str] = field(default_factory=dict[int, str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    classes: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    texts: dict[str, _InTexts] = field(default_factory=dict[str, _InTexts])


def _find_edits(document: Json, separator: Separator, table: NodeTable) -> dict[int, str]:
    workflow = parse_document(document)
    assert isinstance(workflow, Workflow), "the same text was a workflow before"
    reported = _Reported()
    for node in workflow.nodes:
        texts = _InTexts()
        for mention in mentions(node, table.rows(node.type), workflow.sources):
            wanted = respelled(mention.name, mention.kind, mention.found, separator)
            if wanted != mention.name:
                _take(reported, texts, mention, wanted)
                reported.classes.add((node.type, str(mention.name)))
        if texts.embeddings or texts.tags:
            _take_texts(reported, node, texts)
    _take_copies(reported, document)
    return reported.edits


def _take(reported: _Reported, texts: _InTexts, mention: Mention, wanted: str) -> None:
    name = str(mention.name)
    if mention.kind is ReferenceKind.EMBEDDING:
        texts.embeddings[name] = wanted
    elif mention.found is Found.TEXT:
        texts.tags[name] = wanted
    elif isinstance(mention.name, PlacedText):
        reported.names[name] = wanted
        reported.edits[mention.name.start] = wanted
    else:
        raise WorkflowInvalidError(
            "its graph is kept as text inside JSON", hint="Save the workflow itself in ComfyUI"
        )


def _take_texts(reported: _Reported, node: Node, texts: _InTexts) -> None:
    groups = (node.values, node.named.values(), node.promoted.values(), node.linked.values())
    for token in (token for group in groups for token in strings_of(group)):
        _take_text(reported, token, texts)
    of_class = reported.texts.setdefault(node.type, _InTexts())
    of_class.embeddings |= texts.embeddings
    of_class.tags |= texts.tags


def _take_text(reported: _Reported, token: PlacedText, texts: _InTexts) -> None:
    """Change names within a prompt, where the reader finds them."""

    def embedding(match: re.Match[str]) -> str:
        name = embedding_name(match[1])
        units = _PROMPT_UNIT.findall(match[1])  # one for each character of the name, then the rest
        wanted = texts.embeddings.get(name, name)
        changed = zip(units, wanted, strict=False)
        kept = [unit if unit[-1] == character else character for unit, character in changed]
        return f"embedding:{''.join((*kept, *units[len(kept) :]))}"

    def tag(match: re.Match[str]) -> str:
        name = match[1].strip()
        return match[0].replace(name, texts.tags.get(name, name), 1)

    old = reported.edits.get(token.start, str(token))
    new = LORA_TAG.sub(tag, EMBEDDING_NAME.sub(embedding, old))
    if new != token:
        reported.edits[token.start] = new


def _take_copies(reported: _Reported, document: Json) -> None:
    """Change the copies that a file keeps of a reported name.

    They are the stored values of the nodes that name it, of subgraph and group instances, the
    second list of values by name, and what the file declares about models.
    """
    found = list(_objects_below(document))
    definitions = {as_text(one.get("id")) for one in found if isinstance(one.get("nodes"), list)}
    for raw in found:
        if "type" not in raw:  # a document, a definition, or a node's properties
            for token in strings_of(entry.get("name") for entry in objects(raw.get("models"))):
                _take_copy(reported, token)
        kind = as_text(raw.get("type")) or as_text(raw.get("class_type"))
        stored = list(_stored(raw))
        own = {str(token) for token in stored if token.start in reported.edits}
        is_instance = kind in definitions or kind.startswith(_INSTANCES)
        for token in stored:
            if is_instance or token in own or (kind, str(token)) in reported.classes:
                _take_copy(reported, token)
            if kind in reported.texts:
                _take_text(reported, token, reported.texts[kind])


def _take_copy(reported: _Reported, token: PlacedText) -> None:
    if token in reported.names:
        reported.edits.setdefault(token.start, reported.names[token])


def _objects_below(document: Json) -> Iterator[JsonObject]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _stored(raw: JsonObject) -> Iterator[PlacedText]:
    """Yield the strings among a node's stored values; a list of strings is what a combo offers."""
    groups = [as_list(raw.get("widgets_values"))]
    groups += [list(as_object(raw.get(part)).values()) for part in _BY_NAME]
    waiting = [value for group in groups for value in group]
    while waiting:
        value = waiting.pop()
        if isinstance(value, PlacedText):
            yield value
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(objects(value))


_BY_NAME = ("widgets_values", "widgets_values_named", "inputs")


# ------------------------------------------------------------------------------ the proof


def _prove(
    result: bytes,
    document: Json,
    edits: dict[int, str],
    before: tuple[Reference, ...],
    terms: tuple[Separator, NodeTable],
) -> None:
    """Show that a rewritten file says the same, but for the separators in reported names.

    Raises:
        WorkflowInvalidError: it does not.
    """
    separator, table = terms
    again = parse_json(result)
    for old, new in differences(document, again):
        if _SEPARATORS.split(old) != _SEPARATORS.split(new):
            raise WorkflowInvalidError("the rewritten file would differ in more than separators")
    if len(list(differences(document, again))) > len(edits):
        raise WorkflowInvalidError("the rewritten file would differ in more than reported names")
    workflow = parse_document(again)
    after = () if isinstance(workflow, NotAWorkflow) else collect_references(workflow, "", table)
    if _said({one: _wanted(one, separator) for one in before}) != _said(
        {one: one.name for one in after}
    ):
        raise WorkflowInvalidError("the rewritten file would not name the same models")


def _said(names: dict[Reference, str]) -> dict[tuple[object, ...], bool]:
    """Return what references say, in a form in which two spellings of one name are one."""
    said: dict[tuple[object, ...], bool] = {}
    for one, name in names.items():
        facts = (one.node, one.type, one.input, name, one.folder, one.kind, one.found, one.hints)
        said[facts] = said.get(facts, False) or one.active
    return said
