"""Model bytes: a source and an offset in, a checked body out.

Addresses are built from ids. What is a page, an error text, compressed, or another range than
asked for never becomes a body. Nothing is retried here but what only this place can see: an
expired signature and a range that the server cannot serve (asked again from the first byte;
but a stretch of several that are fetched side by side is refused then).
"""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote

from comfylock.artifacts import CivitaiSource, HuggingFaceSource, Source, UrlSource
from comfylock.errors import (
    AuthRequiredError,
    FetchError,
    HostNotAllowedError,
    NotAModelError,
    ServerError,
)
from comfylock.hubs import may_fetch
from comfylock.web.body import fast_pieces, raw_pieces
from comfylock.web.faults import key_hint, quoted_body
from comfylock.web.origins import checked_address
from comfylock.web.request import Onward, Request
from comfylock.web.transport import Reply, Transport, error_body
from comfylock.web.wire import told_by

_CONTENT_RANGE = re.compile(r"bytes\s+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_NOT_FOUND_PAUSE_S = 1.0
# What storage hosts say of a signature whose time is over; R2 and S3 403, B2 401.
_RUN_OUT = frozenset({400, 401, 403, 404, 410})


class RangeRefusedError(FetchError):
    """The server does not give this stretch of a file by itself."""

    slug = "server-error"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Where a request for one of several stretches of a file ends.

    Attributes:
        stop: offset of the byte behind the last one.
        address: where the storage gave another stretch, from its `Body`; it may be signed, so it
            is never shown. ``None`` to ask the hub, which is done too when it has run out.
    """

    stop: int
    address: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """The bytes of a file from `start` on.

    Attributes:
        reply: the open answer.
        start: offset of the first byte in the file; 0 even where more was asked for means that
            the server starts over.
        total: length of the whole file in bytes, ``None`` when the server does not say.
        validator: what names this state of the file for a later `open`, ``None`` when nothing.
    """

    reply: Reply
    start: int
    total: int | None
    validator: str | None

    @property
    def address(self) -> str:
        """Who answered in the end, for a further `Stretch`; it may be signed."""
        return str(self.reply.response.url)

    @property
    def gives_ranges(self) -> bool:
        """Whether the server says that it can begin elsewhere than at the first byte."""
        told = self.reply.headers.get("accept-ranges", "")
        return self.reply.status == 206 or told.strip().lower() == "bytes"

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes once, as they come; a chunk is good only until the next is asked for.

        Raises:
            NoAnswerError: the connection broke, fell silent or crawls.
        """
        with told_by(self.reply.host):
            length = _number(self.reply.headers.get("content-length"))
            if length is None:
                yield from raw_pieces(self.reply.response, self.reply.pace)
            else:
                yield from fast_pieces(self.reply.response, length, self.reply.pace)


class _Usable(Enum):
    """What a file's answer allows."""

    YES = "yes"
    FROM_START = "from start"
    FRESH_ADDRESS = "fresh address"
    ONCE_MORE = "once more"
    NO = "no"


class Fetcher:
    """Opens the files that sources name.

    Args:
        transport: carries the requests.
        civitai_url: base address of the site, without a trailing slash.
        huggingface_url: likewise.
        allowed_hosts: exact hosts that a `UrlSource` may name; one with a port means that port.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        civitai_url: str,
        huggingface_url: str,
        allowed_hosts: frozenset[str],
    ) -> None:
        self._transport = transport
        self._bases = (civitai_url.rstrip("/"), huggingface_url.rstrip("/"))
        self._allowed_hosts = allowed_hosts

    def open(
        self,
        source: Source,
        *,
        start: int,
        validator: str | None,
        stretch: Stretch | None = None,
    ) -> AbstractContextManager[Body]:
        """Open a file, from byte `start` on where the server can.

        Args:
            source: names the file.
            start: bytes that the caller already has.
            validator: of the body that they came from; without one the server cannot notice that
                the file has changed since.
            stretch: ask for no more than this. The body may be the whole file all the same, where
                the server cannot do otherwise or the file has changed.

        Raises:
            RangeRefusedError: with `stretch` only: the server gives other bytes, or none.
            HostNotAllowedError: the source's host is not one that the user allows.
            NotAModelError: a page or an error text came in place of the file.
            FetchError: the file was not given; `PassingError` where another try may help.
        """
        url = self._address(source)
        if stretch is not None:
            return self._opened_stretch(url, start, validator, stretch)
        return self._opened(url, start, validator)

    @contextmanager
    def _opened(self, url: str, start: int, validator: str | None) -> Generator[Body]:
        with ExitStack() as open_answers:
            yield self._body(open_answers, url, start, validator)

    @contextmanager
    def _opened_stretch(
        self, url: str, start: int, validator: str | None, stretch: Stretch
    ) -> Generator[Body]:
        """Ask the storage itself, and the hub for another address where that has run out."""
        known = [] if stretch.address in {None, url} else [stretch.address]
        # The hub twice: a fresh address, or the hub's 404, may be refused for a moment.
        waiting = [*known, url, url]
        while True:
            address = waiting.pop(0) or url
            request = _request(address, start, validator, stretch.stop)
            with self._transport.stream(request) as reply:
                usable = _usable(reply, start)
                if usable is _Usable.YES:
                    yield self._checked(reply)
                    return
                if usable is _Usable.FROM_START:
                    raise RangeRefusedError(f"{reply.host} does not give this part of the file")
                has_run_out = address in known and reply.status in _RUN_OUT
                if not waiting or (usable is _Usable.NO and not has_run_out):
                    raise self._transport.refusal(reply)
            if usable is _Usable.ONCE_MORE and not has_run_out:
                self._transport.pause(url, _NOT_FOUND_PAUSE_S)

    def _body(self, open_answers: ExitStack, url: str, start: int, validator: str | None) -> Body:
        spent: set[_Usable] = set()
        while True:
            reply = open_answers.enter_context(
                self._transport.stream(_request(url, start, validator))
            )
            usable = _usable(reply, start or None)
            if usable is _Usable.YES:
                return self._checked(reply)
            if usable is _Usable.NO or usable in spent:
                raise self._transport.refusal(reply)
            spent.add(usable)
            open_answers.close()
            if usable is _Usable.FROM_START:
                start = 0
            elif usable is _Usable.ONCE_MORE:
                self._transport.pause(url, _NOT_FOUND_PAUSE_S)

    def _checked(self, reply: Reply) -> Body:
        encoding = reply.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", ""}:
            raise ServerError(f"{reply.host} sent the file compressed although asked not to")
        if reply.content_type in {"text/html", "application/xhtml+xml", "application/json"}:
            raise _not_a_model(reply, self._transport.without_keys(_spoken(reply)))
        first, total = _range_of(reply)
        return Body(reply=reply, start=first, total=total, validator=_validator(reply.headers))

    def _address(self, source: Source) -> str:
        civitai, hugging_face = self._bases
        match source:
            case CivitaiSource():
                return f"{civitai}/api/download/models/{source.version}?fileId={source.file}"
            case HuggingFaceSource():
                path = f"{quote(source.repo)}/resolve/{quote(source.revision, safe='')}"
                return f"{hugging_face}/{path}/{quote(source.file)}"
            case UrlSource():
                return self._allowed(source)

    def _allowed(self, source: UrlSource) -> str:
        url = checked_address(source.url)
        if not may_fetch(source.url, self._allowed_hosts):
            host = url.host if url.port is None else f"{url.host}:{url.port}"
            raise HostNotAllowedError(
                f"{host} is not among the hosts that files may come from",
                hint=f"Add {host} to `allow-hosts` in your user configuration if you trust it",
            )
        return source.url


def _request(url: str, start: int, validator: str | None, stop: int | None = None) -> Request:
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if start > 0 or stop is not None:
        headers["Range"] = f"bytes={start}-" if stop is None else f"bytes={start}-{stop - 1}"
        if validator is not None:
            headers["If-Range"] = validator
    return Request(url=url, headers=headers, onward=Onward.ANYWHERE)


def _usable(reply: Reply, start: int | None) -> _Usable:
    """Judge an answer by its head; `start` is of the range that was asked for, if one was.

    A storage host's 403 means that the signature has run out. A 404 without a redirect may be
    the hub's own trouble with its storage, over a moment later (civitai.com answers both alike).
    """
    match reply.status:
        case 200:
            return _Usable.YES
        case 206:
            return _Usable.YES if _range_of(reply)[0] == start else _Usable.FROM_START
        case 416:
            return _Usable.FROM_START
        case 403 if reply.hops and not reply.key_sent:
            return _Usable.FRESH_ADDRESS
        case 404 if not reply.hops:
            return _Usable.ONCE_MORE
        case _:
            return _Usable.NO


def _range_of(reply: Reply) -> tuple[int, int | None]:
    """Return (first byte, length of the whole file); -1 if it makes no sense."""
    length = _number(reply.headers.get("content-length"))
    if reply.status != 206:
        return 0, length
    told = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", "").strip().lower())
    if told is None:
        return -1, None
    first, last = int(told[1]), int(told[2])
    total = None if told[3] == "*" else int(told[3])
    sane = first <= last and (total is None or last < total)
    if not sane or (length is not None and length != last - first + 1):
        return -1, None
    return first, total


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what If-Range may hold: a strong ETag, else the date of the last change."""
    tag = headers.get("etag", "").strip()
    if tag.startswith('"') and tag.isascii() and tag.isprintable():
        return tag
    date = headers.get("last-modified", "").strip()
    return date if date and date.isascii() and date.isprintable() else None


def _spoken(reply: Reply) -> str:
    return quoted_body(error_body(reply), reply.content_type)


def _not_a_model(reply: Reply, spoken: str) -> FetchError:
    if reply.response.url.path.startswith("/login"):
        return AuthRequiredError(
            f"{reply.host} asks to log in for this file", hint=key_hint(reply.host)
        )
    return NotAModelError(
        f"{reply.host} sent {reply.content_type} in place of the model: {spoken}",
        hint="Open the model's page in a browser: it may need a log-in or an agreement",
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else None
