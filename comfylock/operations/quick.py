"""The quick way to "nothing to do": a receipt of the last install that found nothing to do.

Imports little and opens nothing: it is what most installs in CI and at start-up come to.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from comfylock import __version__
from comfylock.config import cache_dir, config_dir, read_user_config
from comfylock.directories import ModelDirectories
from comfylock.disk.receipt import digest_of, models_still_right, receipt_path
from comfylock.errors import ComfylockError
from comfylock.places import find_directories, find_lock


def models_known_right(
    directory: Path,
    lockfile: Path | None,
    models_dirs: Sequence[Path],
    extra_model_paths: Sequence[Path],
    *,
    environment: Mapping[str, str],
    manner: str,
) -> int | None:
    """Return how many models are known to be in place, ``None`` to look the ordinary way.

    Args:
        directory: where the command works, absolute.
        lockfile: `--lockfile`.
        models_dirs: `--models-dir`.
        extra_model_paths: `--extra-model-paths`.
        environment: variables of the process.
        manner: how the install was asked for, where that decides what counts.
    """
    lock_path = find_lock(directory, lockfile)
    path = receipt_path(cache_dir(environment), lock_path, manner)
    if not path.exists():
        return None
    try:
        text = lock_path.read_bytes()
        directories = find_directories(
            directory,
            models_dirs,
            extra_model_paths,
            environment=environment,
            user=read_user_config(config_dir(environment) / "config.toml"),
            base=lock_path.parent,
        )
    except (OSError, ComfylockError):
        return None  # the ordinary way says what is wrong
    return models_still_right(path, circumstances(text, directories, environment))


def circumstances(
    lock_text: bytes, directories: ModelDirectories, environment: Mapping[str, str]
) -> str:
    """Return a digest of what an answer rests on besides files."""
    variables = sorted(
        f"{name}={value}" for name, value in environment.items() if name.startswith("COMFYLOCK_")
    )
    folders = (directories.primary, *directories.others, directories.output or "")
    extra = (f"{one.folder}={one.directory}={one.is_default}" for one in directories.extra)
    return digest_of(
        [__version__, lock_text, os.sep, *variables, "", *map(str, folders), "", *extra]
    )
