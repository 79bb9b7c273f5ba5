"""The system's keyring, by way of the optional package `keyring`: used where it is there and works.

Nothing here is imported or asked before a request needs a key that no variable and no file holds,
or the user says `auth`: keyrings are slow to open and may ask the user for a password.
"""

import importlib
from typing import Protocol, cast

from comfylock.errors import CannotWorkError, ConfigInvalidError
from comfylock.hubs import Secret, Site

#: Under which name the keys lie in the keyring; the user name there is the site's.
SERVICE = "comfylock"


class KeyringError(CannotWorkError):
    """The keyring is locked, or does not do what it was asked for."""

    slug = "keyring"


class _Backend(Protocol):
    """What is used of the package's backends; a lower priority than 1 stands for none."""

    priority: float

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


class Keyring:
    """A keyring that can be asked.

    Args:
        backend: what the package has chosen for this system.
        faults: what it raises.
    """

    def __init__(self, backend: _Backend, faults: tuple[type[Exception], ...]) -> None:
        self._backend = backend
        self._faults = faults

    def get(self, site: Site) -> Secret | None:
        """Return the key for a site, ``None`` where there is none.

        Raises:
            KeyringError: it cannot be read.
            ConfigInvalidError: what it holds is no key.
        """
        try:
            text = self._backend.get_password(SERVICE, site)
        except self._faults as error:
            raise _failed("read", error) from error
        return Secret(text, name=f"the key for {site} in the keyring") if text else None

    def put(self, site: Site, key: Secret) -> None:
        """Keep a key.

        Raises:
            KeyringError: it is not kept.
        """
        try:
            self._backend.set_password(SERVICE, site, key.reveal())
        except self._faults as error:
            raise _failed("written", error) from error

    def remove(self, site: Site) -> bool:
        """Remove the key for a site; say whether there was one.

        Raises:
            KeyringError: it may still be there.
        """
        try:
            if not self._backend.get_password(SERVICE, site):
                return False
            self._backend.delete_password(SERVICE, site)
        except self._faults as error:
            raise _failed("changed", error) from error
        return True


def open_keyring() -> Keyring | None:
    """Return the system's keyring; ``None`` without the package, or where it finds no keyring.

    Source: keyring 25, ``backend.py`` (priority) and ``backends/fail.py``, ``backends/null.py``
    (priorities 0 and -1).
    """
    try:
        package = importlib.import_module("keyring")
        errors = importlib.import_module("keyring.errors")
    except ImportError:
        return None
    faults = (cast("type[Exception]", errors.KeyringError), OSError, RuntimeError)
    try:
        backend = cast("_Backend", package.get_keyring())
        works = backend.priority > 0
    except faults:
        return None
    return Keyring(backend, faults) if works else None


def stored_key(site: Site) -> Secret | None:
    """Return the key that the keyring holds for a site; a keyring that fails holds none.

    A request goes on without it: most of them need no key, and the answer says if one does.
    """
    try:
        keyring = open_keyring()
        return keyring.get(site) if keyring is not None else None
    except (KeyringError, ConfigInvalidError):
        return None


def _failed(act: str, error: Exception) -> KeyringError:
    # What the package raises may repeat what it was given: only the kind of fault is told.
    return KeyringError(
        f"the keyring cannot be {act} ({type(error).__name__})",
        hint="Unlock it, or set CIVITAI_TOKEN or HF_TOKEN",
    )
