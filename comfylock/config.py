"""The two settings files, the project's and the user's, as frozen values.

`comfylock.toml` lies beside comfy.lock and comes with the repository, so it may not
widen trust: no hosts, keys or absolute paths. `config.toml` in the user's own folder may. Which of
them counts is the business of `settings`.

The environment is passed in as a mapping; nothing is read at import. Keys of either file that are
not known are errors, with the nearest known one: a slip in what the user wants must not pass.
The environment's words on the two hubs and their keys are read in `hubs`.
"""

import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TypeVar

from comfylock.errors import ConfigInvalidError
from comfylock.hubs import CIVITAI_URL, HUGGINGFACE_URL, Hub, Secret, checked_base
from comfylock.names import canonical_folder, normalised_name, shown
from comfylock.settings import SETTING_KEYS, Choices, read_choices, said
from comfylock.toml import Table, TomlError, excerpt, parse_toml

_T = TypeVar("_T")

MAX_CONFIG_BYTES = 1024 * 1024

#: The user's own file, in `config_dir`.
CONFIG_FILE = "config.toml"

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelWish:
    """What the user says of one reference in comfylock.toml.

    Attributes:
        pin: a SPEC as `comfylock pin` takes it, ``None`` when not said.
        sha256: the digest that goes with a plain address, or with a private file that lies
            elsewhere.
        size: its bytes, without which `install` would look for it under its own name alone.
        local: private: pinned by hash, never searched for.
    """

    pin: str | None = None
    sha256: str | None = None
    size: int | None = None
    local: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectConfig(Choices):
    """comfylock.toml.

    Attributes:
        workflows: files, folders and globs, relative to the file.
        exclude: globs of what is not to be read.
        models: wishes by key.
        ignore: references that are nobody's business; globs.
        folders: ``NodeClass.input`` to ComfyUI folder.
    """

    workflows: tuple[str, ...]
    exclude: tuple[str, ...]
    models: Mapping[str, ModelWish]
    ignore: tuple[str, ...]
    folders: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class UserConfig(Choices):
    """config.toml in the user's own folder.

    Attributes:
        models_dirs: models folders; the first is where files are placed.
        extra_model_paths: files of ComfyUI's extra_model_paths.yaml kind.
        allow_hosts: hosts of plain addresses that may be fetched from, lower case.
        hub: addresses and keys of the hubs; the environment overrules them.
    """

    models_dirs: tuple[Path, ...]
    extra_model_paths: tuple[Path, ...]
    allow_hosts: tuple[str, ...]
    hub: Hub


_PROJECT_KEYS = (
    "workflows", "exclude", "models", "ignore", "folders", "lock", "inactive", "aliases",
)  # fmt: skip
_LOCK_KEYS = ("evidence", "formats", "inactive", "aliases")
_MODEL_KEYS = ("pin", "sha256", "size", "local")
_USER_KEYS = (
    "models-dirs", "models-dir", "extra-model-paths", "allow-hosts", "civitai-url",
    "huggingface-url", "civitai-key", "huggingface-key", *SETTING_KEYS,
)  # fmt: skip
#: What the repository's file may not say: it would send keys, writes or load to where it likes.
_USER_ONLY = frozenset(_USER_KEYS) - {*_LOCK_KEYS} | {
    "models-dir", "allowed-hosts", "hosts", "token", "key", "api-key", "cache-dir", "config-dir",
    "civitai-token", "hf-token", "hf-endpoint", "huggingface-token",
}  # fmt: skip


def read_project_config(path: Path) -> ProjectConfig:
    """Return what comfylock.toml says; nothing where there is no such file.

    Raises:
        ConfigInvalidError: it cannot be read or understood, or says what only the user may.
    """
    return _read(path, _project_config)


def read_user_config(path: Path) -> UserConfig:
    """Return what config.toml says; nothing where there is no such file.

    Relative paths in it are relative to its folder; ``~`` is the user's home.

    Raises:
        ConfigInvalidError: it cannot be read or understood.
    """
    return _read(path, lambda top: _user_config(top, path.parent))


