"""`comfylock install` as users meet it: the real command line against the stand-in."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from comfylock.disk.hashcache import stat_of
from comfylock.hashes import Digests
from comfylock.plan import OnOccupied
from tests.standin.server import Fault
from tests.world import (
    BRUSH,
    CANARY,
    EARLY,
    INK,
    INK_SIZE,
    MEMBERS,
    PAPER,
    PICKLE,
    World,
    bytes_of,
    pin_of,
    wait_until,
)

INK_KEY, PAPER_KEY, BRUSH_KEY = (
    "loras/ink.safetensors",
    "loras/paper.safetensors",
    "loras/brush.safetensors",
)


def facts(folder: Path) -> dict[str, tuple[int, ...]]:
    """What changes when anything below a folder is touched."""
    return {
        str(path.relative_to(folder)): (
            (status := path.lstat()).st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        for path in sorted(folder.rglob("*"))
    }


# ------------------------------------------------------------------------------- the good days


def test_first_install_downloads_verifies_and_places(world: World) -> None:
    world.lock(pin_of(INK), pin_of(PAPER, "checkpoints/SDXL/paper.safetensors"))
    ran = world.run("install")
    assert (ran.code, ran.err.splitlines()[-1][:21]) == (0, "Installed 2 models in")
    assert world.has(INK_KEY, INK)
    assert world.has("checkpoints/SDXL/paper.safetensors", PAPER)
    assert set(world.files()) == {INK_KEY, "checkpoints/SDXL/paper.safetensors"}
    assert world.parts() == []
    assert world.spot(INK_KEY).stat().st_mode & 0o777 == 0o644


def test_second_install_does_nothing_at_all(world: World) -> None:
    """No request, no hashing, no file touched, not even our own."""
    world.lock(pin_of(INK), pin_of(PAPER))
    assert world.run("install").code == 0
    world.hub.clear_requests()
    before = facts(world.models)
    ran = world.run("install")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("Checked 2 models in ")
    assert len(ran.err.splitlines()) == 1
    assert facts(world.models) == before
    assert world.hub.requests == ()
    assert world.here("install", "--json").document["summary"]["hashed"] == 0


def test_install_never_writes_the_lock(world: World) -> None:
    world.lock(pin_of(INK))
    before = facts(world.project)
    assert world.here("install").code == 0
    assert facts(world.project) == before


def test_a_file_that_the_user_has_under_its_name_is_kept(world: World) -> None:
    path = world.put(INK_KEY, bytes_of(INK))
    before = stat_of(path.stat())
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    assert world.hub.requests == ()
    assert stat_of(path.stat()) == before


@pytest.mark.parametrize("letter", ["x", "模"])
def test_a_name_as_long_as_may_be_is_installed_replaced_and_kept(world: World, letter: str) -> None:
    room = min(240 - len("loras/.safetensors"), (255 - len(".safetensors")) // len(letter.encode()))
    key = f"loras/{letter * room}.safetensors"
    world.put(key, b"another file")
    world.lock(pin_of(INK, key))
    ran = world.here("install", "--replace")
    assert ran.code == 0, ran.err
    assert world.has(key, INK)
    assert [path.read_bytes() for path in world.replaced()] == [b"another file"]
    assert world.here("install").code == 0


def test_renamed_file_is_linked_not_downloaded(world: World) -> None:
    path = world.put("loras/old folder/my ink.safetensors", bytes_of(INK))
    world.lock(pin_of(INK))
    ran = world.here("install", "--json")
    assert (ran.code, ran.document["results"][0]["action"]) == (0, "link")
    assert world.has(INK_KEY, INK)
    assert path.exists()
    assert world.hub.requests == ()


def test_one_renamed_file_fills_two_spots(world: World) -> None:
    """The first hard link moves the ctime of the file that the second one needs."""
    world.put("loras/mine.safetensors", bytes_of(INK))
    world.lock(pin_of(INK), pin_of(INK, "loras/sub/again.safetensors"))
    assert world.here("install").code == 0
    assert world.has(INK_KEY, INK)
    assert world.has("loras/sub/again.safetensors", INK)
    again = world.here("install", "--json").document
    assert (again["summary"]["keep"], again["summary"]["hashed"]) == (2, 0)


def test_a_linked_files_source_is_not_read_again(world: World) -> None:
    """Its ctime moved with the link, and its row in the hash cache moves along."""
    source = world.put("checkpoints/mine.safetensors", bytes_of(INK))
    time.sleep(0.15)  # a file written this very moment is not remembered
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    world.spot(INK_KEY).unlink()
    world.lock(pin_of(INK, "checkpoints/mine.safetensors"))
    os.utime(source.parent)
    document = world.here("install", "--json").document
    assert document["summary"]["keep"] == 1


def test_three_keys_of_one_content_are_downloaded_once(world: World) -> None:
    keys = [INK_KEY, "loras/ink copy.safetensors", "checkpoints/ink.safetensors"]
    world.lock(*(pin_of(INK, key) for key in keys))
    assert world.here("install").code == 0
    assert all(world.has(key, INK) for key in keys)
    assert len(world.downloads()) == 1
    world.hub.clear_requests()
    document = world.here("install", "--json").document
    assert (document["summary"]["keep"], document["summary"]["hashed"]) == (3, 0)


def test_one_content_known_by_different_hashes_is_downloaded_once(world: World) -> None:
    file = pin_of(INK).digests
    world.lock(
        pin_of(INK, "loras/ink by all.safetensors"),
        pin_of(INK, "loras/ink by sha.safetensors", digests=Digests(sha256=file.sha256)),
        pin_of(INK, "loras/ink by blake.safetensors", digests=Digests(blake3=file.blake3)),
    )
    assert world.here("install").code == 0
    assert len(world.downloads()) == 1


def test_a_wrong_size_in_the_lock_does_not_matter(world: World) -> None:
    """The uploader's figure may be wrong; the hash decides."""
    world.lock(pin_of(INK, size=INK_SIZE - 7), pin_of(PAPER, size=70_000), pin_of(BRUSH, size=None))
    ran = world.here("install")
    assert (ran.code, ran.out.count("downloaded and verified")) == (0, 3)
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)
    assert world.has(BRUSH_KEY, BRUSH)


