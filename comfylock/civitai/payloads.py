"""Civitai's JSON to values. Pure, and lenient: a field that is missing or odd is "not known".

Nothing here raises on any JSON; an entry without its ids is left out. The only place that knows
``sizeKB`` (KiB as a double, the uploader's word), upper-case hashes, and ids as strings.

Sources: civitai/civitai, src/pages/api/v1 (2026-08); recorded answers of 2023-2026. Left out on
purpose: ``primary`` and ``downloadUrl`` never decide anything, they change with the account, the
host and the year.
"""

import math
from dataclasses import dataclass
from typing import cast

from comfylock.artifacts import (
    Artifact,
    CivitaiSource,
    FileId,
    ModelId,
    ModelVersion,
    Traits,
    VersionId,
)
from comfylock.hashes import Digests, is_digest

_LARGEST_ID = 2**53
_LARGEST_FILE = 2**50
_DROPPED = frozenset({"images", "description"})

Table = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPage:
    """One page of a list answer.

    Attributes:
        versions: the versions of all models on the page, in order.
        cursor: where the next page begins, ``None`` at the end.
    """

    versions: tuple[ModelVersion, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Model:
    """What the surrounding model says to each of its versions."""

    id: int | None
    name: str
    type: str


def parse_version(answer: object) -> ModelVersion | None:
    """Return the version that a version object describes, ``None`` when it has no ids."""
    version = _table(answer)
    inner = _table(version.get("model"))
    model = _Model(
        id=_id(version.get("modelId")) or _id(inner.get("id")),
        name=_text(inner.get("name")),
        type=_text(inner.get("type")),
    )
    return _version(version, model)


def parse_versions(answer: object) -> tuple[ModelVersion, ...]:
    """Return the versions of a list of version objects; ``null`` and odd entries are left out."""
    parsed = (parse_version(one) for one in _list(answer))
    return tuple(version for version in parsed if version is not None)


def parse_model(answer: object) -> tuple[ModelVersion, ...]:
    """Return the versions of a model: an item of a list, or the answer for one model."""
    table = _table(answer)
    model = _Model(
        id=_id(table.get("id")), name=_text(table.get("name")), type=_text(table.get("type"))
    )
    parsed = (_version(_table(one), model) for one in _list(table.get("modelVersions")))
    return tuple(version for version in parsed if version is not None)


def parse_search(answer: object) -> SearchPage:
    """Return one page of a list answer."""
    table = _table(answer)
    versions = [version for item in _list(table.get("items")) for version in parse_model(item)]
    cursor = _table(table.get("metadata")).get("nextCursor")
    return SearchPage(versions=tuple(versions), cursor=_text(cursor) or None)


def slimmed(answer: object) -> object:
    """Return an answer without what nobody here reads and what makes up most of it."""
    if isinstance(answer, list):
        return [slimmed(one) for one in _list(cast("object", answer))]
    if not isinstance(answer, dict):
        return answer
    return {
        key: slimmed(value) if key in {"items", "modelVersions"} else value
        for key, value in _table(cast("object", answer)).items()
        if key not in _DROPPED
    }


def _version(version: Table, model: _Model) -> ModelVersion | None:
    number = _id(version.get("id"))
    if number is None or model.id is None:
        return None
    files = [_table(one) for one in _list(version.get("files"))]
    parsed = (_artifact(one, version, model) for one in files)
    linked = [
        _digests(_table(one.get("hashes"))) for one in files if _is_linked(one, version, model)
    ]
    return ModelVersion(
        model=ModelId(model.id),
        version=VersionId(number),
        name=_text(version.get("name")),
        model_name=model.name,
        base_model=_text(version.get("baseModel")),
        files=tuple(artifact for artifact in parsed if artifact is not None),
        base_model_type=_text(version.get("baseModelType")),
        published=_text(version.get("publishedAt")),
        sold_until=_sold_until(version),
        linked=tuple(digests for digests in linked if digests.sha256),
    )


def _sold_until(version: Table) -> str | None:
    """Return when early access ends; before July 2026 it was told by other fields."""
    paid = version.get("paidAccess")
    if isinstance(paid, dict):
        return _text(_table(cast("object", paid)).get("endsAt"))
    older = _text(version.get("earlyAccessEndsAt")) or _text(version.get("earlyAccessDeadline"))
    return older or None


def _artifact(file: Table, version: Table, model: _Model) -> Artifact | None:
    number, owner = _id(file.get("id")), _id(version.get("id"))
    if number is None or owner is None or model.id is None or _is_linked(file, version, model):
        return None
    return Artifact(
        source=CivitaiSource(
            model=ModelId(model.id), version=VersionId(owner), file=FileId(number)
        ),
        file_name=_text(file.get("name")),
        model_name=model.name,
        version_name=_text(version.get("name")),
        model_type=model.type,
        file_type=_text(file.get("type")),
        base_model=_text(version.get("baseModel")),
        digests=_digests(_table(file.get("hashes"))),
        size_hint=_size(file.get("sizeKB")),
        published=_text(version.get("publishedAt")),
        downloads=_count(_table(version.get("stats")).get("downloadCount")),
        unsafe=_is_unsafe(file),
        traits=_traits(_table(file.get("metadata"))),
    )


def _traits(metadata: Table) -> Traits:
    return Traits(
        format=_text(metadata.get("format")),
        precision=_text(metadata.get("fp")),
        variant=_text(metadata.get("size")),
        quantization=_text(metadata.get("quantType")),
    )


def _is_linked(file: Table, version: Table, model: _Model) -> bool:
    """Say whether a file is a VAE that belongs to another version and is only shown with this one.

    Its id cannot be fetched under this version. Own files have ``fileId=`` in their address since
    2026-08; a list item without a linked VAE says so by ``vaeId: null``.
    """
    if _text(file.get("type")) != "VAE" or model.type in {"VAE", ""}:
        return False
    if "vaeId" in version and version["vaeId"] is None:
        return False
    address = _text(file.get("downloadUrl"))
    return "type=VAE" in address and "fileId=" not in address


def _digests(hashes: Table) -> Digests:
    """Return the full digests; short and legacy hashes identify nothing."""
    found = {name.upper(): _text(value).lower() for name, value in hashes.items()}
    sha256, blake3 = found.get("SHA256", ""), found.get("BLAKE3", "")
    return Digests(
        sha256=sha256 if is_digest(sha256) else None,
        blake3=blake3 if is_digest(blake3) else None,
    )


def _size(kib: object) -> int | None:
    """Return bytes where KiB times 1024 is a whole number; a rounded figure is no size."""
    if isinstance(kib, bool) or not isinstance(kib, int | float):
        return None
    if not 0 < kib < _LARGEST_FILE / 1024:  # false for NaN too
        return None
    size = float(kib) * 1024
    return round(size) if math.isclose(size, round(size), rel_tol=0, abs_tol=1e-6) else None


def _is_unsafe(file: Table) -> bool:
    scans = (file.get("pickleScanResult"), file.get("virusScanResult"))
    return any(_text(result).casefold() == "danger" for result in scans)


def _id(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < _LARGEST_ID else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    """Return a text; a bare number, which the API sends for all-digit names, becomes one."""
    if isinstance(value, str):
        return value
    number = _count(value)
    return str(number) if number is not None and abs(number) < _LARGEST_ID else ""


def _table(value: object) -> Table:
    return cast("Table", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
