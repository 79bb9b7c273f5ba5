"""Which artifacts may stand for a requirement, and in which order. Pure.

A name decides only when it is exactly equal (case aside) and the file is of a kind that belongs
into the folder; everything less is a proposal.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from comfylock.addresses import Address, CivitaiAddress, HuggingFaceAddress, parse_address
from comfylock.artifacts import Artifact, CivitaiSource, ModelVersion, VersionId
from comfylock.errors import OfflineError, Problem
from comfylock.hashes import is_digest
from comfylock.lockfile.model import Evidence, Pin
from comfylock.matching import most_alike
from comfylock.names import basename, extension, shown
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
    """Say whether a file goes by the wanted name: equal but for case and folders before it.

    A name without a model extension, as prompts give embeddings, is compared without one.
    """
    wanted, offered = basename(wanted), basename(offered)
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


def contents(artifacts: Iterable[Artifact]) -> frozenset[str]:
    """Return one text per distinct content; a file without a full hash is a content of its own."""
    return frozenset(
        one.digests.sha256 or one.digests.blake3 or f"unknown file {one.source.file}"
        for one in artifacts
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


def contradicts_hints(requirement: Requirement, artifact: Artifact) -> bool:
    """Say whether the workflows give another hash; a short one (AutoV2) is a beginning."""
    short = [one.value.lower() for one in requirement.hints if one.kind is HintKind.AUTOV2]
    beginnings = (*hinted_digests(requirement), *short)
    return bool(beginnings) and not (artifact.digests.sha256 or "").startswith(beginnings)


def is_meant(requirement: Requirement, address: CivitaiAddress, artifact: Artifact) -> bool:
    """Say whether a file of the version at an address is the wanted one.

    Nodes keep the address of a file that was chosen before. So the hash must be equal where the
    workflow gives one, else the name.
    """
    if address.file not in {None, artifact.source.file}:
        return False
    digests = hinted_digests(requirement)
    if digests:
        return artifact.digests.sha256 in digests
    return same_name(requirement.name, artifact.file_name)


def why_no_file(requirement: Requirement) -> str:
    """Return why nothing that the workflows say of a file led to one."""
    reasons = ["its hash is on no Civitai page"] if hinted_digests(requirement) else []
    for address in hinted_addresses(requirement):
        match address:
            case HuggingFaceAddress():
                reasons.append(f"{address.repo}@{shown(address.revision)} may move, or has no hash")
            case CivitaiAddress(version=None):
                reasons.append("its address names a page and no version")
            case CivitaiAddress():
                reasons.append("the version that it names has no file of this name and hash")
    return "; ".join(dict.fromkeys(reasons)) or "what the workflow says of it names no file"


def civitai_files(pin: Pin) -> tuple[tuple[int, int], ...]:
    """Return (version, file) of each Civitai source of a pin."""
    return tuple(
        (source.version, source.file) for source in pin.sources if isinstance(source, CivitaiSource)
    )


def locked_among(old: Pin | None, artifacts: Iterable[Artifact]) -> Artifact | None:
    """Return the first file that a pin already names, if any."""
    locked = set(civitai_files(old)) if old is not None else set[tuple[int, int]]()
    return next((one for one in artifacts if (one.source.version, one.source.file) in locked), None)


def follows(old: Pin, address: CivitaiAddress) -> bool:
    """Say whether a pin is what the user's word at this address made of it."""
    return old.evidence is Evidence.PINNED and any(
        version == address.version and address.file in {None, file}
        for version, file in civitai_files(old)
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
        hint="Check its page. To accept the new file, `comfylock unpin` it and lock again.",
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
        raise self._offline(f"whether {len(sha256)} files are on Civitai")

    def by_version(self, version: VersionId) -> ModelVersion | None:
        """Refuse: nobody knows."""
        raise self._offline(f"what Civitai version {version} holds")

    def search_name(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        """Refuse: nobody knows."""
        raise self._offline(f"whether Civitai has {shown(file_name)} for {folder}")

    def search_text(self, text: str) -> tuple[Artifact, ...]:
        """Refuse: nobody knows."""
        raise self._offline(f"what Civitai has for {shown(text)}")

    def _offline(self, question: str) -> OfflineError:
        return OfflineError(
            f"nobody can be asked {question}", hint="Run the command again without `--offline`."
        )
