"""ComfyUI's folders to directories: where a model is looked for, and where a new one is placed.

A *folder* is ComfyUI's word (`loras`), a *directory* is a path. The order of directories is the
one in which ComfyUI searches, so the first file found is the one that it loads.

Source: ComfyUI 0.25 folder_paths.py, utils/extra_config.py, main.py (apply_custom_paths).
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from comfylock.errors import ConfigInvalidError, ModelsDirMissingError, PathMissingError
from comfylock.names import LEGACY_FOLDERS, canonical_folder, shown

EXTRA_MODEL_PATHS = "extra_model_paths.yaml"
MAX_YAML_BYTES = 256 * 1024

#: Folders of several directories below models/, in ComfyUI's order; all others have their own.
_SUBDIRECTORIES = {
    "text_encoders": ("text_encoders", "clip"),
    "diffusion_models": ("unet", "diffusion_models"),
    "controlnet": ("controlnet", "t2i_adapter"),
}
#: ComfyUI also searches these below its output folder, where its own save nodes write.
_OUTPUT_SUBDIRECTORIES = {
    "checkpoints": "checkpoints",
    "text_encoders": "clip",
    "vae": "vae",
    "diffusion_models": "diffusion_models",
    "loras": "loras",
}
#: Folders of extra_model_paths.yaml that hold no models.
_NO_MODELS = frozenset({"custom_nodes", "configs", "datasets", "fonts"})

# Enough for any real file; without bounds a few hundred bytes of YAML become gigabytes.
_MAX_YAML_ALIASES = 16
_MAX_YAML_DEPTH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtraPath:
    """One line of an extra_model_paths.yaml.

    Attributes:
        folder: ComfyUI's folder by its present name.
        directory: absolute.
        is_default: searched before all others.
    """

    folder: str
    directory: Path
    is_default: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDirectories:
    """All directories that models may lie in.

    Attributes:
        primary: the models folder that new files go below.
        others: further models folders, searched after it.
        extra: lines of extra_model_paths.yaml files, in their order.
        output: ComfyUI's output folder, ``None`` when not known.
    """

    primary: Path
    others: tuple[Path, ...] = ()
    extra: tuple[ExtraPath, ...] = ()
    output: Path | None = None
    _directories: dict[str, tuple[Path, ...]] = field(
        default_factory=dict[str, tuple[Path, ...]], init=False, repr=False, compare=False
    )
    _targets: dict[str, Path] = field(
        default_factory=dict[str, Path], init=False, repr=False, compare=False
    )

    def directories(self, folder: str) -> tuple[Path, ...]:
        """Return where a folder's files are looked for, first choice first.

        As ComfyUI does it: the models folders, then the extra paths behind them in the order of
        their files, each default one put in front of all before it, and the output folder last.
        The directories need not exist. Legacy folder names mean the present ones.
        """
        folder = canonical_folder(folder)
        if folder not in self._directories:
            self._directories[folder] = tuple(self._searched(folder))
        return self._directories[folder]

    def _searched(self, folder: str) -> list[Path]:
        found = [
            root / name
            for root in (self.primary, *self.others)
            for name in _SUBDIRECTORIES.get(folder, (folder,))
        ]
        for extra in self.extra:
            if extra.folder != folder:
                continue
            if extra.is_default:
                found = [extra.directory, *(path for path in found if path != extra.directory)]
            elif extra.directory not in found:
                found.append(extra.directory)
        if self.output is not None and folder in _OUTPUT_SUBDIRECTORIES:
            found.append(self.output / _OUTPUT_SUBDIRECTORIES[folder])
        return list(dict.fromkeys(found))

    def target(self, folder: str) -> Path:
        """Return the directory that a new file of a folder is placed in.

        It is always below the primary models folder: the user named that one for writing, whereas
        an extra path, default or not, is often a share of another program. Where only the
        legacy directory exists (`unet`, `clip`), that is the one, as older ComfyUI installs know
        no other. The answer stays the same for the life of this object.
        """
        folder = canonical_folder(folder)
        if folder not in self._targets:
            self._targets[folder] = self._target(folder)
        return self._targets[folder]

    def _target(self, folder: str) -> Path:
        present = self.primary / folder
        legacy = next((old for old, new in LEGACY_FOLDERS.items() if new == folder), None)
        if legacy is not None and not _is_dir(present) and _is_dir(self.primary / legacy):
            return self.primary / legacy
        return present

    def roots(self) -> tuple[Path, ...]:
        """Return the directories below which every known model lies, each once.

        One may lie inside another; none need exist.
        """
        extra = [path.directory for path in self.extra if path.folder not in _NO_MODELS]
        saved = [self.output / name for name in _OUTPUT_SUBDIRECTORIES.values() if self.output]
        return tuple(dict.fromkeys([self.primary, *self.others, *extra, *saved]))


def open_directories(models_dirs: Sequence[Path], extra_files: Sequence[Path]) -> ModelDirectories:
    """Return the directories of some models folders, the first of which is written to.

    The extra_model_paths.yaml beside the first models folder is read as ComfyUI reads it, then
    `extra_files` in their order.

    Raises:
        PathMissingError: one of `extra_files` is not there.
        ConfigInvalidError: one of the files breaks ComfyUI's rules.
    """
    primary, *others = models_dirs
    home = primary.parent
    is_home = is_checkout(home) or is_base(home)
    files = list(extra_files)
    beside = home / EXTRA_MODEL_PATHS
    if beside.is_file():
        files.insert(0, beside)
    return ModelDirectories(
        primary=primary,
        others=tuple(others),
        extra=tuple(extra for file in files for extra in read_extra_model_paths(file)),
        output=home / "output" if is_home else None,
    )


def is_checkout(path: Path) -> bool:
    """Say whether a directory is a copy of ComfyUI's source with its models folder."""
    program = _is_file(path / "main.py") or _is_dir(path / "comfy")
    return program and _is_file(path / "folder_paths.py") and _is_dir(path / "models")