def test_a_present_copy_is_used_also_where_the_lock_knows_no_size(world: World) -> None:
    world.put(INK_KEY, bytes_of(INK))
    world.lock(pin_of(INK, size=None), pin_of(INK, "loras/twin.safetensors", size=None))
    assert world.here("install").code == 0
    assert world.hub.requests == ()
    assert world.has("loras/twin.safetensors", INK)


def test_formats_that_run_code_come_with_the_same_checks(world: World) -> None:
    world.lock(pin_of(PICKLE, "upscale_models/upscaler.pth"))
    assert world.here("install").code == 0
    assert world.has("upscale_models/upscaler.pth", PICKLE)


@pytest.mark.parametrize(("formats", "warns"), [("warn", True), ("allow", False)])
def test_formats_that_run_code_are_told_before_they_are_placed(
    world: World, formats: str, warns: bool
) -> None:
    world.lock(pin_of(PICKLE, "upscale_models/upscaler.pth"), pin_of(INK))
    for flags in (["--dry-run"], []):
        ran = world.here("install", *flags, COMFYLOCK_FORMATS=formats)
        assert ran.code == 0
        warning = "warning: what may run code when it is loaded: upscale_models/upscaler.pth"
        assert (warning in ran.err) is warns
    assert "warning" not in world.here("install", COMFYLOCK_FORMATS=formats).err


def test_formats_that_run_code_can_be_denied(world: World) -> None:
    world.lock(pin_of(PICKLE, "upscale_models/upscaler.pth"), pin_of(INK))
    ran = world.here("install", COMFYLOCK_FORMATS="deny")
    assert (ran.code, world.has(INK_KEY, INK)) == (1, True)
    assert "error[unsafe-format]: upscale_models/upscaler.pth" in ran.err
    assert not world.spot("upscale_models/upscaler.pth").exists()


# ---------------------------------------------------------------------- what is there already


def test_foreign_file_in_the_spot_is_left_alone(world: World) -> None:
    path = world.put(INK_KEY, b"mine")
    world.lock(pin_of(INK), pin_of(PAPER))
    ran = world.here("install")
    assert (ran.code, path.read_bytes()) == (1, b"mine")
    assert "error[path-occupied]" in ran.err
    assert "--replace" in ran.err
    assert str(path) in ran.err
    assert world.has(PAPER_KEY, PAPER)  # one model's failure does not stop the others


def test_replace_moves_the_old_file_aside(world: World) -> None:
    world.put(INK_KEY, b"mine")
    world.lock(pin_of(INK))
    ran = world.here("install", "--replace")
    assert ran.code == 0
    assert world.has(INK_KEY, INK)
    (aside,) = world.replaced()
    assert aside.read_bytes() == b"mine"
    assert str(aside) in ran.out


def test_replace_keeps_the_old_file_when_the_new_one_does_not_come(world: World) -> None:
    world.put(INK_KEY, b"mine")
    world.lock(pin_of(INK))
    world.hub.fault(Fault(kind="status", status=404, origin="api", times=None))
    ran = world.here("install", "--replace")
    assert (ran.code, world.spot(INK_KEY).read_bytes()) == (1, b"mine")
    assert world.replaced() == []


@pytest.mark.parametrize("mode", ["download", "link"])
def test_a_file_that_is_gone_when_it_is_to_make_way_is_not_missed(world: World, mode: str) -> None:
    """Another run with `--replace` has just moved it aside, and is about to fill the spot."""
    mine = world.put(INK_KEY, b"mine")
    if mode == "link":
        world.put("vae/spare.safetensors", bytes_of(INK))
    done = world.install(pin_of(INK), occupied=OnOccupied.REPLACE, before_apply=mine.unlink)
    assert (done.code, world.has(INK_KEY, INK)) == (0, True), done.told
    assert world.parts() == []


