"""What of a lock goes into an export, and what does not and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from comfylock.artifacts import CivitaiSource, Source, UrlSource
from comfylock.errors import Problem
from comfylock.exports.links import download_address
from comfylock.hubs import Hub, may_fetch
from comfylock.lockfile.model import Pin
from comfylock.names import quoted
from comfylock.settings import Formats


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What the user allows to be fetched.

    Attributes:
        formats: for pickle formats.
        allowed_hosts: hosts of plain addresses.
    """

    formats: Formats
    allowed_hosts: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One model that another tool can fetch.

    Attributes:
        pin: the lock's entry.
        addresses: where its bytes are, in the order to be tried; never empty.
        on_civitai: one of them is Civitai's, which may ask for a key.
    """

    pin: Pin
    addresses: tuple[str, ...]
    on_civitai: bool


def fetchable(
    pins: Iterable[Pin], hub: Hub, trust: Trust
) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """Return the pins that may be fetched, in their order, and why the others may not."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for pin in pins:
        sources = [source for source in pin.sources if _is_allowed(source, trust)]
        problem = _refusal(pin, sources, trust)
        if problem is not None:
            problems.append(problem)
            continue
        entries.append(
            Entry(
                pin=pin,
                addresses=tuple(download_address(source, hub) for source in sources),
                on_civitai=any(isinstance(source, CivitaiSource) for source in sources),
            )
        )
    return tuple(entries), tuple(problems)


def without_source(pins: Iterable[Pin]) -> tuple[Problem, ...]:
    """Return a problem for each pin that no source is known of."""
    return tuple(_no_source(pin) for pin in pins if not pin.sources)


def _is_allowed(source: Source, trust: Trust) -> bool:
    return not isinstance(source, UrlSource) or may_fetch(source.url, trust.allowed_hosts)


def _host(source: UrlSource) -> str:
    return urlsplit(source.url).hostname or ""


def _refusal(pin: Pin, allowed: Sequence[Source], trust: Trust) -> Problem | None:
    if trust.formats is Formats.DENY and pin.may_run_code:
        return Problem(
            slug="unsafe-format",
            ref=pin.key,
            message=f"{pin.key} may run code when it is loaded, and the settings deny such formats",
            hint='Set formats = "warn" below [lock] in comfylock.toml if you trust it',
        )
    if not pin.sources:
        return _no_source(pin)
    if not allowed:
        host = next(_host(source) for source in pin.sources if isinstance(source, UrlSource))
        return Problem(
            slug="host-not-allowed",
            ref=pin.key,
            message=f"{pin.key} comes from {host}, which you have not allowed",
            hint=f'Add allow-hosts = ["{host}"] to your user config if you trust it',
        )
    return None


def _no_source(pin: Pin) -> Problem:
    return Problem(
        slug="no-source",
        ref=pin.key,
        message=f"{pin.key} is pinned by hash alone: nobody knows where to fetch it",
        hint=f"Name a place with `comfylock pin {quoted(pin.key)} SPEC`, or copy the file by hand",
    )
