"""Several runs at the same time on one models folder, with file locks that lie and without."""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests import shop
from tests.standin.client import ask
from tests.standin.server import Standin
from tests.world import BRUSH, INK, PAPER, SHELVES, World, bytes_of, pin_of, source_of

RUNS = 4
OLD = b"an older brush"
KEYS = {
    "loras/ink.safetensors": INK,
    "loras/paper.safetensors": PAPER,
    "vae/brush.safetensors": BRUSH,
    "vae/again.safetensors": INK,
}

NAIVE = """
import sys, urllib.request
for address, path in zip(sys.argv[1::2], sys.argv[2::2]):
    with urllib.request.urlopen(address) as body, open(path, "wb") as file:
        file.write(body.read())
"""


@dataclass
class Together:
    """What came of runs side by side.

    Attributes:
        turns: how often so many were started at once.
        failed: what those said that did not end well.
        wrong: turns after which a spot held something else than its model.
        lost: what was left of the user's files where it is not each of them, once.
        leftovers: turns after which one more run left parts.
        ratio: bytes sent to bytes wanted.
    """

    turns: int = 0
    failed: list[str] = field(default_factory=list[str])
    wrong: int = 0
    lost: list[str] = field(default_factory=list[str])
    leftovers: int = 0
    ratio: float = 0.0


def together(root: Path, count: int, lies: str = "") -> Together:
    """Start four installs at once: one model is linked, one replaced, two downloaded.

    Args:
        root: where the worlds are.
        count: how often.
        lies: how the system answers to a file lock, as strace injects it, such as ``retval=0``.
    """
    found = Together()
    sent = 0
    with Standin(SHELVES) as hub:
        hub.configure(throttle_per_connection=1_500_000)
        while found.turns < count:
            world = _world(root, hub, found)
            _run_all(world, found, lies)
            sent += sum(entry.bytes_sent for entry in world.downloads())
            _judge(world, found)
            world.run("install", "--verify", "full")
            found.leftovers += bool(world.parts())
            shutil.rmtree(world.root)
    found.ratio = sent / (found.turns * (len(bytes_of(INK)) + len(bytes_of(BRUSH))))
    return found


def naive_together(root: Path, count: int) -> Together:
    """Start four installers at once that write to the final path."""
    found = Together()
    with Standin(SHELVES) as hub:
        while found.turns < count:
            world = _world(root, hub, found)
            arguments: list[str] = []
            for key, file_id in KEYS.items():
                source = source_of(SHELVES.shelf(file_id))
                url = f"{hub.url}/api/download/models/{source.version}?fileId={source.file}"
                world.spot(key).parent.mkdir(parents=True, exist_ok=True)
                arguments += [ask(url).headers["location"], str(world.spot(key))]
            command = [sys.executable, "-c", NAIVE, *arguments]
            for process in [subprocess.Popen(command) for _ in range(RUNS)]:
                process.communicate(timeout=60)
            _judge(world, found)
    return found


def _world(root: Path, hub: Standin, found: Together) -> World:
    place = root / str(found.turns)
    place.mkdir()
    found.turns += 1
    world = World(place, hub)
    world.put("checkpoints/spare", bytes_of(PAPER))
    world.put("vae/brush.safetensors", OLD)
    world.lock(*(pin_of(file_id, key) for key, file_id in KEYS.items()))
    hub.clear_requests()
    return world


def _judge(world: World, found: Together) -> None:
    found.wrong += not all(world.has(key, file_id) for key, file_id in KEYS.items())
    kept = {path.name: path.read_bytes() for path in world.replaced()}
    if list(kept.values()) != [OLD] or "checkpoints/spare" not in world.files():
        sizes = {name: len(content) for name, content in kept.items()}
        found.lost.append(f"{sizes} {sorted(world.files())}")


def _run_all(world: World, found: Together, lies: str) -> None:
    prefix = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject=flock:{lies}"]
    processes = [
        subprocess.Popen(
            [*(prefix if lies else []), *world.command("install", "--replace")],
            env=world.environment,
            cwd=world.project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(RUNS)
    ]
    for process in processes:
        out, err = process.communicate(timeout=120)
        if process.returncode != 0:
            found.failed.append(f"{process.returncode}: {out}{err}")


@dataclass
class Locks:
    """What came of several `lock` at once.

    Attributes:
        turns: how often so many were started at once.
        failed: what those said that did not end well.
        different: turns after which comfy.lock was not what one run alone writes.
    """

    turns: int = 0
    failed: list[str] = field(default_factory=list[str])
    different: int = 0


def locks(root: Path, count: int) -> Locks:
    """Start four `lock` at once, of the same workflows and with one cache."""
    found = Locks()
    with Standin(shop.SHOP) as hub:
        (root / "alone").mkdir()
        alone = World(root / "alone", hub)
        shop.put_workflow(alone, shop.INK, shop.FORK)
        alone.run("lock", "workflows")
        while found.turns < count:
            place = root / str(found.turns)
            place.mkdir()
            world = World(place, hub)
            shop.put_workflow(world, shop.INK, shop.FORK)
            processes = [world.start("lock", "workflows") for _ in range(RUNS)]
            for process in processes:
                out, err = process.communicate(timeout=60)
                if process.returncode not in {0, 1} or "Traceback" in err:
                    found.failed.append(f"{process.returncode}: {out}{err}")
            found.different += world.lock_path.read_bytes() != alone.lock_path.read_bytes()
            found.turns += 1
    return found