def test_what_comfylock_placed_makes_way_when_the_pin_changes(world: World) -> None:
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    world.lock(pin_of(PAPER, INK_KEY))
    ran = world.here("install")
    assert ran.code == 0
    assert world.has(INK_KEY, PAPER)
    (aside,) = world.replaced()
    assert aside.read_bytes() == bytes_of(INK)


def test_the_way_back_costs_no_download(world: World) -> None:
    """What made way is recognised like any other file."""
    for file_id in (INK, PAPER, INK):
        world.lock(pin_of(file_id, INK_KEY))
        assert world.here("install").code == 0
    assert world.has(INK_KEY, INK)
    assert len(world.downloads()) == 2


def test_what_comfylock_placed_and_someone_edited_is_left_alone(world: World) -> None:
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    path = world.spot(INK_KEY)
    edited = path.read_bytes()[:-1] + b"!"
    path.write_bytes(edited)
    world.lock(pin_of(PAPER, INK_KEY))
    ran = world.here("install")
    assert (ran.code, path.read_bytes()) == (1, edited)
    assert "path-occupied" in ran.err


def test_an_edit_with_its_time_set_back_is_noticed(world: World) -> None:
    """Size, mtime and inode are as they were; only the ctime tells."""
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    path = world.spot(INK_KEY)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"EDITED")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    document = world.here("install", "--json").document
    assert document["errors"][0]["slug"] == "path-occupied"


def test_two_files_under_each_others_names_are_put_right_without_a_download(world: World) -> None:
    """Each is the other's source, and the first to move aside must not be lost to the second."""
    world.put(INK_KEY, bytes_of(PAPER))
    world.put(PAPER_KEY, bytes_of(INK))
    world.lock(pin_of(INK), pin_of(PAPER))
    ran = world.here("install", "--replace")
    assert ran.code == 0, ran.text
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)
    assert world.downloads() == []
    assert len(world.replaced()) == 2


A_KEY, B_KEY = "loras/a.safetensors", "vae/b.safetensors"


def test_a_model_that_is_a_link_to_one_that_makes_way_keeps_its_bytes(world: World) -> None:
    world.lock(pin_of(INK, A_KEY), pin_of(INK, B_KEY))
    assert world.run("install", "--link-mode", "symlink").code == 0
    assert world.spot(B_KEY).is_symlink()
    world.lock(pin_of(PAPER, A_KEY), pin_of(INK, B_KEY))
    states = [one["state"] for one in world.here("status", "--json").document["models"]]
    assert states == ["different", "present"]

    assert world.run("install", "--link-mode", "symlink").code == 0

    assert world.has(A_KEY, PAPER)
    assert world.has(B_KEY, INK)
    assert world.here("check").code == 0


def test_models_that_change_places_are_no_links_to_what_was_moved_aside(world: World) -> None:
    world.lock(pin_of(INK, A_KEY), pin_of(PAPER, B_KEY))
    assert world.run("install").code == 0
    world.lock(pin_of(PAPER, A_KEY), pin_of(INK, B_KEY))

    assert world.run("install", "--link-mode", "symlink").code == 0

    assert world.here("cache", "clear", "--replaced").code == 0
    assert world.has(A_KEY, PAPER)
    assert world.has(B_KEY, INK)


def test_a_link_of_the_users_to_what_makes_way_is_left_alone_and_told(world: World) -> None:
    world.lock(pin_of(INK, A_KEY))
    assert world.run("install").code == 0
    world.put(B_KEY, b"").unlink()
    world.spot(B_KEY).symlink_to("../loras/a.safetensors")
    world.lock(pin_of(PAPER, A_KEY), pin_of(INK, B_KEY))

    ran = world.run("install")

    assert ran.code == 1
    told = f"{world.spot(B_KEY)} is a link to {world.spot(A_KEY)}, which makes way for another"
    assert told in ran.err
    assert world.spot(B_KEY).readlink() == Path("../loras/a.safetensors")
    assert world.run("install", "--replace").code == 0
    assert world.has(A_KEY, PAPER)
    assert world.has(B_KEY, INK)


def test_a_file_that_makes_way_for_a_download_still_fills_another_spot(world: World) -> None:
    world.put(INK_KEY, bytes_of(PAPER))
    world.lock(pin_of(INK), pin_of(PAPER))
    ran = world.here("install", "--replace")
    assert ran.code == 0, ran.text
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)
    assert len(world.downloads()) == 1


