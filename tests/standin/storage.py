"""Where the bytes lie: signed addresses that expire, and the rules of the hosts behind them.

Two styles, after the two hosts that the site sends clients to. Both refuse an Authorization
header, answer Range and If-Range, and say 403 when the address has expired: XML on R2, JSON on B2.
ETags look like those of multipart uploads, so nobody can take them for an MD5.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

from tests.standin.catalogue import Catalogue, CatalogueFile, CatalogueModel, Shelf
from tests.standin.messages import Answer, Headers, Request, Slice, Text, json_answer

LAST_MODIFIED: Final = "Wed, 01 Jan 2025 00:00:00 GMT"
_SECRET: Final = b"the stand-in signs with this"
_ACCOUNT: Final = "standin0000%2F20250101%2Fauto%2Fs3%2Faws4_request"
_R2_PREFIX: Final = "/model/"
_B2_PREFIX: Final = "/file/civitai-modelfiles/model/"
_ARIA: Final = "aria2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Signer:
    """Makes and checks addresses; a later generation makes all earlier ones expire."""

    generation: int = 0
    lifetime_s: Mapping[str, int] = field(default_factory=lambda: {"r2": 86_400, "b2": 3_600})

    def path(self, model: CatalogueModel, file: CatalogueFile, name: str, now_s: float) -> str:
        """Return path and query of a file's address, valid from now on."""
        key = object_key(model, file)
        issued, life = int(now_s), self.lifetime_s[file.storage]
        disposition = quote(f'attachment; filename="{name}"') if file.disposition else ""
        if file.storage == "b2":
            path = _B2_PREFIX + key
            token = f"3_{issued}_{self.generation}_{issued + life}"
            disposition = disposition.replace("%20", "+")
            query = f"Authorization={token}_{_signature(path, token)}_dnld"
            return f"{path}?{query}" + (f"&b2ContentDisposition={disposition}" * bool(disposition))
        return self._r2_path(_R2_PREFIX + key, disposition, issued, life)

    def _r2_path(self, path: str, disposition: str, issued: int, life: int) -> str:
        moment = datetime.fromtimestamp(issued, UTC).strftime("%Y%m%dT%H%M%SZ")
        shown = f"response-content-disposition={disposition}&" if disposition else ""
        query = (
            f"X-Amz-Expires={life}&{shown}X-Amz-Algorithm=AWS4-HMAC-SHA256"
            f"&X-Amz-Credential={_ACCOUNT}&X-Amz-Date={moment}&X-Amz-SignedHeaders=host"
            f"&X-Standin-Generation={self.generation}"
        )
        return f"{path}?{query}&X-Amz-Signature={_signature(path, query)}"

    def refusal(self, request: Request, now_s: float) -> Answer | None:
        """Return what an unsigned, forged or expired address gets; None for a good one."""
        if request.path.startswith(_B2_PREFIX):
            return self._b2_refusal(request, now_s)
        return self._r2_refusal(request, now_s)

    def _r2_refusal(self, request: Request, now_s: float) -> Answer | None:
        query, _, signature = request.query.rpartition("&X-Amz-Signature=")
        if signature != _signature(request.path, query):
            text = "The request signature we calculated does not match the signature you provided."
            return r2_error(403, "SignatureDoesNotMatch", text)
        issued = datetime.strptime(request.param("X-Amz-Date") or "", "%Y%m%dT%H%M%S%z")
        end = issued.timestamp() + int(request.param("X-Amz-Expires") or 0)
        if now_s >= end or int(request.param("X-Standin-Generation") or 0) < self.generation:
            return expired("r2")
        return None

    def _b2_refusal(self, request: Request, now_s: float) -> Answer | None:
        parts = (request.param("Authorization") or "").split("_")
        if len(parts) != 6 or parts[4] != _signature(request.path, "_".join(parts[:4])):
            return b2_error(401, "bad_auth_token", "Invalid authorization token")
        if now_s >= int(parts[3]) or int(parts[2]) < self.generation:
            return expired("b2")
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageView:
    """The storage at one moment: what lies in it and which addresses are good."""

    catalogue: Catalogue
    signer: Signer
    now_s: float
    content_disposition: bool = True

    def answer(self, request: Request, *, instead: CatalogueFile | None = None) -> Answer:
        """Answer a request for bytes; ``instead`` sends another file's, which is a fault."""
        style = "b2" if request.path.startswith(_B2_PREFIX) else "r2"
        refusal = self._refusal(request, style)
        if refusal is not None:
            return refusal
        shelf = self._shelf_at(request.path)
        if shelf is None:
            return _not_found(style)
        return _file_answer(request, instead or shelf.file, self._extra_headers(request, style))

    def _refusal(self, request: Request, style: str) -> Answer | None:
        if "authorization" in request.headers:
            return _two_ways_to_sign(style)
        if style == "b2" and _ARIA in request.headers.get("user-agent", "").lower():
            return b2_error(403, "unauthorized", "Blocked")
        if request.method != "GET":  # the signature is for GET alone
            return r2_error(403, "SignatureDoesNotMatch", "The signature is for another method.")
        return self.signer.refusal(request, self.now_s)

    def _shelf_at(self, path: str) -> Shelf | None:
        key = unquote(path.removeprefix(_B2_PREFIX).removeprefix(_R2_PREFIX))
        for shelf in self.catalogue.shelves():
            if unquote(object_key(shelf.model, shelf.file)) == key:
                return shelf
        return None

    def _extra_headers(self, request: Request, style: str) -> Headers:
        content_type = "application/octet-stream" if style == "r2" else "binary/octet-stream"
        name = request.param("response-content-disposition") or request.param(
            "b2ContentDisposition"
        )
        shown = self.content_disposition and name is not None
        named: Headers = (("Content-Disposition", _latin(name or "")),) if shown else ()
        return (("Content-Type", content_type), *named)


