"""The strings in one node that name models: by the table, in prompts, and by plain scan.

A node's known inputs come first. Of the rest, `embedding:` in any text counts, and a value that
ends in a model extension is found by scanning, its folder unknown. Nothing is looked for in combo
lists, in widgets that a link overrules, or in nodes that only show text.

Sources: ComfyUI v0.25.0, sd1_clip.py (embeddings) and execution.py (a combo's value must exist even
if a sibling widget switches its use off, so only rows of a node's own making can be off).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from comfylock.folders import (
    VAE_PAIRS,
    VAE_STEMS,
    InputKind,
    Row,
    is_none_value,
    is_silent,
)
from comfylock.names import extension
from comfylock.workflows.model import Node
from comfylock.workflows.shapes import Json, JsonObject


class ReferenceKind(StrEnum):
    """What a reference asks for. Only the first three can be locked."""

    FILE = "file"
    EMBEDDING = "embedding"  # the extension may be left out
    STEM = "stem"  # a file name that lacks extension, and maybe its folder
    DIRECTORY = "directory"
    REPOSITORY = "repository"
    HOSTED = "hosted"  # an id or title that only a hosting service understands
    URL = "url"
    PRESET = "preset"  # stands for files that the node picks itself
    DOWNLOAD = "download"  # the node fetches it by itself


class Found(StrEnum):
    """How a reference was found."""

    NODE = "node"
    SCAN = "scan"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """One string of a node that names a model.

    Attributes:
        input: the widget, or ``widgets_values[3]`` where its name is not known.
        name: verbatim.
        folder: ``None`` where it is not known or not below the models folder.
        also: other folders that the node looks in.
        on: the row that it stands in is not switched off.
    """

    input: str
    name: str
    folder: str | None
    kind: ReferenceKind
    found: Found
    also: tuple[str, ...] = ()
    on: bool = True


MAX_NAME_CHARACTERS = 1000

#: Names in prompts as they are written; `embedding_name` tells the file's.
EMBEDDING_NAME = re.compile(r"(?<!\w)embedding:((?:\\[()]|[^\s,()\[\]{}<>:\"'|])+)")
_ESCAPED_BRACKET = re.compile(r"\\([()])")
LORA_TAG = re.compile(r"<lora:([^:<>\n]+)(?::[^<>\n]*)?>")
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.\w+$")
_SAVES = re.compile(r"[Ss]aver?(?![a-z])")
_MAX_DEPTH = 4

_PLAIN_KINDS = {
    InputKind.DOWNLOAD: ReferenceKind.DOWNLOAD,
    InputKind.REPOSITORY: ReferenceKind.REPOSITORY,
    InputKind.DIRECTORY: ReferenceKind.DIRECTORY,
    InputKind.PRESET: ReferenceKind.PRESET,
}


def mentions(node: Node, rows: tuple[Row, ...], sources: frozenset[str]) -> Iterator[Mention]:
    """Yield what names models in a node, in the order table, text, scan.

    Args:
        node: where to look.
        rows: what is known of the node's class.
        sources: ids of nodes whose text another node takes through a link, and which are
            therefore not scanned themselves.
    """
    if is_silent(node.type) or (not rows and not _may_name_models(node)):
        return
    widgets = _Widgets(node, rows)
    for row in rows:
        yield from _by_row(widgets, row)
    yield from _without_position(widgets, rows)
    for name, text in widgets.texts():
        for written in dict.fromkeys(match[1] for match in EMBEDDING_NAME.finditer(text)):
            yield from _embedding(name, written)
    if node.id not in sources and not _SAVES.search(node.type):
        yield from _scanned(widgets)


def _may_name_models(node: Node) -> bool:
    """Say whether a look at a node of an unknown class can find anything: most have numbers."""
    groups = (node.values, node.named.values(), node.promoted.values(), node.linked.values())
    return any(
        isinstance(value, dict | list)
        or (isinstance(value, str) and ("embedding:" in value or bool(extension(value))))
        for group in groups
        for value in group
    )


class _Widgets:
    """A node's values, those that count, and which of them have been read."""

    def __init__(self, node: Node, rows: tuple[Row, ...]) -> None:
        self.node = node
        self._places = {name: at for at, name in reversed(list(enumerate(node.names)))}
        self._taken_names: set[str] = set()
        self._taken_positions: set[int] = set(node.stale)
        self._shift = 0 if node.names else _shift(node, rows)

    def of(self, row: Row) -> list[tuple[str, Json]]:
        """Return the values that a row speaks of, with their inputs' names."""
        names = [name for name in self._all_names() if row.matches(name)]
        if names:
            if row.index is not None:
                self._taken_positions.add(row.index + self._shift)
            return [(name, self._text_of(name, row.index)) for name in names]
        if row.index is None:
            return []
        return [(row.input, self.at(row.index))]

    def named(self, name: str) -> Json:
        """Return the value of a named widget."""
        node = self.node
        self._taken_names.add(name)
        at = self._places.get(name, -1)
        self._taken_positions.add(at)
        if name in node.linked:
            return node.linked[name]
        promoted = node.promoted.get(name)
        if isinstance(promoted, str) or (promoted is not None and at < 0):
            return promoted
        return node.values[at] if at >= 0 else node.named.get(name)

    def _text_of(self, name: str, index: int | None) -> Json:
        """Return a named value; a wrongly wired promotion of another type leaves the node's own."""
        value = self.named(name)
        wrong = name in self.node.promoted and name not in self.node.linked
        if wrong and not isinstance(value, str) and index is not None:
            return self.at(index)
        return value

    def at(self, index: int) -> Json:
        """Return the value at a position of the table's layout."""
        position = index + self._shift
        values = self.node.values
        self._taken_positions.add(position)
        return values[position] if 0 <= position < len(values) else None

    def all(self) -> Iterator[tuple[str, Json]]:
        """Yield all values that count, read or not, but for those that come by links."""
        yield from self._own(frozenset(self.node.stale), frozenset())

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield all texts that count, read or not."""
        for name, value in self.all():
            if isinstance(value, str):
                yield name, value

    def unread(self) -> Iterator[tuple[str, Json]]:
        """Yield the values that no row spoke of, those that come by sure links too."""
        yield from list(self._own(frozenset(self._taken_positions), frozenset(self._taken_names)))
        for name, value in self.node.linked.items():
            if name not in self._taken_names and name not in self.node.unsure:
                yield name, value

    def take(self, name: str) -> None:
        """Mark a value that `unread` gave as read."""
        self._taken_names.add(name)
        if name.startswith("widgets_values["):
            self._taken_positions.add(int(name[15:-1]))
        elif name in self._places:
            self._taken_positions.add(self._places[name])

    def _own(self, positions: frozenset[int], names: frozenset[str]) -> Iterator[tuple[str, Json]]:
        node = self.node
        for at, value in enumerate(node.values):
            if at not in positions:
                yield node.names[at] if node.names else f"widgets_values[{at}]", value
        for group in (node.named, node.promoted):
            for name, value in group.items():
                if name not in names and name not in node.linked:
                    yield name, value

    def _all_names(self) -> Iterable[str]:
        node = self.node
        return dict.fromkeys((*node.names, *node.named, *node.linked, *node.promoted))


def _shift(node: Node, rows: tuple[Row, ...]) -> int:
    """Return by how much the node's widgets lie beside where the table expects them.

    Packages add and drop widgets. Where no known position holds a model name, and moved by one
    all hold one or a word for none, the file is of another version.
    """
    known = [row.index for row in rows if row.index is not None and row.kind is InputKind.FILE]
    if node.linked or node.promoted or any(_held(node.values, known, 0)):
        return 0
    for shift in (-1, 1):
        held = _held(node.values, known, shift)
        if any(held) and None not in held:
            return shift
    return 0


def _held(values: tuple[Json, ...], known: list[int], shift: int) -> list[bool | None]:
    """Return for each position whether it holds a model name, ``None`` for what is no choice."""
    held: list[bool | None] = []
    for index in known:
        value = values[index + shift] if 0 <= index + shift < len(values) else None
        if not isinstance(value, str):
            held.append(None)
        elif extension(value):
            held.append(True)
        else:
            held.append(False if is_none_value(value) else None)
    return held


def _by_row(widgets: _Widgets, row: Row) -> Iterator[Mention]:
    match row.kind:
        case InputKind.ROWS:
            yield from _rows(widgets, row)
        case InputKind.LIST:
            yield from _list(widgets, row)
        case InputKind.INDEXED:
            yield from _indexed(widgets, row)
        case InputKind.TAGS:
            for name, value in widgets.of(row):
                yield from _tags(name, value, row)
        case _:
            for name, value in widgets.of(row):
                on = "*" not in row.input or _is_row_on(name, widgets.node.named)
                yield from _named(name, value, row, on=on)


def _named(name: str, value: Json, row: Row, *, on: bool = True) -> Iterator[Mention]:
    """Yield what one value of a known input names; two files for some of VAELoader's words."""
    text = _text(value)
    if row.kind is InputKind.IGNORE or text is None or is_none_value(text):
        return
    if row.folder == "vae" and text in VAE_PAIRS | VAE_STEMS:
        parts = ("_encoder", "_decoder") if text in VAE_PAIRS else ("",)
        for part in parts:
            yield Mention(
                input=name, name=f"{text}{part}", folder="vae_approx",
                kind=ReferenceKind.STEM, found=Found.NODE, on=on,
            )  # fmt: skip
        return
    yield Mention(
        input=name,
        name=text,
        folder=row.folder,
        also=row.also,
        kind=_kind(text, row.kind),
        found=Found.NODE,
        on=on,
    )


