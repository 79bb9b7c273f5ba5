"""ComfyUI's folders, and which inputs of which nodes name files in them.

The facts are data (`tables/*.json`), one row an input; comfylock.toml's `[folders]` adds to them
and wins over them. A folder is ComfyUI's name below the models folder; where nodes look in a
folder of such a folder, a row says ``xlabs/loras``, and keys begin with that.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from comfylock.errors import ConfigInvalidError
from comfylock.names import canonical_folder, shown, unsafe_reason

_TABLES = Path(__file__).parent / "tables"

# MultiGPU's loaders are the loaders of other packages with a device widget behind their own.
_MULTI_GPU = re.compile(r"(?:DisTorch2?|Advanced)?MultiGPU$")

_GUESSES = (
    ("lora", "loras"),
    ("control_?net|cnet", "controlnet"),
    ("clip_?vision", "clip_vision"),
    ("vae", "vae"),
    ("unet|diffusion|dit_", "diffusion_models"),
    ("upscal", "upscale_models"),
    ("ckpt|checkpoint", "checkpoints"),
    ("clip|text_enc|t5", "text_encoders"),
    ("embedding", "embeddings"),
    ("hypernet", "hypernetworks"),
    ("style_model", "style_models"),
    ("ip_?adapter", "ipadapter"),
)


class InputKind(StrEnum):
    """What the value of an input is, and what of it names models."""

    FILE = "file"
    EITHER = "either"  # a file, or a directory of files
    STEM = "stem"  # a file name that may lack folder and extension
    ROWS = "rows"  # objects {on, lora, strength}, each a widget
    LIST = "list"  # one list of objects {name, active, strength}
    INDEXED = "indexed"  # numbered inputs, of which another input tells how many count
    TAGS = "tags"  # text with <lora:name:weight>
    DOWNLOAD = "download"  # the node fetches it by itself
    REPOSITORY = "repository"  # the node fetches a whole repository by itself
    DIRECTORY = "directory"
    PRESET = "preset"  # stands for files that the node picks by rules of its own
    IGNORE = "ignore"  # looks like a model and loads none


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One input that names models.

    Attributes:
        input: its name; ``*`` stands for any text.
        index: its position among the widget values, ``None`` if it has no fixed one.
        folder: where the files belong, ``None`` for what lies outside the models folder.
        also: other folders that the node looks in.
        step: distance between numbered inputs.
        count: the input that tells how many numbered inputs count.
        count_index: position of that input.
    """

    input: str
    index: int | None
    folder: str | None
    kind: InputKind = InputKind.FILE
    also: tuple[str, ...] = ()
    step: int = 1
    count: str = ""
    count_index: int = -1

    def matches(self, name: str) -> bool:
        """Say whether this row speaks of the input of that name."""
        if "*" not in self.input:
            return name == self.input
        return _pattern(self.input).fullmatch(name) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTable:
    """All rows by node class, with the user's own.

    Attributes:
        built_in: rows of the tables that ship with comfylock.
        extra: the user's, as (class.input, folder).
        told: what a running ComfyUI says of inputs that neither of them knows.
    """

    built_in: Mapping[str, tuple[Row, ...]]
    extra: tuple[tuple[str, str], ...] = ()
    told: Mapping[str, tuple[Row, ...]] = field(default_factory=dict[str, tuple[Row, ...]])

    def rows(self, node_type: str) -> tuple[Row, ...]:
        """Return the rows of a node class, empty for classes that nobody knows."""
        rows = self._built_in_rows(node_type)
        own = self._own_rows(node_type)
        told = self.told.get(node_type, ())
        return (*(_overruled(row, own) for row in rows), *own, *told)

    def _built_in_rows(self, node_type: str) -> tuple[Row, ...]:
        base = _MULTI_GPU.sub("", node_type)
        for name in (node_type, base, base.removesuffix("GGUF")):
            if name in self.built_in:
                return self.built_in[name]
        return _rows_by_name(node_type)

    def _own_rows(self, node_type: str) -> tuple[Row, ...]:
        prefix = f"{node_type}."
        found: list[Row] = []
        for name, folder in self.extra:
            if name.startswith(prefix):
                part = name[len(prefix) :]
                index = int(part) if part.isdecimal() and len(part) < 5 else None
                found.append(Row(input=part, index=index, folder=folder))
        return tuple(found)


def _overruled(row: Row, own: tuple[Row, ...]) -> Row:
    for mine in own:
        if mine.matches(row.input) or (mine.index is not None and mine.index == row.index):
            kind = InputKind.FILE if row.kind is InputKind.IGNORE else row.kind
            return replace(row, folder=mine.folder, kind=kind)
    return row


