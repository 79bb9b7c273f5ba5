"""Two origins on two loopback ports, the hub and its storage, and a handle on both.

with HuggingFaceStandin(Shelves.of(repository("a/b", {"x.safetensors": hub_file("x")}))) as hub:
    os.environ["HF_ENDPOINT"] = hub.url
"""

import threading
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, cast

from tests.standin.api import Settings
from tests.standin.delivery import Delivery, changed_answer, changed_request, deliver
from tests.standin.faults import Fault, FaultBook
from tests.standin.messages import Answer, Request
from tests.standin.server import _Server
from tests.standin.state import LogEntry, Record, State
from tests.standin_hf.hub import Hub
from tests.standin_hf.repositories import Files, Repository, Shelves
from tests.standin_hf.storage import Signer, storage_answer

__all__ = ["Fault", "HuggingFaceStandin", "LogEntry"]

_POLL_S: Final = 0.02


class HuggingFaceStandin:
    """The hub and its storage, from ``start`` to ``stop``."""

    def __init__(self, shelves: Shelves, *, keys: tuple[str, ...] = ("hf-key",)) -> None:
        self._state = _State(shelves, keys)
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

    def start(self) -> None:
        """Listen; after a ``stop`` on the same ports as before."""
        for origin, port in self._state.ports.items():
            server = _Server(origin, port, cast("State", self._state))
            self._state.ports[origin] = server.server_address[1]
            self._servers.append(server)
            threading.Thread(
                target=server.serve_forever, args=(_POLL_S,), name=f"hf-{origin}", daemon=True
            ).start()

    def stop(self) -> None:
        """Cut every connection and refuse new ones."""
        for server in self._servers:
            server.stop()
        self._servers.clear()

    @property
    def url(self) -> str:
        """The hub's address, for HF_ENDPOINT."""
        return self._state.url("api")

    @property
    def storage_url(self) -> str:
        """The address of the storage."""
        return self._state.url("storage")

    @property
    def requests(self) -> tuple[LogEntry, ...]:
        """All requests so far, in the order of arrival."""
        return self._state.requests

    def clear_requests(self) -> None:
        """Empty the log."""
        self._state.clear_requests()

    def fault(self, fault: Fault) -> None:
        """Script a fault, after those that wait already."""
        self._state.faults.add(fault)

    def clear_faults(self) -> None:
        """Take all faults back."""
        self._state.faults.clear()

    def expire_addresses(self) -> None:
        """Make every signed address that was issued so far a 403."""
        signer = self._state.signer
        self._state.signer = replace(signer, generation=signer.generation + 1)

    def __getitem__(self, name: str) -> Repository:
        """Return a repository as it is now."""
        return self._state.shelves.repositories[name]

    def push(self, name: str, files: Files, branch: str = "main") -> str:
        """Add a commit to a repository, move the branch to it, and return it."""
        changed = self[name].with_commit(files, branch)
        self._state.shelves = self._state.shelves.with_repository(changed)
        return changed.branches[branch]

    def remove(self, name: str) -> None:
        """Take a repository away."""
        shelves = self._state.shelves
        left = {key: one for key, one in shelves.repositories.items() if key != name}
        self._state.shelves = replace(shelves, repositories=left)

    def rename(self, name: str, new: str) -> None:
        """Give a repository another name; the old one leads there."""
        shelves = self._state.shelves
        left = {key: one for key, one in shelves.repositories.items() if key != name}
        moved = replace(self[name], name=new)
        self._state.shelves = Shelves(
            repositories={**left, new: moved}, renamed={**shelves.renamed, name: new}
        )


class _State:
    """What changes while it runs; the servers of the other stand-in serve it."""

    def __init__(self, shelves: Shelves, keys: tuple[str, ...]) -> None:
        self.shelves = shelves
        self.settings = Settings(keys=keys)
        self.ports = {"api": 0, "storage": 0}
        self.signer = Signer()
        self.faults = FaultBook()
        self._records: list[Record] = []
        self._lock = threading.Lock()

    def url(self, origin: str) -> str:
        return f"http://127.0.0.1:{self.ports[origin]}"

    @property
    def requests(self) -> tuple[LogEntry, ...]:
        with self._lock:
            return tuple(record.entry for record in self._records)

    def clear_requests(self) -> None:
        with self._lock:
            self._records.clear()

    def opened(self, origin: str, request: Request) -> Record:
        record = Record(origin, request)
        with self._lock:
            self._records.append(record)
        return record

    def closed(self, record: Record) -> None:
        """Nothing is written."""

    def delivery(self, origin: str, request: Request) -> Delivery:
        struck = self.faults.strike(origin, request)
        if struck is None:
            return deliver(self._answer(origin, request), None)
        fault, count = struck
        answer = self._answer(origin, changed_request(fault, request))
        return deliver(changed_answer(fault, answer, request, count), fault)

    def _answer(self, origin: str, request: Request) -> Answer:
        if origin == "storage":
            return storage_answer(request, self.shelves, self.signer)
        hub = Hub(
            shelves=self.shelves,
            keys=self.settings.keys,
            storage_origin=self.url("storage"),
            signer=self.signer,
        )
        return hub.answer(request)


def keys_seen(requests: tuple[LogEntry, ...]) -> dict[str, set[Any]]:
    """Return by origin which Authorization headers came."""
    seen: dict[str, set[Any]] = {"api": set(), "storage": set()}
    for entry in requests:
        seen[entry.origin].add(entry.headers.get("authorization"))
    return seen
