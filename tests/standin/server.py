"""Two origins on two loopback ports, the hub and its storage, and a handle on both.

with Standin() as hub:
    os.environ["COMFYLOCK_CIVITAI_URL"] = hub.url
"""

import socket
import socketserver
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from tests.standin.api import Settings
from tests.standin.catalogue import Catalogue, bundled_catalogue
from tests.standin.control import PREFIX, control
from tests.standin.delivery import Delivery, deliver
from tests.standin.faults import Fault
from tests.standin.messages import Request
from tests.standin.state import LogEntry, Record, State
from tests.standin.wire import Wire

__all__ = ["Fault", "LogEntry", "Standin"]

_POLL_S: Final = 0.02


class Standin:
    """The hub and its storage, from ``start`` to ``stop``."""

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        *,
        anonymous_downloads: bool = True,
        keys: tuple[str, ...] = ("standin-key",),
        api_port: int = 0,
        storage_port: int = 0,
        log_path: Path | None = None,
    ) -> None:
        self._ports = {"api": api_port, "storage": storage_port}
        self._log: IO[str] | None = None
        if log_path is not None:
            self._log = log_path.open("a", encoding="utf-8")
        self._state = State(
            bundled_catalogue() if catalogue is None else catalogue,
            Settings(anonymous_downloads=anonymous_downloads, keys=keys),
            self._log,
        )
        self._servers: list[_Server] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if self._log is not None:
            self._log.close()

    def start(self) -> None:
        """Listen; after a ``stop`` on the same ports as before."""
        for origin, port in self._ports.items():
            server = _Server(origin, port, self._state)
            self._ports[origin] = server.server_address[1]
            self._servers.append(server)
            threading.Thread(
                target=server.serve_forever, args=(_POLL_S,), name=f"standin-{origin}", daemon=True
            ).start()
        self._state.storage_origin = self.storage_url

    def stop(self) -> None:
        """Cut every connection and refuse new ones: the host is down."""
        for server in self._servers:
            server.stop()
        self._servers.clear()

    def cut(self) -> None:
        """Cut every connection and go on listening."""
        for server in self._servers:
            server.cut()

    @property
    def url(self) -> str:
        """The hub's address, for COMFYLOCK_CIVITAI_URL."""
        return f"http://127.0.0.1:{self._ports['api']}"

    @property
    def storage_url(self) -> str:
        """The address of the storage, where the hub's redirects lead."""
        return f"http://127.0.0.1:{self._ports['storage']}"

    @property
    def requests(self) -> tuple[LogEntry, ...]:
        """All requests so far, in the order of arrival."""
        return self._state.requests

    def clear_requests(self) -> None:
        """Empty the log."""
        self._state.clear_requests()

    def fault(self, fault: Fault) -> None:
        """Script a fault, after those that wait already."""
        self._state.fault(fault)

    def clear_faults(self) -> None:
        """Take all faults back."""
        self._state.clear_faults()

    @property
    def catalogue(self) -> Catalogue:
        """What is on the shelves now."""
        return self._state.catalogue

    def replace(self, catalogue: Catalogue) -> None:
        """Swap the catalogue while running."""
        self._state.catalogue = catalogue

    @property
    def settings(self) -> Settings:
        """The switches as they stand."""
        return self._state.settings

    def configure(self, **changes: Any) -> None:
        """Change switches: latency_s, throttle_per_connection, keys and the rest of Settings."""
        self._state.configure(changes)

    def reset(self) -> None:
        """Go back to the first catalogue and settings, with an empty log and no faults."""
        self._state.reset()

    def expire_addresses(self) -> None:
        """Make every signed address that was issued so far a 403."""
        self._state.expire_addresses()


class _Server(ThreadingHTTPServer):
    """One origin; knows its open connections so that it can cut them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, origin: str, port: int, state: State) -> None:
        self.origin = origin
        self.state = state
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection before its thread starts."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection as it closes."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        """Stop listening and cut what is open."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        self.cut()

    def cut(self) -> None:
        """Cut what is open."""
        with self._open_lock:
            for connection in self._open:
                _cut(connection)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and has them answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        request = self._request()
        server = self._origin
        keep = not self.close_connection
        if server.origin == "api" and request.path.startswith(PREFIX):
            plan = deliver(control(request, server.state), None)
            record = Record("control", request)
            self._send(plan, record, keep=keep)
            return
        record = server.state.opened(server.origin, request)
        plan = self._at_speed(server.state.delivery(server.origin, request))
        self._send(plan, record, keep=keep)
        server.state.closed(record)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def handle(self) -> None:
        """Serve until the connection ends; a client that cuts it is no error here."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent: the log of requests is what counts."""

    @property
    def _origin(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def _request(self) -> Request:
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        return Request(
            method=self.command,
            path=path,
            query=query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length) if length else b"",
        )

    def _at_speed(self, plan: Delivery) -> Delivery:
        settings = self._origin.state.settings
        speed = plan.bytes_per_s
        if speed is None and self._origin.origin == "storage":
            speed = settings.throttle_per_connection
        return replace(plan, bytes_per_s=speed, delay_s=plan.delay_s + settings.latency_s)

    def _send(self, plan: Delivery, record: Record, *, keep: bool) -> None:
        wire = Wire(self.connection, record, self._origin.stopping)
        kept = wire.send(plan, body=self.command != "HEAD", keep=keep)
        self.close_connection = not kept
