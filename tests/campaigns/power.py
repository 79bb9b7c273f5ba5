"""The plug is pulled: what was not brought to the disk itself is gone, in any order."""

import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests import shop
from tests.campaigns.large import Large, large
from tests.disks import Disk, disk_of
from tests.standin.client import ask
from tests.standin.server import Standin
from tests.world import World

MEGABYTES = 6
OLD = b"what lay there before" * 1000
_RATE = 12_000_000

NAIVE = """
import os, sys, urllib.request
address, path = sys.argv[1:]
with urllib.request.urlopen(address) as body, open(path + ".part", "wb") as file:
    file.write(body.read())
os.rename(path + ".part", path)
print("installed", flush=True)
"""


@dataclass
class Power:
    """What came of power cuts.

    Attributes:
        cuts: how many there were.
        corrupt: how often other bytes than the old or the new ones lay at the final path after.
        lost: how often the new file was not there although the run had said so.
        old_lost: how often the file that it replaces was nowhere any more.
        late: how many cuts came behind the end of a run.
        resumed: how many later runs went on from a part that had survived.
        stuck: what a run without a cut said that did not end well.
    """

    cuts: int = 0
    corrupt: int = 0
    lost: int = 0
    old_lost: int = 0
    late: int = 0
    resumed: int = 0
    stuck: list[str] = field(default_factory=list[str])


def power(root: Path, count: int, kind: str = "ext4") -> Power:
    """Cut the power of a disk while models are installed on it, or right behind that."""
    moments = random.Random(41)
    found = Power()
    place = root / "disk"
    place.mkdir()
    with disk_of(kind, place) as disk, large(place, MEGABYTES) as scene:
        scene.hub.configure(throttle_per_connection=_RATE)
        scene.world.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        whole_s = scene.size / _RATE + 0.5
        while found.cuts < count:
            _begin_anew(scene)
            process = scene.world.start("install", "--replace")
            if found.cuts % 2:
                time.sleep(moments.uniform(0.2, whole_s))
            else:
                process.wait(timeout=30)
            _cut(disk, scene, process, found)
            scene.hub.clear_requests()
            again = scene.world.run("install", "--replace")
            if again.code != 0 or not _is_right(scene, scene.spot.read_bytes()):
                found.stuck.append(again.text)
            found.resumed += any("range" in entry.headers for entry in scene.world.downloads())
    return found


def _begin_anew(scene: Large) -> None:
    for kept in (*scene.world.parts(), *scene.world.replaced()):
        kept.unlink()
    scene.spot.unlink(missing_ok=True)
    scene.world.put(scene.pin.key, OLD)
    subprocess.run(["sync", "-f", str(scene.world.root)], check=True)


def _cut(disk: Disk, scene: Large, process: "subprocess.Popen[str]", found: Power) -> None:
    said = process.poll() is not None
    disk.stop()
    process.kill()
    process.communicate()
    disk.come_back()
    found.cuts += 1
    found.late += said
    content = scene.spot.read_bytes() if scene.spot.exists() else None
    found.corrupt += content not in {None, OLD} and not _is_right(scene, content)
    found.lost += said and process.returncode == 0 and not _is_right(scene, content)
    kept = [path.read_bytes() for path in scene.world.replaced()]
    found.old_lost += OLD not in {content, *kept}


def _is_right(scene: Large, content: bytes | None) -> bool:
    return content is not None and sha256(content).hexdigest() == scene.pin.digests.sha256


def naive_power(root: Path, count: int, kind: str = "ext4") -> Power:
    """Do the same to an installer that renames what it has written and asks for no more."""
    found = Power()
    place = root / "disk"
    place.mkdir()
    with disk_of(kind, place) as disk, large(place, MEGABYTES) as scene:
        source = scene.pin.sources[0]
        url = f"{scene.hub.url}/api/download/models/{source.version}?fileId={source.file}"  # type: ignore[union-attr] # it is Civitai's
        while found.cuts < count:
            _begin_anew(scene)
            command = [sys.executable, "-c", NAIVE, ask(url).headers["location"], str(scene.spot)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            process.wait(timeout=30)
            _cut(disk, scene, process, found)
    return found


@dataclass
class LockPower:
    """What became of comfy.lock.

    Attributes:
        cuts: how many there were.
        torn: how often it was neither the old nor the new text afterwards.
        lost: how often it was the old one although the run had ended.
    """

    cuts: int = 0
    torn: int = 0
    lost: int = 0


def lock_power(root: Path, count: int, kind: str = "ext4") -> LockPower:
    """Cut the power while comfy.lock is written anew, or right behind that."""
    moments = random.Random(43)
    found = LockPower()
    place = root / "disk"
    place.mkdir()
    with disk_of(kind, place) as disk, Standin(shop.SHOP) as hub:
        world = World(place, hub)
        texts: list[bytes] = []
        for models in ((shop.INK,), (shop.INK, shop.FORK)):
            shop.put_workflow(world, *models)
            world.run("lock", "workflows")
            texts.append(world.lock_path.read_bytes())
        while found.cuts < count:
            old, new = texts if found.cuts % 2 else reversed(texts)
            world.lock_path.write_bytes(old)
            shop.put_workflow(world, *((shop.INK, shop.FORK) if new == texts[1] else (shop.INK,)))
            subprocess.run(["sync", "-f", str(place)], check=True)
            process = world.start("lock")
            if found.cuts % 4 < 2:
                time.sleep(moments.uniform(0.2, 0.6))
            else:
                process.wait(timeout=30)
            said = process.poll() is not None
            disk.stop()
            process.kill()
            process.communicate()
            disk.come_back()
            found.cuts += 1
            text = world.lock_path.read_bytes() if world.lock_path.exists() else b""
            found.torn += text not in {old, new}
            found.lost += said and text != new
    return found