@pytest.mark.parametrize(
    "kind", ["directory", "pipe", "dangling link", "circle", "file for folder"]
)
def test_what_is_no_file_is_left_alone(world: World, kind: str) -> None:
    key = "loras/sub/ink.safetensors"
    path = world.spot(key)
    path.parent.mkdir(parents=True)
    match kind:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "dangling link":
            path.symlink_to(world.root / "nowhere")
        case "circle":
            path.symlink_to(path)
        case _:
            path.parent.rmdir()
            path.parent.write_bytes(b"mine")
    before = facts(world.models)
    world.lock(pin_of(INK, key), pin_of(PAPER, "checkpoints/paper.safetensors"))
    for flags in ([], ["--replace"]):
        ran = world.here("install", *flags)
        assert ran.code == 1
        assert "error[path-occupied]" in ran.err
        assert before.items() <= {**facts(world.models), "loras": before["loras"]}.items()
    assert world.has("checkpoints/paper.safetensors", PAPER)


def test_nothing_is_fetched_for_a_spot_behind_a_link(world: World) -> None:
    """Only a folder's own directory may be a link: below it nothing is placed behind one."""
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    (world.models / "loras").mkdir()
    (world.models / "loras" / "sub").symlink_to(elsewhere)
    world.lock(pin_of(INK, "loras/sub/ink.safetensors"))
    for flags in (["--dry-run"], []):
        ran = world.here("install", *flags)
        assert (ran.code, "error[unsafe-path]" in ran.err) == (1, True), ran.text
    assert world.hub.requests == ()
    assert list(elsewhere.iterdir()) == []


def test_a_content_whose_first_spot_cannot_be_filled_still_comes_to_the_second(
    world: World,
) -> None:
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    pins = [pin_of(INK, "loras/a/ink.safetensors"), pin_of(INK, "loras/b/ink.safetensors")]

    def spoil_the_first() -> None:
        (world.models / "loras").mkdir()
        (world.models / "loras" / "a").symlink_to(elsewhere)

    done = world.install(*pins, before_apply=spoil_the_first)
    assert done.slugs == ("unsafe-path",)
    assert world.has("loras/b/ink.safetensors", INK)
    assert list(elsewhere.iterdir()) == []


def test_a_linked_folder_on_another_disk_is_filled(world: World, other_disk: Path) -> None:
    (world.models / "loras").symlink_to(other_disk)
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    assert (other_disk / "ink.safetensors").read_bytes() == bytes_of(INK)
    assert world.parts(other_disk) == []


def test_a_link_to_an_unmounted_disk_is_told_before_any_download(world: World) -> None:
    (world.models / "loras").symlink_to(world.root / "not mounted")
    world.lock(pin_of(INK))
    ran = world.here("install")
    assert (ran.code, world.downloads()) == (1, [])
    assert "leads to no folder" in ran.err


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than tmp_path."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    folder = shared / f"comfylock-{os.getpid()}-{tmp_path.name}"
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


# ----------------------------------------------------------------------------- which part of it


def test_only_and_workflow_choose(world: World) -> None:
    world.lock(
        pin_of(INK),
        pin_of(PAPER, "checkpoints/paper.safetensors"),
        pin_of(BRUSH),
        workflows={"w.json": [INK_KEY], "v.json": [BRUSH_KEY, INK_KEY]},
    )
    assert world.here("install", "--only", "checkpoints/*").code == 0
    assert set(world.files()) == {"checkpoints/paper.safetensors"}
    assert world.here("install", "--workflow", "w.json").code == 0
    assert set(world.files()) == {"checkpoints/paper.safetensors", INK_KEY}
    assert world.here("install", "--workflow", "nowhere.json").code == 2
    assert world.here("install", "--only", "nothing/*").code == 2


@pytest.mark.parametrize(
    ("named", "keys"),
    [
        ("a.json", [INK_KEY]),
        ("./a.json", [INK_KEY]),
        ("{project}/a.json", [INK_KEY]),
        ("../{name}/a.json", [INK_KEY]),
        ("sub/b.json", [BRUSH_KEY, PAPER_KEY]),
        ("b.json", [BRUSH_KEY, PAPER_KEY]),
        ("sub", [BRUSH_KEY, PAPER_KEY]),
        ("sub/", [BRUSH_KEY, PAPER_KEY]),
        ("sub/*.json", [BRUSH_KEY, PAPER_KEY]),
        (".", [BRUSH_KEY, INK_KEY, PAPER_KEY]),
    ],
)
def test_a_workflow_may_be_named_as_any_path_is(world: World, named: str, keys: list[str]) -> None:
    """Also where the workflows themselves are not here."""
    world.lock(
        pin_of(INK),
        pin_of(PAPER),
        pin_of(BRUSH),
        workflows={"a.json": [INK_KEY], "sub/b.json": [PAPER_KEY, BRUSH_KEY]},
    )
    name = named.format(project=world.project, name=world.project.name)
    ran = world.here("install", "--dry-run", "--json", "--workflow", name)
    assert [row["ref"] for row in ran.document["plan"]] == keys


