"""What a running ComfyUI says about its nodes: rows for inputs that the tables do not know.

`/object_info` lists for each node class its inputs, and for each combo what it offers. A combo
that offers model files is an input that names models. Which folder they lie in is not said; it is
told by the loaders that are known and offer the same files.

Sources: ComfyUI server.py (`node_info`), comfy_api/latest/_io.py (``COMBO`` with ``options``);
ComfyUI_frontend 1.58.1, useIntWidget.ts (`control_after_generate` is a widget of its own).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from comfylock.errors import UsageError, WorkflowInvalidError
from comfylock.folders import InputKind, NodeTable, Row
from comfylock.names import extension, shown
from comfylock.workflows.file import parse_json
from comfylock.workflows.shapes import Json, JsonObject, as_list, as_object, as_text, item_at

MAX_BYTES = 64 * 1024 * 1024

_NUMBERS_AND_TEXTS = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN"})
_OF_MANY_WIDGETS = ("COMFY_DYNAMICCOMBO", "COMFY_AUTOGROW")
_UPLOADS = ("image_upload", "video_upload", "audio_upload")
_SEEDS = ("seed", "noise_seed")
_HINT = "Name the address of a running ComfyUI, or a file with its answer to /object_info"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Combo:
    """An input that offers model files.

    Attributes:
        node: the class.
        input: the name.
        index: position among the widget values, ``None`` where it cannot be told.
        files: those of its options that are file names of models.
    """

    node: str
    input: str
    index: int | None
    files: frozenset[str]


_Offers = Mapping[str, set[frozenset[str]]]


def parse_object_info(data: bytes, place: str) -> Json:
    """Return the JSON of a saved answer.

    Raises:
        UsageError: it is too large, or no JSON.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"{shown(place)} is larger than {MAX_BYTES // 1024**2} MiB", hint=_HINT)
    try:
        return parse_json(data)
    except WorkflowInvalidError as error:
        raise UsageError(f"{shown(place)} cannot be read: {error.message}", hint=_HINT) from error


def with_object_info(table: NodeTable, document: Json) -> NodeTable:
    """Return a table that also knows what a running ComfyUI tells; what it knew stands.

    Raises:
        UsageError: the document is no answer to /object_info.
    """
    classes = as_object(document)
    if not any("input" in as_object(entry) for entry in classes.values()):
        raise UsageError("this is no answer of ComfyUI to /object_info", hint=_HINT)
    found = tuple(_combos(classes))
    offers = _offers(table, found)
    told: dict[str, tuple[Row, ...]] = {}
    for combo in found:
        known = (*table.rows(combo.node), *told.get(combo.node, ()))
        if _row_of(known, combo) is None:
            row = Row(input=combo.input, index=combo.index, folder=_folder(combo.files, offers))
            told[combo.node] = (*told.get(combo.node, ()), row)
    return replace(table, told=told)


def learned(table: NodeTable, inputs: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """Return those of some inputs, as ``class.input``, that only the running ComfyUI knows.

    With their folders this is what comfylock.toml's `[folders]` may hold.
    """
    found: dict[str, str | None] = {}
    for node, name in sorted(set(inputs)):
        for row in table.told.get(node, ()):
            if row.input == name:
                found[f"{node}.{name}"] = row.folder
    return found


def _row_of(rows: Iterable[Row], combo: _Combo) -> Row | None:
    for row in rows:
        if row.matches(combo.input) or (row.index is not None and row.index == combo.index):
            return row
    return None


def _offers(table: NodeTable, combos: Iterable[_Combo]) -> _Offers:
    """Return by folder what the loaders that are known offer."""
    offers: dict[str, set[frozenset[str]]] = {}
    for combo in combos:
        row = next((row for row in table.rows(combo.node) if row.matches(combo.input)), None)
        if row is not None and row.folder is not None and row.kind is InputKind.FILE:
            offers.setdefault(row.folder, set()).add(combo.files)
    return offers


def _folder(files: frozenset[str], offers: _Offers) -> str | None:
    """Return the one folder that offers the same files, or else some of them and no others.

    Two folders that both do (each may be empty but for one file) say nothing.
    """
    same = {folder for folder, sets in offers.items() if files in sets}
    close = {
        folder for folder, sets in offers.items() if any(files < one or one < files for one in sets)
    }
    candidates = same or close
    return next(iter(candidates)) if len(candidates) == 1 else None


def _combos(classes: JsonObject) -> Iterator[_Combo]:
    for node, described in classes.items():
        entry = as_object(described)
        index: int | None = 0
        for name, spec in _inputs(entry):
            options = _options(spec)
            files = frozenset(one for one in options or () if extension(one))
            if files:
                yield _Combo(node=node, input=name, index=index, files=files)
            taken = _widgets(name, spec, is_combo=options is not None)
            index = None if index is None or taken is None else index + taken


def _inputs(entry: JsonObject) -> Iterator[tuple[str, list[Json]]]:
    """Yield the inputs of a class in the order of their widgets."""
    order = as_object(entry.get("input_order"))
    for section in ("required", "optional"):
        inputs = as_object(as_object(entry.get("input")).get(section))
        told = [as_text(name) for name in as_list(order.get(section))]
        for name in dict.fromkeys((*told, *inputs)):
            if name in inputs:
                yield name, as_list(inputs[name])


def _options(spec: list[Json]) -> tuple[str, ...] | None:
    """Return what a combo offers, ``None`` for other inputs."""
    kind = item_at(spec, 0)
    if kind == "COMBO":
        kind = as_list(as_object(item_at(spec, 1)).get("options"))
    if not isinstance(kind, list):
        return None
    return tuple(option for option in kind if isinstance(option, str))


def _widgets(name: str, spec: list[Json], *, is_combo: bool) -> int | None:
    """Return how many widget values an input has, ``None`` where that depends on its value."""
    kind, settings = as_text(item_at(spec, 0)), as_object(item_at(spec, 1))
    if kind.startswith(_OF_MANY_WIDGETS):
        return None
    if not (is_combo or kind in _NUMBERS_AND_TEXTS) or settings.get("forceInput"):
        return 0
    controlled = settings.get("control_after_generate")
    if controlled is None:
        controlled = kind == "INT" and name in _SEEDS
    return 1 + bool(controlled) + any(settings.get(upload) for upload in _UPLOADS)