def _rows_by_name(node_type: str) -> tuple[Row, ...]:
    """Return the rows that a class name alone tells.

    2023 components that make a pipe (``## make-basic_pipe [2c8c61]``) have the checkpoint as their
    first widget, nodes that download a model its name.
    """
    if node_type.startswith("## ") and "basic_pipe" in node_type:
        return (Row(input="ckpt_name", index=0, folder="checkpoints"),)
    if node_type.startswith("DownloadAndLoad"):
        return (Row(input="model", index=0, folder=None, kind=InputKind.DOWNLOAD),)
    return ()


def load_node_table(extra: Mapping[str, str] | None = None) -> NodeTable:
    """Return the table of node inputs.

    Args:
        extra: comfylock.toml's `[folders]`: ``class.input`` to folder. ``*`` in the input stands
            for any text, and a number for a widget's position.

    Raises:
        ConfigInvalidError: a key without a dot, or a folder that cannot be one.
    """
    entries = extra or {}
    for name, folder in entries.items():
        _verify_entry(name, folder)
    return NodeTable(
        built_in=_built_in(),
        extra=tuple((name, _canonical(folder)) for name, folder in sorted(entries.items())),
    )


def _verify_entry(name: str, folder: str) -> None:
    if not name.rpartition(".")[0]:
        raise ConfigInvalidError(
            f'[folders] has the key "{shown(name)}", which names no input',
            hint='Write it as "NodeClass.input_name" = "folder"',
        )
    reason = unsafe_reason(f"{folder}/x.safetensors")
    if reason is not None:
        raise ConfigInvalidError(
            f'[folders] puts "{shown(name)}" into "{shown(folder)}": {reason}',
            hint="Name a folder below the models folder, such as loras",
        )


def _canonical(folder: str) -> str:
    first, slash, rest = folder.partition("/")
    return f"{canonical_folder(first)}{slash}{rest}"


@cache
def _built_in() -> Mapping[str, tuple[Row, ...]]:
    nodes: dict[str, tuple[Row, ...]] = {}
    for name in ("custom_nodes.json", "core_nodes.json"):  # what both know, core knows better
        table = json.loads((_TABLES / name).read_text("utf-8"))
        for node_type, rows in table["nodes"].items():
            nodes[node_type] = tuple(_row(*row) for row in rows)
    return nodes


def _row(
    name: str,
    index: int | None,
    folder: str | None,
    kind: str = "file",
    options: Mapping[str, Any] | None = None,
) -> Row:
    options = options or {}
    return Row(
        input=name,
        index=index,
        folder=folder,
        kind=InputKind(kind),
        also=tuple(options.get("also", ())),
        step=options.get("step", 1),
        count=options.get("count", ""),
        count_index=options.get("count_index", -1),
    )


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def _words(*names: str) -> frozenset[str]:
    table = json.loads((_TABLES / "words.json").read_text("utf-8"))
    return frozenset(word for name in names for word in table[name])


#: Folders that a key may begin with: ComfyUI's own and those of common custom nodes.
KNOWN_FOLDERS = _words("core_folders", "custom_folders")

#: Values of model inputs that mean "none", in lower case.
_NONE_VALUES = _words("none_values")

#: Names in VAELoader that stand for two files each, and for one file, in `vae_approx`.
VAE_PAIRS = _words("vae_pairs")
VAE_STEMS = _words("vae_stems")

_SILENT_NODES = _words("silent_nodes")


def is_known_folder(folder: str, extra: Mapping[str, str] | None = None) -> bool:
    """Say whether a folder is one of ComfyUI's, of a common custom node, or the user's own.

    Args:
        folder: as keys begin with; of ``xlabs/loras`` the first part decides.
        extra: comfylock.toml's `[folders]`.
    """
    first = canonical_folder(folder.partition("/")[0])
    own = {canonical_folder(value.partition("/")[0]) for value in (extra or {}).values()}
    return first in KNOWN_FOLDERS or first in own


def is_none_value(value: str) -> bool:
    """Say whether the value of a model input means that nothing is loaded."""
    return value.strip().lower() in _NONE_VALUES


def is_silent(node_type: str) -> bool:
    """Say whether a node only shows text: notes, labels, previews."""
    return node_type in _SILENT_NODES


def suggested_folder(input_name: str) -> str | None:
    """Return the folder that an input's name sounds like.

    Wrong in about one case of twenty, and silent in a third: fit for a proposal only.
    """
    lowered = input_name.lower()
    return next((folder for guess, folder in _GUESSES if re.search(guess, lowered)), None)