def object_key(model: CatalogueModel, file: CatalogueFile) -> str:
    """Return where a file lies: owner, raw name, and four letters that change with its bytes."""
    owner = model.user_id if file.owner_id is None else file.owner_id
    stem, dot, extension = file.name.rpartition(".")
    mark = hashlib.sha256(f"{file.id} {file.seed} {file.size}".encode()).hexdigest()[:4]
    return f"{owner}/{quote(stem or extension, safe='')}.{mark}{dot}{quote(extension, safe='')}"


def _signature(path: str, query: str) -> str:
    """Sign what the address means, so a client may quote its characters another way."""
    text = f"{unquote(path)}?{unquote_plus(query)}".encode()
    return hmac.new(_SECRET, text, hashlib.sha256).hexdigest()


def _latin(text: str) -> str:
    return re.sub(r"[\r\n]", "", text).encode("latin-1", "replace").decode("latin-1")


def etag_of(file: CatalogueFile) -> str:
    """Return an ETag as multipart uploads have: no digest of the content."""
    mark = hashlib.sha256(f"{file.seed} {file.size} {file.content}".encode()).hexdigest()[:32]
    return f'"{mark}-5"'


def _file_answer(request: Request, file: CatalogueFile, headers: Headers) -> Answer:
    payload, size, etag = file.payload, file.size, etag_of(file)
    common: Headers = (
        *headers,
        ("ETag", etag),
        ("Last-Modified", LAST_MODIFIED),
        ("Accept-Ranges", "bytes"),
    )
    if request.headers.get("if-range", etag) not in {etag, LAST_MODIFIED}:
        return Answer(status=200, headers=common, body=Slice(payload=payload, start=0, stop=size))
    asked = parse_range(request.headers.get("range"), size)
    if asked is None:
        return Answer(status=200, headers=common, body=Slice(payload=payload, start=0, stop=size))
    start, stop = asked
    if start >= stop:
        return not_satisfiable(size)
    content_range = ("Content-Range", f"bytes {start}-{stop - 1}/{size}")
    body = Slice(payload=payload, start=start, stop=stop)
    return Answer(status=206, headers=(*common, content_range), body=body)


def parse_range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return start and stop of a Range; empty when outside; None when it is to be ignored.

    Several ranges at once, or what is not understood, get the whole file, as on S3.
    """
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", (text or "").strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    stop = size if not found[2] else min(size, int(found[2]) + 1)
    return int(found[1]), stop


def not_satisfiable(size: int) -> Answer:
    """Answer 416 with the true size."""
    refused = r2_error(416, "InvalidRange", "The requested range is not satisfiable")
    return Answer(
        status=416,
        headers=(*refused.headers, ("Content-Range", f"bytes */{size}")),
        body=refused.body,
    )


def expired(style: str) -> Answer:
    """Answer as for an address whose time is over."""
    if style == "b2":
        return b2_error(403, "expired_auth_token", "Authorization token has expired")
    return r2_error(403, "AccessDenied", "Request has expired")


def _two_ways_to_sign(style: str) -> Answer:
    if style == "b2":
        return b2_error(400, "bad_request", "more than one authorization was given")
    return r2_error(400, "InvalidRequest", "Missing x-amz-content-sha256")


def _not_found(style: str) -> Answer:
    if style == "b2":
        return b2_error(404, "not_found", "File with such name does not exist.")
    return r2_error(404, "NoSuchKey", "The specified key does not exist.")


def r2_error(status: int, code: str, message: str) -> Answer:
    """Answer with an error as R2 writes it."""
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Answer(
        status=status,
        headers=(("Content-Type", "application/xml"),),
        body=Text(xml.encode()),
    )


def b2_error(status: int, code: str, message: str) -> Answer:
    """Answer with an error as B2 writes it."""
    return json_answer(status, {"code": code, "message": message, "status": status})
