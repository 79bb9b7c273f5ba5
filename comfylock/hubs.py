"""The two hubs that models come from: their base addresses and the user's keys.

Plain http is accepted only for this machine itself, where tests and mirrors listen. A key shows
itself as ``***`` wherever it is printed; messages about a bad one do not repeat it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from urllib.parse import urlsplit

from comfylock.errors import ConfigInvalidError

CIVITAI_URL = "https://civitai.com"
HUGGINGFACE_URL = "https://huggingface.co"

#: Other tools' names for the same key are accepted; the first that is set counts.
CIVITAI_KEY_VARIABLES = ("CIVITAI_TOKEN", "CIVITAI_API_KEY", "CIVITAI_API_TOKEN")
HUGGINGFACE_KEY_VARIABLES = ("HF_TOKEN",)

_LOOPBACK_V4 = re.compile(r"127(\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}")
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")


class Site(StrEnum):
    """A hub, as the user names it."""

    CIVITAI = "civitai"
    HUGGINGFACE = "huggingface"


#: Where a person makes a key.
KEY_PAGES = {
    Site.CIVITAI: "https://civitai.com/user/account",
    Site.HUGGINGFACE: "https://huggingface.co/settings/tokens",
}


class Reuse(Enum):
    """Which answers of a hub that were kept before serve without asking again."""

    DAY = "those of the last day"
    MOMENT = "those of a moment ago"
    ALWAYS = "all"
    NEVER = "none but those of this run, and also none where a hub fails"


class Secret:
    """A key that cannot be printed by accident.

    Blanks around it are dropped, as they come along when a key is copied.

    Args:
        text: the key.
        name: where it comes from, for the message.

    Raises:
        ConfigInvalidError: it is empty or holds a blank or a character outside ASCII, so that no
            header could carry it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str, *, name: str = "the key") -> None:
        self._text = text.strip()
        if not _KEY.fullmatch(self._text):
            raise ConfigInvalidError(
                f"{name} is empty or holds a blank or a character outside ASCII",
                hint="Copy the key again, without quotes around it",
            )

    def reveal(self) -> str:
        """Return the key itself, for the one header that it belongs into."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    """Where the hubs are, and the user's keys for them.

    Attributes:
        civitai_url: base address without a slash at its end.
        huggingface_url: likewise.
        civitai_key: ``None`` when the user has given none.
        huggingface_key: likewise.
    """

    civitai_url: str = CIVITAI_URL
    huggingface_url: str = HUGGINGFACE_URL
    civitai_key: Secret | None = None
    huggingface_key: Secret | None = None

    def url(self, site: Site) -> str:
        """Return a site's base address."""
        return self.civitai_url if site is Site.CIVITAI else self.huggingface_url

    def key(self, site: Site) -> Secret | None:
        """Return the key for a site."""
        return self.civitai_key if site is Site.CIVITAI else self.huggingface_key

    def with_only_key(self, site: Site, key: Secret | None) -> "Hub":
        """Return the same hubs with this key, or none, for a site, and no other."""
        is_civitai = site is Site.CIVITAI
        return replace(
            self,
            civitai_key=key if is_civitai else None,
            huggingface_key=None if is_civitai else key,
        )


def hub_from_environment(env: Mapping[str, str], otherwise: Hub | None = None) -> Hub:
    """Return the hubs as the environment names them; an empty variable counts as not set.

    Args:
        env: the environment's variables.
        otherwise: what the user's own file says, for what the environment does not.

    Raises:
        ConfigInvalidError: an address is no base address, or a key cannot be one.
    """
    fallback = otherwise or Hub()
    return Hub(
        civitai_url=_url(env, "COMFYLOCK_CIVITAI_URL", fallback.civitai_url),
        huggingface_url=_url(env, "HF_ENDPOINT", fallback.huggingface_url),
        civitai_key=_key(env, CIVITAI_KEY_VARIABLES) or fallback.civitai_key,
        huggingface_key=_key(env, HUGGINGFACE_KEY_VARIABLES) or fallback.huggingface_key,
    )


def key_variables(env: Mapping[str, str], site: Site) -> tuple[str, ...]:
    """Return the variables that hold a key for a site; the first is the one that counts."""
    names = CIVITAI_KEY_VARIABLES if site is Site.CIVITAI else HUGGINGFACE_KEY_VARIABLES
    return tuple(name for name in names if env.get(name, "").strip())


def _url(env: Mapping[str, str], variable: str, otherwise: str) -> str:
    text = env.get(variable, "").strip()
    return checked_base(text, variable) if text else otherwise


def _key(env: Mapping[str, str], variables: tuple[str, ...]) -> Secret | None:
    for variable in variables:
        if env.get(variable, "").strip():
            return Secret(env[variable], name=variable)
    return None


def checked_base(text: str, name: str) -> str:
    """Return a hub's base address without a slash at its end; `name` says where it stands.

    Raises:
        ConfigInvalidError: it is no https address (http for this machine), or holds more than a
            host, a port and a path.
    """
    complaint = _base_complaint(text)
    if complaint is not None:
        raise ConfigInvalidError(
            f"{name}: {complaint}", hint=f"Give an address such as {CIVITAI_URL}"
        )
    return text.rstrip("/")


def _base_complaint(text: str) -> str | None:
    if not re.fullmatch(r"[\x21-\x5b\x5d-\x7e]+", text):
        return "the address holds a blank, a backslash or a character outside ASCII"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the address cannot be understood"
    if "@" in parts.netloc:
        return "the address holds a user name or password"
    if not host or port == 0 or parts.query or parts.fragment:
        return "the address is no base address"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return "the address must begin with https://"
    return None


def may_fetch(url: str, allowed: frozenset[str]) -> bool:
    """Say whether a plain address may be fetched from.

    This machine needs the user's permission like any other: a lock comes from anywhere, and much
    that listens here takes a request from here for its owner's.

    Args:
        url: the address, as a lock may hold it.
        allowed: hosts in lower case; one with a port means that port alone.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return not allowed.isdisjoint({host, f"{host}:{parts.port}"})


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine itself, by its spelling alone."""
    return host.lower() in {"localhost", "::1"} or _LOOPBACK_V4.fullmatch(host) is not None
