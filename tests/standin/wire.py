"""Carries out a delivery on a socket: headers, bytes at their speed, and the ending."""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from tests.standin.delivery import Delivery, Ending
from tests.standin.state import Record

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_BEFORE_RESET_S: Final = 0.05  # lets the bytes before a reset arrive, as they would from afar
_POLL_S: Final = 0.05
_PIECE_BYTES: Final = 256 * 1024
_PIECES_A_SECOND: Final = 20


class Wire:
    """One connection, while one answer is sent on it."""

    def __init__(
        self, connection: socket.socket, record: Record, stopping: threading.Event
    ) -> None:
        self._connection = connection
        self._record = record
        self._stopping = stopping

    def send(self, plan: Delivery, *, body: bool, keep: bool) -> bool:
        """Send an answer; True when the connection may serve another request.

        Args:
            body: False for HEAD.
            keep: False when the client wants to close after this answer.
        """
        announced = keep and plan.promised is not None  # a cut is never announced
        self._pause(plan.delay_s)
        self._record.answered(plan.status)
        try:
            self._connection.sendall(_head(plan, keep=announced))
            if body:
                self._send_body(plan)
            self._end(plan)
        except OSError:
            return False  # the client has gone, which is its right
        return announced and plan.ending is Ending.KEEP

    def _send_body(self, plan: Delivery) -> None:
        started = time.monotonic()
        total = 0
        for piece in _pieces(plan):
            if self._stopping.is_set():
                return
            if self._is_gone():
                raise BrokenPipeError  # the system would take one more piece, which nobody gets
            self._record.sent(len(piece))
            try:
                self._connection.sendall(piece)
            except OSError:
                self._record.sent(-len(piece))
                raise
            total += len(piece)
            if plan.bytes_per_s is not None:
                self._pause(started + total / plan.bytes_per_s - time.monotonic())
            if plan.chunk is not None:
                self._pause(plan.interval_s)

    def _end(self, plan: Delivery) -> None:
        if plan.ending is Ending.STALL:
            self._stall(plan.stall_s)
        elif plan.ending is Ending.RESET:
            self._pause(_BEFORE_RESET_S)
            linger = socket.SO_LINGER
            self._connection.setsockopt(socket.SOL_SOCKET, linger, _RESET_ON_CLOSE)
            # The server would shut down first, which is a clean end: close under its hands.
            os.close(self._connection.detach())

    def _stall(self, seconds: float) -> None:
        """Send nothing, until the time is over or the client has gone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._stopping.is_set() and not self._is_gone():
            self._pause(_POLL_S)

    def _is_gone(self) -> bool:
        try:
            flags = socket.MSG_PEEK | socket.MSG_DONTWAIT
            return self._connection.recv(1, flags) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._stopping.wait(seconds)


def _head(plan: Delivery, *, keep: bool) -> bytes:
    dated = any(name.lower() == "date" for name, _ in plan.headers)
    lines = [
        f"HTTP/1.1 {plan.status} {_phrase(plan.status)}",
        *([] if dated else [f"Date: {formatdate(usegmt=True)}"]),
        *(f"{name}: {value}" for name, value in plan.headers),
    ]
    if plan.promised is not None:
        lines.append(f"Content-Length: {plan.promised}")
    if not keep:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"  # Cloudflare's 52x


def _pieces(plan: Delivery) -> Iterator[memoryview]:
    """Cut the blocks so that speeds come out even."""
    size = _PIECE_BYTES
    if plan.chunk is not None:
        size = plan.chunk
    elif plan.bytes_per_s is not None:
        size = max(1, min(_PIECE_BYTES, plan.bytes_per_s // _PIECES_A_SECOND))
    for block in plan.blocks:
        view = memoryview(block)
        for start in range(0, len(view), size):
            yield view[start : start + size]
