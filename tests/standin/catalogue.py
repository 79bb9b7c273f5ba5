"""What the stand-in has on its shelves: models, versions and files as values.

``Catalogue.of([...])`` with the builders ``model``, ``version`` and ``file`` makes one in a test;
``read_catalogue`` reads the same fields from TOML. Nothing here knows about HTTP.
"""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tests.standin.payload import HASH_TYPES, Content, Payload, true_hashes

BUNDLED: Final = Path(__file__).with_name("catalogue.toml")
_SOME_DAY: Final = "2024-06-01T12:00:00.000Z"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stats:
    """Counters of a model or version."""

    downloads: int = 100
    thumbs_up: int = 10
    thumbs_down: int = 0
    comments: int = 0
    tipped: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidAccess:
    """Early access: for ever, or until a moment."""

    permanent: bool = False
    ends_at: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueFile:
    """One file of a version, and what the site has recorded about it."""

    id: int
    name: str
    """The name that the uploader gave it; the site shows a computed one."""
    size: int
    seed: str
    content: Content
    override_name: str | None = None
    visibility: str = "Public"
    type: str = "Model"
    format: str | None = "SafeTensor"
    variant: str | None = None
    """``full`` or ``pruned``: what the site's metadata calls size."""
    fp: str | None = None
    quant_type: str | None = None
    pickle_scan: str = "Success"
    virus_scan: str = "Success"
    scanned_at: str | None = _SOME_DAY
    hash_types: tuple[str, ...] = HASH_TYPES
    """Which hashes the site shows; none at all before the scan ends."""
    wrong_hashes: tuple[tuple[str, str], ...] = ()
    """Hashes recorded wrongly, by type."""
    size_kb: float | None = None
    """What the uploader's browser said, where that is wrong."""
    owner_id: int | None = None
    replaced: bool = False
    storage: str = "r2"
    disposition: bool = True
    """Whether the storage names the file in Content-Disposition."""

    @property
    def payload(self) -> Payload:
        """The bytes that the storage really sends."""
        return Payload(seed=self.seed, size=self.size, content=self.content)

    @property
    def sha256(self) -> str:
        """The true hash in lower case, whatever the site has recorded."""
        return true_hashes(self.payload)["SHA256"].lower()

    @property
    def blake3(self) -> str:
        """The true hash in lower case, whatever the site has recorded."""
        return true_hashes(self.payload)["BLAKE3"].lower()

    @property
    def recorded_hashes(self) -> dict[str, str]:
        """The hashes as the site shows them, in upper case."""
        true = true_hashes(self.payload)
        shown = {
            kind: true[kind] for kind in HASH_TYPES if kind in self.hash_types and kind in true
        }
        return shown | {kind: digest.upper() for kind, digest in self.wrong_hashes}


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueVersion:
    """One version of a model."""

    id: int
    name: str
    files: tuple[CatalogueFile, ...]
    index: int | None = None
    """The creator's display order; None: as listed."""
    status: str = "Published"
    base_model: str = "SDXL 1.0"
    base_model_type: str = "Standard"
    published_at: str = _SOME_DAY
    description: str | None = None
    trained_words: tuple[str, ...] = ()
    usage_control: str = "Download"
    require_auth: bool = False
    private: bool = False
    """No one but the owner may download it."""
    paid_access: PaidAccess | None = None
    availability: str = "Public"
    nsfw_level: int | None = None
    """None: the model's."""
    vae_id: int | None = None
    """The version whose file is shown here as a VAE."""
    stats: Stats = field(default_factory=Stats)
    images: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueModel:
    """One model page."""

    id: int
    name: str
    type: str
    versions: tuple[CatalogueVersion, ...]
    creator: str | int | None = "someone"
    """A bare number is sent as one, as the site does; None is the system user."""
    user_id: int = 1000
    tags: tuple[str, ...] = ()
    nsfw: bool = False
    nsfw_level: int = 1
    """Bit mask: PG 1, PG-13 2, R 4, X 8, XXX 16; 0 is not rated yet."""
    poi: bool = False
    minor: bool = False
    sfw_only: bool = False
    mode: str | None = None
    status: str = "Published"
    availability: str = "Public"
    description: str | None = None
    stats: Stats = field(default_factory=Stats)
    hidden_stats: bool = False
    stale: bool = False
    """``/models/:id`` has lost its versions, and lists do not show the model."""

    @property
    def ordered_versions(self) -> tuple[CatalogueVersion, ...]:
        """The versions in the creator's display order."""
        numbered = enumerate(self.versions)
        keyed = sorted(
            numbered, key=lambda pair: pair[0] if pair[1].index is None else pair[1].index
        )
        return tuple(one for _, one in keyed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """A file with the version and the model that it belongs to."""

    model: CatalogueModel
    version: CatalogueVersion
    file: CatalogueFile


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All models; a value, so changing it makes another one."""

    models: tuple[CatalogueModel, ...]

    @classmethod
    def of(cls, models: Iterable[CatalogueModel]) -> "Catalogue":
        """Make a catalogue of these models, in the order of their ids."""
        return cls(tuple(sorted(models, key=lambda one: one.id)))

    def with_model(self, added: CatalogueModel) -> "Catalogue":
        """Publish a model, or put this one in place of the one with its id."""
        return Catalogue.of([*self.without_model(added.id).models, added])

    def without_model(self, model_id: int) -> "Catalogue":
        """Take a model off the shelves, with all its versions."""
        return Catalogue(tuple(one for one in self.models if one.id != model_id))

    def model(self, model_id: int) -> CatalogueModel | None:
        """Return the model with this id, whatever its status."""
        return next((one for one in self.models if one.id == model_id), None)

    def version(self, version_id: int) -> tuple[CatalogueModel, CatalogueVersion] | None:
        """Return the version with this id and its model, whatever their status."""
        return next((pair for pair in self.versions() if pair[1].id == version_id), None)

    def versions(self) -> Iterator[tuple[CatalogueModel, CatalogueVersion]]:
        """Yield every version with its model."""
        for one in self.models:
            for each in one.ordered_versions:
                yield one, each

    def shelves(self) -> Iterator[Shelf]:
        """Yield every file with where it belongs."""
        for owner, each in self.versions():
            for one in each.files:
                yield Shelf(model=owner, version=each, file=one)

    def file(self, file_id: int) -> CatalogueFile:
        """Return the file with this id; KeyError when there is none."""
        return self.shelf(file_id).file

    def shelf(self, file_id: int) -> Shelf:
        """Return the file with this id and where it belongs; KeyError when there is none."""
        for shelf in self.shelves():
            if shelf.file.id == file_id:
                return shelf
        raise KeyError(file_id)

    def with_file(self, changed: CatalogueFile) -> "Catalogue":
        """Put this file in place of the one with its id: what replacing an upload does."""
        shelf = self.shelf(changed.id)
        files = tuple(changed if one.id == changed.id else one for one in shelf.version.files)
        return self.with_version(replace(shelf.version, files=files))

    def with_version(self, changed: CatalogueVersion) -> "Catalogue":
        """Put this version in place of the one with its id."""
        found = self.version(changed.id)
        if found is None:
            raise KeyError(changed.id)
        owner = found[0]
        versions = tuple(changed if one.id == changed.id else one for one in owner.versions)
        return self.with_model(replace(owner, versions=versions))


def file(  # the arguments are named as in the site's JSON
    id: int,  # noqa: A002
    name: str,
    *,
    size: int = 4096,
    **fields: Any,
) -> CatalogueFile:
    """Build a file; the seed comes from its id, content and format from its name."""
    content = Content(fields.pop("content", Content.of_name(name)))
    fields.setdefault("seed", f"file {id}")
    fields.setdefault("format", _FORMAT_OF_CONTENT.get(Content.of_name(name), "Other"))
    for key in ("hash_types", "wrong_hashes"):
        if key in fields:
            value = fields[key]
            fields[key] = tuple(value.items() if isinstance(value, dict) else value)
    return CatalogueFile(id=id, name=name, size=size, content=content, **fields)


_FORMAT_OF_CONTENT: Final = {
    Content.SAFETENSORS: "SafeTensor",
    Content.ZIP: "PickleTensor",
    Content.PICKLE: "PickleTensor",
    Content.GGUF: "GGUF",
}


def version(
    id: int,  # noqa: A002
    name: str,
    *,
    files: Sequence[CatalogueFile] = (),
    **fields: Any,
) -> CatalogueVersion:
    """Build a version; ``stats`` and ``paid_access`` may be given as dicts."""
    return CatalogueVersion(id=id, name=name, files=tuple(files), **_parsed(fields))


def model(
    id: int,  # noqa: A002
    name: str,
    type: str,  # noqa: A002
    *,
    versions: Sequence[CatalogueVersion],
    **fields: Any,
) -> CatalogueModel:
    """Build a model; ``stats`` may be given as a dict."""
    return CatalogueModel(id=id, name=name, type=type, versions=tuple(versions), **_parsed(fields))


def _parsed(fields: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists and dicts of TOML or of a test into values."""
    values: dict[str, Any] = {
        key: tuple(one) if isinstance(one, list) else one for key, one in fields.items()
    }
    for key, kind in (("stats", Stats), ("paid_access", PaidAccess)):
        value = fields.get(key)
        if isinstance(value, dict):
            values[key] = kind(**value)
    return values


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue file: ``[[model]]``, ``[[model.version]]``, and ``files`` as inline tables.

    Raises:
        TypeError: a field is unknown or missing; a typing error must not go unseen.
    """
    document = tomllib.loads(path.read_text("utf-8"))
    return Catalogue.of(_model_from(entry) for entry in document["model"])


def _model_from(entry: dict[str, Any]) -> CatalogueModel:
    fields = dict(entry)
    versions = [_version_from(one) for one in fields.pop("version", [])]
    return model(**fields, versions=versions)


def _version_from(entry: dict[str, Any]) -> CatalogueVersion:
    fields = dict(entry)
    files = [file(**one) for one in fields.pop("files", [])]
    return version(**fields, files=files)


@lru_cache(maxsize=1)
def bundled_catalogue() -> Catalogue:
    """Return the catalogue that comes with the stand-in."""
    return read_catalogue(BUNDLED)
