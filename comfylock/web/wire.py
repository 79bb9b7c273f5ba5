"""The one HTTP client: its TLS, its proxy, its patience, and its faults in our own words.

Nothing is taken from the process environment behind our back (netrc, proxy variables, cookies):
what counts is passed in. Plain http is spoken only to this machine itself, so ``HTTP_PROXY`` has
no say; ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` have.
"""

import logging
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from comfylock import __version__
from comfylock.errors import ConfigInvalidError, FetchError, NetworkError
from comfylock.web.body import STALL_S
from comfylock.web.faults import NoAnswerError, shown_text
from comfylock.web.origins import host_of

if TYPE_CHECKING:
    import httpx

#: Browser words here would make Civitai answer with pages, a library's default name with 403.
USER_AGENT = f"comfylock/{__version__} (model lock and install)"

_CONNECT_S = 15.0
_CONNECTIONS = 32


def open_client(environment: Mapping[str, str]) -> "httpx.Client":
    """Return a client that follows nothing, keeps no cookie and speaks HTTP/1.1 only.

    Raises:
        ConfigInvalidError: a proxy or certificate setting cannot be used.
    """
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they log whole addresses
    context = _tls_context(environment)
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=16)
    return httpx.Client(
        verify=context,
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        limits=limits,
        timeout=httpx.Timeout(STALL_S, connect=_CONNECT_S, pool=600.0),
        headers={"User-Agent": USER_AGENT},
        mounts=_mounts(environment, context, limits),
    )


def proxy_of(environment: Mapping[str, str]) -> str | None:
    """Return the proxy for https, or ``None``; it may hold a password.

    Raises:
        ConfigInvalidError: it is of a kind that is not supported.
    """
    proxy = _setting(environment, "https_proxy") or _setting(environment, "all_proxy")
    if not proxy:
        return None
    address = proxy if "://" in proxy else f"http://{proxy}"
    if not address.startswith(("http://", "https://")):
        raise ConfigInvalidError(
            f"the proxy {host_of(address)} is of a kind that comfylock does not speak",
            hint="Set HTTPS_PROXY to an http:// or https:// address",
        )
    return address


@contextmanager
def told_by(host: str) -> Generator[None]:
    """Translate every fault of the HTTP library into a `NetworkError` that names the host.

    Raises:
        NoAnswerError: the network failed in a way that may pass.
        NetworkError: the certificate is not accepted, or the request could not be made at all.
    """
    import httpx

    try:
        yield
    except httpx.ConnectTimeout as error:
        raise NoAnswerError(f"{host} did not answer within {_CONNECT_S:.0f} s") from error
    except httpx.TimeoutException as error:
        raise NoAnswerError(f"{host} sent nothing for {STALL_S:.0f} s") from error
    except httpx.ConnectError as error:
        raise _connect_fault(host, str(error)) from error
    except httpx.RemoteProtocolError as error:
        raise NoAnswerError(f"{host} broke off or sent what is not HTTP: {error}") from error
    except httpx.HTTPError as error:
        reason = shown_text(str(error)) or type(error).__name__
        raise NoAnswerError(f"the connection to {host} failed: {reason}") from error
    except (httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
        raise NetworkError(f"{host} could not be asked ({type(error).__name__})") from error


def _connect_fault(host: str, reason: str) -> FetchError:
    if "CERTIFICATE" in reason.upper():
        return NetworkError(
            f"the certificate of {host} is not accepted: {shown_text(reason)}",
            hint="Check this machine's clock, and SSL_CERT_FILE if a company proxy is in between",
        )
    return NoAnswerError(
        f"{host} cannot be reached: {shown_text(reason)}",
        hint="Check the network and the proxy settings, or use `--offline`",
    )


def _tls_context(environment: Mapping[str, str]) -> ssl.SSLContext:
    import httpx

    file, directory = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    if not file and not directory:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=file or None, capath=directory or None)
    except OSError as error:
        raise ConfigInvalidError(
            f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error.strerror or error}",
            hint="Let it name a file of certificates in PEM form",
        ) from error


def _mounts(
    environment: Mapping[str, str], context: ssl.SSLContext, limits: "httpx.Limits"
) -> "dict[str, httpx.BaseTransport | None]":
    import httpx

    proxy = proxy_of(environment)
    if proxy is None:
        return {}
    try:
        through = httpx.HTTPTransport(
            verify=context, trust_env=False, limits=limits, proxy=httpx.Proxy(proxy)
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigInvalidError("the proxy address cannot be understood") from error
    direct: dict[str, httpx.BaseTransport | None] = dict.fromkeys(
        _direct_patterns(_setting(environment, "no_proxy"))
    )
    return {"https://": through, **direct}


def _direct_patterns(no_proxy: str) -> list[str]:
    """Return the addresses that no proxy serves; this machine itself is always among them."""
    hosts = [host.strip().lstrip("*") for host in no_proxy.split(",")]
    if "" in hosts and "*" in no_proxy.split(","):
        return ["all://"]
    patterns = ["all://localhost", "all://127.0.0.1", "all://[::1]"]
    for host in filter(None, hosts):
        bare = host.lstrip(".")
        patterns += (
            [f"all://{bare}", f"all://*.{bare}"] if bare[:1].isalpha() else [f"all://{bare}"]
        )
    return patterns


def _setting(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "") or environment.get(name.upper(), "")