def test_a_workflow_is_named_from_where_one_stands(world: World) -> None:
    world.lock(pin_of(INK), workflows={"sub/b.json": [INK_KEY]})
    (world.project / "sub").mkdir()
    ran = world.here("-C", str(world.project / "sub"), "install", "--workflow", "./b.json")
    assert (ran.code, world.has(INK_KEY, INK)) == (0, True)


@pytest.mark.parametrize(("formats", "warns"), [("", True), ("warn", True), ("allow", False)])
def test_a_format_that_may_run_code_is_warned_of_once_unless_it_is_allowed(
    world: World, formats: str, warns: bool
) -> None:
    world.lock(pin_of(INK), pin_of(PICKLE, "upscale_models/upscaler.pth", format="pickle"))
    planned = world.here("install", "--dry-run", COMFYLOCK_FORMATS=formats)
    ran = world.here("install", COMFYLOCK_FORMATS=formats)
    for one in (planned, ran):
        assert ("warning: what may run code" in one.err) is warns
    assert ran.code == 0
    assert "warning" not in world.here("install", COMFYLOCK_FORMATS=formats).err


def test_dry_run_prints_the_plan_and_changes_nothing(world: World) -> None:
    world.put(BRUSH_KEY, b"mine")
    world.put("vae/brush.safetensors", bytes_of(PAPER))
    time.sleep(0.05)
    world.lock(pin_of(INK), pin_of(PAPER), pin_of(BRUSH))
    before = world.files()
    ran = world.here("install", "--dry-run", "--json")
    plan = {row["ref"]: (row["action"], row["bytes"]) for row in ran.document["plan"]}
    assert plan == {
        BRUSH_KEY: ("blocked", 0),
        INK_KEY: ("download", INK_SIZE),
        PAPER_KEY: ("link", 0),
    }
    assert (ran.code, ran.document["results"]) == (1, [])
    assert world.files() == before
    assert world.hub.requests == ()
    text = world.here("install", "--dry-run")
    assert f"+ {INK_KEY}  300 kB from civitai version 11 (file 111)" in text.out
    assert "Planned 3 models: 1 to link, 1 to download, 1 blocked; 300 kB to fetch" in text.err


def test_dry_run_of_an_empty_models_folder_leaves_it_empty(world: World) -> None:
    world.lock(pin_of(INK))
    assert world.here("install", "--dry-run").code == 0
    assert list(world.models.iterdir()) == []


def test_locked_refuses_a_stale_lock_and_frozen_does_not_look(world: World) -> None:
    workflow = {
        "1": {"class_type": "LoraLoader", "inputs": {"lora_name": "new.safetensors"}},
    }
    (world.project / "w.json").write_text(json.dumps(workflow))
    world.lock(pin_of(INK), workflows={"w.json": [INK_KEY]})
    refused = world.here("install", "--locked")
    assert (refused.code, "error[lock-stale]" in refused.err) == (1, True)
    assert "loras/new.safetensors" in refused.err
    assert world.hub.requests == ()
    frozen = world.here("install", "--frozen")
    assert (frozen.code, "new.safetensors" in frozen.text) == (0, False)
    warned = world.here("install")
    assert (warned.code, "new.safetensors" in warned.err) == (0, True)


# -------------------------------------------------------------------------- what cannot be done


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        (None, "lock-missing"),
        ("<<<<<<< HEAD\nversion = 1\n=======\n>>>>>>> theirs\n", "lock-conflict"),
        ("version = 2\n", "lock-version"),
        ("version = 1\n[model.a]\n[model.a]\n", "lock-invalid"),
        ("not toml", "lock-invalid"),
        ("", "lock-invalid"),
    ],
)
def test_a_lock_that_cannot_be_used_stops_all(world: World, text: str | None, slug: str) -> None:
    if text is not None:
        world.lock_path.write_text(text)
    ran = world.here("install")
    assert (ran.code, f"error[{slug}]" in ran.err) == (2, True)
    assert "hint:" in ran.err
    document = world.here("install", "--json").document
    assert (document["ok"], document["errors"][0]["slug"]) == (False, slug)
    assert list(world.models.iterdir()) == []


@pytest.mark.parametrize(
    "key",
    [
        "loras/../../escape.safetensors",
        "../escape.safetensors",
        "/escape.safetensors",
        "loras/C:/escape.safetensors",
        "loras/.comfylock/x.safetensors",
        "loras/run.sh",
        "loras//x.safetensors",
    ],
)
def test_a_key_that_leads_elsewhere_stops_all(world: World, key: str) -> None:
    world.lock(pin_of(INK), pin_of(PAPER, "loras/PLACE.safetensors"))
    text = world.lock_path.read_text().replace("loras/PLACE.safetensors", key)
    world.lock_path.write_text(text)
    ran = world.here("install")
    assert (ran.code, "error[lock-invalid]" in ran.err) == (2, True)
    assert list(world.models.iterdir()) == []
    assert world.hub.requests == ()


