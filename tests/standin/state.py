"""What changes while the stand-in runs: its shelves, settings, faults and log."""

import json
import threading
import time
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

from tests.standin.api import Hub, Settings
from tests.standin.catalogue import Catalogue
from tests.standin.delivery import Delivery, changed_answer, changed_request, deliver
from tests.standin.faults import Fault, FaultBook
from tests.standin.messages import Answer, Request
from tests.standin.storage import Signer, StorageView


@dataclass(frozen=True, kw_only=True, slots=True)
class LogEntry:
    """One request as it came, and what it got; status 0 while it waits for its answer."""

    origin: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int
    bytes_sent: int
    """Bytes of the body, as far as they were given to the socket."""


class Record:
    """The log entry of a request that is being served."""

    def __init__(self, origin: str, request: Request) -> None:
        self.entry = LogEntry(
            origin=origin,
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            status=0,
            bytes_sent=0,
        )

    def answered(self, status: int) -> None:
        """Note the status, before the first byte goes out."""
        self.entry = replace(self.entry, status=status)

    def sent(self, count: int) -> None:
        """Note bytes of the body."""
        self.entry = replace(self.entry, bytes_sent=self.entry.bytes_sent + count)


class State:
    """The stand-in's memory, shared by the threads that serve."""

    def __init__(self, catalogue: Catalogue, settings: Settings, log: IO[str] | None) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.storage_origin = ""
        self._bundle = (catalogue, settings)
        self._signer = Signer()
        self._faults = FaultBook()
        self._records: list[Record] = []
        self._downloads_given = 0
        self._log = log
        self._lock = threading.Lock()

    @property
    def requests(self) -> tuple[LogEntry, ...]:
        """The log so far, in the order of arrival."""
        with self._lock:
            return tuple(one.entry for one in self._records)

    def clear_requests(self) -> None:
        """Empty the log."""
        with self._lock:
            self._records.clear()

    def fault(self, fault: Fault) -> None:
        """Arm a fault."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._faults.clear()

    def configure(self, changes: dict[str, Any]) -> None:
        """Change settings; TypeError on an unknown one."""
        self.settings = replace(self.settings, **changes)

    def expire_addresses(self) -> None:
        """Make every signed address issued so far a 403."""
        with self._lock:
            self._signer = replace(self._signer, generation=self._signer.generation + 1)

    def reset(self) -> None:
        """Go back to the first catalogue and settings, with an empty log and no faults."""
        self.catalogue, self.settings = self._bundle
        self.clear_faults()
        with self._lock:
            self._records.clear()
            self._downloads_given = 0

    def opened(self, origin: str, request: Request) -> Record:
        """Log a request that has just come in."""
        record = Record(origin, request)
        with self._lock:
            self._records.append(record)
        return record

    def closed(self, record: Record) -> None:
        """Write a request that is over to the log file, if there is one."""
        if self._log is None:
            return
        line = json.dumps(asdict(record.entry))
        with self._lock:
            self._log.write(line + "\n")
            self._log.flush()

    def delivery(self, origin: str, request: Request) -> Delivery:
        """Return what goes over the wire for a request."""
        struck = self._faults.strike(origin, request)
        if struck is None:
            return deliver(self._answer(origin, request), None)
        fault, count = struck
        answer = self._answer(origin, changed_request(fault, request), fault)
        return deliver(changed_answer(fault, answer, request, count), fault)

    def _answer(self, origin: str, request: Request, fault: Fault | None = None) -> Answer:
        now_s = time.time()
        if origin == "storage":
            instead = None
            if fault is not None and fault.file_id is not None:
                instead = self.catalogue.file(fault.file_id)
            view = StorageView(
                catalogue=self.catalogue,
                signer=self._signer,
                now_s=now_s,
                content_disposition=self.settings.content_disposition,
            )
            return view.answer(request, instead=instead)
        hub = Hub(
            catalogue=self.catalogue,
            settings=self.settings,
            signer=self._signer,
            storage_origin=self.storage_origin,
            now_s=now_s,
            downloads_given=self._downloads_given,
        )
        answer = hub.answer(request)
        if answer.status == 307:
            with self._lock:
                self._downloads_given += 1
        return answer
