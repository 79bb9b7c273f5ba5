"""Where the hub's redirects lead: signed addresses of content, on a host that wants no key."""

import hashlib
import hmac
import time
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from tests.standin.messages import Answer, Headers, Request, Slice, json_answer
from tests.standin.storage import not_satisfiable, parse_range, r2_error
from tests.standin_hf.repositories import HubFile, Shelves

_PREFIX: Final = "/xet-bridge-us/"
_SECRET: Final = b"the stand-in signs with this"
_LIFETIME_S: Final = 3600


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Makes and checks addresses; a later generation makes all earlier ones expire."""

    generation: int = 0

    def path(self, repo: str, file: HubFile, name: str) -> str:
        """Return path and query of a file's address, valid for an hour."""
        place = f"{_PREFIX}{hashlib.sha1(repo.encode()).hexdigest()[:24]}/{file.sha256}"
        shown = quote(f'inline; filename="{name.rpartition("/")[2]}";')
        end = int(time.time()) + _LIFETIME_S
        query = (
            f"X-Xet-Cas-Uid=public&response-content-disposition={shown}&Expires={end}"
            f"&Generation={self.generation}"
        )
        return f"{place}?{query}&Signature={_signature(place, end, self.generation)}"

    def refusal(self, request: Request) -> Answer | None:
        """Return what a forged or expired address gets, None for a good one."""
        end, generation = int(request.param("Expires") or 0), int(request.param("Generation") or 0)
        if request.param("Signature") != _signature(request.path, end, generation):
            return r2_error(403, "AccessDenied", "Access Denied")
        if time.time() >= end or generation < self.generation:
            return r2_error(403, "AccessDenied", "Request has expired")
        return None


def storage_answer(request: Request, shelves: Shelves, signer: Signer) -> Answer:
    """Answer a request for bytes."""
    if "authorization" in request.headers:
        return r2_error(400, "InvalidArgument", "Only one auth mechanism allowed")
    refusal = signer.refusal(request)
    if refusal is not None:
        return refusal
    file = _file_of(request.path.rpartition("/")[2], shelves)
    if file is None:
        return json_answer(404, {"error": "not found"})
    headers: Headers = (
        ("Content-Type", "application/octet-stream"),
        ("ETag", f'"{file.sha256[::-1]}"'),
        ("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT"),
    )
    body = Slice(payload=file.payload, start=0, stop=file.size)
    return whole_or_part(request, Answer(status=200, headers=headers, body=body), file)


def whole_or_part(request: Request, whole: Answer, file: HubFile) -> Answer:
    """Return an answer, or the part of it that Range asks for."""
    whole = replace(whole, headers=(*whole.headers, ("Accept-Ranges", "bytes")))
    asked = parse_range(request.headers.get("range"), file.size)
    etag = whole.header("etag") or ""
    if asked is None or request.headers.get("if-range", etag) != etag:
        return whole
    start, stop = asked
    if start >= stop:
        return not_satisfiable(file.size)
    content_range = ("Content-Range", f"bytes {start}-{stop - 1}/{file.size}")
    body = Slice(payload=file.payload, start=start, stop=stop)
    return Answer(status=206, headers=(*whole.headers, content_range), body=body)


def _file_of(sha256: str, shelves: Shelves) -> HubFile | None:
    files = (
        file
        for repo in shelves.repositories.values()
        for commit in repo.commits.values()
        for file in commit.values()
    )
    return next((file for file in files if file.sha256 == sha256), None)


def _signature(place: str, end: int, generation: int) -> str:
    text = f"{place} {end} {generation}".encode()
    return hmac.new(_SECRET, text, hashlib.sha256).hexdigest()