def _read(path: Path, build: Callable[[Table], _T]) -> _T:
    try:
        return build(Table(parse_toml(_text(path))))
    except TomlError as error:
        raise ConfigInvalidError(f"{path.name}: {error}") from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigInvalidError(f"{shown(str(path))} has more than {MAX_CONFIG_BYTES} bytes")
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise ConfigInvalidError(f"{shown(str(path))}: the text is not UTF-8") from error
    except OSError as error:
        raise ConfigInvalidError(f"{shown(str(path))} cannot be read: {error.strerror}") from error


def _project_config(top: Table) -> ProjectConfig:
    _refuse_foreign(top)
    _refuse_unknown(top, _PROJECT_KEYS)
    lock, ignore = top.table("lock"), top.table("ignore")
    _refuse_unknown(lock, _LOCK_KEYS)
    _refuse_unknown(ignore, ("refs",))
    for key in ("inactive", "aliases"):
        if key in top.values and key in lock.values:
            raise lock.fault(key, f"is also said at the top of the file, as {key}")
    return ProjectConfig(
        **said(read_choices(top)) | said(read_choices(lock)),
        workflows=_relative_paths(top, "workflows"),
        exclude=_relative_paths(top, "exclude"),
        models=_wishes(top.table("models")),
        ignore=tuple(map(_key_spelling, ignore.texts("refs") or ())),
        folders=_folders(top.table("folders")),
    )


def _refuse_foreign(top: Table) -> None:
    """Refuse what the repository has no right to say, and tell where a setting belongs."""
    for key in top.values:
        if key.replace("_", "-") in _USER_ONLY:
            raise top.fault(key, "only your own config.toml may say this, not a project's file")
        if key in _LOCK_KEYS and key not in _PROJECT_KEYS:
            raise top.fault(key, "belongs into the table [lock]")


def _refuse_unknown(table: Table, known: Collection[str]) -> None:
    for key in table.values:
        if key not in known:
            raise table.fault(key, f"is no setting{_suggestion(key, known)}")


