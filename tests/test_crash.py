"""Kills, lost writes and failing disks at every step: nothing partial, nothing lost.

The same checks are turned on a naive installer, which they must catch: a test that cannot fail
proves nothing.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from comfylock.lockfile.model import Pin
from tests.standin.client import ask
from tests.standin.server import Standin
from tests.world import BRUSH, INK, PAPER, SHELVES, World, bytes_of, pin_of, source_of, wait_until

INK_KEY, PAPER_KEY, BRUSH_KEY = (
    "loras/ink.safetensors", "loras/paper.safetensors", "vae/sub/brush.safetensors",
)  # fmt: skip
MINE = {"loras/mine.safetensors": b"nobody's business", "checkpoints/old name": bytes_of(PAPER)}

#: System calls that change what is on the disk.
CHANGES = (
    "write", "fsync", "renameat2", "rename,renameat", "link,linkat", "unlink,unlinkat",
    "mkdir,mkdirat", "ftruncate,truncate",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """A world in which one model is replaced, one linked and one downloaded."""

    world: World

    @classmethod
    def set(cls, root: Path, hub: Standin) -> "Scene":
        root.mkdir()
        world = World(root, hub)
        world.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        for name, content in MINE.items():
            world.put(name, content)
        world.put(INK_KEY, b"an older ink")
        world.lock(*cls.pins())
        return cls(world)

    @staticmethod
    def pins() -> tuple[Pin, ...]:
        return (pin_of(INK), pin_of(PAPER), pin_of(BRUSH, BRUSH_KEY))

    def faults(self) -> list[str]:
        """Return every promise that is broken now."""
        world = self.world
        found = world.files()
        broken = [name for name, content in MINE.items() if found.pop(name, None) != content]
        true = {INK_KEY: INK, PAPER_KEY: PAPER, BRUSH_KEY: BRUSH}
        old_ink = b"an older ink"
        for name, content in found.items():
            if content == old_ink and name == INK_KEY:
                continue
            if name not in true or content != bytes_of(true[name]):
                broken.append(f"{name}: {len(content)} bytes")
        kept = [path.read_bytes() for path in world.replaced()]
        if found.get(INK_KEY) != old_ink and old_ink not in kept:
            broken.append("the old file is lost")
        return broken

    def is_done(self, may_leave: bool = False) -> bool:
        world = self.world
        left = [path for path in world.parts() if path.suffix == ".part"]
        return (
            world.has(INK_KEY, INK)
            and world.has(PAPER_KEY, PAPER)
            and world.has(BRUSH_KEY, BRUSH)
            and (may_leave or left == [])
        )

    def goes_on(self, may_leave: bool = False) -> None:
        """A run without a fault ends well, and the one after it has nothing to do."""
        ran = self.world.run("install", "--replace", "--frozen")
        assert ran.code == 0, ran.text
        assert self.faults() == []
        assert self.is_done(may_leave), [path.name for path in self.world.parts()]
        assert self.world.run("install", "--frozen").err.startswith("Checked 3 models")


def traced(
    scene: Scene, *options: str, log: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run an install under strace."""
    command = scene.world.command("install", "--replace", "--frozen", "--jobs", "1")
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", str(log or "/dev/null"), *options, *command],
        env=scene.world.environment,
        cwd=scene.world.project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def calls(scene: Scene, log: Path) -> dict[str, int]:
    """Return how often one thread makes each kind of call, at most: strace counts by thread."""
    names = ",".join(CHANGES)
    done = traced(scene, "-e", f"trace={names}", log=log)
    assert done.returncode == 0, done.stderr
    counts: dict[tuple[str, str], int] = {}
    for line in log.read_text().splitlines():
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match:
            group = next(one for one in CHANGES if match[2] in one.split(","))
            counts[match[1], group] = counts.get((match[1], group), 0) + 1
    return {
        group: max((count for (_, one), count in counts.items() if one == group), default=0)
        for group in CHANGES
    }


def enumerated(tmp_path: Path, hub: Standin, groups: tuple[str, ...], fault: str) -> int:
    """Put a fault at each call of these kinds in turn and check all promises; return how many."""
    counts = calls(Scene.set(tmp_path / "count", hub), tmp_path / "log")
    points = 0
    for group in groups:
        for number in range(1, counts[group] + 1):
            scene = Scene.set(tmp_path / f"{group.partition(',')[0]}-{number}", hub)
            log = scene.world.root / "log"
            trace = ["-e", f"trace={group}", "-e", f"inject={group}:{fault}:when={number}"]
            done = traced(scene, *trace, log=log)
            assert scene.faults() == [], (group, number, done.stderr)
            if not is_of_the_terminal(log):
                assert "Traceback" not in done.stderr, (group, number, done.stderr)
            # A name of ours that could not be removed stays until the next download of its content.
            may_leave = group.startswith("unlink") and fault.startswith("error")
            if done.returncode == 0:
                assert scene.is_done(may_leave), (group, number, done.stderr)
            scene.goes_on(may_leave)
            points += 1
    return points


def is_of_the_terminal(log: Path) -> bool:
    """Say whether a fault hit what the command prints."""
    return re.search(r"write\([12], .*INJECTED", log.read_text(errors="replace")) is not None


# ------------------------------------------------------------------------------- enumeration