def is_base(path: Path) -> bool:
    """Say whether a directory is where a ComfyUI keeps its files apart from its source.

    That is what ``--base-directory`` names, and what ComfyUI Desktop makes in the user's documents.
    """
    return all(_is_dir(path / name) for name in ("models", "custom_nodes", "user"))


def find_models_dirs(
    flags: Sequence[Path], env: Mapping[str, str], configured: Sequence[Path], start: Path
) -> tuple[Path, ...]:
    """Return the models folders, absolute; the first is where files are placed.

    The first of these that names any counts: flags, ``COMFYLOCK_MODELS_DIR`` (several divided as
    in ``PATH``), the user's config, ``COMFYUI_PATH``, a ComfyUI checkout around or beside `start`
    or a folder above it, or else a base directory there. A ComfyUI folder may be given for the
    models folder in it.

    Raises:
        ModelsDirMissingError: none is known, several lie side by side, or a named one is not
            there.
    """
    checkout = env.get("COMFYUI_PATH", "")
    for named, origin in (
        (flags, "--models-dir"),
        (_listed(env.get("COMFYLOCK_MODELS_DIR", "")), "COMFYLOCK_MODELS_DIR"),
        (configured, "models-dirs in your config.toml"),
        ([Path(checkout).expanduser()] if checkout else [], "COMFYUI_PATH"),
    ):
        if named:
            return tuple(dict.fromkeys(_models_dir(path, origin) for path in named))
    return (_discovered(start) / "models",)


def _listed(text: str) -> list[Path]:
    return [Path(part).expanduser() for part in text.split(os.pathsep) if part]


def _models_dir(path: Path, origin: str) -> Path:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - "..", but never through links
    inner = absolute / "models"
    if origin == "COMFYUI_PATH":
        absolute = inner
    elif is_checkout(absolute) or (_is_dir(inner) and _is_dir(absolute / "custom_nodes")):
        return inner
    if not _is_dir(absolute):
        raise ModelsDirMissingError(
            f"the models folder {shown(str(absolute))} {_lack(absolute)} (named by {origin})",
            hint="Create it, or name another one with --models-dir",
        )
    return absolute


def _lack(path: Path) -> str:
    try:
        return "is not a folder" if path.exists() else "is not there"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"


