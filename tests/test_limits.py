"""What the system does not allow: sizes, open files, rights, clocks. Told, and nothing is lost."""

import mmap
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from comfylock.plan import OnOccupied
from tests.disks import require, require_root
from tests.world import INK, PAPER, Ran, World, bytes_of, pin_of

INK_KEY, PAPER_KEY = "loras/ink.safetensors", "loras/paper.safetensors"


def run_under(world: World, prefix: Sequence[str], *arguments: str, **variables: str) -> Ran:
    """Run the real command line below another program."""
    done = subprocess.run(
        [*prefix, *world.command(*arguments)],
        env=world.environment | variables | {"PYTHONDONTWRITEBYTECODE": "1"},
        cwd=world.project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


def test_a_file_larger_than_a_disk_can_hold_stops_no_other_and_leaves_nothing(
    world: World,
) -> None:
    """As FAT32 says of 4 GB: there is room, but not for this file, nor for the rest of it later."""
    require("prlimit")
    world.lock(pin_of(INK), pin_of(PAPER))
    ran = run_under(world, ["prlimit", "--fsize=100000"], "install", "--jobs", "1")
    assert ran.code == 1
    assert f"error[disk-full]: {INK_KEY}: this disk cannot hold a file as large as" in ran.err
    assert "another file system" in ran.err
    assert world.files() == {PAPER_KEY: bytes_of(PAPER)}
    assert world.parts() == []
    assert world.run("install").code == 0


@pytest.mark.parametrize(
    "count", [6, *(pytest.param(few, marks=pytest.mark.slow) for few in (5, 7, 9))]
)
def test_too_few_open_files_are_told_and_nothing_is_lost(world: World, count: int) -> None:
    require("prlimit")
    world.lock(pin_of(INK), pin_of(PAPER))
    ran = run_under(world, ["prlimit", f"--nofile={count}"], "install")
    if "importlib" in ran.err:
        pytest.skip("Python itself does not start with so few")
    assert "Traceback" not in ran.err
    assert set(world.files().values()) <= {bytes_of(INK), bytes_of(PAPER)}
    if ran.code != 0:
        assert "Too many open files" in ran.err
        assert "ulimit -n" in ran.err
    assert world.run("install").code == 0
    assert world.parts() == []


@contextmanager
def unchangeable(path: Path) -> Iterator[None]:
    """Nobody may change it, not even root; skips where the file system knows no such thing."""
    require("chattr")
    require_root()
    done = subprocess.run(["chattr", "+i", str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nothing can be made unchangeable here: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_an_unchangeable_folder_is_told_before_any_download(world: World) -> None:
    (world.models / "loras").mkdir()
    world.lock(pin_of(INK), pin_of(PAPER, "vae/paper.safetensors"))
    with unchangeable(world.models / "loras"):
        ran = world.run("install")
    assert (ran.code, "error[permission]" in ran.err) == (1, True), ran.err
    assert f"cannot write to {world.models / 'loras'}" in ran.err
    assert world.files() == {"vae/paper.safetensors": bytes_of(PAPER)}
    assert len(world.downloads()) == 1


def test_an_unchangeable_file_stays_and_what_was_fetched_for_it_is_kept(world: World) -> None:
    mine = world.put(INK_KEY, b"mine")
    world.lock(pin_of(INK))
    with unchangeable(mine):
        ran = world.run("install", "--replace")
        assert (ran.code, "error[permission]" in ran.err) == (1, True), ran.err
        assert str(mine) in ran.err
        assert world.files() == {INK_KEY: b"mine"}
    world.hub.clear_requests()
    assert world.run("install", "--replace").code == 0
    assert world.has(INK_KEY, INK)
    assert world.hub.requests == ()
    assert [path.read_bytes() for path in world.replaced()] == [b"mine"]


def test_a_state_folder_of_another_user_is_told_before_any_download(world: World) -> None:
    """Somebody ran an install as root, and later runs one as himself."""
    require("setpriv")
    require_root()
    world.lock(pin_of(PAPER))
    assert world.run("install").code == 0
    for folder in (world.root, world.project, world.models, world.models / "loras"):
        folder.chmod(0o777)
    for folder in list(world.root.parents)[:-2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    world.lock(pin_of(INK), pin_of(PAPER))
    world.hub.clear_requests()
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    ran = run_under(world, other, "install", COMFYLOCK_CACHE_DIR=str(world.root / "his"))
    if "No module named" in ran.err or "setpriv" in ran.err:
        pytest.skip(f"cannot become another user: {ran.err}")
    assert (ran.code, "error[permission]" in ran.err) == (1, True), ran.err
    assert str(world.models / ".comfylock" / "partial") in ran.err
    assert world.hub.requests == ()


@pytest.mark.parametrize("name", ["hashes.jsonl", "locks.jsonl", "partial/LABEL.json"])
def test_a_pipe_in_place_of_a_file_of_ours_makes_nothing_wait(world: World, name: str) -> None:
    """Whoever else may write to the models folder can put one there."""
    pin = pin_of(INK)
    path = world.models / ".comfylock" / name.replace("LABEL", pin.digests.label)
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    world.lock(pin)

    assert world.run("install", timeout_s=30).code == 0
    assert world.has(INK_KEY, INK)
    assert world.run("check", timeout_s=30).code == 0


def test_who_reads_the_old_file_goes_on_reading_it(world: World) -> None:
    """ComfyUI maps models into memory: written to in place they would change under it."""
    old = os.urandom(1 << 20)
    path = world.put(INK_KEY, old)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        done = world.install(pin_of(INK), occupied=OnOccupied.REPLACE)
        assert done.code == 0, done.told
        assert mapped[:] == old
    assert world.has(INK_KEY, INK)


def test_a_file_that_is_being_written_is_busy_and_its_hash_is_not_remembered(world: World) -> None:
    """A download of another program ends in the spot, and grows while it is read."""
    path = world.put(INK_KEY, bytes(200 << 20))
    world.lock(pin_of(INK))
    over = threading.Event()

    def write() -> None:
        with path.open("ab") as file:
            while not over.wait(0.001):
                file.write(b"more")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        document = world.here("check", "--json").document
    finally:
        over.set()
        writer.join()
    (model,) = document["models"]
    assert (model["state"], model["slug"]) == ("blocked", "busy")
    path.write_bytes(bytes_of(INK))
    assert world.here("check").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("clock", ["-1y", "+1y", "+0 x-5"])
def test_a_wrong_clock_does_no_harm(world: World, clock: str) -> None:
    """A year behind, a year ahead, and running backwards."""
    require("faketime")
    world.put("vae/spare.safetensors", bytes_of(PAPER))
    time.sleep(0.15)
    world.lock(pin_of(INK), pin_of(PAPER))
    for _ in range(2):
        # The monotonic clock never jumps on any system.
        fake = {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        ran = run_under(world, ["faketime", "-f", clock], "install", **fake)
        assert ran.code == 0, ran.text
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)
    assert len(world.downloads()) == 1
    assert world.here("check").code == 0
