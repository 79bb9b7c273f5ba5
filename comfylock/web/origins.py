"""Where a request may go, and which key goes with it.

Rules: https only, plain http only to this machine itself; no user name, port trick, backslash or
control character in an address; a key belongs to exact origins (scheme, host, port) and to nothing
that merely looks like one. The host that is compared is the host that the HTTP client connects to:
the same parser reads both.

Sources: Civitai's site split (civitai.com, .red and .green share one API and its keys;
``b2.civitai.com`` is a storage host that rejects a key), RFC 3986 (authority).
"""

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from comfylock.errors import HostNotAllowedError
from comfylock.hubs import Hub, Secret, Site, is_loopback
from comfylock.names import shown

if TYPE_CHECKING:
    import httpx

#: Hosts of one and the same Civitai API; storage hosts below civitai.com are not among them.
CIVITAI_HOSTS = frozenset({"civitai.com", "www.civitai.com", "civitai.red", "civitai.green"})
HUGGING_FACE_HOSTS = frozenset({"huggingface.co"})

_PORTS = {"https": 443, "http": 80}
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://([^/?#]*)")
_PLAIN_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(:[0-9]{1,5})?")


class Origin(NamedTuple):
    """The part of an address that decides who answers; the port is never left out."""

    scheme: str
    host: str
    port: int


def hub_keys(hub: Hub) -> dict[Origin, Secret]:
    """Return the origins that each key may be sent to: the hub's own hosts and a configured base.

    Raises:
        HostNotAllowedError: a configured base is no address that comfylock would ask.
    """
    keys: dict[Origin, Secret] = {}
    for site in Site:
        key = hub.key(site)
        if key is not None:
            keys |= dict.fromkeys(key_origins(hub, site), key)
    return keys


def key_origins(hub: Hub, site: Site) -> tuple[Origin, ...]:
    """Return the origins that a site's key may be sent to, and nowhere else.

    Raises:
        HostNotAllowedError: as `hub_keys`.
    """
    hosts = CIVITAI_HOSTS if site is Site.CIVITAI else HUGGING_FACE_HOSTS
    known = [Origin("https", host, 443) for host in sorted(hosts)]
    return (*known, origin_of(checked_address(hub.url(site))))


def checked_address(text: str) -> "httpx.URL":
    """Return an address, parsed, that a request may go to.

    Raises:
        HostNotAllowedError: it breaks one of the rules that this module opens with.
    """
    import httpx

    _refuse_odd_text(text)
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _refusal(text, "it is no valid address") from error
    if url.scheme not in _PORTS or not url.host:
        raise _refusal(text, "only https addresses are fetched")
    if url.scheme == "http" and not is_loopback(url.host):
        raise _refusal(text, "plain http is accepted only for this machine itself")
    return url


def next_address(current: "httpx.URL", location: str) -> "httpx.URL":
    """Return where a redirect leads.

    Raises:
        HostNotAllowedError: to another scheme, a tricky address, or from outside into the
            private network.
    """
    import httpx

    _refuse_odd_text(location)
    try:
        joined = current.join(location)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _refusal(location, "it is no valid address") from error
    url = checked_address(str(joined))
    if not is_loopback(current.host) and not _is_public(url.host):
        raise _refusal(str(url), f"{current.host} redirected to a private address")
    return url


def origin_of(url: "httpx.URL") -> Origin:
    """Return the origin of a checked address."""
    return Origin(url.scheme, url.host, url.port or _PORTS[url.scheme])


def host_of(address: str) -> str:
    """Return the host of an address for a message; never its path, query or user name."""
    try:
        return shown(urlsplit(address).hostname or "the address")
    except ValueError:
        return "the address"


def place_of(address: str) -> str:
    """Return who is asked: host and port, as two servers may share a host."""
    try:
        parts = urlsplit(address)
        return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 0)}"
    except ValueError:
        return address


def keys_hidden(text: str, keys: Mapping[Origin, Secret]) -> str:
    """Return a foreign text without any of our keys in it."""
    for key in keys.values():
        text = text.replace(key.reveal(), "***")
    return text


def _refuse_odd_text(text: str) -> None:
    if any(c in "\\ " or unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text):
        raise _refusal(text, "it holds a space, a backslash or a control character")
    authority = _AUTHORITY.match(text) or re.match(r"//([^/?#]*)", text)
    if authority and not _PLAIN_AUTHORITY.fullmatch(authority.group(1)):
        raise _refusal(text, "its host is written in a way that is not accepted")


def _is_public(host: str) -> bool:
    address = _ip_address(host)
    if address is not None:
        return address.is_global and not address.is_multicast
    # "127.1" and "0x7f.1" are addresses to the system's resolver and names to a parser.
    return host != "localhost" and not re.fullmatch(r"(0[xX][0-9a-fA-F]*|\d+)", _last_label(host))


def _last_label(host: str) -> str:
    return host.rstrip(".").rpartition(".")[2]


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _refusal(address: str, reason: str) -> HostNotAllowedError:
    scheme_and_host = shown(address.partition("?")[0].rpartition("@")[2])[:120]
    return HostNotAllowedError(
        f"{scheme_and_host!r} is not fetched: {reason}",
        hint="Use an https address without a user name in it",
    )
