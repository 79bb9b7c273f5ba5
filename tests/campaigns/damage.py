"""Bits that flip in models, and caches that are damaged: found, and never believed."""

import mmap
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.standin.server import Standin
from tests.world import BRUSH, INK, PAPER, SHELVES, World, bytes_of, pin_of

KEYS = {
    "loras/ink.safetensors": INK,
    "loras/paper.safetensors": PAPER,
    "vae/brush.safetensors": BRUSH,
}


@dataclass
class Flips:
    """What came of single flipped bits in models.

    Attributes:
        flips: how many there were, with the time of the file set back.
        found: how many `verify` found, naming the model.
        found_by_stat: how many `check` found without reading what had not changed.
    """

    flips: int = 0
    found: int = 0
    found_by_stat: int = 0


def flips(root: Path, count: int) -> Flips:
    """Flip one bit in one model, ask, and flip it back; half of them through mapped memory."""
    chance = random.Random(23)
    found = Flips()
    with Standin(SHELVES) as hub:
        world = _installed(root, hub)
        while found.flips < count:
            key = chance.choice(list(KEYS))
            path = world.spot(key)
            place = chance.randrange(path.stat().st_size * 8)
            flip = _flip_mapped if found.flips % 2 else _flip_written
            flip(path, place)
            ran = world.here("verify")
            found.found += ran.code == 1 and key in ran.err
            found.found_by_stat += world.here("check").code == 1
            flip(path, place)
            found.flips += 1
        assert world.here("verify").code == 0
    return found


def _installed(root: Path, hub: Standin) -> World:
    world = World(root, hub)
    world.lock(*(pin_of(file_id, key) for key, file_id in KEYS.items()))
    for _ in range(2):
        assert world.here("install").code == 0
        time.sleep(0.15)  # what was written a moment ago is not vouched for
    return world


def _flip_written(path: Path, place: int) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(place // 8)
        (byte,) = file.read(1)
        file.seek(place // 8)
        file.write(bytes([byte ^ 1 << place % 8]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _flip_mapped(path: Path, place: int) -> None:
    before = path.stat()
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[place // 8] ^= 1 << place % 8
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@dataclass
class Caches:
    """What came of damaged hash caches and receipts.

    Attributes:
        files: how many there were.
        wrong_yes: how often a changed model was said to be right.
        wrong_no: how often a right one was said to be wrong.
        crashed: what ended in a way that is no answer.
        rebuilt: how often the next run knew the hashes again.
    """

    files: int = 0
    wrong_yes: int = 0
    wrong_no: int = 0
    crashed: list[str] = field(default_factory=list[str])
    rebuilt: int = 0


def caches(root: Path, count: int) -> Caches:
    """Damage what is remembered of models, of which every second time one has changed."""
    chance = random.Random(29)
    found = Caches()
    with Standin(SHELVES) as hub:
        world = _installed(root, hub)
        remembered = [world.models / ".comfylock" / "hashes.jsonl"]
        remembered += sorted((world.root / "cache" / "receipts").iterdir())
        good = {path: path.read_bytes() for path in remembered}
        changed = world.spot("loras/ink.safetensors")
        # Of the same length, and old enough for its hash to be believed: only the hash differs.
        other = world.put("other", bytes_of(INK)[::-1])
        right = world.put("right", bytes_of(INK))
        while found.files < count:
            source = other if found.files % 2 else right
            changed.unlink()
            os.link(source, changed)
            for path, content in good.items():
                path.write_bytes(_damaged(content, chance))
            command = ["install", "--frozen"] if found.files % 4 < 2 else ["check"]
            ran = world.here(*command)
            if ran.code not in {0, 1} or "Traceback" in ran.text:
                found.crashed.append(ran.text)
            found.wrong_yes += source is other and ran.code == 0
            found.wrong_no += source is right and ran.code == 1
            document = world.here("install", "--json").document
            found.rebuilt += document["summary"]["hashed"] <= 1
            found.files += 1
    return found


def _damaged(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    start, end = sorted(chance.sample(range(len(data)), 2))
    match chance.randrange(8):
        case 0:
            del data[start:]
        case 1:
            del data[start:end]
        case 2:
            data[start:end] = bytes(end - start)
        case 3:
            data[start:end] = chance.randbytes(end - start)
        case 4:
            data[start:start] = data[start:end]
        case _:
            data[start] ^= 1 << chance.randrange(8)
    return bytes(data)
