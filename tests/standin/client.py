"""A client that hides nothing: one request a connection, no redirect followed, no retry."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

AGENT: Final = {"User-Agent": "comfylock-test/1"}
"""Sent unless told otherwise: the default agents of Python's libraries are blocked."""
KEY: Final = {"Authorization": "Bearer standin-key"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Parse the body, raw control characters and all."""
        return json.loads(self.body, strict=False)


def ask(
    address: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
) -> Reply:
    """Send one request and read the whole answer."""
    with opened(address, method=method, headers=headers, body=body) as answer:
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, answer.read())


@contextmanager
def opened(
    address: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    timeout_s: float = 5.0,
) -> Iterator[http.client.HTTPResponse]:
    """Send one request and give the answer with its body unread."""
    parts = urlsplit(address)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    with closing(http.client.HTTPConnection(parts.netloc, timeout=timeout_s)) as connection:
        connection.request(method, target, body or None, AGENT | (headers or {}))
        with connection.getresponse() as answer:
            yield answer