@pytest.mark.usefixtures("strace")
def test_a_kill_at_every_rename_breaks_no_promise(tmp_path: Path, hub: Standin) -> None:
    assert enumerated(tmp_path, hub, ("renameat2",), "signal=SIGKILL") >= 2


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_a_kill_at_every_change_of_the_disk_breaks_no_promise(tmp_path: Path, hub: Standin) -> None:
    points = enumerated(tmp_path, hub, CHANGES, "signal=SIGKILL")
    print(f"{points} points of crash")
    assert points >= 20


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    "group", ["write", "fsync", "renameat2", "unlink,unlinkat", "mkdir,mkdirat"]
)
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "EROFS", "EACCES"])
def test_an_error_at_every_change_of_the_disk_breaks_no_promise(
    tmp_path: Path, hub: Standin, group: str, fault: str
) -> None:
    enumerated(tmp_path, hub, (group,), f"error={fault}")


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("fault", ["EXDEV", "EPERM", "EINVAL", "EBUSY", "EMFILE"])
def test_a_rename_that_cannot_be_done_breaks_no_promise(
    tmp_path: Path, hub: Standin, fault: str
) -> None:
    """Borders that cannot be seen, file systems that know no such rename, and busy ones."""
    enumerated(tmp_path, hub, ("renameat2",), f"error={fault}")


@pytest.mark.usefixtures("strace")
def test_a_write_that_is_lost_is_noticed(tmp_path: Path, hub: Standin) -> None:
    """The system says that it took some bytes and took none: the length on the disk tells."""
    log = tmp_path / "log"
    traced(Scene.set(tmp_path / "count", hub), "-y", "-e", "trace=write", log=log)
    told = 0
    for number in writes_to_parts(log):
        scene = Scene.set(tmp_path / str(number), hub)
        done = traced(scene, "-e", "trace=write", "-e", f"inject=write:retval=100:when={number}")
        assert scene.faults() == [], (number, done.stderr)
        # The same count may hit what the main thread prints, which ends it with 2.
        assert done.returncode in {1, 2}
        told += "bytes on the disk, and" in done.stderr
        scene.goes_on()
    assert told


def writes_to_parts(log: Path) -> list[int]:
    """Return which of its thread's writes go to a part: strace counts by thread."""
    seen: dict[str, int] = {}
    found: set[int] = set()
    for line in log.read_text(errors="replace").splitlines():
        thread = line.partition(" ")[0]
        seen[thread] = seen.get(thread, 0) + 1
        if ".part>" in line:
            found.add(seen[thread])
    assert found
    return sorted(found)


@pytest.mark.usefixtures("strace")
def test_the_file_is_synced_before_its_name_appears_and_the_folder_after(
    tmp_path: Path, hub: Standin
) -> None:
    scene = Scene.set(tmp_path / "world", hub)
    log = tmp_path / "log"
    assert traced(scene, "-y", "-e", "trace=fsync,renameat2", log=log).returncode == 0
    steps = log.read_text().splitlines()
    for key, label in ((INK_KEY, pin_of(INK)), (BRUSH_KEY, pin_of(BRUSH))):
        name, part = Path(key).name, label.digests.label
        published = next(
            number
            for number, line in enumerate(steps)
            if "renameat2(" in line and part in line and f'"{name}"' in line
        )
        before = [line for line in steps[:published] if "fsync(" in line and f"{part}." in line]
        folder = str(Path(key).parent)
        after = [line for line in steps[published:] if "fsync(" in line and f"{folder}>" in line]
        assert before, steps
        assert after, steps


# ------------------------------------------------------------------------------ random kills


def test_kills_at_random_moments_break_no_promise(tmp_path: Path, hub: Standin) -> None:
    hub.configure(throttle_per_connection=2_000_000)
    moments = random.Random(5)
    scene = Scene.set(tmp_path / "world", hub)
    for turn in range(6):
        process = scene.world.start("install", "--replace", "--frozen")
        time.sleep(moments.uniform(0.08, 0.45))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        assert scene.faults() == [], turn
    hub.configure(throttle_per_connection=None)
    scene.goes_on()


# ---------------------------------------------------------------------------- the naive way

NAIVE = """
import sys, urllib.request
for address, path in zip(sys.argv[1::2], sys.argv[2::2]):
    request = urllib.request.Request(address, headers={"User-Agent": "comfylock-test/1"})
    with urllib.request.urlopen(request) as body, open(path, "wb", buffering=0) as file:
        while piece := body.read(65536):
            file.write(piece)
print("installed")
"""


def naive(scene: Scene) -> list[str]:
    arguments: list[str] = []
    for file_id, key in ((INK, INK_KEY), (BRUSH, BRUSH_KEY)):
        source = source_of(SHELVES.shelf(file_id))
        url = f"{scene.world.hub.url}/api/download/models/{source.version}?fileId={source.file}"
        scene.world.spot(key).parent.mkdir(parents=True, exist_ok=True)
        arguments += [ask(url).headers["location"], str(scene.world.spot(key))]
    return [sys.executable, "-c", NAIVE, *arguments]


def test_the_checks_catch_a_naive_installer_that_is_killed(tmp_path: Path, hub: Standin) -> None:
    scene = Scene.set(tmp_path / "world", hub)
    command = naive(scene)
    hub.configure(throttle_per_connection=200_000)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: scene.world.spot(INK_KEY).stat().st_size >= 30_000)
    process.kill()
    process.wait()
    assert {fault.partition(":")[0] for fault in scene.faults()} == {
        INK_KEY, "the old file is lost",
    }  # fmt: skip


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("fault", ["signal=SIGKILL", "retval=100"])
def test_the_checks_catch_a_naive_installer_under_strace(
    tmp_path: Path, hub: Standin, fault: str
) -> None:
    caught = 0
    for number in (2, 3, 4):
        scene = Scene.set(tmp_path / str(number), hub)
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(scene.world.spot(INK_KEY))]
        subprocess.run(
            [*strace, "-e", f"inject=write:{fault}:when={number}", *naive(scene)],
            env=os.environ,
            capture_output=True,
            check=False,
        )
        caught += any(INK_KEY in one for one in scene.faults())
    assert caught == 3
