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
class Traits:
    """What tells the files of one version apart, by the uploader's word; empty when not said.

    Attributes:
        format: such as ``SafeTensor``, ``PickleTensor``, ``GGUF``.
        precision: Civitai's ``fp``, such as ``fp16``, ``fp8``.
        variant: Civitai's ``size``: ``full`` or ``pruned``.
        quantization: Civitai's ``quantType``, such as ``Q8_0``.
    """

    format: str = ""
    precision: str = ""
    variant: str = ""
    quantization: str = ""

    def agree(self, other: "Traits") -> bool:
        """Say whether nothing that both say differs, but for case."""
        pairs = (
            (self.format, other.format),
            (self.precision, other.precision),
            (self.variant, other.variant),
            (self.quantization, other.quantization),
        )
        return all(
            mine.casefold() == theirs.casefold() for mine, theirs in pairs if mine and theirs
        )


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
        traits: which of a version's files it is.
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
    traits: Traits = Traits()

    @property
    def title(self) -> str:
        """The model and version as one text for people."""
        return f"{self.model_name} / {self.version_name}"

    @property
    def spec(self) -> str:
        """What `comfylock pin` takes for this file."""
        return f"civitai:{self.source.version}/{self.source.file}"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostedFile:
    """A file of a Hugging Face repository, or one at a plain address.

    Attributes:
        source: where it is; nothing in it moves.
        file_name: its name there, without folders.
        digests: full digests, never empty.
        size_hint: exact bytes, ``None`` when nobody told.
        unsafe: the hub's scan found a virus in it. What its other scanners say of pickles is not
            counted: they find fault with most files of that format.
    """

    source: HuggingFaceSource | UrlSource
    file_name: str
    digests: Digests
    size_hint: int | None
    unsafe: bool = False

    @property
    def title(self) -> str:
        """Where it is, as one text for people."""
        return self.source.repo if isinstance(self.source, HuggingFaceSource) else str(self.source)

    @property
    def spec(self) -> str:
        """What `comfylock pin` takes for this file."""
        match self.source:
            case HuggingFaceSource(repo=repo, revision=revision, file=file):
                return f"hf:{repo}@{revision}:{file}"
            case UrlSource(url=url):
                return url


#: A file that may be the wanted one.
Candidate = Artifact | HostedFile


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
        base_model_type: ``Inpainting`` for one that takes the place of no other, or empty.
        published: ISO time of publication, empty when not said; only ever compared.
        sold_until: ISO time of the end of early access, empty when it has no end; ``None`` when
            it is not sold.
        linked: the VAE that the version is shown with and that another version has: by its
            contents, as its ids fetch nothing here.
    """

    model: ModelId
    version: VersionId
    name: str
    model_name: str
    base_model: str
    files: tuple[Artifact, ...]
    base_model_type: str = ""
    published: str = ""
    sold_until: str | None = None
    linked: tuple[Digests, ...] = ()
