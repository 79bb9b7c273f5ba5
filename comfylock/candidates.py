"""Which artifacts may stand for a requirement, and in which order. Pure.

A name decides only when it is exactly equal (case aside) and the file is of a kind that belongs
into the folder; everything less is a proposal.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from comfylock.addresses import (
    Address,
    CivitaiAddress,
    HuggingFaceAddress,
    PlainAddress,
    parse_address,
    parse_spec,
)
from comfylock.artifacts import (
    Artifact,
    Candidate,
    CivitaiSource,
    HostedFile,
    HuggingFaceSource,
    ModelVersion,
    UrlSource,
    VersionId,
)
from comfylock.config import ModelWish
from comfylock.errors import OfflineError, Problem
from comfylock.hashes import is_digest
from comfylock.lockfile.model import Evidence, Pin
from comfylock.matching import most_alike
from comfylock.names import basename, extension, quoted, shown
from comfylock.references import HintKind, Requirement

#: Civitai's types of the models that a folder holds; a folder that is not here may hold any.
FOLDER_MODEL_TYPES: dict[str, tuple[str, ...]] = {
    "checkpoints": ("Checkpoint",),
    "diffusion_models": ("Checkpoint",),
    "loras": ("LORA", "LoCon", "DoRA"),
    "embeddings": ("TextualInversion",),
    "hypernetworks": ("Hypernetwork",),
    "controlnet": ("Controlnet",),
    "upscale_models": ("Upscaler",),
    "vae": ("VAE",),
    "animatediff_models": ("MotionModule",),
    "animatediff_motion_lora": ("MotionModule", "LORA"),
}

#: Types that hold files of every kind; new kinds of models begin here.
_MIXED_TYPES = frozenset({"Other", ""})

#: Folders that parts of a model go to, by Civitai's type of the file, whatever the model's type.
_FOLDER_FILE_TYPES: dict[str, frozenset[str]] = {
    "vae": frozenset({"VAE"}),
    "text_encoders": frozenset({"Text Encoder"}),
    "clip_vision": frozenset({"CLIPVision", "Vision Encoder"}),
    "diffusion_models": frozenset({"Diffusion Model", "UNet"}),
    "controlnet": frozenset({"ControlNet"}),
    "upscale_models": frozenset({"Upscaler"}),
    "loras": frozenset({"Enhancement LoRA"}),
    "embeddings": frozenset({"Negative"}),
}
_PART_FILE_TYPES = frozenset[str]().union(*_FOLDER_FILE_TYPES.values())
_NO_MODEL_FILE_TYPES = frozenset({"Training Data", "Config", "Archive", "Workflow"})
# A whole model's one file may be marked as a part that its folder takes too.
_WHOLE_IN_PART = {"checkpoints": frozenset({"Diffusion Model", "UNet"})}


def same_name(wanted: str, offered: str) -> bool:
    """Say whether a file goes by the wanted name: equal but for case and folders before that.

    What a hub offers has no folders: a name of its with a path in it is no file name.

    A name without a model extension, as prompts give embeddings, is compared without one.
    """
    wanted = basename(wanted)
    if not extension(wanted):
        offered = stem(offered)
    return _folded(wanted) == _folded(offered)


def stem(name: str) -> str:
    """Return a file name without folders before it and without its model extension."""
    base = basename(name.replace("\\", "/"))
    return base[: len(base) - len(extension(base))]


def belongs(artifact: Artifact, folder: str) -> bool:
    """Say whether a file is of a kind that ComfyUI loads from a folder."""
    if artifact.file_type in _NO_MODEL_FILE_TYPES:
        return False
    if artifact.file_type in _FOLDER_FILE_TYPES.get(folder, ()):
        return True
    types = FOLDER_MODEL_TYPES.get(folder)
    if types is None:
        return True
    if artifact.file_type in _PART_FILE_TYPES - _WHOLE_IN_PART.get(folder, frozenset()):
        return False
    return artifact.model_type in types or artifact.model_type in _MIXED_TYPES


def oldest_first(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """Return the artifacts, each file once, in an order that no answer's order changes."""
    once = {(one.source.version, one.source.file): one for one in artifacts}
    return tuple(sorted(once.values(), key=_age))


