"""A media file of any kind -> the workflow texts in it; the first bytes tell the kind."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from comfylock.errors import WorkflowInvalidError
from comfylock.workflows.media.ebml import ebml_texts
from comfylock.workflows.media.exif import jpeg_texts, webp_texts
from comfylock.workflows.media.isobmff import isobmff_texts
from comfylock.workflows.media.kinds import HEAD_BYTES, MEDIA_SUFFIXES, Kind, kind_of
from comfylock.workflows.media.png import png_texts
from comfylock.workflows.media.scenes import glb_texts, svg_texts
from comfylock.workflows.media.source import COMMENT_NAMES, Limits, MediaFile, Texts
from comfylock.workflows.media.tags import flac_texts, id3_texts, ogg_texts
from comfylock.workflows.media.zipped import Unpacked, unpacked

_SETTINGS = "Steps: "
_JSON_SUFFIXES = (".json", ".gltf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """The texts in a media file that may be workflows; none is checked.

    Attributes:
        workflow: the UI graph.
        prompt: the API graph.
        parameters: the settings of A1111 and its kin.
        members: of an archive, what its members hold.
    """

    workflow: str | None = None
    prompt: str | None = None
    parameters: str | None = None
    members: tuple["Member", ...] = ()

    def __bool__(self) -> bool:
        """Say whether there is anything."""
        return bool(self.workflow or self.prompt or self.parameters or self.members)


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One member of an archive.

    Attributes:
        name: its path in the archive.
        embedded: what it holds; a JSON file is a workflow text.
        reason: why it was passed over, empty if it was not.
    """

    name: str
    embedded: Embedded
    reason: str = ""


def embedded(file: BinaryIO) -> Embedded | None:
    """Return the workflow texts in a file, ``None`` if it is of no kind that we know.

    Reads the parts that hold text and no others, each once.

    Raises:
        WorkflowInvalidError: nothing was found and the file is damaged, or beyond the limits.
            The message names no file.
    """
    return _embedded(file, Limits())


def _embedded(file: BinaryIO, limits: Limits) -> Embedded | None:
    file.seek(0)
    kind = kind_of(file.read(HEAD_BYTES))
    if kind is Kind.ZIP:
        return _archive(file, limits)
    return _collected(_WALKERS[kind](MediaFile(file, limits))) if kind else None


def _nothing(_: MediaFile) -> Texts:
    yield from ()


_WALKERS: dict[Kind, Callable[[MediaFile], Texts]] = {
    Kind.PNG: png_texts,
    Kind.JPEG: jpeg_texts,
    Kind.WEBP: webp_texts,
    Kind.BOXES: isobmff_texts,
    Kind.EBML: ebml_texts,
    Kind.FLAC: flac_texts,
    Kind.OGG: ogg_texts,
    Kind.ID3: id3_texts,
    Kind.GLB: glb_texts,
    Kind.SVG: svg_texts,
    Kind.NO_TEXT: _nothing,
}


def _collected(texts: Texts) -> Embedded:
    """Return what counts among texts by name; of several with one name, the last.

    What was found before the file turned out to be damaged is taken.
    """
    found: dict[str, str] = {}
    try:
        for name, text in texts:
            field = _field(name.lower(), text)
            if field and (field not in found or name.lower() not in COMMENT_NAMES):
                found[field] = text
    except WorkflowInvalidError:
        if not found:
            raise
    return Embedded(
        workflow=found.get("workflow"),
        prompt=found.get("prompt"),
        parameters=found.get("parameters"),
    )


def _field(name: str, text: str) -> str | None:
    """Return which field of `Embedded` a text belongs to, ``None`` for other programs' texts."""
    is_json = text.lstrip()[:1] in {"{", '"'}
    if name in {"workflow", "prompt"}:
        return name if is_json else None
    if name not in COMMENT_NAMES:
        return "parameters" if name == "parameters" else None
    if is_json and ("nodes" in text or "class_type" in text):
        return "workflow"
    return "parameters" if _SETTINGS in text else None


def _archive(file: BinaryIO, limits: Limits) -> Embedded:
    suffixes = MEDIA_SUFFIXES - {".zip"} | {".json"}
    return Embedded(members=tuple(_member(member, limits) for member in unpacked(file, suffixes)))


def _member(member: Unpacked, limits: Limits) -> Member:
    found, reason = Embedded(), member.reason
    if member.data is not None:
        try:
            found = _member_texts(member.name, member.data, limits)
        except WorkflowInvalidError as error:
            reason = error.message
    return Member(name=member.name, embedded=found, reason=reason)


def _member_texts(name: str, data: bytes, limits: Limits) -> Embedded:
    found = _embedded(io.BytesIO(data), limits)
    if found is None and name.lower().endswith(_JSON_SUFFIXES):
        limits.spend(len(data))
        return Embedded(workflow=data.decode("utf-8-sig", "replace"))
    return found or Embedded()