def test_no_models_folder_is_told(world: World) -> None:
    world.lock(pin_of(INK))
    ran = world.here("install", COMFYLOCK_MODELS_DIR="")
    assert (ran.code, "error[models-dir-missing]" in ran.err) == (2, True)
    ran = world.here("install", COMFYLOCK_MODELS_DIR=str(world.root / "nowhere"))
    assert (ran.code, "error[models-dir-missing]" in ran.err) == (2, True)


def test_a_pin_without_sources_names_the_way_out(world: World) -> None:
    world.lock(pin_of(INK, sources=()), pin_of(PAPER))
    ran = world.here("install")
    assert (ran.code, "error[no-source]" in ran.err) == (1, True)
    assert world.has(PAPER_KEY, PAPER)
    world.put("checkpoints/put anywhere.safetensors", bytes_of(INK))
    assert world.here("install").code == 0


# -------------------------------------------------------------------------------------- the key


def test_without_a_key_the_models_that_need_one_fail_and_say_so(world: World) -> None:
    world.lock(pin_of(MEMBERS), pin_of(INK), pin_of(EARLY))
    ran = world.here("install")
    assert ran.code == 1
    assert "error[auth-required]" in ran.err
    assert "CIVITAI_TOKEN" in ran.err
    assert "error[early-access]" in ran.err
    assert "2099-12" in ran.err or "2099-01" in ran.err
    assert set(world.files()) == {INK_KEY}
    assert world.parts() == []


def test_the_key_goes_to_the_hub_alone_and_is_written_nowhere(world: World) -> None:
    world.hub.configure(keys=(CANARY,))
    world.lock(pin_of(MEMBERS), pin_of(EARLY), pin_of(PAPER), pin_of(INK))
    # The storage's own word repeats what it was sent.
    world.hub.fault(
        Fault(kind="status", status=500, body=f"Bearer {CANARY}", match="fileId=112", times=None,
              headers={"Retry-After": "0"})
    )  # fmt: skip
    process = world.start("install", "-v", "--jobs", "1", CIVITAI_TOKEN=CANARY)
    argv = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert world.has("loras/members.safetensors", MEMBERS)
    assert CANARY not in out + err
    assert CANARY.encode() not in argv
    for path in world.root.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    sent = [(entry.origin, entry.headers.get("authorization")) for entry in world.hub.requests]
    assert {"api", "storage"} == {origin for origin, _ in sent}
    assert all((value == f"Bearer {CANARY}") == (origin == "api") for origin, value in sent)
    assert all(CANARY not in f"{one.path}?{one.query}" for one in world.hub.requests)


def test_a_refused_key_is_told_without_being_shown(world: World) -> None:
    world.lock(pin_of(MEMBERS))
    ran = world.here("install", CIVITAI_TOKEN=CANARY)
    assert (ran.code, "error[auth-required]" in ran.err) == (1, True)
    assert CANARY not in ran.text


# ----------------------------------------------------------------------- disks that say no


@contextmanager
def mounted(kind: str, target: Path, options: str, source: str = "none") -> Iterator[None]:
    """Mount for a while; skips where that is not allowed."""
    bind = ["--bind"] if kind == "bind" else ["-t", kind]
    command = ["mount", *bind, *(["-o", options] if options else []), source, str(target)]
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root may mount")
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        if kind == "bind" and options:
            remount = ["mount", "-o", f"remount,bind,{options}", str(target)]
            subprocess.run(remount, check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)


def test_what_cannot_fit_is_told_before_the_first_byte(world: World) -> None:
    """The lock's sizes are the uploader's word, so the server is asked; nothing is written."""
    with mounted("tmpfs", world.models, "size=200k"):
        world.lock(pin_of(INK), pin_of(PAPER), pin_of(BRUSH))
        ran = world.run("install")
        assert (ran.code, "error[disk-full]" in ran.err) == (1, True)
        assert "loras/ink.safetensors needs 300,000 bytes" in ran.err
        assert {INK_KEY} | set(world.files()) == {INK_KEY, PAPER_KEY, BRUSH_KEY}
        assert world.parts() == []


@pytest.mark.parametrize("left", [0, 1, 4096, 100_000, INK_SIZE - 4096, INK_SIZE - 1])
def test_a_disk_that_fills_up_on_the_way_leaves_no_partial_file(world: World, left: int) -> None:
    """Somebody else takes the room between the plan and the last byte."""
    with mounted("tmpfs", world.models, "size=400k"):

        def fill() -> None:
            free = os.statvfs(world.models).f_bavail * 4096
            (world.models / "filler").write_bytes(bytes(max(0, free - left)))

        # Without a length nobody can know beforehand that it will not fit.
        world.hub.fault(Fault(kind="nolen", origin="storage"))
        pin = pin_of(INK, size=None)
        done = world.install(pin, before_apply=fill)
        assert (done.code, done.slugs) == (1, ("disk-full",)), done.told
        assert not world.spot(INK_KEY).exists()
        (world.models / "filler").unlink()
        done = world.install(pin)
        assert done.code == 0, done.told
        assert world.has(INK_KEY, INK)
        assert world.parts() == []


