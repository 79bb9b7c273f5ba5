"""Bodies as they come off the wire: a bounded one as a whole, a model's as a stream.

A stream is read past the HTTP library where that is possible: the library hands over what it has
buffered, then the socket is read straight into one reused buffer. Over TLS this halves the CPU
time a gigabyte costs and lets several downloads run at once. `raw_pieces` is the same without the
short cut and serves every case that is not plain (chunked bodies, a proxy inside TLS).
"""

import ssl
import zlib
from collections.abc import Callable, Iterator
from mmap import mmap
from socket import socket
from typing import TYPE_CHECKING

from comfylock.errors import ServerError
from comfylock.web.faults import NoAnswerError

if TYPE_CHECKING:
    import httpx

STALL_S = 30.0  # no byte for so long is a dead connection
_DRIP_WINDOW_S = 60.0
_DRIP_BYTES = 600 * 1024  # 10 KiB/s: a read time-out alone lets one byte a second pass
_BUFFER_BYTES = 1024 * 1024
# A piece is handed on after this time even if the buffer is not full: a killed run loses it. So a
# kill costs a hundredth of a second of download, and above 100 MB/s pieces are full all the same.
_PIECE_S = 0.002


class Pace:
    """Watches that a body comes fast enough; only the time spent waiting for it counts.

    Args:
        host: for the message.
        clock: monotonic seconds.
    """

    def __init__(self, host: str, clock: Callable[[], float]) -> None:
        self._host = host
        self.clock = clock
        self._waited_s = 0.0
        self._count = 0

    def took(self, count: int, waited_s: float) -> None:
        """Count bytes and the seconds they took.

        Raises:
            NoAnswerError: less than 10 KiB/s over the last minute.
        """
        self._waited_s += waited_s
        self._count += count
        if self._waited_s < _DRIP_WINDOW_S:
            return
        if self._count < _DRIP_BYTES:
            raise NoAnswerError(f"{self._host} sends less than 10 KiB/s")
        self._waited_s, self._count = 0.0, 0


def bounded_body(response: "httpx.Response", limit: int, pace: Pace) -> bytes:
    """Return a whole body, unpacked if it came as gzip.

    The unpacked size is bounded while unpacking: a few bytes may stand for gigabytes.

    Raises:
        ServerError: it is larger than the limit, in another encoding, or damaged.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip"}:
        raise ServerError(f"{response.url.host} answered in an encoding that was not asked for")
    unpack = _Gunzip(response.url.host) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    for piece in raw_pieces(response, pace):
        part = unpack.some(piece, limit + 1 - size) if unpack else piece
        size += len(part)
        if size > limit:
            raise ServerError(f"{response.url.host} answered with more than {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def beginning(response: "httpx.Response", limit: int, pace: Pace) -> bytes:
    """Return at most the first `limit` bytes of an error body; a damaged one counts as empty."""
    if response.headers.get("content-encoding", "identity").strip().lower() == "gzip":
        try:
            return bounded_body(response, 16 * limit, pace)[:limit]
        except ServerError:
            return b""
    kept = bytearray()
    for piece in raw_pieces(response, pace):
        kept += piece
        if len(kept) >= limit:
            break
    return bytes(kept[:limit])


def raw_pieces(response: "httpx.Response", pace: Pace) -> Iterator[bytes]:
    """Yield a body as it arrives.

    Without a chunk size on purpose: with one, up to that many bytes that have arrived are thrown
    away when the connection breaks, and a resumed download may never finish.
    """
    pieces = response.iter_raw()
    while True:
        began = pace.clock()
        piece = next(pieces, None)
        if piece is None:
            return
        pace.took(len(piece), pace.clock() - began)
        yield piece


def fast_pieces(
    response: "httpx.Response", length: int, pace: Pace
) -> Iterator[bytes | memoryview]:
    """Yield the `length` bytes of a body; a `memoryview` is good only until the next piece.

    Raises:
        NoAnswerError: the connection broke, fell silent, or ended early. What had arrived was
            yielded before.
    """
    connection = _plain_socket(response)
    # Held to the end: the library closes the connection when its iterator is dropped.
    pieces = raw_pieces(response, pace)
    if connection is None or length == 0:
        yield from pieces
        return
    first = next(pieces, b"")
    yield first
    buffer = memoryview(mmap(-1, _BUFFER_BYTES))
    yield from _socket_pieces(connection, buffer, length - len(first), response.url.host, pace)


def _socket_pieces(
    connection: socket, buffer: memoryview, remaining: int, host: str, pace: Pace
) -> Iterator[memoryview]:
    while remaining > 0:
        filled, fault = _filled(connection, buffer[: min(remaining, len(buffer))], host, pace)
        if filled:
            with buffer[:filled] as piece:
                yield piece
        if fault is not None:
            raise fault
        remaining -= filled


def _filled(
    connection: socket, view: memoryview, host: str, pace: Pace
) -> tuple[int, NoAnswerError | None]:
    """Fill the view, or as much as arrives in a short time; say how much and what went wrong."""
    filled = 0
    began = pace.clock()
    connection.settimeout(STALL_S)
    try:
        while filled < len(view):
            count = connection.recv_into(view[filled:])
            if count == 0:
                return filled, NoAnswerError(f"{host} ended the transfer early")
            if filled == 0:
                # What has come is handed on before a server that falls silent is waited for.
                connection.settimeout(_PIECE_S)
            filled += count
            if pace.clock() - began > _PIECE_S:
                break
    except TimeoutError:
        if filled == 0:
            return 0, NoAnswerError(f"{host} sent nothing for {STALL_S:.0f} s")
    except OSError as error:
        return filled, NoAnswerError(f"{host} broke the connection: {error.strerror or error}")
    try:
        pace.took(filled, pace.clock() - began)
    except NoAnswerError as error:
        return filled, error
    return filled, None


def _plain_socket(response: "httpx.Response") -> socket | None:
    """Return the connection's socket if reading it gives the body's very bytes, else ``None``.

    A body with a length over HTTP/1.1 qualifies. TLS inside TLS does not: there the socket
    belongs to the outer layer.
    """
    if "transfer-encoding" in response.headers or response.http_version != "HTTP/1.1":
        return None
    stream = response.extensions.get("network_stream")
    if stream is None:
        return None
    connection: object = stream.get_extra_info("socket")
    layer: object = stream.get_extra_info("ssl_object")
    if isinstance(connection, ssl.SSLSocket):
        return None if isinstance(layer, ssl.SSLObject) else connection
    return connection if isinstance(connection, socket) and layer is None else None


class _Gunzip:
    """Unpacks gzip with a bound on what comes out."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._unpack = zlib.decompressobj(wbits=31)

    def some(self, packed: bytes, room: int) -> bytes:
        """Return what the next packed bytes hold, at most `room` bytes; the rest is lost."""
        try:
            return self._unpack.decompress(packed, room)
        except zlib.error as error:
            raise ServerError(f"{self._host} answered with a damaged body") from error