def in_order(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return files, each once: Civitai's oldest first, then the others by where they are."""
    every = tuple(candidates)
    hosted = {one.source: one for one in every if isinstance(one, HostedFile)}
    return (
        *oldest_first(one for one in every if isinstance(one, Artifact)),
        *sorted(hosted.values(), key=lambda one: (isinstance(one.source, UrlSource), one.spec)),
    )


def contents(candidates: Iterable[Candidate]) -> frozenset[str]:
    """Return one text per distinct content; a file without a full hash is a content of its own."""
    return frozenset(
        one.digests.sha256 or one.digests.blake3 or f"unknown file {one.source}"
        for one in candidates
    )


def of_content(versions: Iterable[ModelVersion], sha256: frozenset[str]) -> tuple[Artifact, ...]:
    """Return the files of versions that have one of these digests."""
    return tuple(
        one for version in versions for one in version.files if one.digests.sha256 in sha256
    )


def most_alike_first(name: str, artifacts: Sequence[Artifact]) -> tuple[Artifact, ...]:
    """Return the few files whose names are most like a name; proposals, nothing more."""
    alike = most_alike(stem(name), [stem(one.file_name) for one in artifacts])
    return tuple(artifacts[position] for position in alike)


def hinted_digests(requirement: Requirement) -> frozenset[str]:
    """Return the SHA-256 digests that the workflows give for a file."""
    values = (one.value.lower() for one in requirement.hints if one.kind is HintKind.SHA256)
    return frozenset(value for value in values if is_digest(value))


def hinted_addresses(requirement: Requirement) -> tuple[Address, ...]:
    """Return the places that the workflows name for a file, as far as we know such places."""
    kinds = {HintKind.AIR, HintKind.URL}
    found = (parse_address(one.value) for one in requirement.hints if one.kind in kinds)
    return tuple(address for address in found if address is not None)


def hinted_urls(requirement: Requirement) -> tuple[str, ...]:
    """Return the plain addresses that the workflows name for a file: those of no hub we know."""
    urls = (one.value for one in requirement.hints if one.kind is HintKind.URL)
    return tuple(url for url in urls if isinstance(parse_spec(url), PlainAddress))


def contradicts_hints(requirement: Requirement, artifact: Candidate) -> bool:
    """Say whether the workflows give another hash; a short one (AutoV2) is a beginning."""
    short = [one.value.lower() for one in requirement.hints if one.kind is HintKind.AUTOV2]
    beginnings = (*hinted_digests(requirement), *short)
    return bool(beginnings) and not (artifact.digests.sha256 or "").startswith(beginnings)


def is_meant(requirement: Requirement, address: CivitaiAddress, artifact: Artifact) -> bool:
    """Say whether a file of the version at an address is the wanted one.

    The hash must be equal where the workflow gives one; else the address's own file id decides,
    and without one the name.
    """
    if address.file not in {None, artifact.source.file}:
        return False
    digests = hinted_digests(requirement)
    if digests:
        return artifact.digests.sha256 in digests
    return address.file is not None or same_name(requirement.name, artifact.file_name)


def selected(address: CivitaiAddress, files: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """Return the files of a version that a download address means by its type and traits.

    What an uploader has not said of a file speaks neither for nor against it.
    """
    return tuple(
        one
        for one in files
        if address.kind.casefold() in {"", one.file_type.casefold()}
        and one.traits.agree(address.traits)
    )


def is_declared(requirement: Requirement, address: CivitaiAddress) -> bool:
    """Say whether a workflow states an address, without a file id, beside this very name."""
    urls = (one.value for one in requirement.hints if one.kind is HintKind.URL)
    return address.file is None and any(parse_address(url) == address for url in urls)


def sole_model(requirement: Requirement, files: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """Return the one file of a version that a requirement can mean by its kind, else nothing.

    Names differ between the API's endpoints and change when a page is renamed, so that a workflow
    may state the right version and a name that it no longer has there.
    """
    if hinted_digests(requirement):
        return ()
    ending = extension(requirement.name)
    fitting = tuple(
        one
        for one in files
        if belongs(one, requirement.folder) and (not ending or extension(one.file_name) == ending)
    )
    return fitting if len(fitting) == 1 else ()


def why_no_file(requirement: Requirement) -> str:
    """Return why nothing that the workflows say of a file led to one."""
    reasons = ["its hash is on no Civitai page"] if hinted_digests(requirement) else []
    for address in hinted_addresses(requirement):
        match address:
            case HuggingFaceAddress():
                place = shown(f"{address.repo}@{address.revision}")
                reasons.append(f"huggingface {place} is not there, or does not have the file")
            case CivitaiAddress(version=None):
                reasons.append("its address names a page and no version")
            case CivitaiAddress():
                reasons.append("the version that it names has no file of this name and hash")
    reasons += [
        f"{shown(urlsplit(url).hostname or '')} is no hub" for url in hinted_urls(requirement)
    ]
    return "; ".join(dict.fromkeys(reasons)) or "what the workflow says of it names no file"


def named_in(wanted: str, files: Iterable[HuggingFaceAddress]) -> tuple[HuggingFaceAddress, ...]:
    """Return the files of a repository that have a wanted name, else all of its kind of file."""
    of_kind = [one for one in files if extension(one.file)]
    if extension(wanted):
        of_kind = [one for one in of_kind if extension(one.file) == extension(wanted)]
    named = [one for one in of_kind if same_name(wanted, basename(one.file))]
    return tuple(named or of_kind)


def civitai_files(pin: Pin) -> tuple[tuple[int, int], ...]:
    """Return (version, file) of each Civitai source of a pin."""
    return tuple(
        (source.version, source.file) for source in pin.sources if isinstance(source, CivitaiSource)
    )


def locked_among(old: Pin | None, artifacts: Iterable[Artifact]) -> Artifact | None:
    """Return the first file that a pin already names, if any."""
    locked = set(civitai_files(old)) if old is not None else set[tuple[int, int]]()
    return next((one for one in artifacts if (one.source.version, one.source.file) in locked), None)


def follows(old: Pin, wish: ModelWish) -> bool:
    """Say whether a pin is what the user's word made of it.

    A branch that the word names may have moved since, or the word may name another branch now: the
    lock knows only the commit, and keeps it.
    """
    if old.evidence is not Evidence.PINNED or wish.sha256 not in {None, old.digests.sha256}:
        return False
    match parse_spec(wish.pin or ""):
        case CivitaiAddress(version=version, file=file):
            return any(locked == (version, file or locked[1]) for locked in civitai_files(old))
        case HuggingFaceAddress() as address:
            return any(_is_at(source, address) for source in old.sources)
        case PlainAddress(url=url):
            return wish.sha256 is not None and UrlSource(url=url) in old.sources
        case None:
            return False


def _is_at(source: object, address: HuggingFaceAddress) -> bool:
    return (
        isinstance(source, HuggingFaceSource)
        and (source.repo, source.file) == (address.repo, address.file)
        and (source.revision == address.revision or not address.is_exact)
    )


def hash_changed(old: Pin, new: Pin) -> Problem | None:
    """Return the fault that the same file of the same Civitai version has other bytes now.

    The site keeps ids when a file is replaced. Whoever trusted the old bytes has to hear of it.
    """
    same = set(civitai_files(old)) & set(civitai_files(new))
    if not same or not old.digests.contradicts(new.digests):
        return None
    version, file = min(same)
    return Problem(
        slug="hash-mismatch",
        message=(
            f"Civitai version {version} file {file} had {old.digests} when it was locked "
            f"and has {new.digests} now"
        ),
        hint="Check its page; to accept the new file, "
        f"`comfylock pin {quoted(old.key)} civitai:{version}/{file}`",
        ref=old.key,
    )


def _age(artifact: Artifact) -> tuple[str, int, int]:
    # Without a date it comes last: "~" sorts behind every digit.
    return (artifact.published or "~", artifact.source.version, artifact.source.file)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class Nobody:
    """The catalogue where nobody can be asked."""

    def by_hashes(self, sha256: Sequence[str]) -> Mapping[str, tuple[ModelVersion, ...]]:
        """Refuse: nobody knows."""
        raise _offline(f"whether {len(sha256)} files are on Civitai")

    def by_version(self, version: VersionId) -> ModelVersion | None:
        """Refuse: nobody knows."""
        raise _offline(f"what Civitai version {version} holds")

    def search_name(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        """Refuse: nobody knows."""
        raise _offline(f"whether Civitai has {shown(file_name)} for {folder}")

    def search_alike(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        """Refuse: nobody knows."""
        raise _offline(f"what Civitai has like {shown(file_name)} for {folder}")


class NoRepositories:
    """Hugging Face where it cannot be asked."""

    def file_at(self, address: HuggingFaceAddress) -> HostedFile | None:
        """Refuse: nobody knows."""
        raise _offline(f"what huggingface {shown(address.repo)} holds")


def _offline(question: str) -> OfflineError:
    return OfflineError(
        f"nobody can be asked {question}", hint="Run the command again without `--offline`"
    )
