"""Kills and failing disks at every step of what is no install: pruning, aliases, locks, pins.

`test_crash` does the same to installs.
"""

import re
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import shop
from tests.standin.server import Standin
from tests.world import BRUSH, INK, PAPER, World, bytes_of, pin_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("strace")]

CHANGES = (
    "write,pwrite64", "fsync,fdatasync", "renameat2,rename,renameat", "link,linkat,symlinkat",
    "unlink,unlinkat", "mkdir,mkdirat", "ftruncate",
)  # fmt: skip
ALIAS = "SDXL\\paper.safetensors"


@dataclass(frozen=True)
class Scene:
    """A command, what must be so at any moment of it, and what must be so in the end."""

    world: World
    command: tuple[str, ...]
    faults: Callable[[], list[str]]
    is_done: Callable[[], bool]


def traced(scene: Scene, log: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    strace = ["strace", "-f", "-qq", "-o", str(log), *options]
    return subprocess.run(
        [*strace, *scene.world.command(*scene.command)],
        env=scene.world.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        cwd=scene.world.project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def steps_of(scene: Scene, log: Path) -> dict[str, int]:
    """Return how often one thread makes each kind of call, at most: strace counts by thread."""
    traced(scene, log, "-e", f"trace={','.join(CHANGES)}")
    counts: dict[tuple[str, str], int] = {}
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match:
            group = next(one for one in CHANGES if match[2] in one.split(","))
            counts[match[1], group] = counts.get((match[1], group), 0) + 1
    return {
        group: max((count for (_, one), count in counts.items() if one == group), default=0)
        for group in CHANGES
    }


def enumerate_faults(root: Path, stage: Callable[[Path], Scene], fault: str) -> int:
    """Put a fault at each change in turn; a run without one must end well behind it."""
    points = 0
    for group, count in steps_of(stage(root / "count"), root / "log").items():
        for number in range(1, count + 1):
            scene = stage(root / f"{group.partition(',')[0]}-{number}")
            log = scene.world.root / "log"
            inject = ["-e", f"trace={group}", "-e", f"inject={group}:{fault}:when={number}"]
            done = traced(scene, log, *inject)
            assert scene.faults() == [], (group, number, done.stderr)
            if not re.search(r"write\([12], .*INJECTED", log.read_text(errors="replace")):
                assert "Traceback" not in done.stderr, (group, number, done.stderr)
            again = scene.world.run(*scene.command)
            assert scene.faults() == [], (group, number, again.text)
            assert scene.is_done(), (group, number, done.stderr, again.text)
            points += 1
    print(f"{points} points")
    return points


# ------------------------------------------------------------------------------- the scenes


def pruning(hub: Standin) -> Callable[[Path], Scene]:
    """Two models are no longer wanted, one is linked anew and gets an alias."""

    def stage(root: Path) -> Scene:
        root.mkdir()
        world = World(root, hub)
        world.put("loras/mine.safetensors", b"mine")
        world.lock(pin_of(INK), pin_of(PAPER), pin_of(BRUSH, "vae/brush.safetensors"))
        assert world.here("install").code == 0
        time.sleep(0.12)
        key = "loras/SDXL/paper.safetensors"
        world.lock(pin_of(PAPER, key, aliases=(ALIAS,)))
        true = {"ink": INK, "paper": PAPER, "brush": BRUSH}

        def faults() -> list[str]:
            found = world.files()
            broken = [] if found.pop("loras/mine.safetensors", b"") == b"mine" else ["mine is lost"]
            for name, content in found.items():
                stem = re.split(r"[/\\.]", name)[-2]
                if content != bytes_of(true[stem]):
                    broken.append(f"{name}: {len(content)} bytes")
            if bytes_of(PAPER) not in found.values():
                broken.append("what is wanted was removed")
            return broken

        def is_done() -> bool:
            """What was linked and not noted down counts as the user's: then its old name stays."""
            wanted = {"loras/mine.safetensors", key, f"loras/{ALIAS}"}
            return wanted <= set(world.files()) <= wanted | {
                "loras/ink.safetensors", "loras/paper.safetensors", "vae/brush.safetensors",
            }  # fmt: skip

        command = ("install", "--frozen", "--prune", "--yes")
        return Scene(world, command, faults, is_done)

    return stage


def choosing(hub: Standin) -> Callable[[Path], Scene]:
    """A pin is written to comfylock.toml, and the lock after it."""

    def stage(root: Path) -> Scene:
        root.mkdir()
        world = World(root, hub)
        shop.put_workflow(world, shop.INK, shop.TWIN)
        (world.project / "comfylock.toml").write_text('# kept\nworkflows = ["workflows"]\n')
        world.here("lock")
        before = world.lock_path.read_bytes()

        def faults() -> list[str]:
            broken: list[str] = []
            settings = tomllib.loads(shop.project_file(world))
            if settings.get("workflows") != ["workflows"] or "# kept" not in shop.project_file(
                world
            ):
                broken.append("comfylock.toml is torn")
            models = shop.locked(world)
            if shop.INK not in models or (shop.TWIN not in models) is not (
                world.lock_path.read_bytes() == before
            ):
                broken.append("comfy.lock is torn")
            return broken

        def is_done() -> bool:
            beside = {path.name for path in world.project.iterdir()}
            # What a killed run leaves beside a file is its own, under a name that nobody reads.
            visible = {name for name in beside if not name.startswith(".")}
            return shop.source(world, shop.TWIN) == (41, 411) and visible == {
                "comfy.lock", "comfylock.toml", "workflows",
            }  # fmt: skip

        return Scene(world, ("pin", "loras/twin", "civitai:41"), faults, is_done)

    return stage


@pytest.fixture
def shopping() -> Iterator[Standin]:
    with Standin(shop.SHOP) as hub:
        yield hub


@pytest.mark.parametrize("fault", ["signal=SIGKILL", "error=EIO"])
def test_a_fault_at_every_step_of_pruning_loses_nothing(
    tmp_path: Path, hub: Standin, fault: str
) -> None:
    assert enumerate_faults(tmp_path, pruning(hub), fault) >= 20


@pytest.mark.parametrize("fault", ["signal=SIGKILL", "error=ENOSPC"])
def test_a_fault_at_every_step_of_a_pin_tears_no_file(
    tmp_path: Path, shopping: Standin, fault: str
) -> None:
    assert enumerate_faults(tmp_path, choosing(shopping), fault) >= 10
