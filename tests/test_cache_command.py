"""`cache`: what comfylock keeps for itself, and how to be rid of it."""

import json
import os
import time
from pathlib import Path

import pytest

from comfylock.disk.kept import KeptFile, Kind
from comfylock.disk.parts import owner_name
from comfylock.operations.cache import is_old
from tests.standin.faults import Fault
from tests.world import INK, World, bytes_of, pin_of

DAY_S = 24 * 3600.0


def part(world: World, label: str, size: int = 1000, owner: str = "") -> Path:
    """Write a part as an interrupted download leaves it, or as a living one has it."""
    name = f"{label}.{owner}.part" if owner else f"{label}.part"
    return world.put(f".comfylock/partial/{name}", bytes(size))


def replaced(world: World) -> Path:
    """Have a file of the user's moved aside."""
    world.put("loras/ink.safetensors", b"mine")
    world.lock(pin_of(INK))
    assert world.here("install", "--replace").code == 0
    (path,) = world.replaced()
    return path


def answers(world: World) -> Path:
    """Have an answer of the API kept."""
    assert world.here("search", "Ink Wash").code == 0
    return world.root / "cache" / "api.sqlite"


def test_dir_names_every_folder(world: World) -> None:
    world.put(".comfylock/hashes.jsonl", b"")
    ran = world.here("cache", "dir")
    assert ran.out.splitlines() == [str(world.root / "cache"), str(world.models / ".comfylock")]
    document = world.here("cache", "dir", "--json").document
    assert document["cache"] == str(world.root / "cache")
    assert document["states"] == [str(world.models / ".comfylock")]


def test_folders_that_are_links_to_other_disks_are_looked_into(world: World) -> None:
    elsewhere = world.root / "elsewhere"
    (elsewhere / ".comfylock" / "partial").mkdir(parents=True)
    (elsewhere / ".comfylock" / "partial" / "abc.part").write_bytes(bytes(7))
    (elsewhere / "circle").symlink_to(elsewhere)
    world.spot("loras").symlink_to(elsewhere)
    document = world.here("cache", "info", "--json").document
    assert document["states"] == [str(world.models / "loras" / ".comfylock")]
    assert document["summary"]["by_kind"]["partial"] == 7


def test_info_tells_sizes_and_paths(world: World) -> None:
    part(world, "a" * 64, 5000)
    aside = replaced(world)
    kept = answers(world)
    ran = world.here("cache", "info")
    assert ran.code == 0
    partial = [line for line in ran.out.splitlines() if line.startswith("partial downloads")]
    assert ["5 kB" in line for line in partial] == [True]
    assert str(world.models / ".comfylock" / "replaced") in ran.out
    document = world.here("cache", "info", "--json").document
    found = {one["path"]: (one["kind"], one["size"]) for one in document["files"]}
    assert found[str(aside)] == ("replaced", 4)
    assert found[str(kept)][0] == "answers"
    assert document["summary"]["bytes"] == sum(size for _, size in found.values())


def test_info_without_a_models_folder_tells_of_the_users_cache(world: World) -> None:
    del world.environment["COMFYLOCK_MODELS_DIR"]
    ran = world.here("cache", "info", "--json")
    assert (ran.code, ran.document["states"]) == (0, [])


@pytest.mark.parametrize(
    ("kind", "label", "days", "old"),
    [
        (Kind.PARTIAL, "other", 13.9, False),
        (Kind.PARTIAL, "other", 14.1, True),
        (Kind.PARTIAL, "here", 0.0, True),
        (Kind.REPLACED, "", 29.9, False),
        (Kind.REPLACED, "", 30.1, True),
        (Kind.ANSWERS, "", 1000.0, False),
    ],
)
def test_what_is_old(kind: Kind, label: str, days: float, old: bool) -> None:
    file = KeptFile(kind=kind, path=Path("/x"), size=1, changed_s=0.0, label=label)
    assert is_old(file, days * DAY_S, {"here"}) is old


def test_prune_removes_parts_whose_model_is_in_place_and_keeps_the_others(world: World) -> None:
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    label = pin_of(INK).digests.label
    here, wanted = part(world, label), part(world, "b" * 64)
    dry = world.here("cache", "prune", "--dry-run", "--json").document
    assert [one["path"] for one in dry["removed"]] == [str(here)]
    assert here.exists()
    ran = world.here("cache", "prune")
    assert (ran.code, here.exists(), wanted.exists()) == (0, False, True)
    assert "Removed 1 file, 1 kB" in ran.err
    assert "Nothing to remove" in world.here("cache", "prune").err
    assert world.has("loras/ink.safetensors", INK)


def test_a_part_that_a_living_run_is_writing_stays(world: World) -> None:
    living = part(world, "a" * 64, owner=owner_name())
    assert world.here("cache", "clear", "--partial").code == 0
    assert living.exists()
    document = world.here("cache", "info", "--json").document
    assert [one["in_use"] for one in document["files"] if one["path"] == str(living)] == [True]


def test_a_part_is_kept_for_its_download_until_it_is_cleared(world: World) -> None:
    world.hub.fault(Fault(kind="truncate", nbytes=100_000, match="/ink", times=1))
    world.hub.fault(Fault(kind="status", status=404, match="/ink", times=None))
    world.lock(pin_of(INK))
    world.install(pin_of(INK))
    before = world.parts()
    assert any(path.suffix == ".part" for path in before)
    world.here("cache", "prune")
    world.here("cache", "clear")
    assert world.parts() == before
    assert world.here("cache", "clear", "--partial").code == 0
    assert world.parts() == []


def test_replaced_files_are_the_users_and_want_a_flag(world: World) -> None:
    aside = replaced(world)
    for arguments in (["prune"], ["prune", "--replaced"], ["clear"], ["clear", "--partial"]):
        assert world.here("cache", *arguments).code == 0
        assert aside.read_bytes() == b"mine", arguments
    document = world.here("cache", "clear", "--replaced", "--json").document
    assert str(aside) in [one["path"] for one in document["removed"]]
    assert not aside.exists()


def test_the_age_of_a_replaced_file_counts_from_when_it_was_moved_aside(world: World) -> None:
    """Its own time stamp says when it was written, which may be years ago."""
    path = world.put("loras/ink.safetensors", b"mine")
    os.utime(path, (0, 0))
    world.lock(pin_of(INK))
    world.here("install", "--replace")
    (aside,) = world.replaced()
    assert aside.stat().st_mtime < time.time() - 100 * DAY_S
    world.here("cache", "prune", "--replaced")
    assert aside.exists()


def test_clear_removes_answers_and_receipts_and_nothing_else(world: World) -> None:
    kept = answers(world)
    world.put("loras/ink.safetensors", bytes_of(INK))
    world.lock(pin_of(INK))
    world.here("install")
    rows = (world.models / ".comfylock" / "hashes.jsonl").exists()
    assert kept.exists()
    ran = world.here("cache", "clear", "--json")
    assert ran.code == 0
    assert {one["kind"] for one in ran.document["removed"]} == {"answers"}
    assert not list((world.root / "cache").glob("api.sqlite*"))
    assert (world.models / ".comfylock" / "hashes.jsonl").exists() is rows
    assert world.here("search", "Ink Wash").code == 0


def test_names_are_shown_escaped(world: World) -> None:
    part(world, "evil\x1b[31m")
    ran = world.here("cache", "clear", "--partial", "--dry-run")
    assert "\x1b" not in ran.text
    assert "evil\\x1b[31m.part" in ran.out
    assert json.loads(world.here("cache", "info", "--json").out)["ok"]
