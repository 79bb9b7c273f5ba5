"""What goes over the wire: an answer, spoiled by a fault where one strikes.

``deliver`` turns an answer into a plan of bytes which the server then follows: all decisions are
here, all effects there.
"""

import gzip
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tests.standin.faults import Fault
from tests.standin.messages import (
    HTML_TYPE,
    Answer,
    Body,
    Headers,
    Request,
    Text,
    html_answer,
    json_answer,
    with_headers,
)
from tests.standin.storage import expired, not_satisfiable

_JUNK: Final = b"\x00junk that is no model\x00" * 2048
_DEFAULT_HTML: Final = "<!DOCTYPE html><html><body><h1>Just a moment...</h1></body></html>"


class Ending(StrEnum):
    """What becomes of the connection after the bytes."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """Bytes on the wire: what is promised, what is sent, how fast, and how it ends."""

    status: int
    headers: Headers
    blocks: Iterator[bytes]
    promised: int | None
    """Content-Length; None leaves it out."""
    ending: Ending = Ending.KEEP
    stall_s: float = 0.0
    chunk: int | None = None
    interval_s: float = 0.0
    bytes_per_s: int | None = None
    delay_s: float = 0.0


def changed_request(fault: Fault, request: Request) -> Request:
    """Return the request as a server with this fault understands it."""
    if fault.kind == "redirect":
        return replace(request, query=_without_hop(request.query))
    forgotten: set[str] = set()
    if fault.kind == "ignore_range":
        forgotten = {"range"}
    elif fault.kind == "etag_changes" and "if-range" in request.headers:
        forgotten = {"range", "if-range"}  # the condition fails, so the whole file comes
    kept = {name: value for name, value in request.headers.items() if name not in forgotten}
    return replace(request, headers=kept)


def changed_answer(fault: Fault, answer: Answer, request: Request, struck: int) -> Answer:
    """Return what this fault puts in place of the true answer."""
    change = _CHANGES.get(fault.kind)
    changed = answer if change is None else change(_Scene(fault, answer, request, struck))
    return replace(changed, headers=with_headers(changed.headers, dict(fault.headers)))


@dataclass(frozen=True, slots=True)
class _Scene:
    fault: Fault
    answer: Answer
    request: Request
    struck: int


def _status(scene: _Scene) -> Answer:
    body = scene.fault.body
    kind = "application/json" if body.startswith(("{", "[")) else HTML_TYPE
    headers = (("Content-Type", kind),)
    return Answer(status=scene.fault.status, headers=headers, body=Text(body.encode()))


def _html(scene: _Scene) -> Answer:
    return html_answer(200, scene.fault.body or _DEFAULT_HTML)


def _json(scene: _Scene) -> Answer:
    if not scene.fault.body:
        return json_answer(200, {"error": "An unexpected error occurred"})
    headers = (("Content-Type", "application/json"),)
    return Answer(status=200, headers=headers, body=Text(scene.fault.body.encode()))


def _bad_content_range(scene: _Scene) -> Answer:
    headers = {"Content-Range": scene.fault.content_range}
    return replace(
        scene.answer, status=206, headers=with_headers(scene.answer.headers, dict(headers))
    )


def _no_content_range(scene: _Scene) -> Answer:
    headers = with_headers(scene.answer.headers, {"Content-Range": None})
    return replace(scene.answer, headers=headers)


def _etag_changes(scene: _Scene) -> Answer:
    headers = with_headers(scene.answer.headers, {"ETag": f'"changed-{scene.struck}"'})
    return replace(scene.answer, headers=headers)


def _status_416(scene: _Scene) -> Answer:
    return not_satisfiable(_whole_size(scene.answer))


def _whole_size(answer: Answer) -> int:
    text = answer.header("content-range")
    return answer.body.length if text is None else int(text.rpartition("/")[2])


def _expire(scene: _Scene) -> Answer:
    return expired("b2" if scene.request.path.startswith("/file/") else "r2")


def _redirect(scene: _Scene) -> Answer:
    """Lead along the chain by counting hops in the query; without chain or place, in a circle."""
    fault, request = scene.fault, scene.request
    hops = int(request.param("hop") or 0)
    if hops < fault.chain or not (fault.chain or fault.location):
        query = _without_hop(request.query)
        location = f"{request.origin}{request.path}?{query}{'&' * bool(query)}hop={hops + 1}"
    elif fault.location:
        location = fault.location
    else:
        return scene.answer
    return Answer(status=307, headers=(("Location", location),))


def _without_hop(query: str) -> str:
    return re.sub(r"&?\bhop=\d+$", "", query)


def _gzip(scene: _Scene) -> Answer:
    """Compress the body; for other names of encodings only the header is set."""
    content = b"".join(scene.answer.body.blocks())
    packed = gzip.compress(content, mtime=0) if "gzip" in scene.fault.encoding else content
    headers = with_headers(scene.answer.headers, {"Content-Encoding": scene.fault.encoding})
    return replace(scene.answer, headers=headers, body=Text(packed))


_CHANGES: Final[dict[str, Callable[[_Scene], Answer]]] = {
    "status": _status,
    "html": _html,
    "json": _json,
    "bad_content_range": _bad_content_range,
    "no_content_range": _no_content_range,
    "etag_changes": _etag_changes,
    "status_416": _status_416,
    "expire": _expire,
    "redirect": _redirect,
    "gzip": _gzip,
}


def deliver(answer: Answer, fault: Fault | None) -> Delivery:
    """Return the plan of bytes for an answer."""
    length = answer.body.length
    plan = Delivery(
        status=answer.status,
        headers=answer.headers,
        blocks=answer.body.blocks(),
        promised=length,
    )
    if fault is None:
        return plan
    plan = replace(plan, bytes_per_s=fault.bytes_per_s, delay_s=fault.delay_s)
    spoil = _DELIVERIES.get(fault.kind)
    return plan if spoil is None else spoil(plan, fault, answer.body)


def _reset(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    return replace(plan, blocks=_first(body, fault.nbytes), ending=Ending.RESET)


def _truncate(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    return replace(plan, blocks=_first(body, fault.nbytes), ending=Ending.CLOSE)


def _stall(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    return replace(
        plan, blocks=_first(body, fault.nbytes), ending=Ending.STALL, stall_s=fault.stall_s
    )


def _drip(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    return replace(plan, chunk=fault.chunk, interval_s=fault.interval_s)


def _short(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    left = max(0, body.length - (fault.nbytes or 1))
    return replace(plan, blocks=_first(body, left), promised=left)


def _long(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    more = fault.nbytes or 1
    blocks = itertools.chain(body.blocks(), _first(Text(_JUNK * (more // len(_JUNK) + 1)), more))
    return replace(plan, blocks=blocks, promised=body.length + more)


def _endless(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    blocks = itertools.chain(body.blocks(), itertools.repeat(_JUNK))
    return replace(plan, blocks=blocks, promised=None, ending=Ending.CLOSE)


def _nolen(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    return replace(plan, promised=None, ending=Ending.CLOSE)


def _flip(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    return replace(plan, blocks=_flipped(body, fault.nbytes))


def _extra_bytes(plan: Delivery, fault: Fault, body: Body) -> Delivery:
    extra = _JUNK[: fault.nbytes or len(_JUNK)]
    return replace(plan, blocks=itertools.chain(body.blocks(), [extra]))


_DELIVERIES: Final[dict[str, Callable[[Delivery, Fault, Body], Delivery]]] = {
    "reset": _reset,
    "truncate": _truncate,
    "stall": _stall,
    "drip": _drip,
    "short": _short,
    "long": _long,
    "endless": _endless,
    "nolen": _nolen,
    "flip": _flip,
    "extra_bytes": _extra_bytes,
}


def _first(body: Body, count: int) -> Iterator[bytes]:
    for block in body.blocks():
        if count <= 0:
            return
        yield block[:count]
        count -= len(block)


def _flipped(body: Body, place: int) -> Iterator[bytes]:
    passed = 0
    for block in body.blocks():
        here = place - passed
        if 0 <= here < len(block):
            yield block[:here] + bytes([block[here] ^ 0x01]) + block[here + 1 :]
        else:
            yield block
        passed += len(block)
