"""Shows comfylock at work on the example workflows, against a local stand-in of Civitai.

Run it with `make demo`. Everything happens in a temporary folder, which the output shows as ``~``;
no request leaves this machine. Every step says what it shows and is checked: exit codes, the
hashes of files, and the requests that the stand-in has logged. Exit code 1, with a line that says
why, if a step does not go as told.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from tests.standin_hf.repositories import Shelves
from tests.standin_hf.server import HuggingFaceStandin

_CHECKOUT = Path(__file__).resolve().parent.parent
_WORKFLOWS = Path(__file__).resolve().parent / "workflows"

#: The workflow that comes in last: it asks for a LoRA that no hub has.
_LATE = "bakery-sdxl.json"
_NOWHERE = "loras/corner_bakery_signs_v3.safetensors"

_RENAMED = "loras/add-detail-xl.safetensors"
_DAMAGED = "loras/PerfectEyesXL.safetensors"

#: The comfylock that is installed beside this Python.
_PROGRAM = Path(sysconfig.get_path("scripts")) / "comfylock"

_LINES_OF_LOCK = 45
_READY_WITHIN_S = 20.0
_COMMAND_WITHIN_S = 60.0
_PROGRESS = re.compile(r"(Downloading|Downloaded) ")


class DemoFailedError(Exception):
    """A step did not go as told."""


# ------------------------------------------------------------------------------- the stand-in


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    """The stand-in of Civitai, and an empty one of Hugging Face."""

    url: str
    hugging_face_url: str

    def requests(self) -> list[dict[str, Any]]:
        """Return the log of requests since the last `forget`, in the order of arrival."""
        found: list[dict[str, Any]] = json.loads(self._ask("GET", "requests"))
        return found

    def downloads(self) -> list[str]:
        """Return the download addresses among them."""
        paths: list[str] = [str(request["path"]) for request in self.requests()]
        return [path for path in paths if path.startswith("/api/download/")]

    def forget(self) -> None:
        """Begin a new log."""
        self._ask("POST", "clear-requests")

    def _ask(self, method: str, what: str) -> bytes:
        opener = build_opener(ProxyHandler({}))  # it is on this machine: no proxy in between
        request = Request(f"{self.url}/_standin/{what}", method=method)
        with opener.open(request, timeout=10) as answer:
            body: bytes = answer.read()
        return body


@contextmanager
def running_hub(folder: Path) -> Generator[Hub]:
    """Run the stand-in until the block ends; its output goes to a file in `folder`."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "tests.standin", "--ready-file", str(ready)]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=_CHECKOUT, stdout=output, stderr=output)
        try:
            _wait_for(ready, process)
            url = json.loads(ready.read_text(encoding="utf-8"))["url"]
            with HuggingFaceStandin(Shelves.of()) as other:
                yield Hub(url=url, hugging_face_url=other.url)
        finally:
            _end(process)