def _suggestion(key: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key.replace("_", "-").lower(), known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def _relative_paths(table: Table, key: str) -> tuple[str, ...]:
    paths = table.texts(key) or ()
    for path in paths:
        if not path or not path.isprintable() or "\\" in path:
            raise table.fault(key, f"{excerpt(path)} is no path with / between its parts")
        if is_absolute(path):
            raise table.fault(key, f"{excerpt(path)}: a project's file may not hold absolute paths")
        if ".." in path.split("/"):
            raise table.fault(key, f"{excerpt(path)} leads out of the project")
    return tuple(path.removeprefix("./").rstrip("/") or "." for path in paths)


def is_absolute(path: str) -> bool:
    """Say whether a path leads away from where it stands, on any system: also ``C:x``, ``~``."""
    return path.startswith(("/", "\\", "~")) or PureWindowsPath(path).drive != ""


def _wishes(models: Table) -> dict[str, ModelWish]:
    wishes: dict[str, ModelWish] = {}
    for ref, table in models.tables():
        key = _key_spelling(ref)
        if "/" not in key:
            raise TomlError(f"{table.path}: a model is named as folder/name")
        if key in wishes:
            raise TomlError(f"{table.path}: the same model as another one of [models]")
        wishes[key] = _wish(table)
    return wishes


def _wish(table: Table) -> ModelWish:
    _refuse_unknown(table, _MODEL_KEYS)
    pin, sha256, local = table.get("pin", str), table.get("sha256", str), table.get("local", bool)
    if (pin is None) == (not local):
        raise TomlError(f'{table.path}: say either pin = "…" or local = true')
    if pin is not None and (not pin.strip() or not pin.isprintable()):
        raise table.unexpected("pin", "a version, page or address")
    if pin is not None and (is_absolute(pin) or "\\" in pin):
        raise table.fault("pin", "a project's file may not hold absolute paths; say local = true")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise table.unexpected("sha256", "64 hex digits")
    size = table.get("size", int)
    if size is not None and (size < 0 or not local or sha256 is None):
        raise table.fault("size", "goes with the sha256 of a file that is local = true")
    sha256 = sha256.lower() if sha256 else None
    return ModelWish(pin=pin, sha256=sha256, size=size, local=bool(local))


def _key_spelling(ref: str) -> str:
    folder, slash, name = normalised_name(ref).partition("/")
    return f"{canonical_folder(folder)}{slash}{name}"


def _folders(table: Table) -> dict[str, str]:
    folders: dict[str, str] = {}
    for place, value in table.values.items():
        if isinstance(value, dict):
            raise table.fault(
                place, 'write the node and its input in quotes: "Node.input" = "loras"'
            )
        folder = table.need(place, str)
        node, _, name = place.rpartition(".")
        if not node or not name:
            raise table.fault(place, "a place is named as Node.input")
        if not _FOLDER.fullmatch(folder):
            raise table.unexpected(place, "a ComfyUI folder such as loras")
        folders[place] = canonical_folder(folder)
    return folders


def _user_config(top: Table, home: Path) -> UserConfig:
    _refuse_unknown(top, _USER_KEYS)
    return UserConfig(
        **said(read_choices(top)),
        models_dirs=_models_dirs(top, home),
        extra_model_paths=_paths(top, "extra-model-paths", home),
        allow_hosts=_hosts(top),
        hub=Hub(
            civitai_url=_url(top, "civitai-url") or CIVITAI_URL,
            huggingface_url=_url(top, "huggingface-url") or HUGGINGFACE_URL,
            civitai_key=_secret(top, "civitai-key"),
            huggingface_key=_secret(top, "huggingface-key"),
        ),
    )


def _models_dirs(top: Table, home: Path) -> tuple[Path, ...]:
    """Return the models folders, which may also be spelled as the option is."""
    if {"models-dir", "models-dirs"} <= top.values.keys():
        raise top.fault("models-dir", "say either this or models-dirs")
    return _paths(top, "models-dir", home) or _paths(top, "models-dirs", home)


def _paths(table: Table, key: str, home: Path) -> tuple[Path, ...]:
    one = table.values.get(key)
    paths = (one,) if isinstance(one, str) else table.texts(key) or ()
    if "" in paths:
        raise table.fault(key, "holds an empty path")
    return tuple(home / Path(path).expanduser() for path in paths)


def _hosts(table: Table) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in table.texts("allow-hosts") or ())
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise table.fault("allow-hosts", f"{excerpt(host)} is no host such as example.org")
    return hosts


def _url(table: Table, key: str) -> str | None:
    text = table.get(key, str)
    return checked_base(text, f"{key} in config.toml") if text is not None else None


def _secret(table: Table, key: str) -> Secret | None:
    text = table.get(key, str)
    return Secret(text, name=f"{key} in config.toml") if text is not None else None


def config_dir(env: Mapping[str, str]) -> Path:
    """Return the folder of config.toml.

    Source: XDG Base Directory Specification; for macOS and Windows what platformdirs says.
    """
    return _own_dir(env, "COMFYLOCK_CONFIG_DIR", ("XDG_CONFIG_HOME", ".config"))


def cache_dir(env: Mapping[str, str]) -> Path:
    """Return the folder of the API cache; sources as for `config_dir`."""
    return _own_dir(env, "COMFYLOCK_CACHE_DIR", ("XDG_CACHE_HOME", ".cache"))


def _own_dir(env: Mapping[str, str], variable: str, xdg: tuple[str, str]) -> Path:
    if env.get(variable):
        return Path(env[variable]).expanduser()
    if sys.platform.startswith(("win", "darwin")):
        from platformdirs import PlatformDirs

        dirs = PlatformDirs("comfylock", appauthor=False)
        return dirs.user_cache_path if "CACHE" in variable else dirs.user_config_path
    # By hand: importing platformdirs costs more than all else that an install without work does.
    home_variable, below_home = xdg
    base = env.get(home_variable, "")
    if Path(base).is_absolute():
        return Path(base) / "comfylock"
    return Path(env.get("HOME") or Path("~").expanduser()) / below_home / "comfylock"
