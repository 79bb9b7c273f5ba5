"""The quick way to "nothing to do": used when all is as it was, and only then."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from comfylock.disk.receipt import Receipt, look, models_still_right, write_receipt
from tests.test_lock_command import INK, PAPER, shelves, write  # noqa: F401
from tests.world import World, bytes_of

SETTLED_S = 0.15  # younger files are not vouched for: a second change would not show


@pytest.fixture
def settled(world: World) -> World:
    """A project whose last install found nothing to do."""
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    assert world.here("install").code == 0
    time.sleep(SETTLED_S)
    assert "Checked 1 model" in world.here("install").err
    assert list((world.root / "cache" / "receipts").iterdir())
    return world


def went_quickly(world: World, *arguments: str) -> bool:
    """Say whether an install found nothing to do without reading the lock."""
    done = subprocess.run(
        ["python", "-X", "importtime", "-m", "comfylock", "install", *arguments],
        env=world.environment,
        cwd=world.project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Checked 1 model" in done.stderr
    return "comfylock.plan" not in done.stderr


def test_with_nothing_changed_the_lock_is_not_even_parsed(settled):
    settled.hub.clear_requests()

    assert went_quickly(settled)
    assert settled.hub.requests == ()


def test_an_install_with_nothing_to_do_writes_into_no_models_folder_and_no_project(settled):
    def state() -> dict[str, tuple[int, int]]:
        roots = (settled.models, settled.project)
        found = [path for root in roots for path in root.rglob("*")]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}

    before = state()
    assert settled.here("install").code == 0
    assert state() == before


def test_a_deleted_model_comes_back(settled):
    settled.spot("loras/ink.safetensors").unlink()

    assert settled.here("install").code == 0
    assert settled.has("loras/ink.safetensors", 111)


def test_a_changed_model_is_noticed(settled):
    settled.put("loras/ink.safetensors", b"x" * 300_000)

    assert settled.here("install").code == 1


def test_a_changed_model_with_its_old_time_is_noticed(settled):
    import os

    path = settled.spot("loras/ink.safetensors")
    status = path.stat()
    path.write_bytes(bytes(len(bytes_of(111))))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert settled.here("install").code == 1


def test_a_changed_lock_is_read(settled):
    text = settled.lock_path.read_text("utf-8").replace("ink.safetensors", "pen.safetensors")
    settled.lock_path.write_text(text, "utf-8")

    settled.here("install")

    assert settled.has("loras/pen.safetensors", 111)


@pytest.mark.parametrize("name", ["a.json", "b.json", "deep/c.json"])
def test_a_changed_or_new_workflow_makes_the_lock_stale(settled, name):
    path = settled.project / "workflows" / name
    path.parent.mkdir(exist_ok=True)
    write(settled, name, INK, PAPER)

    assert "does not say what the workflows need" in settled.here("install").err
    assert settled.here("install", "--locked").code == 1


def test_frozen_and_ordinary_installs_do_not_answer_for_each_other(settled):
    """What `--frozen` did not look at must not count as looked at."""
    write(settled, "b.json", PAPER)
    assert settled.here("install", "--frozen").code == 0
    time.sleep(SETTLED_S)
    assert settled.here("install", "--frozen").code == 0

    assert settled.here("install", "--locked").code == 1


def test_an_install_without_workflows_does_not_answer_for_a_locked_one(settled):
    """The ordinary one does not mind that they are gone; `--locked` does."""
    shutil.rmtree(settled.project / "workflows")
    assert settled.here("install").code == 0
    time.sleep(SETTLED_S)
    assert settled.here("install").code == 0

    locked = settled.here("install", "--locked")

    assert (locked.code, "error[lock-stale]" in locked.err) == (1, True)


def test_settings_that_change_are_read(settled):
    (settled.project / "comfylock.toml").write_text("nonsense = 1\n", "utf-8")

    assert settled.here("install").code == 2


def test_another_models_folder_is_another_answer(settled, tmp_path):
    other = tmp_path / "other"
    other.mkdir()

    assert settled.here("install", "--models-dir", str(other)).code == 0
    assert (other / "loras" / "ink.safetensors").read_bytes() == bytes_of(111)


def test_a_file_that_comes_first_in_the_search_order_is_noticed(world):
    """A model kept in a later folder is shadowed by a file of its name in an earlier one."""
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    late = world.root / "late"
    (late / "loras").mkdir(parents=True)
    (late / "loras" / "ink.safetensors").write_bytes(bytes_of(111))
    folders = ("--models-dir", str(world.models), "--models-dir", str(late))
    time.sleep(SETTLED_S)
    assert world.here("install", *folders).code == 0
    assert world.here("install", *folders).code == 0

    world.put("loras/ink.safetensors", b"something else")

    assert world.here("install", *folders).code == 1


@pytest.mark.parametrize("flag", ["--verify=full", "--json", "--only=loras/*", "--dry-run"])
def test_questions_that_need_more_are_answered_the_ordinary_way(settled, flag):
    done = settled.here("install", flag)

    assert done.code == 0
    assert not flag.startswith("--json") or done.document["summary"]["models"] == 1


def test_a_damaged_receipt_costs_only_the_ordinary_way(tmp_path):
    """No changed bit makes a receipt vouch for anything."""
    kept = tmp_path / "model"
    kept.write_bytes(b"model")
    time.sleep(SETTLED_S)
    path = tmp_path / "receipt.json"
    write_receipt(path, Receipt("all", 1, ((str(kept), look(kept)), (str(tmp_path / "no"), None))))
    whole = path.read_bytes()
    assert models_still_right(path, "all") == 1
    assert models_still_right(path, "other") is None

    for position in range(len(whole)):
        for bit in (1, 16):
            damaged = bytearray(whole)
            damaged[position] ^= bit
            path.write_bytes(damaged)
            assert models_still_right(path, "all") is None


def test_a_file_touched_a_moment_ago_is_not_vouched_for(tmp_path):
    kept = tmp_path / "model"
    kept.write_bytes(b"model")
    path = Path(tmp_path / "receipt.json")

    write_receipt(path, Receipt("all", 1, ((str(kept), look(kept)),)))

    assert not path.exists()


def test_a_receipt_tells_no_secret(settled):
    done = settled.run("install", CIVITAI_TOKEN="canary-77")
    assert done.code == 0
    for path in (settled.root / "cache" / "receipts").iterdir():
        assert "canary" not in path.read_text()
        json.loads(path.read_text().partition(" ")[2])
