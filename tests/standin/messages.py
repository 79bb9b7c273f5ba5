"""A request and an answer as values, between the sockets and the decisions."""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from tests.standin.payload import Payload

JSON_TYPE: Final = "application/json; charset=utf-8"
HTML_TYPE: Final = "text/html; charset=utf-8"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a client sent; header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def params(self) -> dict[str, list[str]]:
        """The query's values by name, in the order given; blank values count."""
        return parse_qs(self.query, keep_blank_values=True)

    def param(self, name: str) -> str | None:
        """Return the first value of a parameter."""
        values = self.params.get(name)
        return values[0] if values else None

    @property
    def origin(self) -> str:
        """This server as the client called it."""
        return f"http://{self.headers.get('host', '127.0.0.1')}"


class Body(Protocol):
    """Bytes of a known number, to be sent in pieces."""

    @property
    def length(self) -> int: ...

    def blocks(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Text:
    """A body held in memory."""

    content: bytes

    @property
    def length(self) -> int:
        """The number of bytes."""
        return len(self.content)

    def blocks(self) -> Iterator[bytes]:
        """Yield the content once."""
        yield self.content


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A part of a file's bytes, produced while it is sent."""

    payload: Payload
    start: int
    stop: int

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.stop - self.start

    def blocks(self) -> Iterator[bytes]:
        """Yield the part a block at a time."""
        return self.payload.blocks(self.start, self.stop)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the server says; Content-Length is added when it is sent."""

    status: int
    headers: Headers = ()
    body: Body = field(default_factory=lambda: Text(b""))

    def header(self, name: str) -> str | None:
        """Return a header's value, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def with_headers(headers: Headers, changes: dict[str, str | None]) -> Headers:
    """Replace or add headers; None removes one."""
    lower = {name.lower() for name in changes}
    kept = tuple(pair for pair in headers if pair[0].lower() not in lower)
    return kept + tuple((name, value) for name, value in changes.items() if value is not None)


def json_answer(status: int, document: Any, headers: Headers = ()) -> Answer:
    """Answer with JSON as the site writes it.

    Control characters in names go out raw, which strict parsers refuse: the official client met
    that (civitai/cli, issues 525 and 526). Line feeds and tabs stay escaped.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    raw = re.sub(r"(?<!\\)\\u00([01][0-9a-f])", lambda found: chr(int(found[1], 16)), text)
    return Answer(
        status=status, headers=(("Content-Type", JSON_TYPE), *headers), body=Text(raw.encode())
    )


def shuffled(answer: Answer, seed: int) -> Answer:
    """Return a JSON answer with its lists of models, versions and files in another order.

    The site has no order for files and for the elements of a batch; that of models changes with
    every thumb, and the creator may rearrange versions at will.
    """
    if not (answer.header("content-type") or "").startswith("application/json"):
        return answer
    document = json.loads(b"".join(answer.body.blocks()), strict=False)
    headers = tuple(pair for pair in answer.headers if pair[0] != "Content-Type")
    return json_answer(answer.status, _mixed(document, random.Random(seed)), headers)


def _mixed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        mixed = [_mixed(one, chance) for one in value]
        chance.shuffle(mixed)
        return mixed
    if isinstance(value, dict):
        kept = {"items", "modelVersions", "files"}
        return {key: _mixed(one, chance) if key in kept else one for key, one in value.items()}
    return value


def html_answer(status: int, html: str, headers: Headers = ()) -> Answer:
    """Answer with a page."""
    return Answer(
        status=status, headers=(("Content-Type", HTML_TYPE), *headers), body=Text(html.encode())
    )
