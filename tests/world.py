"""A sealed world for installs: a project, a models folder, a lock by value, and the stand-in.

`World.run` starts the real command line as a process of its own, `World.here` runs the same
command line in this process, and `World.install` carries the same plan out without any waiting
between tries, so that a fault which passes costs no seconds.
"""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import (
    closing,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
)
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from comfylock.apply import Workplace, apply_plan
from comfylock.artifacts import CivitaiSource, FileId, ModelId, VersionId
from comfylock.cli.main import run as run_command_line
from comfylock.disk.streams import Patience, Receiving
from comfylock.errors import Problem
from comfylock.events import Event, Silence
from comfylock.hashes import Digests
from comfylock.hubs import hub_from_environment
from comfylock.lockfile.model import Evidence, Lock, Pin, WorkflowEntry
from comfylock.lockfile.text import render_lock
from comfylock.operations.install import Installed
from comfylock.plan import OnOccupied, make_plan
from comfylock.report.install import install_page
from comfylock.session import Session, Wishes
from comfylock.settings import Choices, LinkMode
from comfylock.web.fetch import Fetcher
from comfylock.web.origins import hub_keys
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting
from tests.standin.catalogue import Catalogue, Shelf, file, model, version
from tests.standin.server import LogEntry, Standin

ROOT = Path(__file__).parent.parent
CANARY = "canary-9d1f0c7e5b"

INK, PAPER, BRUSH, EARLY, DISABLED, MEMBERS, PICKLE, FALSE = 111, 112, 113, 114, 115, 116, 117, 118
INK_SIZE = 300_000

#: One file of each kind that installs meet; ids are also what faults match on.
SHELVES = Catalogue.of(
    [
        model(
            1,
            "Ink Wash",
            "LORA",
            versions=[
                version(11, "v1", files=[file(INK, "ink.safetensors", size=INK_SIZE)]),
                version(12, "v2", files=[file(PAPER, "paper.safetensors", size=50_000)]),
                version(13, "v3", files=[file(BRUSH, "brush.safetensors", size=20_000)]),
                version(
                    14,
                    "v4",
                    files=[file(EARLY, "early.safetensors")],
                    paid_access={"ends_at": "2099-01-01T00:00:00.000Z"},
                ),
                version(
                    15,
                    "v5",
                    files=[file(DISABLED, "closed.safetensors")],
                    usage_control="Generation",
                ),
                version(16, "v6", files=[file(MEMBERS, "members.safetensors")], require_auth=True),
                version(17, "v7", files=[file(PICKLE, "upscaler.pth")]),
                version(18, "v8", files=[file(FALSE, "false.safetensors", content="pickle")]),
            ],
        ),
        model(
            2,
            "Archived Ink",
            "LORA",
            mode="Archived",
            versions=[version(21, "v1", files=[file(211, "old.safetensors")])],
        ),
    ]
)


def source_of(shelf: Shelf) -> CivitaiSource:
    """Return the ids of a file on the stand-in's shelves."""
    return CivitaiSource(
        model=ModelId(shelf.model.id),
        version=VersionId(shelf.version.id),
        file=FileId(shelf.file.id),
    )


def pin_of(file_id: int, key: str | None = None, **changes: Any) -> Pin:
    """Return the true pin of a file on the shelves, with some of its facts changed."""
    shelf = SHELVES.shelf(file_id)
    pin = Pin(
        key=key or f"loras/{shelf.file.name}",
        size=shelf.file.size,
        digests=Digests(sha256=shelf.file.sha256, blake3=shelf.file.blake3),
        evidence=Evidence.HASH,
        sources=(source_of(shelf),),
    )
    return replace(pin, **changes)


def bytes_of(file_id: int) -> bytes:
    """Return the true bytes of a file on the shelves."""
    return SHELVES.file(file_id).payload.read()