def test_what_a_killed_copy_left_does_not_keep_the_next_one_from_its_room(world: World) -> None:
    """The plan counts on the room of what lies there of the same content."""
    mine = world.root / "mine" / "loras" / "my ink.safetensors"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(bytes_of(INK))
    script = """
import sys
from pathlib import Path
from comfylock.disk.copying import spare_name
(Path(sys.argv[1]) / spare_name(sys.argv[2])).write_bytes(bytes(250_000))
"""
    with mounted("tmpfs", world.models, "size=400k"):
        world.lock(pin_of(INK))
        (world.models / ".comfylock" / "partial").mkdir(parents=True)
        begun = [sys.executable, "-c", script, str(world.models / ".comfylock" / "partial")]
        label = pin_of(INK).digests.label
        subprocess.run([*begun, label], env=world.environment, check=True)
        assert len(world.parts()) == 1

        folders = ("--models-dir", str(world.models), "--models-dir", str(mine.parent.parent))
        ran = world.run(*folders, "install", "--json")

        assert [result["action"] for result in ran.document["results"]] == ["link"]
        assert ran.code == 0, ran.err
        assert world.has(INK_KEY, INK)
        assert world.parts() == []
    assert world.hub.requests == ()


def test_a_full_disk_does_not_stop_what_needs_no_room(world: World) -> None:
    with mounted("tmpfs", world.models, "size=500k"):
        world.put("vae/spare.safetensors", bytes_of(PAPER))

        def fill() -> None:
            free = os.statvfs(world.models).f_bavail * 4096
            (world.models / "filler").write_bytes(bytes(free - 40_000))

        done = world.install(pin_of(INK), pin_of(PAPER), pin_of(BRUSH), before_apply=fill, jobs=1)
        assert done.results[INK_KEY] == "download failed"
        assert done.results[PAPER_KEY] == "link done"
        assert done.results[BRUSH_KEY] == "download done"


def test_a_read_only_models_folder_is_told_before_any_download(world: World) -> None:
    with mounted("bind", world.models, "ro", str(world.models)):
        world.lock(pin_of(INK))
        ran = world.run("install")
        assert (ran.code, "error[permission]" in ran.err) == (1, True)
        assert "Read-only file system" in ran.err
        assert world.hub.requests == ()


def test_a_full_read_only_models_folder_is_in_sync(world: World) -> None:
    """Baked images: all is there, nothing may be written; hashes go to the user's cache."""
    world.put(INK_KEY, bytes_of(INK))
    time.sleep(0.15)
    world.lock(pin_of(INK))
    with mounted("bind", world.models, "ro", str(world.models)):
        assert world.run("install").code == 0
        document = world.here("install", "--json").document
        assert (document["summary"]["keep"], document["summary"]["hashed"]) == (1, 0)


