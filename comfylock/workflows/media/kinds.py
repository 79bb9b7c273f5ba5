"""What kind of media file some bytes begin. Imports nothing: every workflow file passes here."""

from enum import Enum, auto

#: Suffixes of media that may hold a workflow, in lower case.
MEDIA_SUFFIXES = frozenset(
    {
        ".apng", ".avif", ".flac", ".glb", ".gltf", ".jpeg", ".jpg", ".m4a", ".m4v", ".mkv",
        ".mov", ".mp3", ".mp4", ".oga", ".ogg", ".ogv", ".opus", ".png", ".svg", ".webm",
        ".webp", ".zip",
    }
)  # fmt: skip

#: How much of a file `kind_of` needs.
HEAD_BYTES = 1024


_TEXT_SUFFIXES = frozenset({".gltf", ".svg"})


class Kind(Enum):
    """A kind of container."""

    PNG = auto()
    JPEG = auto()
    WEBP = auto()
    BOXES = auto()  # MP4, MOV, AVIF and their relatives
    EBML = auto()  # Matroska and WebM
    FLAC = auto()
    OGG = auto()
    ID3 = auto()
    GLB = auto()
    SVG = auto()
    ZIP = auto()
    NO_TEXT = auto()  # known, and never with a workflow in it


_STARTS = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x1aE\xdf\xa3", Kind.EBML),
    (b"fLaC", Kind.FLAC),
    (b"OggS", Kind.OGG),
    (b"ID3", Kind.ID3),
    (b"glTF", Kind.GLB),
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"RIFF", Kind.NO_TEXT),
    # Sound of MPEG layer 3 without tags.
    *((bytes((0xFF, byte)), Kind.NO_TEXT) for byte in (0xE2, 0xE3, 0xF2, 0xF3, 0xFA, 0xFB)),
)

# Old QuickTime files begin without `ftyp`.
_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def kind_of(head: bytes) -> Kind | None:
    """Return the kind of a file that begins so, ``None`` if it is no medium that we know."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Kind.WEBP
    if head[4:8] in _FIRST_BOXES and head[:1] not in {b"{", b"["}:
        return Kind.BOXES
    if _is_svg(head):
        return Kind.SVG
    return next((kind for start, kind in _STARTS if head.startswith(start)), None)


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_page = b"<html" in text.lower() or text[:14].lower() == b"<!doctype html"
    return text.startswith(b"<") and b"<svg" in text and not is_page


def is_misnamed(suffix: str, head: bytes) -> bool:
    """Say whether a file of no known kind should be one by its name, and is no JSON either."""
    is_binary = suffix in MEDIA_SUFFIXES and suffix not in _TEXT_SUFFIXES
    return is_binary and not head.lstrip().startswith(b"{")