def _wait_for(ready: Path, process: "subprocess.Popen[bytes]") -> None:
    give_up_s = time.monotonic() + _READY_WITHIN_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > give_up_s:
            raise DemoFailedError("the stand-in of Civitai starts")
        time.sleep(0.02)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# ----------------------------------------------------------------------------------- the stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a command printed, stdout and stderr together, and its exit code."""

    code: int
    output: str

    def has_line(self, *words: str) -> bool:
        """Say whether a line begins with these words, whatever blanks are between them."""
        lines = (line.split() for line in self.output.splitlines())
        return any(line[: len(words)] == list(words) for line in lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A project of workflows, with a ComfyUI beside it that has no models yet.

    Attributes:
        home: the temporary folder.
        hub: where models come from.
    """

    home: Path
    hub: Hub

    @property
    def project(self) -> Path:
        """Where the commands run."""
        return self.home / "project"

    @property
    def models(self) -> Path:
        """ComfyUI's models folder; nobody tells comfylock where it is."""
        return self.home / "ComfyUI" / "models"

    @property
    def lock_path(self) -> Path:
        """The lock."""
        return self.project / "comfy.lock"

    def locked(self) -> dict[str, dict[str, Any]]:
        """Return the models of the lock by key, read without any help of comfylock."""
        document = tomllib.loads(self.lock_path.read_text(encoding="utf-8"))
        models: dict[str, dict[str, Any]] = document["model"]
        return models

    def build(self) -> None:
        """Lay out the project and the ComfyUI beside it."""
        self.models.mkdir(parents=True)
        for name in ("main.py", "folder_paths.py"):
            (self.models.parent / name).touch()
        (self.project / "workflows").mkdir(parents=True)
        for workflow in _WORKFLOWS.glob("*.json"):
            if workflow.name != _LATE:
                self.add_workflow(workflow.name)

    def add_workflow(self, name: str) -> None:
        """Copy one of the example workflows into the project."""
        shutil.copy(_WORKFLOWS / name, self.project / "workflows" / name)

    def run(self, *arguments: str) -> Run:
        """Run comfylock as a user would, and show the command and what it prints."""
        self.hub.forget()
        print(f"\n$ comfylock {' '.join(arguments)}", flush=True)
        try:
            done = subprocess.run(
                [_PROGRAM, *arguments],
                cwd=self.project,
                env=self._environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_COMMAND_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoFailedError(f"it ends within {_COMMAND_WITHIN_S:.0f} s") from error
        except OSError as error:
            raise DemoFailedError(f"{_PROGRAM} can be run: {error.strerror}") from error
        output = done.stdout.decode("utf-8", "replace").replace(str(self.home), "~")
        _show(output)
        return Run(code=done.returncode, output=output)

    def _environment(self) -> dict[str, str]:
        """Return the user's environment without settings and keys for comfylock."""
        foreign = ("COMFYLOCK_", "COMFYUI_", "CIVITAI_", "HF_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        return kept | {
            "COMFYLOCK_CIVITAI_URL": self.hub.url,
            "HF_ENDPOINT": self.hub.hugging_face_url,
            "COMFYLOCK_CACHE_DIR": str(self.home / "cache"),
            "COMFYLOCK_CONFIG_DIR": str(self.home / "config"),
            "NO_COLOR": "1",
        }


def _show(output: str) -> None:
    """Print a command's output; of the lines about single downloads, only how many there are."""
    lines = output.splitlines()
    telling = [line for line in lines if not _PROGRESS.match(line)]
    if len(telling) < len(lines):
        print(f"(… {len(lines) - len(telling)} lines of progress)")
    print("\n".join([*telling, ""]), flush=True)


@contextmanager
def set_stage() -> Generator[Stage]:
    """Build the temporary folder and run the stand-in; both are gone at the end."""
    # Resolved, as comfylock prints it: macOS reaches its folder for such things through a link.
    home = Path(tempfile.mkdtemp(prefix="comfylock-demo-")).resolve()
    try:
        (home / "hub").mkdir()
        with running_hub(home / "hub") as hub:
            stage = Stage(home=home, hub=hub)
            stage.build()
            yield stage
    finally:
        shutil.rmtree(home)


# --------------------------------------------------------------------------- notes and checks


def note(text: str) -> None:
    """Tell what happens besides the commands."""
    print(f"\n({text})")


def check(claim: str, holds: bool) -> None:  # noqa: FBT001 - a claim holds or not
    """Print a claim that holds.

    Raises:
        DemoFailedError: it does not.
    """
    if not holds:
        raise DemoFailedError(claim)
    print(f"  ok: {claim}", flush=True)


def check_exit(run: Run, code: int) -> None:
    """Check how a command ended."""
    check(f"exit code {code}", run.code == code)


def check_silence(stage: Stage) -> None:
    """Check that the last command asked nobody."""
    check("no request reached the hub", not stage.hub.requests())


def has_locked_bytes(stage: Stage, key: str) -> bool:
    """Say whether a model lies in its place with the size and the hash that the lock says."""
    pin = stage.locked()[key]
    path = stage.models / key
    return (
        path.is_file() and path.stat().st_size == pin["size"] and sha256_of(path) == pin["sha256"]
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a small file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def traces(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Return inode and time of change of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


# ------------------------------------------------------------------------------------ the steps


def lock(stage: Stage) -> None:
    """Pin every model of three workflows."""
    done = stage.run("lock", "workflows")
    check_exit(done, 0)
    models = stage.locked()
    check(
        f"all {len(models)} models have a SHA-256, a BLAKE3 and an exact Civitai file",
        all({"sha256", "blake3"} <= pin.keys() and pin["sources"] for pin in models.values()),
    )
    check("the film LoRA, bypassed in the workflow, is not among them", "FILM" not in str(models))
    check("nothing was downloaded", not stage.hub.downloads())


def show_lock(stage: Stage) -> None:
    """Show what is committed beside the workflows."""
    text = stage.lock_path.read_text(encoding="utf-8")
    lines = text.splitlines()
    note(f"the first {_LINES_OF_LOCK} of {len(lines)} lines of comfy.lock")
    print("\n".join(["", *lines[:_LINES_OF_LOCK], ""]))
    check("it names no path of this machine", str(stage.home) not in text)
    check("nor the address that the models were found at", stage.hub.url not in text)


def lock_again(stage: Stage) -> None:
    """Lock once more, with nothing changed."""
    before = stage.lock_path.read_bytes()
    done = stage.run("lock")
    check_exit(done, 0)
    check("comfy.lock has the same bytes", stage.lock_path.read_bytes() == before)
    check_silence(stage)


def install(stage: Stage) -> None:
    """Fill the empty models folder."""
    models = stage.locked()
    done = stage.run("install")
    check_exit(done, 0)
    check(
        f"{len(models)} files lie where ComfyUI looks, each with the locked hash",
        all(has_locked_bytes(stage, key) for key in models),
    )
    check("each was downloaded once", len(stage.hub.downloads()) == len(models))


def install_again(stage: Stage) -> None:
    """Install once more, with nothing to do."""
    before = traces(stage.home / "ComfyUI")
    done = stage.run("install")
    check_exit(done, 0)
    check("one line says so", re.fullmatch(r"Checked \d+ models in .*\n", done.output) is not None)
    check_silence(stage)
    check("no file was touched", traces(stage.home / "ComfyUI") == before)


def recognise(stage: Stage) -> None:
    """Give a file another name and folder, and install."""
    mine = stage.models / "loras" / "favourites" / "crisp details.safetensors"
    mine.parent.mkdir()
    (stage.models / _RENAMED).rename(mine)
    note("loras/add-detail-xl.safetensors becomes loras/favourites/crisp details.safetensors")
    done = stage.run("install")
    check_exit(done, 0)
    check("the wanted name is there again", has_locked_bytes(stage, _RENAMED))
    check("the renamed file is still there", mine.is_file())
    check_silence(stage)


def notice(stage: Stage) -> None:
    """Damage a file; it is seen, and not overwritten."""
    path = stage.models / _DAMAGED
    damaged = bytes(byte ^ 0xFF for byte in path.read_bytes()[:64]) + path.read_bytes()[64:]
    path.write_bytes(damaged)
    note("64 bytes of loras/PerfectEyesXL.safetensors are changed, its size is not")
    seen = stage.run("status")
    check_exit(seen, 0)
    check("status calls it different", seen.has_line("different", _DAMAGED))
    done = stage.run("install")
    check_exit(done, 1)
    check("the error has a name: path-occupied", "error[path-occupied]" in done.output)
    check("the file is as it was", path.read_bytes() == damaged)
    check_silence(stage)


def repair(stage: Stage) -> None:
    """Allow the damaged file to be replaced."""
    damaged = sha256_of(stage.models / _DAMAGED)
    done = stage.run("install", "--replace")
    check_exit(done, 0)
    check("the locked bytes are in place", has_locked_bytes(stage, _DAMAGED))
    check("one file was downloaded", len(stage.hub.downloads()) == 1)
    aside = stage.models / ".comfylock" / "replaced"
    check(
        "the damaged one was moved aside, not deleted",
        damaged in [sha256_of(path) for path in aside.rglob("*")],
    )


def missing(stage: Stage) -> None:
    """Add a workflow with a LoRA that no hub has."""
    before = stage.locked()
    stage.add_workflow(_LATE)
    note(f"a friend sends workflows/{_LATE}")
    done = stage.run("lock")
    check_exit(done, 1)
    check("the error names the LoRA", f"error[unresolved]: {_NOWHERE}" in done.output)
    after = stage.locked()
    check("the pins from before are as they were", before.items() <= after.items())
    told = stage.run("status")
    check_exit(told, 0)
    check("the list of what is missing has the LoRA", told.has_line("unresolved", _NOWHERE))
    new = sorted(after.keys() - before.keys())
    check(
        f"and the {len(new)} models that an install can fetch",
        all(told.has_line("missing", key) for key in new),
    )


_STEPS: tuple[tuple[str, Callable[[Stage], None]], ...] = (
    ("Lock: every model that the workflows name is pinned to one exact file", lock),
    ("The lock: text that lies beside the workflows in git", show_lock),
    ("Lock again: the same bytes, and nobody is asked", lock_again),
    ("Install: an empty models folder is filled, every file verified", install),
    ("Install again: nothing to do, and nobody is asked", install_again),
    ("A renamed file is recognised by its hash and not downloaded again", recognise),
    ("A damaged file is noticed, and not overwritten without leave", notice),
    ("With leave it is replaced; the old one is moved aside", repair),
    ("What is still missing, and what no hub has", missing),
)


def main() -> int:
    """Play all steps and return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began_s = time.monotonic()
    print("comfylock on the example workflows, with a stand-in of Civitai on this machine.")
    print("Everything happens in a temporary folder, shown as ~; it is removed at the end.")
    heading = "the start"
    try:
        with set_stage() as stage:
            for number, (heading, step) in enumerate(_STEPS, start=1):
                print(f"\n=== {number}. {heading}", flush=True)
                step(stage)
    except DemoFailedError as error:
        print(f"\nThe demo failed at {heading!r}.\nNot true: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nAll {len(_STEPS)} steps went as told, in {time.monotonic() - began_s:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
