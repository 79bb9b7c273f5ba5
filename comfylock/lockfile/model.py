"""The value of comfy.lock, and its way from and to plain tables.

Rules of the format, version 1:

- `workflow."<path>"` names the models that one workflow file needs, as keys of `model`.
- `model."<folder>/<name>"` pins one of them by hash. The key is where the file belongs; two keys
  may share a hash, but no two keys may be one file on a disk that ignores case.
- What a key or address may be is strict, because it comes from strangers: see `names` and
  `sources`. Keys of later versions are kept and told of once, in `Lock.warnings`.

Not checked here: whether a hash, size or source is true, and whether a model is needed at all.
Nothing here touches a disk.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import cast

from comfylock.artifacts import HuggingFaceSource, Source
from comfylock.errors import LockInvalidError, LockVersionError
from comfylock.hashes import Digests, is_digest
from comfylock.lockfile.sources import read_source, source_to_dict
from comfylock.names import (
    canonical_folder,
    collision_form,
    is_pickle,
    normalised_name,
    shown,
    split_key,
    unsafe_reason,
)
from comfylock.toml import Table, TomlError, dotted, excerpt

#: The only version so far. Additions that older readers may ignore do not raise it.
LOCK_VERSION = 1

#: What a file may be by its bytes, whatever its extension says.
FORMATS = ("safetensors", "gguf", "onnx", "pickle", "other")

Unknown = tuple[tuple[str, object], ...]

_TOP_KEYS = ("version", "inputs", "workflow", "model")
_WORKFLOW_KEYS = ("models", "unresolved")
_PIN_KEYS = (
    "size", "sha256", "blake3", "format", "evidence", "name", "base-model", "aliases", "sources",
)  # fmt: skip
_MAX_SIZE = 2**63 - 1
_DRIVE = re.compile(r"[A-Za-z]:")


class Evidence(StrEnum):
    """What a pin rests on, strongest first."""

    HASH = "hash"
    EMBEDDED = "embedded"
    PINNED = "pinned"
    KNOWN = "known"
    FILENAME = "filename"
    LOCAL = "local"


class Dangling(Enum):
    """What to do with a workflow's reference to a model that has no table."""

    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    r"""One locked file.

    Attributes:
        key: ``folder/name``: where the file belongs.
        size: bytes, ``None`` when not known; see `size_is_exact`.
        digests: what the bytes must have; never empty.
        evidence: what ties the reference to this file.
        format: one of `FORMATS`.
        aliases: spellings with ``\`` under which workflows ask for it, sorted.
        name: model and version for people, frozen when pinned.
        base_model: likewise.
        sources: tried in this order; none when the file can only be recognised.
        unknown: keys that this version does not know, sorted.
        unknown_in_sources: likewise for each source that has some.
    """

    key: str
    size: int | None
    digests: Digests
    evidence: Evidence
    format: str = "safetensors"
    aliases: tuple[str, ...] = ()
    name: str | None = None
    base_model: str | None = None
    sources: tuple[Source, ...] = ()
    unknown: Unknown = ()
    unknown_in_sources: tuple[tuple[Source, Unknown], ...] = ()

    def __post_init__(self) -> None:
        """Sort what has no order of its own, so that equal pins are equal values."""
        object.__setattr__(self, "aliases", _sorted(self.aliases))

    @property
    def may_run_code(self) -> bool:
        """Say whether the file may run code when it is loaded, by its name or its bytes."""
        return is_pickle(self.key) or self.format == "pickle"

    @property
    def size_is_exact(self) -> bool:
        """Say whether the size was measured, or told by a hub that knows it.

        Civitai's is the uploader's word. An entry that was locked by a local file's hash has a
        measured one until it moves to a newer version, so its evidence alone tells nothing.
        """
        is_measured = self.evidence is Evidence.LOCAL
        return is_measured or any(isinstance(one, HuggingFaceSource) for one in self.sources)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowEntry:
    """What one workflow file needs.

    Attributes:
        path: the file, relative to the lock, with ``/``.
        models: keys of its pins, sorted.
        unresolved: references that nothing could pin, as they may be printed, sorted.
        unknown: keys that this version does not know, sorted.
    """

    path: str
    models: tuple[str, ...]
    unresolved: tuple[str, ...] = ()
    unknown: Unknown = ()

    def __post_init__(self) -> None:
        """Sort what has no order of its own, so that equal entries are equal values."""
        object.__setattr__(self, "models", _sorted(self.models))
        object.__setattr__(self, "unresolved", _sorted(map(shown, self.unresolved)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """The whole of comfy.lock.

    Attributes:
        inputs: files, folders and globs that `lock` was given, relative to the lock, sorted.
        workflows: entries by path.
        models: pins by key; some may be needed by no workflow.
        unknown: keys that this version does not know, sorted.
        warnings: what the reader should be told; no part of the value.
    """

    inputs: tuple[str, ...]
    workflows: Mapping[str, WorkflowEntry]
    models: Mapping[str, Pin]
    unknown: Unknown = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Sort what has no order of its own, so that equal locks are equal values."""
        object.__setattr__(self, "inputs", _sorted(self.inputs))


def _sorted(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def lock_from_dict(data: Mapping[str, object], dangling: Dangling = Dangling.REFUSED) -> Lock:
    """Return the lock that plain tables describe.

    Raises:
        LockVersionError: the tables are of a later version.
        LockInvalidError: they break the format; the message begins with the path inside the file.
    """
    top = Table(data)
    try:
        _check_version(top)
        return _lock(top, dangling)
    except TomlError as error:
        raise LockInvalidError(str(error)) from error


def _check_version(top: Table) -> None:
    version = top.need("version", int)
    if version < 1:
        raise top.unexpected("version", f"{LOCK_VERSION}")
    if version > LOCK_VERSION:
        raise LockVersionError(
            f"version: {excerpt(version)} is newer than this comfylock reads ({LOCK_VERSION})",
            hint="Upgrade comfylock, or run the version that wrote the file",
        )


def _lock(top: Table, dangling: Dangling) -> Lock:
    models = {key: _pin(key, table) for key, table in top.table("model").tables()}
    _check_collisions(models)
    workflows = {
        path: _workflow(path, table, models, dangling)
        for path, table in top.table("workflow").tables()
    }
    lock = Lock(
        inputs=_inputs(top), workflows=workflows, models=models, unknown=top.unknown(_TOP_KEYS)
    )
    return replace(lock, warnings=_warnings(lock))


def _inputs(top: Table) -> tuple[str, ...]:
    inputs = top.texts("inputs") or ()
    for item in inputs:
        complaint = None if item == "." else unsafe_path_reason(item)
        if complaint is not None:
            raise top.fault("inputs", f"{excerpt(item)}: {complaint}")
    return inputs


def unsafe_path_reason(path: str) -> str | None:
    """Return why a text cannot be the path of a workflow or input, or ``None`` when it can.

    Such paths lead from the lock's folder downwards and mean the same on every system.
    """
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in path):
        return "it holds a control character"
    if path.startswith("/") or _DRIVE.match(path):
        return "it is not relative to the lock's folder"
    if "\\" in path:
        return "it holds a backslash; parts are divided by /"
    if ".." in path.split("/"):
        return "it leads out of the lock's folder"
    if any(part in {"", "."} for part in path.split("/")):
        return "it has an empty or '.' part"
    return None


def _workflow(
    path: str, table: Table, models: Mapping[str, Pin], dangling: Dangling
) -> WorkflowEntry:
    complaint = unsafe_path_reason(path)
    if complaint is not None:
        raise TomlError(f"{table.path}: {complaint}")
    asked = table.texts("models")
    if asked is None:
        raise table.fault("models", "missing")
    lost = [key for key in asked if key not in models]
    if lost and dangling is Dangling.REFUSED:
        raise table.fault("models", f"{excerpt(lost[0])} has no [model] table")
    unresolved = table.texts("unresolved") or ()
    if "" in unresolved:
        raise table.fault("unresolved", "holds an empty text")
    return WorkflowEntry(
        path=path,
        models=tuple(key for key in asked if key in models),
        unresolved=unresolved,
        unknown=table.unknown(_WORKFLOW_KEYS),
    )


def _pin(key: str, table: Table) -> Pin:
    _check_key(key, table)
    sources = [read_source(source) for source in table.listed_tables("sources")]
    return Pin(
        key=key,
        size=_size(table),
        digests=_digests(table),
        evidence=_evidence(table),
        format=table.choice("format", FORMATS) or "safetensors",
        aliases=_aliases(key, table),
        name=table.get("name", str),
        base_model=table.get("base-model", str),
        sources=tuple(source for source, _ in sources),
        unknown=table.unknown(_PIN_KEYS),
        unknown_in_sources=tuple((source, extra) for source, extra in sources if extra),
    )


def _check_key(key: str, table: Table) -> None:
    complaint = unsafe_reason(key)
    if complaint is not None:
        raise TomlError(f"{table.path}: {complaint}")
    folder, _ = split_key(key)
    if canonical_folder(folder) != folder:
        present = canonical_folder(folder)
        raise TomlError(f"{table.path}: the folder {folder} is called {present} in a lock")


def _check_collisions(models: Collection[str]) -> None:
    seen: dict[str, str] = {}
    for key in models:
        other = seen.setdefault(collision_form(key), key)
        if other != key:
            path = dotted("model", key)
            raise TomlError(
                f"{path}: the same file as {excerpt(other)} on a disk that ignores case"
            )


def _size(table: Table) -> int | None:
    size = table.get("size", int)
    if size is not None and not 0 < size <= _MAX_SIZE:
        raise table.unexpected("size", "a number of bytes above 0")
    return size


def _digests(table: Table) -> Digests:
    for name in ("sha256", "blake3"):
        digest = table.get(name, str)
        if digest is not None and not is_digest(digest):
            raise table.unexpected(name, "64 lower-case hex digits")
    digests = Digests(sha256=table.get("sha256", str), blake3=table.get("blake3", str))
    if not digests:
        raise table.fault("sha256", "missing, and so is blake3: one of them must be there")
    return digests


def _evidence(table: Table) -> Evidence:
    evidence = table.choice("evidence", tuple(Evidence))
    if evidence is None:
        raise table.fault("evidence", "missing")
    return Evidence(evidence)


def _aliases(key: str, table: Table) -> tuple[str, ...]:
    aliases = table.texts("aliases") or ()
    for alias in aliases:
        if "\\" not in alias or normalised_name(alias) != split_key(key)[1]:
            raise table.fault("aliases", f"{excerpt(alias)} is no spelling of this name with \\")
    return aliases


def _warnings(lock: Lock) -> tuple[str, ...]:
    paths = list(_unknown_paths(lock))
    if not paths:
        return ()
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    listed = ", ".join(paths[:5])
    return (f"keys that this comfylock does not know are kept as they are: {listed}{more}",)


def _unknown_paths(lock: Lock) -> Iterator[str]:
    yield from (dotted("", key) for key, _ in lock.unknown)
    for path, entry in lock.workflows.items():
        yield from (dotted(dotted("workflow", path), key) for key, _ in entry.unknown)
    for ref, pin in lock.models.items():
        yield from (dotted(dotted("model", ref), key) for key, _ in pin.unknown)
        in_sources = (key for _, extra in pin.unknown_in_sources for key, _ in extra)
        yield from (dotted(dotted("model", ref), "sources") + f"[].{key}" for key in in_sources)


def lock_to_dict(lock: Lock) -> dict[str, object]:
    """Return the lock as plain tables, in the order of the file and without defaults.

    Unknown keys stand behind the known ones of their table; at the top, unknown tables come last
    as TOML demands it.
    """
    unknown = _canonical(dict(lock.unknown))
    return {
        "version": LOCK_VERSION,
        **({"inputs": list(lock.inputs)} if lock.inputs else {}),
        **{key: value for key, value in unknown.items() if not isinstance(value, dict)},
        "workflow": {
            path: workflow_to_dict(lock.workflows[path]) for path in sorted(lock.workflows)
        },
        "model": {key: pin_to_dict(lock.models[key]) for key in sorted(lock.models)},
        **{key: value for key, value in unknown.items() if isinstance(value, dict)},
    }


def workflow_to_dict(entry: WorkflowEntry) -> dict[str, object]:
    """Return one workflow's table, keys in the order of the file."""
    table: dict[str, object] = {"models": list(entry.models)}
    if entry.unresolved:
        table["unresolved"] = list(entry.unresolved)
    return table | _canonical(dict(entry.unknown))


def pin_to_dict(pin: Pin) -> dict[str, object]:
    """Return one model's table, keys in the order of the file."""
    fields: dict[str, object] = {
        "size": pin.size,
        "sha256": pin.digests.sha256,
        "blake3": pin.digests.blake3,
        "format": pin.format if pin.format != "safetensors" else None,
        "evidence": str(pin.evidence),
        "name": pin.name,
        "base-model": pin.base_model,
        "aliases": list(pin.aliases) or None,
        "sources": [_source_with_unknown(pin, source) for source in pin.sources],
    }
    known = {key: value for key, value in fields.items() if value is not None}
    return known | _canonical(dict(pin.unknown))


def _source_with_unknown(pin: Pin, source: Source) -> dict[str, object]:
    extra = next((extra for known, extra in pin.unknown_in_sources if known == source), ())
    return source_to_dict(source) | _canonical(dict(extra))


def _canonical(values: Mapping[str, object]) -> dict[str, object]:
    """Return unknown values with the keys of every table sorted: equal values, equal bytes."""
    return {key: _canonical_value(values[key]) for key in sorted(values)}


def _canonical_value(value: object) -> object:
    if isinstance(value, dict):
        return _canonical(cast("dict[str, object]", value))
    if isinstance(value, list):
        return [_canonical_value(part) for part in cast("list[object]", value)]
    return value