def _text(value: Json) -> str | None:
    """Return the name in a widget's value, which may be ``{content, image}``."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and len(value) <= MAX_NAME_CHARACTERS else None


def _kind(text: str, kind: InputKind) -> ReferenceKind:
    plain = _PLAIN_KINDS.get(kind)
    if plain is not None:
        return plain
    if text.startswith(("http://", "https://")):
        return ReferenceKind.URL
    if text.endswith(("/", "\\")) or _SHARD.search(text):
        return ReferenceKind.DIRECTORY
    if text.startswith("urn:air:"):
        return ReferenceKind.HOSTED
    if extension(text):
        return ReferenceKind.FILE
    return {
        InputKind.EITHER: ReferenceKind.DIRECTORY,
        InputKind.STEM: ReferenceKind.STEM,
        InputKind.ROWS: ReferenceKind.STEM,
        InputKind.LIST: ReferenceKind.STEM,
        InputKind.TAGS: ReferenceKind.STEM,
    }.get(kind, ReferenceKind.HOSTED)


def _rows(widgets: _Widgets, row: Row) -> Iterator[Mention]:
    """Yield the rows of a node that keeps each as an object, such as rgthree's Power Lora Loader.

    They are numbered as in the API format, where the inputs are ``lora_1``, ``lora_2``, ….
    """
    number = 0
    for name, value in list(widgets.all()):
        if isinstance(value, dict) and "lora" in value:
            number += 1
            widgets.take(name)
            label = row.input.replace("*", str(number))
            yield from _named(label, value["lora"], row, on=_is_on(value))


def _list(widgets: _Widgets, row: Row) -> Iterator[Mention]:
    for name, value in list(widgets.all()):
        entries = value if isinstance(value, list) else []
        for entry in entries:
            if isinstance(entry, dict) and "name" in entry:
                widgets.take(name)
                yield from _named(row.input, entry["name"], row, on=_is_on(entry))


def _is_on(entry: JsonObject) -> bool:
    """Say whether a row is switched on and has a strength other than nought."""
    if entry.get("on") is False or entry.get("active") is False or entry.get("enabled") is False:
        return False
    strengths = [entry.get("strength"), entry.get("strengthTwo"), entry.get("clipStrength")]
    told = [strength for strength in map(_number, strengths) if strength is not None]
    return not told or any(told)


def _number(value: Json) -> float | None:
    if isinstance(value, str | int | float):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None
    return None


def _is_row_on(name: str, named: Mapping[str, Json]) -> bool:
    """Say whether ``loras.3.lora_name`` counts, from the inputs beside it."""
    prefix = name.rpartition(".")[0]
    if not prefix:
        return True
    switches = ("enabled", "strength", "strength_model", "strength_clip")
    beside = {switch: named.get(f"{prefix}.{switch}") for switch in switches}
    strengths = [_number(beside[switch]) for switch in switches[1:]]
    told = [strength for strength in strengths if strength is not None]
    return beside["enabled"] is not False and (not told or any(told))


def _indexed(widgets: _Widgets, row: Row) -> Iterator[Mention]:
    """Yield numbered inputs; those beyond the count that the node tells are off."""
    node = widgets.node
    named = widgets.of(Row(input=row.input, index=None, folder=row.folder))
    if not named and row.index is not None:
        positions = range(row.index, len(node.values), row.step)
        named = [
            (row.input.replace("*", str(number)), widgets.at(position))
            for number, position in enumerate(positions, start=1)
        ]
    count = widgets.named(row.count) if node.named or node.names else widgets.at(row.count_index)
    limit = count if isinstance(count, int) and not isinstance(count, bool) else len(named)
    for name, value in named:
        digits = name.rpartition("_")[2]
        number = int(digits) if digits.isdecimal() and len(digits) < 5 else 0
        yield from _named(name, value, row, on=number <= limit)


def _tags(name: str, value: Json, row: Row) -> Iterator[Mention]:
    written = (
        match[1].strip() for match in LORA_TAG.finditer(value if isinstance(value, str) else "")
    )
    for tag in dict.fromkeys(written):
        if tag and len(tag) <= MAX_NAME_CHARACTERS:
            yield Mention(
                input=name, name=tag, folder=row.folder,
                kind=_kind(tag, row.kind), found=Found.TEXT,
            )  # fmt: skip


def _embedding(name: str, written: str) -> Iterator[Mention]:
    if len(written) <= MAX_NAME_CHARACTERS:
        yield Mention(
            input=name, name=embedding_name(written), folder="embeddings",
            kind=ReferenceKind.EMBEDDING, found=Found.TEXT,
        )  # fmt: skip


def embedding_name(written: str) -> str:
    """Return an embedding's name from a prompt.

    Escaped brackets are its own, but for one that closes nothing, and the punctuation of the
    sentence around it is not.
    """
    name = _ESCAPED_BRACKET.sub(r"\1", written)
    while name.endswith((".", "\\", "/")) or (
        name.endswith(")") and name.count(")") > name.count("(")
    ):
        name = name[:-1]
    return name or written


def _without_position(widgets: _Widgets, rows: tuple[Row, ...]) -> Iterator[Mention]:
    """Yield what rows without a position name in a file that has positions only.

    If the rows agree on the folder, all unread model names are theirs. If not, the names are
    theirs in order, provided there are as many.
    """
    floating = [row for row in rows if row.index is None and row.kind not in _SEARCHING]
    if not floating or widgets.node.named or widgets.node.names:
        return
    for row in rows:
        if row.index is None and row.kind is InputKind.TAGS:
            for name, value in list(widgets.unread()):
                yield from _tags(name, value, row)
    hits = [(name, value) for name, value in widgets.unread() if _looks_like_file(value)]
    files = [row for row in floating if row.kind is not InputKind.TAGS]
    if len({(row.folder, row.kind) for row in files}) == 1:
        files = [files[0]] * len(hits)
    if len(files) == len(hits):
        for row, (name, value) in zip(files, hits, strict=True):
            widgets.take(name)
            yield from _named(name, value, row)


_SEARCHING = frozenset({InputKind.ROWS, InputKind.LIST, InputKind.INDEXED})


def _scanned(widgets: _Widgets) -> Iterator[Mention]:
    for name, value in widgets.unread():
        for text, on in _strings(value, depth=_MAX_DEPTH, on=True):
            if _looks_like_file(text):
                yield Mention(
                    input=name, name=text, folder=None, kind=_kind(text, InputKind.FILE),
                    found=Found.SCAN, on=on,
                )  # fmt: skip


def _strings(value: Json, *, depth: int, on: bool) -> Iterator[tuple[str, bool]]:
    """Yield the strings in a widget's value, and whether the row that they stand in is on.

    A list of plain strings is what a combo offers, not what was chosen.
    """
    if isinstance(value, str):
        yield value, on
    elif depth and isinstance(value, dict):
        here = on and _is_on(value)
        for part in value.values():
            yield from _strings(part, depth=depth - 1, on=here)
    elif depth and isinstance(value, list):
        for part in value:
            if isinstance(part, dict):
                yield from _strings(part, depth=depth - 1, on=on)


def _looks_like_file(value: Json) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= MAX_NAME_CHARACTERS
        and bool(extension(value))
        and not any(sign in value for sign in ("\n", "://", "embedding:", "<lora:"))
    )
