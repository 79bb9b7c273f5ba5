"""Where comfy.lock and the models folders are on this machine, before anything is opened."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from comfylock.config import UserConfig
from comfylock.directories import ModelDirectories, find_models_dirs, open_directories

LOCK_FILE = "comfy.lock"
PROJECT_FILE = "comfylock.toml"


def find_lock(directory: Path, lockfile: Path | None) -> Path:
    """Return where comfy.lock is, or will be: the nearest upward that is there, else right here.

    Args:
        directory: where the command works, absolute.
        lockfile: the file that the user names, which is then the one.
    """
    if lockfile is not None:
        return Path(os.path.abspath(directory / lockfile))  # noqa: PTH100 - "..", but not links
    for folder in (directory, *directory.parents):
        if folder != directory and _is_shared(folder):
            continue
        if (folder / LOCK_FILE).exists() or (folder / PROJECT_FILE).is_file():
            return folder / LOCK_FILE
    return directory / LOCK_FILE


def _is_shared(folder: Path) -> bool:
    """Say whether everybody may write there, as in /tmp: a lock there may be anybody's."""
    try:
        return bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return True


def find_directories(
    directory: Path,
    models_dirs: Sequence[Path],
    extra_model_paths: Sequence[Path],
    *,
    environment: Mapping[str, str],
    user: UserConfig,
    base: Path,
) -> ModelDirectories:
    """Return the models folders that flags, environment, the user's file or the disk name.

    Args:
        directory: what relative flags are relative to.
        models_dirs: folders that flags name.
        extra_model_paths: files that flags name.
        environment: variables of the process.
        user: what the user's own file says.
        base: the folder of comfy.lock, where a search for ComfyUI begins.

    Raises:
        ModelsDirMissingError: none is known, or a named one is not there.
        PathMissingError, ConfigInvalidError: of an extra_model_paths.yaml.
    """
    flags = [directory / path for path in models_dirs]
    found = find_models_dirs(flags, environment, user.models_dirs, base)
    extra = [directory / path for path in extra_model_paths]
    return open_directories(found, [*user.extra_model_paths, *extra])
