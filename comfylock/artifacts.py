"""A remote file that may be pinned, and the addresses that name one.

Sources are what `comfy.lock` keeps: ids and exact revisions, never signed or guessed addresses.
"""

from dataclasses import dataclass
from typing import NewType

from comfylock.hashes import Digests

ModelId = NewType("ModelId", int)
VersionId = NewType("VersionId", int)
FileId = NewType("FileId", int)


@dataclass(frozen=True, kw_only=True, slots=True)
class CivitaiSource:
    """One file of one Civitai model version; the ids never change, names do."""

    model: ModelId
    version: VersionId
    file: FileId

    def __str__(self) -> str:
        """Return the source as messages name it."""
        return f"civitai version {self.version} (file {self.file})"


@dataclass(frozen=True, kw_only=True, slots=True)
class HuggingFaceSource:
    """One file of one commit of a Hugging Face repository.

    Attributes:
        repo: ``owner/name``, or a bare name for the oldest repositories.
        revision: the commit's 40 hex digits; a branch would move.
        file: path inside the repository.
    """

    repo: str
    revision: str
    file: str

    def __str__(self) -> str:
        """Return the source as messages name it."""
        return f"huggingface {self.repo}@{self.revision[:8]} ({self.file})"


@dataclass(frozen=True, kw_only=True, slots=True)
class UrlSource:
    """A plain https address without credentials; its host must be allowed by the user."""

    url: str

    def __str__(self) -> str:
        """Return the source as messages name it: without its query, which may hold a secret."""
        return self.url.partition("?")[0]


Source = CivitaiSource | HuggingFaceSource | UrlSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One downloadable file of a Civitai model version, as the API describes it.

    Attributes:
        source: its ids.
        file_name: the name that the site offers it under; uploader-chosen and changing.
        model_name: name of the model page.
        version_name: name of the version.
        model_type: Civitai's ``ModelType`` (``Checkpoint``, ``LORA``, …), empty when not said.
        file_type: Civitai's ``ModelFileType`` (``Model``, ``VAE``, …), empty when not said.
        base_model: such as ``SDXL 1.0``, empty when not said.
        digests: full digests, none when the site has not scanned the file.
        size_hint: bytes by the uploader's word (``sizeKB``), possibly wrong; ``None`` if unsaid.
        published: ISO time of publication, empty when not said; only ever compared.
        downloads: download count of the version, ``None`` when hidden.
        unsafe: Civitai's own scan says danger for this file.
    """

    source: CivitaiSource
    file_name: str
    model_name: str
    version_name: str
    model_type: str
    file_type: str
    base_model: str
    digests: Digests
    size_hint: int | None
    published: str
    downloads: int | None
    unsafe: bool

    @property
    def title(self) -> str:
        """The model and version as one text for people."""
        return f"{self.model_name} / {self.version_name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVersion:
    """One Civitai model version with its files, in the order that the API gave.

    Attributes:
        model: id of the model page.
        version: id of the version.
        name: name of the version.
        model_name: name of the model page, empty when the answer leaves it out.
        base_model: such as ``SDXL 1.0``.
        files: its public files.
    """

    model: ModelId
    version: VersionId
    name: str
    model_name: str
    base_model: str
    files: tuple[Artifact, ...]
