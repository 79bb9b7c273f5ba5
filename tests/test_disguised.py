"""Pickle bytes under a name that promises safetensors: refused wherever they lie, at 16 bytes."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from comfylock.disk.tree import opened_below
from tests.world import FALSE, INK, PAPER, SHELVES, World, bytes_of, pin_of

KEY, INK_KEY = "loras/false.safetensors", "loras/ink.safetensors"


@pytest.fixture
def disguised(world: World) -> World:
    """A world whose lock names pickle bytes, which lie in their spot with the locked hash."""
    world.put(KEY, bytes_of(FALSE))
    world.put(INK_KEY, bytes_of(INK))
    world.lock(pin_of(FALSE), pin_of(INK))
    return world


@pytest.mark.parametrize("command", ["install", "install --dry-run", "install --replace"])
def test_they_are_not_kept_and_not_touched(disguised: World, command: str) -> None:
    ran = disguised.here(*command.split())
    assert (ran.code, "error[unsafe-format]" in ran.err) == (1, True), ran.text
    assert str(disguised.spot(KEY)) in ran.err
    assert "run code" in ran.err
    assert "comfylock pin" in ran.err
    document = disguised.here(*command.split(), "--json").document
    assert [one["slug"] for one in document["errors"]] == ["unsafe-format"]
    assert {one["ref"]: one["action"] for one in document["plan"]}[KEY] == "blocked"
    assert set(disguised.files()) == {KEY, INK_KEY}
    assert disguised.hub.requests == ()


@pytest.mark.parametrize("command", ["check", "verify", "status"])
def test_each_report_says_so(disguised: World, command: str) -> None:
    ran = disguised.here(command, "--json")
    assert ran.code == (0 if command == "status" else 1)
    states = {one["ref"]: (one["state"], one["slug"]) for one in ran.document["models"]}
    assert states == {KEY: ("blocked", "unsafe-format"), INK_KEY: ("present", None)}
    assert "unsafe-format" in disguised.here(command).text


def test_it_stays_so_when_the_hash_is_known(disguised: World) -> None:
    time.sleep(0.15)  # a file that was written a moment ago is hashed each time
    hashed = [disguised.here("install", "--json").document["summary"]["hashed"] for _ in range(2)]
    assert hashed == [2, 0]
    assert disguised.here("install").code == 1


def test_they_get_no_second_name(disguised: World) -> None:
    alias = "sub\\false.safetensors"
    key = "loras/sub/false.safetensors"
    disguised.put(key, bytes_of(FALSE))
    disguised.lock(pin_of(FALSE, key, aliases=(alias,)))
    assert disguised.here("install").code == 1
    assert not (disguised.models / "loras" / alias).exists()


def test_under_a_true_name_they_are_a_model_like_others(world: World) -> None:
    world.put("loras/true.pt", bytes_of(FALSE))
    world.lock(pin_of(FALSE, "loras/true.pt", format="pickle"))
    assert world.here("install").code == 0
    assert world.here("check").code == 0


def test_a_whole_part_of_such_bytes_is_not_placed(world: World) -> None:
    """A run that is killed while it prunes a pickle leaves its bytes where parts lie."""
    pin = pin_of(FALSE)
    with opened_below(world.models, (".comfylock", "partial")):
        part = world.models / ".comfylock" / "partial" / f"{pin.digests.label}.part"
        part.write_bytes(bytes_of(FALSE))
    done = world.install(pin)
    assert (done.code, done.slugs) == (1, ("unsafe-format",)), done.told
    assert world.files() == {}
    assert world.parts() == []


@pytest.mark.usefixtures("strace")
def test_looking_costs_sixteen_bytes_and_nothing_for_what_comfylock_placed(
    world: World, tmp_path: Path
) -> None:
    world.put(INK_KEY, bytes_of(INK))
    time.sleep(0.15)
    world.lock(pin_of(INK), pin_of(PAPER))
    assert world.here("install").code == 0
    log = tmp_path / "log"
    trace = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", "trace=read,pread64,openat"]
    subprocess.run(
        [*trace, *world.command("install", "--only", "loras/*")],
        env=world.environment,
        cwd=world.project,
        check=True,
        capture_output=True,
    )
    lines = log.read_text(errors="replace").splitlines()
    paper = SHELVES.file(PAPER).name
    assert [line for line in lines if paper in line] == []
    reads = [line for line in lines if re.search(r"\b(read|pread64)\(\d+<[^>]*/ink\.", line)]
    assert [line.rpartition("= ")[2] for line in reads] == ["16"]