def lock_of(*pins: Pin, workflows: Mapping[str, Sequence[str]] | None = None) -> Lock:
    """Return a lock that holds these pins."""
    return Lock(
        inputs=tuple(workflows or ()),
        workflows={
            path: WorkflowEntry(path=path, models=tuple(keys))
            for path, keys in (workflows or {}).items()
        },
        models={pin.key: pin for pin in pins},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def text(self) -> str:
        """All that was printed."""
        return f"{self.out}\n{self.err}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What an install without waiting came to."""

    code: int
    problems: tuple[Problem, ...]
    results: dict[str, str]
    notes: str

    @property
    def slugs(self) -> tuple[str, ...]:
        """The kinds of trouble, in order."""
        return tuple(problem.slug for problem in self.problems)

    @property
    def told(self) -> str:
        """Every message and hint."""
        return "\n".join(f"{one.message}\n{one.hint or ''}" for one in self.problems)


@dataclass(slots=True)
class Listener:
    """A reporter that keeps what it hears."""

    heard: list[Event] = field(default_factory=list[Event])

    def on(self, event: Event) -> None:
        self.heard.append(event)


class World:
    """A project with a lock, a models folder and a hub, below one temporary folder."""

    def __init__(self, root: Path, hub: Standin) -> None:
        self.root = root
        self.hub = hub
        self.project = root / "project"
        self.models = root / "models"
        for folder in (self.project, self.models, root / "home"):
            folder.mkdir()
        self.environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(root / "home"),
            "PYTHONPATH": str(ROOT),
            "COMFYLOCK_CIVITAI_URL": hub.url,
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody listens there
            "COMFYLOCK_CACHE_DIR": str(root / "cache"),
            "COMFYLOCK_CONFIG_DIR": str(root / "config"),
            "COMFYLOCK_MODELS_DIR": str(self.models),
        }

    # ------------------------------------------------------------------ what is there

    @property
    def lock_path(self) -> Path:
        return self.project / "comfy.lock"

    def lock(self, *pins: Pin, workflows: Mapping[str, Sequence[str]] | None = None) -> None:
        """Write comfy.lock with these pins."""
        self.lock_path.write_text(render_lock(lock_of(*pins, workflows=workflows)), "utf-8")

    def put(self, name: str, content: bytes) -> Path:
        """Write a file below the models folder."""
        path = self.models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def spot(self, key: str) -> Path:
        return self.models / key

    def has(self, key: str, file_id: int) -> bool:
        """Say whether a spot holds a file's true bytes."""
        path = self.spot(key)
        return path.is_file() and path.read_bytes() == bytes_of(file_id)

    def files(self) -> dict[str, bytes]:
        """Return every file below the models folder but our own, by name."""
        return {
            str(path.relative_to(self.models)): path.read_bytes()
            for path in sorted(self.models.rglob("*"))
            if path.is_file() and ".comfylock" not in path.parts
        }

    def parts(self, base: Path | None = None) -> list[Path]:
        """Return what downloads have left."""
        directory = (base or self.models) / ".comfylock" / "partial"
        return sorted(directory.iterdir()) if directory.is_dir() else []

    def replaced(self) -> list[Path]:
        """Return what was moved aside."""
        directory = self.models / ".comfylock" / "replaced"
        return sorted(directory.iterdir()) if directory.is_dir() else []

    def downloads(self) -> list[LogEntry]:
        """Return the requests that the storage got."""
        return [entry for entry in self.hub.requests if entry.origin == "storage"]

    # ------------------------------------------------------------------------ acts

    def run(self, *arguments: str, timeout_s: float = 60, **variables: str) -> Ran:
        """Run the real command line to its end."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment | variables,
            cwd=self.project,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "comfylock", *arguments]

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        """Start the real command line; it can be interrupted as from a terminal."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment | variables,
            cwd=self.project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def here(self, *arguments: str, **variables: str) -> Ran:
        """Run the command line in this process: the same pages, without the start-up time."""
        out, err = io.StringIO(), io.StringIO()
        environment = self.environment | variables
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = run_command_line(["-C", str(self.project), *arguments])
        return Ran(code=code, out=out.getvalue(), err=err.getvalue())

    def install(
        self,
        *pins: Pin,
        occupied: OnOccupied = OnOccupied.BLOCK,
        link_mode: LinkMode = LinkMode.AUTO,
        jobs: int = 4,
        before_apply: Callable[[], object] = lambda: None,
        **variables: str,
    ) -> Done:
        """Install pins as the command does, with no time between tries.

        Args:
            before_apply: called between the plan and its application.
        """
        listener = Listener()
        wishes = Wishes(
            directory=self.project,
            choices=Choices(link_mode=link_mode, jobs=jobs),
            on_occupied=occupied,
        )
        environment = self.environment | variables
        with Session(wishes, environment, listener) as session, self._fetcher(environment) as web:
            inventory = session.inventory(pins)
            plan = make_plan(pins, inventory, session.policy)
            before_apply()
            workplace = Workplace(
                destination=session.destination,
                cache=session.hash_cache,
                guard=threading.Lock(),
                receiving=Receiving(
                    fetcher=web,
                    reporter=listener,
                    stop=session.stop,
                    patience=Patience(first_wait_s=0, longest_wait_s=0),
                ),
                link_mode=session.settings.link_mode,
                roots=session.directories.roots,
            )
            outcomes = apply_plan(plan, workplace, jobs)
        page = install_page(
            Installed(
                plan=plan,
                outcomes=outcomes,
                unresolved=(),
                differences=(),
                warnings=(),
                hashed_files=inventory.hashed_files,
            ),
            seconds=0.0,
            dry_run=False,
        )
        return Done(
            code=page.exit_code,
            problems=page.problems,
            results={outcome.ref: f"{outcome.action} {outcome.status}" for outcome in outcomes},
            notes="\n".join(str(event) for event in listener.heard),
        )

    @contextmanager
    def _fetcher(self, environment: Mapping[str, str]) -> Iterator[Fetcher]:
        hubs = hub_from_environment(environment)
        transport = Transport(
            keys=hub_keys(hubs),
            allowed_hosts=frozenset({"127.0.0.1"}),
            environment=environment,
            reporter=Silence(),
            offline=False,
            waiting=Waiting(sleep=lambda _: None),
        )
        with closing(transport):
            yield Fetcher(
                transport,
                civitai_url=hubs.civitai_url,
                huggingface_url=hubs.huggingface_url,
                allowed_hosts=frozenset({"127.0.0.1"}),
            )


def on_file(file_id: int) -> str:
    """Return what a fault has to match to hit one file's download, at the hub or the storage."""
    stem = SHELVES.file(file_id).name.rpartition(".")[0]
    return f"fileId={file_id}$|/{stem}[.]"


def wait_until(ready: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Return when something has come about; fail where it does not."""
    end = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)
