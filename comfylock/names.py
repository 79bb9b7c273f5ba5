"""Names of model files: which are safe, how they are spelled, how they are shown.

Pure strings; nothing here touches a disk. A *key* is ``folder/name``: ComfyUI's folder and the
name as the workflow asks for it, with ``/`` and in Unicode NFC. Names come from strangers, so a
key that will become a path must pass `unsafe_reason`, by the rules of POSIX and Windows at once:
the same lock has to mean the same on every system.

Sources: ComfyUI folder_paths.py (folders, extensions, `map_legacy`); Microsoft, "Naming Files,
Paths, and Namespaces" (reserved names, trailing dots and spaces).
"""

import re
import unicodedata
from collections.abc import Iterator

#: Extensions of model files that ComfyUI or its common custom nodes load.
MODEL_EXTENSIONS = frozenset(
    {
        ".bin", ".ckpt", ".gguf", ".onnx", ".patch", ".pkl", ".pt", ".pt2", ".pth",
        ".safetensors", ".sft",
    }
)  # fmt: skip

#: Extensions whose files may run code when they are loaded.
PICKLE_EXTENSIONS = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pt2", ".pth"})

#: In the order in which ComfyUI tries them for an embedding named without one.
EMBEDDING_EXTENSIONS = (".safetensors", ".pt", ".bin")

#: Old folder names and the one that counts (ComfyUI folder_paths.py, map_legacy).
LEGACY_FOLDERS = {"unet": "diffusion_models", "clip": "text_encoders"}

#: Stands where a workflow names a file and nothing tells its folder.
NO_FOLDER = "?"

MAX_KEY_CHARACTERS = 240
MAX_SEGMENT_BYTES = 255  # what most disks take

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,63}")
_FORBIDDEN = frozenset('<>:"|?*\\/')
_RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}
    | {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
)
# Control, format (RTL override, zero width), surrogate and private characters, and line or
# paragraph separators: a name holding one prints as another name. Not "unassigned": that answer
# would depend on the Unicode tables of the Python that asks.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def canonical_folder(folder: str) -> str:
    """Return ComfyUI's present name of a folder: ``unet`` is ``diffusion_models``."""
    return LEGACY_FOLDERS.get(folder, folder)


def normalised_name(name: str) -> str:
    r"""Return a workflow's spelling of a name as keys spell it: ``/`` for ``\``, NFC."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def extension(name: str) -> str:
    """Return the lower-case extension of a name with its dot, or an empty string.

    Only a model extension counts: ``v1.5`` has none.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    dot = base.rfind(".")
    found = base[dot:].lower() if dot > 0 else ""
    return found if found in MODEL_EXTENSIONS else ""


def is_pickle(name: str) -> bool:
    """Say whether a file of this name may run code when it is loaded."""
    return extension(name) in PICKLE_EXTENSIONS


def basename(name: str) -> str:
    """Return the part of a key or name behind its last ``/``."""
    return name.rpartition("/")[2]


def split_key(key: str) -> tuple[str, str]:
    """Return (folder, name) of a key; the name is empty where the key has no ``/``."""
    folder, _, name = key.partition("/")
    return folder, name


def alias_key(key: str, alias: str) -> str:
    r"""Return the key under which an alias of a model is planned and placed.

    It holds a ``\``, which no model's key may, so it says by itself what it is.
    """
    return f"{split_key(key)[0]}/{alias}"


def is_alias(key: str) -> bool:
    """Say whether a key is that of an alias."""
    return "\\" in key


def split_alias(key: str) -> tuple[str, str | None]:
    """Return the model's key, and the alias where the given key is of one."""
    if not is_alias(key):
        return key, None
    return normalised_name(key), split_key(key)[1]


def collision_form(key: str) -> str:
    """Return the form in which two keys are one file on a disk that ignores case."""
    once = unicodedata.normalize("NFC", key)
    return unicodedata.normalize("NFC", once.casefold())


def unsafe_reason(key: str) -> str | None:
    """Return why a key must not become a path, or ``None`` when it may."""
    return next(_complaints(key), None)


def _complaints(key: str) -> Iterator[str]:
    folder, name = split_key(key)
    if not _FOLDER.fullmatch(folder) or folder.upper() in _RESERVED:
        yield f"{shown(folder)!r} is not a ComfyUI folder"
    if not name:
        yield "it has no file name"
    if len(key) > MAX_KEY_CHARACTERS:
        yield f"it is longer than {MAX_KEY_CHARACTERS} characters"
    if unicodedata.normalize("NFC", key) != key:
        yield "it is not in Unicode NFC"
    for segment in name.split("/"):
        yield from _segment_complaints(segment)
    if not extension(name):
        yield "it does not end in a model extension"


def _segment_complaints(segment: str) -> Iterator[str]:
    if segment in {"", ".", ".."}:
        yield "it has an empty, '.' or '..' part"
        return
    if any(unicodedata.category(character) in _UNPRINTABLE for character in segment):
        yield "it holds a control or invisible character"
    if any(character in _FORBIDDEN for character in segment):
        yield 'it holds one of < > : " | ? * \\'
    if segment[-1] in " .":
        yield "a part of it ends with a space or dot"
    if segment.partition(".")[0].rstrip(" ").upper() in _RESERVED:
        yield f"{segment!r} is a device name on Windows"
    if len(segment.encode("utf-8", "surrogatepass")) > MAX_SEGMENT_BYTES:
        yield f"a part of it is longer than {MAX_SEGMENT_BYTES} bytes"
    if segment.casefold() in {".comfylock", ".git"}:
        yield f"{segment!r} is no folder for models"


def shown(text: str) -> str:
    r"""Return a foreign text as it may be printed: control and invisible characters as ``\xNN``."""
    return "".join(
        character if unicodedata.category(character) not in _UNPRINTABLE else _escaped(character)
        for character in text
    )


def quoted(text: str) -> str:
    """Return a foreign text as it is typed in a shell."""
    import shlex

    return shlex.quote(shown(text))


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