def test_folders_of_another_user_are_told_before_any_download(world: World) -> None:
    """As a user who may write to the models folder but not to the one of the model."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    (world.models / "loras").mkdir()
    for folder in (world.root, world.project, world.models):
        folder.chmod(0o777)
    for folder in list(world.root.parents)[:-2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    world.lock(pin_of(INK), pin_of(PAPER, "vae/paper.safetensors"))
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    ran = subprocess.run(
        [*command, *world.command("install")],
        env=world.environment | {"COMFYLOCK_CACHE_DIR": str(world.root / "his")},
        cwd=world.project,
        capture_output=True,
        text=True,
        check=False,
    )
    if "setpriv" in ran.stderr or "No module named" in ran.stderr or ran.returncode == 126:
        pytest.skip(f"cannot become another user: {ran.stderr}")
    assert (ran.returncode, "error[permission]" in ran.stderr) == (1, True), ran.stderr
    assert str(world.models / "loras") in ran.stderr
    assert len(world.downloads()) == 1
    assert world.has("vae/paper.safetensors", PAPER)


def test_a_folder_mounted_on_its_own_gets_its_parts_there(world: World) -> None:
    """Containers mount several folders of one disk, and no file can be renamed between them."""
    volume = world.root / "volume"
    volume.mkdir()
    (world.models / "loras").mkdir()
    with mounted("bind", world.models / "loras", "", str(volume)):
        world.put(BRUSH_KEY, b"mine")
        world.lock(pin_of(INK), pin_of(BRUSH))
        world.hub.fault(Fault(kind="truncate", nbytes=100_000, match="/ink", times=1))
        world.hub.fault(Fault(kind="status", status=404, match="/ink", times=None))
        assert world.here("install").code == 1
        assert len(world.parts(world.models / "loras")) in {1, 2}
        world.hub.clear_faults()
        ran = world.here("install", "--replace")
        assert ran.code == 0, ran.text
        assert world.has(INK_KEY, INK)
        assert world.has(BRUSH_KEY, BRUSH)
        assert world.parts(world.models / "loras") == []


# -------------------------------------------------------------------------------- interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["slow", "silent"])
def test_an_interrupt_ends_it_soon(world: World, number: signal.Signals, kind: str) -> None:
    """One line, exit code 130, what came is kept and the next run goes on from there."""
    if kind == "slow":
        world.hub.configure(throttle_per_connection=200_000)
    else:
        world.hub.fault(Fault(kind="stall", nbytes=150_000, origin="storage"))
    world.lock(pin_of(INK), pin_of(PAPER))
    process = world.start("install", "--jobs", "1")
    wait_until(lambda: any(part.stat().st_size > 50_000 for part in world.parts()))
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    # Two seconds are promised, and measured by a campaign; a busy machine may take longer.
    assert time.monotonic() - began < 10
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert err.count("stopped") == 1
    assert set(world.files()) <= {PAPER_KEY}
    world.hub.configure(throttle_per_connection=None)
    world.hub.clear_faults()
    world.hub.clear_requests()
    assert world.run("install").code == 0
    assert world.has(INK_KEY, INK)
    resumed = [one for one in world.downloads() if "range" in one.headers]
    assert len(resumed) == 1
    assert resumed[0].status == 206
    assert world.parts() == []


def test_an_interrupt_at_any_moment_of_the_start_prints_no_traceback(world: World) -> None:
    world.hub.configure(throttle_per_connection=100_000)
    world.lock(pin_of(INK))
    for delay_s in (0.0, 0.05, 0.1, 0.2):
        process = world.start("install")
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        # Before Python itself is up the system's own end by signal is what one gets, or its word.
        is_python_up = "Could not import runpy" not in err
        assert process.returncode in {130, -signal.SIGINT} or not is_python_up, err
        assert ", in main" not in err, err
    assert world.run("install").code == 0


HIDING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "comfylock.cli.output":
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("PyCapsule_Import could not import module") from None

sys.meta_path.insert(0, Finder())
"""


def test_an_interrupt_that_comes_out_as_another_error_prints_no_traceback(world: World) -> None:
    """So do modules in C that load others as they are loaded, `ssl` among them."""
    world.lock(pin_of(INK))
    (world.root / "home" / "sitecustomize.py").write_text(HIDING)
    path = f"{world.root / 'home'}:{world.environment['PYTHONPATH']}"
    ran = world.run("install", PYTHONPATH=path)
    assert (ran.code, ran.err) == (130, "stopped\n")


LOSING = """
import os, signal

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

signal.signal(signal.SIGALRM, lambda *_: Dropped())
signal.setitimer(signal.ITIMER_REAL, 1.5)
"""


def test_an_interrupt_that_gets_lost_in_a_callback_ends_the_run_all_the_same(world: World) -> None:
    """What is raised while an object is thrown away, Python prints and drops."""
    world.hub.configure(throttle_per_connection=20_000)
    world.lock(pin_of(INK))
    (world.root / "home" / "sitecustomize.py").write_text(LOSING)
    path = f"{world.root / 'home'}:{world.environment['PYTHONPATH']}"
    ran = world.run("install", PYTHONPATH=path)
    assert ran.code == 130
    assert "Exception ignored in: <function Dropped.__del__" in ran.err
    assert world.files() == {}


# ----------------------------------------------------------------------------- two at a time


def test_two_installs_at_once_both_end_well(world: World) -> None:
    """Each writes a part of its own; who comes second finds the right file in the spot."""
    world.hub.configure(throttle_per_connection=400_000)
    world.lock(pin_of(INK), pin_of(PAPER), pin_of(BRUSH))
    processes = [world.start("install") for _ in range(3)]
    ends = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ends
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)
    assert world.has(BRUSH_KEY, BRUSH)
    world.hub.configure(throttle_per_connection=None)
    assert world.run("install").code == 0
    assert world.parts() == []


def test_json_is_one_document_whatever_happens(world: World) -> None:
    world.lock(pin_of(INK), pin_of(EARLY))
    ran = world.run("install", "--json")
    document = ran.document
    assert (ran.code, document["ok"], document["command"]) == (1, False, "install")
    assert [one["slug"] for one in document["errors"]] == ["early-access"]
    results = {
        row["ref"]: (row["action"], row["status"], row["slug"]) for row in document["results"]
    }
    assert results == {
        "loras/early.safetensors": ("download", "failed", "early-access"),
        INK_KEY: ("download", "done", None),
    }


def test_the_python_of_these_tests_runs_the_checked_out_code(world: World) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "import comfylock; print(comfylock.__file__)"],
        env=world.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(ran.stdout.strip()).parent == Path(__file__).parent.parent / "comfylock"
