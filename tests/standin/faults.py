"""Scripted faults: which requests one hits, and when.

A fault never draws lots: it hits the requests that match, after the first ``after``, ``times``
times. What it does to an answer is in ``delivery``.
"""

import re
import threading
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from tests.standin.messages import Request

Kind = Literal[
    "status",
    "html",
    "json",
    "headers",
    "reset",
    "truncate",
    "stall",
    "drip",
    "short",
    "long",
    "endless",
    "nolen",
    "flip",
    "ignore_range",
    "bad_content_range",
    "no_content_range",
    "etag_changes",
    "status_416",
    "expire",
    "redirect",
    "gzip",
    "extra_bytes",
    "wrong_file",
    "throttle",
    "delay",
]
Origin = Literal["api", "storage", "any"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One scripted fault.

    ``match`` is a regular expression, searched in the path and in the path with its query.
    """

    kind: Kind
    match: str = ""
    origin: Origin = "any"
    times: int | None = 1
    """How often it strikes; None is always."""
    after: int = 0
    """How many matching requests pass unharmed before."""
    needs_header: str | None = None
    """Only requests with this header match, for example ``range``."""

    status: int = 500
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Added to the answer, or replaced in it."""
    nbytes: int = 0
    """Bytes sent before the fault; for flip the place; for short, long, extra_bytes how many."""
    stall_s: float = 3600.0
    chunk: int = 1
    interval_s: float = 0.5
    location: str = ""
    """Where redirect leads; with ``chain`` only the last hop does. Empty: to itself, a loop."""
    chain: int = 0
    """How many hops on this server come before ``location``."""
    content_range: str = "bytes 1-2/3"
    encoding: str = "gzip"
    file_id: int | None = None
    """The file whose bytes wrong_file sends."""
    bytes_per_s: int | None = None
    """Speed of this answer, with any kind."""
    delay_s: float = 0.0
    """Pause before this answer, with any kind."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault: {self.kind}")
        if self.origin not in get_args(Origin):
            raise ValueError(f"unknown origin: {self.origin}")
        re.compile(self.match)

    def matches(self, origin: str, request: Request) -> bool:
        """Whether this fault is meant for a request."""
        if self.origin not in {"any", origin}:
            return False
        if self.needs_header is not None and self.needs_header.lower() not in request.headers:
            return False
        target = f"{request.path}?{request.query}" if request.query else request.path
        return any(re.search(self.match, text) for text in (request.path, target))


def fault_from_dict(document: dict[str, Any]) -> Fault:
    """Build a fault from JSON; TypeError on unknown fields."""
    return Fault(**document)


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    struck: int = 0


class FaultBook:
    """The faults that are armed; the first one that is due strikes."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Arm a fault, after those that are armed already."""
        with self._lock:
            self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()

    def strike(self, origin: str, request: Request) -> tuple[Fault, int] | None:
        """Return the fault for this request and how often it has struck; all matches count."""
        with self._lock:
            due = [one for one in self._armed if one.fault.matches(origin, request)]
            for one in due:
                one.seen += 1
            for one in due:
                fault = one.fault
                if one.seen > fault.after and (fault.times is None or one.struck < fault.times):
                    one.struck += 1
                    return fault, one.struck
        return None
