"""`install --json-lines`: what happens, as it happens, one JSON object a line on stdout.

Each object has ``type`` and ``elapsed_ms``, milliseconds since the command began. Sizes are bytes;
``ref`` is the model's key, ``alias`` the spelling where a line is about one, else null. Readers
pass over types and fields that they do not know; `documents/lines.py` has the types of all
fields, and docs/schemas/install-lines.json is made from it. In order:

    version   ``schema``, ``comfylock``: always the first line
    plan      ``models``, ``bytes`` to fetch, ``plan``: the same entries as of ``install --json``
    start     ``ref``, ``alias``, ``act`` (``download link hash remove``), ``total_bytes`` (null
              when not known), ``done_bytes`` of an earlier run
    progress  ``ref``, ``alias``, ``done_bytes``, ``total_bytes``: at most one a second per model;
              the total may change, as a recorded size may be wrong
    complete  ``ref``, ``alias``, ``act``, ``ok``, ``bytes`` done, ``slug`` and ``message`` of what
              went wrong, both null when it is well
    warning   ``message``
    note      ``message``, with `--verbose` only
    error     ``slug``, ``message``, ``hint``, ``ref``: all that went wrong, at the end
    summary   ``ok``, ``exit_code``, ``results`` and the ``summary`` of ``install --json``: always
              the last line

Of ``hash`` the ``ref`` is the path of the file that is read; what must be read to make a plan
comes before it. A model that is in place already has
no lines of its own. An install that could not even be planned has no ``plan`` line.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

from comfylock import __version__
from comfylock.actions import Plan
from comfylock.errors import OutputError, Problem
from comfylock.events import (
    Advanced,
    Event,
    Finished,
    Measured,
    Noted,
    Planned,
    Started,
    Stepped,
    Warned,
)
from comfylock.names import is_alias, split_alias
from comfylock.report.install import plan_fields
from comfylock.report.page import SCHEMA, Page

_PROGRESS_EVERY_S = 1.0


@dataclass(slots=True)
class _Running:
    """One act; counts move, so this is no value."""

    act: str
    total: int | None
    done: int
    told_s: float


class JsonLines:
    """A reporter that writes lines. Safe for threads.

    Args:
        stream: where they go; flushed after each.
        verbose: write notes too.
        clock: seconds, from any beginning.
        begun: the first line has been written by another.

    Raises:
        OutputError, BrokenPipeError: nobody can read the first line. Where that is so later, the
            work goes on, and `end` tells.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
        begun: bool = False,
    ) -> None:
        self._stream = stream
        self._verbose = verbose
        self._clock = clock
        self._began_s = clock()
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._fault: OutputError | OSError | None = None
        if not begun:
            self._write("version", {"schema": SCHEMA, "comfylock": __version__})
            self._raise_fault()

    def plan(self, plan: Plan) -> Plan:
        """Write a plan, and return it as it is."""
        models = sum(1 for action in plan.of_pins if not is_alias(action.pin.key))
        entries = [plan_fields(action) for action in plan.actions]
        with self._lock:
            self._write("plan", {"models": models, "bytes": plan.bytes_to_fetch, "plan": entries})
        return plan

    def on(self, event: Event) -> None:
        """Write what is worth a line."""
        with self._lock:
            self._on(event)

    def _on(self, event: Event) -> None:
        match event:
            case Started():
                self._started(event)
            case Advanced():
                self._advanced(event)
            case Measured():
                if event.ref in self._running:
                    self._running[event.ref].total = event.total_bytes
            case Finished():
                self._finished(event)
            case Warned():
                self._write("warning", {"message": event.message})
            case Noted():
                if self._verbose:
                    self._write("note", {"message": event.message})
            case Planned() | Stepped():
                pass

    def _started(self, event: Started) -> None:
        before = self._running.get(event.ref)
        now = self._clock()
        self._running[event.ref] = _Running(event.act, event.total_bytes, event.done_bytes, now)
        if before is None or before.act != event.act:
            numbers = {"total_bytes": event.total_bytes, "done_bytes": event.done_bytes}
            self._write("start", {**_named(event.ref), "act": event.act, **numbers})

    def _advanced(self, event: Advanced) -> None:
        running = self._running.get(event.ref)
        if running is None:
            return
        running.done += event.count
        now = self._clock()
        if now - running.told_s >= _PROGRESS_EVERY_S:
            running.told_s = now
            numbers = {"done_bytes": running.done, "total_bytes": running.total}
            self._write("progress", {**_named(event.ref), **numbers})

    def _finished(self, event: Finished) -> None:
        running = self._running.pop(event.ref, None)
        if running is None and event.succeeded:
            return
        result = {
            "act": running.act if running else None,
            "ok": event.succeeded,
            "bytes": running.done if running else 0,
            "slug": event.slug,
            "message": event.message,
        }
        self._write("complete", {**_named(event.ref), **result})

    def end(self, page: Page) -> None:
        """Write the last lines.

        Raises:
            OutputError, BrokenPipeError: a line could not be written.
        """
        with self._lock:
            for problem in page.problems:
                self._write("error", _problem_fields(problem))
            self._write(
                "summary",
                {
                    "ok": page.exit_code == 0,
                    "exit_code": page.exit_code,
                    "results": page.document.get("results", []),
                    "summary": page.document.get("summary", {}),
                },
            )
        self._raise_fault()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _write(self, kind: str, fields: Mapping[str, object]) -> None:
        if self._fault is not None:
            return
        elapsed_ms = round((self._clock() - self._began_s) * 1000)
        try:
            self._stream.write(
                f"{json.dumps({'type': kind, 'elapsed_ms': elapsed_ms, **fields})}\n"
            )
            self._stream.flush()
        except (OutputError, OSError) as error:
            self._fault = error  # no failure of the model that the line is about


def _named(ref: str) -> dict[str, object]:
    # The path of a file that is read may hold a backslash and is no key.
    key, alias = (ref, None) if ref.startswith("/") else split_alias(ref)
    return {"ref": key, "alias": alias}


def _problem_fields(problem: Problem) -> dict[str, object]:
    return {
        "slug": problem.slug,
        "message": problem.message,
        "hint": problem.hint,
        "ref": problem.ref,
    }
