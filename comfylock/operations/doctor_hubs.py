"""What `doctor` says of keys, hubs, the clock, proxies and the libraries beneath."""

import platform
import re
import time
from collections.abc import Iterator, Mapping
from importlib import metadata

from comfylock import __version__
from comfylock.errors import AuthRequiredError, FetchError
from comfylock.events import Silence
from comfylock.hubs import Site
from comfylock.keyrings import stored_key
from comfylock.names import quoted
from comfylock.operations.auth import Desk, Held, held
from comfylock.operations.findings import Finding, Health
from comfylock.session import Session
from comfylock.web.account import Account, Answer, ask_account
from comfylock.web.origins import host_of
from comfylock.web.wire import proxy_of

#: Signed addresses are short-lived, and certificates have dates.
_CLOCK_WARNING_S = 60
_CLOCK_PROBLEM_S = 24 * 3600

_TITLES = {Site.CIVITAI: "Civitai", Site.HUGGINGFACE: "Hugging Face"}
_WITHOUT = {
    Site.CIVITAI: "most downloads need one",
    Site.HUGGINGFACE: "only repositories with a licence to accept need one",
}


def examine_keys(session: Session) -> Iterator[Finding]:
    """Say for each hub which key counts; no key itself is told.

    Raises:
        ConfigInvalidError: a key is none, or config.toml cannot be read.
    """
    desk = Desk(environment=session.environment, reporter=Silence(), offline=True)
    _ = session.hub  # a variable that holds no key is told before anything else
    for site in Site:
        yield from _key(held(desk, site))


def _key(found: Held) -> Iterator[Finding]:
    title = _TITLES[found.site]
    if found.fault is not None:
        yield _warning("keys", found.fault, "Unlock it, or use a variable")
    if found.exposed:
        path = found.config_path
        fix = f"Run `chmod 600 {quoted(str(path))}`"
        yield _warning("keys", f"others can read the key in {path}", fix)
    if found.counts is not None:
        yield Finding(area="keys", message=f"{title}: the key in {found.counts} counts")
    elif found.site is Site.CIVITAI:
        fix = "Run `comfylock auth login`, or set CIVITAI_TOKEN"
        yield _warning("keys", f"{title}: no key; {_WITHOUT[found.site]}", fix)
    else:
        yield Finding(area="keys", message=f"{title}: no key; {_WITHOUT[found.site]}")


def examine_hubs(session: Session) -> Iterator[Finding]:
    """Ask the hubs: whose keys are these, and what time is it?

    Raises:
        ConfigInvalidError: a key is none, or config.toml cannot be read.
    """
    times: list[tuple[str, float]] = []
    for site in Site:
        key = session.hub.key(site) or stored_key(site)
        hub = session.hub.with_only_key(site, key)
        try:
            answer = ask_account(site, hub, session.environment, session.reporter)
        except FetchError as error:
            yield Finding(
                area="network", health=Health.PROBLEM, message=error.message, fix=error.hint
            )
            continue
        if answer.server_time_s is not None:
            times.append((host_of(hub.url(site)), answer.server_time_s - time.time()))
        yield _answer(site, answer, has_key=key is not None)
    yield from _clock(times)


def _answer(site: Site, answer: Answer, *, has_key: bool) -> Finding:
    title, account = _TITLES[site], answer.account
    if isinstance(account, Account):
        if account.restriction is not None:
            message = f"{title}: the account {account.name} is {account.restriction}"
            return _warning("keys", message, f"Ask {title} why")
        return Finding(area="keys", message=f"{title} accepts the key of {account.name}")
    if not has_key and isinstance(account, AuthRequiredError):
        return Finding(area="network", message=f"{title} answers")
    area = "keys" if isinstance(account, AuthRequiredError) else "network"
    return Finding(area=area, health=Health.PROBLEM, message=account.message, fix=account.hint)


def _clock(times: list[tuple[str, float]]) -> Iterator[Finding]:
    """Compare this machine's clock with those of the hubs; the one that agrees best counts."""
    if not times:
        return
    host, ahead_s = min(times, key=lambda one: abs(one[1]))
    off_s = abs(ahead_s)
    if off_s < _CLOCK_WARNING_S:
        yield Finding(area="clock", message=f"agrees with {host}")
        return
    word = "behind" if ahead_s > 0 else "ahead"
    yield Finding(
        area="clock",
        health=Health.PROBLEM if off_s >= _CLOCK_PROBLEM_S else Health.WARNING,
        message=f"this machine's clock is {off_s:.0f} s {word} of {host}",
        fix="Set it: certificates and signed addresses are refused at a wrong time",
    )


def examine_proxy(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Say through which proxy https goes; its password is not told.

    Raises:
        ConfigInvalidError: it is of a kind that is not supported.
    """
    proxy = proxy_of(environment)
    where = "directly" if proxy is None else f"through the proxy {host_of(proxy)}"
    yield Finding(area="network", message=f"https goes {where}")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if environment.get(name):
            yield Finding(area="network", message=f"certificates are those of {name}")


def examine_versions() -> Iterator[Finding]:
    """Say which Python and libraries run; a library that is missing is a problem."""
    yield Finding(
        area="versions",
        message=f"comfylock {__version__}, Python {platform.python_version()},"
        f" {platform.system()} {platform.machine()}",
    )
    found: list[str] = []
    for name in _libraries():
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            fix = "Install comfylock again into an environment of its own"
            yield Finding(
                area="versions", health=Health.PROBLEM, message=f"{name} is missing", fix=fix
            )
    if found:
        yield Finding(area="versions", message=", ".join(found))


def _libraries() -> list[str]:
    """Return what comfylock needs, by its own metadata; extras are left out."""
    try:
        needed = metadata.requires("comfylock") or []
    except metadata.PackageNotFoundError:
        return []
    names = [re.match(r"[A-Za-z0-9._-]+", line) for line in needed if "extra ==" not in line]
    return [name[0] for name in names if name is not None]


def _warning(area: str, message: str, fix: str) -> Finding:
    return Finding(area=area, health=Health.WARNING, message=message, fix=fix)
