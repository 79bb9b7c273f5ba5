"""Keys written into the user's own config.toml; comments and order survive, others cannot read it.

The file is made, and kept, with mode 0600: the bytes of a key are never in a file that others may
open, not even for a moment.
"""

import os
import stat
import tomllib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, cast

from comfylock.config import CONFIG_FILE
from comfylock.errors import ConfigInvalidError, PermissionDeniedError
from comfylock.hubs import Secret, Site
from comfylock.writing import write_text

_PRIVATE = 0o600


def read_user_text(path: Path) -> str:
    """Return the file's text; nothing where there is no such file.

    Raises:
        ConfigInvalidError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalidError(f"{path} cannot be read") from error


def write_user_text(path: Path, text: str) -> None:
    """Write the file so that only its owner can read it; its folder is made where it is missing.

    Raises:
        PermissionDeniedError: the file belongs to somebody else.
        PlaceError: as the disk has it; nothing was changed.
    """
    _require_ours(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if others_can_read(path):
            path.chmod(_PRIVATE)
    except OSError as error:
        raise PermissionDeniedError(
            f"{path} was not written: {error.strerror}", hint="Check who owns its folder"
        ) from error
    write_text(path, text, mode=_PRIVATE)


def others_can_read(path: Path) -> bool:
    """Say whether a file is there that somebody else but its owner may read."""
    if os.name == "nt":
        return False  # access lists decide there, and a user's own folder is private
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def with_key(text: str, site: Site, key: Secret | None) -> str:
    """Return the file's text with a site's key, or without one; all else stays as it is.

    Raises:
        ConfigInvalidError: the text is no TOML, or cannot be edited.
    """
    from tomlkit import parse
    from tomlkit.exceptions import TOMLKitError

    ending = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    name = f"{site}-key"
    try:
        wanted = tomllib.loads(text)
        document = parse(text)
        _set(wanted, name, key)
        _set(cast("MutableMapping[str, Any]", document), name, key)
        found = document.as_string()
        # What cannot be parsed may hold a key: no fault of a parser is told or chained.
        agrees = tomllib.loads(found) == wanted
    except (TOMLKitError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        agrees, found = False, ""
    if not agrees:
        raise ConfigInvalidError(
            f"{CONFIG_FILE} cannot be edited",
            hint=f"Repair it, or write {name} into it by hand and run `chmod 600` on it",
        )
    return found.replace("\n", ending)


def _set(values: MutableMapping[str, Any], name: str, key: Secret | None) -> None:
    if key is not None:
        values[name] = key.reveal()
    elif name in values:
        del values[name]


def _require_ours(path: Path) -> None:
    if os.name == "nt":
        return
    try:
        owner = path.stat().st_uid
    except OSError:
        return  # not there yet, or writing will say what is wrong
    if owner != os.geteuid():
        raise PermissionDeniedError(
            f"{path} belongs to another user; no key was written into it",
            hint="Name a folder of your own with COMFYLOCK_CONFIG_DIR",
        )