# The methods of Path stop at a folder of somebody else's that lies beside ours: here it is none.
def _is_dir(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def _discovered(start: Path) -> Path:
    absolute = Path(os.path.abspath(start))  # noqa: PTH100 - as above
    above = (absolute, *absolute.parents)
    for fits in (is_checkout, is_base):
        enclosing = next(filter(fits, above), None)
        if enclosing is not None:
            return enclosing
    for fits in (is_checkout, is_base):
        beside = _beside(above, fits)
        if beside is not None:
            return beside
    raise ModelsDirMissingError(
        f"no ComfyUI models folder was found around {shown(str(absolute))}",
        hint="Name it with --models-dir, or set COMFYUI_PATH to your ComfyUI folder",
    )


def _beside(above: Sequence[Path], fits: Callable[[Path], bool]) -> Path | None:
    """Return the one ComfyUI folder in the first of these directories that has any."""
    for directory in above:
        found = list(_inside(directory, fits))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(shown(str(path)) for path in found)
            raise ModelsDirMissingError(
                f"there are several ComfyUI folders: {names}", hint="Name one with --models-dir"
            )
    return None


def _inside(directory: Path, fits: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield the ComfyUI folders inside a directory whose names begin with "comfy".

    Directories that all users may write to are passed over: anyone could plant one there.
    """
    try:
        if directory.stat().st_mode & stat.S_IWOTH:
            return
        children = sorted(directory.iterdir())
    except OSError:
        return
    for child in children:
        if child.name.casefold().startswith("comfy"):
            # The portable build for Windows keeps the checkout one level deeper.
            yield from (path for path in (child, child / "ComfyUI") if fits(path))


def read_extra_model_paths(path: Path) -> tuple[ExtraPath, ...]:
    """Return the lines of one extra_model_paths.yaml in their order, by ComfyUI's own rules.

    Sections have any name, an empty one is skipped. ``base_path`` is expanded (``~``, ``$VAR``)
    and relative to the file; entries are not expanded, are divided by line ends, and are relative
    to the base path, or without one to the file. Any true ``is_default`` counts, also "false".

    Raises:
        PathMissingError: there is no such file.
        ConfigInvalidError: it is no YAML, too large or too deep, or ComfyUI would stop at it.
    """
    sections = _parse_yaml(_yaml_text(path), path)
    if sections is None:
        return ()
    if not isinstance(sections, dict):
        raise ConfigInvalidError(
            f"{shown(str(path))}: expected sections such as comfyui:, found a list or text"
        )
    home = Path(os.path.abspath(path)).parent  # noqa: PTH100 - links stay as they are
    return tuple(
        extra
        for name, section in cast("dict[object, object]", sections).items()
        if section is not None
        for extra in _section(section, f"{shown(str(path))}: {shown(str(name))}", home)
    )


def _section(section: object, where: str, home: Path) -> Iterator[ExtraPath]:
    if not isinstance(section, dict):
        raise ConfigInvalidError(f"{where}: expected folders and paths")
    lines = cast("dict[object, object]", section)
    base = _base_path(lines["base_path"], where, home) if "base_path" in lines else str(home)
    for folder, value in lines.items():
        if folder in {"base_path", "is_default"}:
            continue
        place = f"{where}.{shown(str(folder))}"
        for line in _text_value(value, place).split("\n"):
            if line:
                yield ExtraPath(
                    folder=canonical_folder(str(folder)),
                    directory=Path(os.path.normpath(os.path.join(base, line))),  # noqa: PTH118
                    is_default=bool(lines.get("is_default", False)),
                )


def _base_path(value: object, where: str, home: Path) -> str:
    text = os.path.expandvars(os.path.expanduser(_text_value(value, f"{where}.base_path")))  # noqa: PTH111
    return os.path.abspath(os.path.join(home, text))  # noqa: PTH100, PTH118


def _text_value(value: object, place: str) -> str:
    if isinstance(value, str) and "\0" not in value:
        return value
    raise ConfigInvalidError(
        f"{place}: expected a path, found {'a list' if isinstance(value, list) else 'no text'}",
        hint="ComfyUI takes several paths as lines of one text: write | and one path a line",
    )


def _yaml_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigInvalidError(f"{shown(str(path))} has more than {MAX_YAML_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PathMissingError(f"there is no file {shown(str(path))}") from error
    except UnicodeDecodeError as error:
        raise ConfigInvalidError(f"{shown(str(path))}: the text is not UTF-8") from error
    except OSError as error:
        raise ConfigInvalidError(f"{shown(str(path))} cannot be read: {error.strerror}") from error


def _parse_yaml(text: str, path: Path) -> object:
    import yaml

    try:
        _refuse_bombs(text, path)
        return cast("object", yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigInvalidError(f"{shown(str(path))}: {line}the text is not valid YAML") from error
    except ValueError as error:  # such as a date that no calendar has
        raise ConfigInvalidError(f"{shown(str(path))}: a value cannot be read: {error}") from error


def _refuse_bombs(text: str, path: Path) -> None:
    import yaml

    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > _MAX_YAML_DEPTH or aliases > _MAX_YAML_ALIASES:
            raise ConfigInvalidError(f"{shown(str(path))}: nested too deeply, or too many aliases")
