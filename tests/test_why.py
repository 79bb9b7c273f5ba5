"""`why` and `tree`: who needs what, and on which evidence it was pinned."""

import json
from dataclasses import replace

import pytest

from comfylock.lockfile.text import render_lock
from tests.shop import INK, LOST, SHOP, TWIN, lock, put_workflow
from tests.standin.server import Standin
from tests.world import lock_of, pin_of


@pytest.fixture
def hub():
    with Standin(SHOP) as standin:
        yield standin


def test_why_tells_who_needs_a_model_and_what_each_rung_says(world):
    lock(world, INK, LOST)
    ran = world.here("why", "ink.safetensors")
    shelf = SHOP.shelf(111)
    assert ran.code == 0
    assert ran.out == (
        f"{INK}\n"
        "  needed by   workflows/a.json  node 1  LoraLoader.lora_name\n"
        "  locked      by exact file name  Ink Wash / v1  4.1 kB  SDXL 1.0\n"
        f"  sha256      {shelf.file.sha256}\n"
        f"  blake3      {shelf.file.blake3}\n"
        "  source      civitai version 11 (file 111)\n"
        "              https://civitai.com/models/1?modelVersionId=11\n"
        "  evidence now:\n"
        "  - hash      no file of this name is in a models folder\n"
        "  - embedded  the workflow says nothing of it but the name\n"
        "  - known     no table of well-known files names ink.safetensors\n"
        "  + filename  Ink Wash / v1 (civitai version 11 (file 111))\n"
    )


def test_why_tells_the_key_of_an_embedding_that_a_prompt_names_without_extension(world):
    pin = pin_of(111, "embeddings/hands.safetensors")
    node = {"class_type": "CLIPTextEncode", "inputs": {"text": "embedding:hands"}}
    (world.project / "w.json").write_text(json.dumps({"1": node}))
    lock = lock_of(pin, workflows={"w.json": [pin.key]})
    world.lock_path.write_text(render_lock(replace(lock, inputs=("w.json",))), "utf-8")
    told = world.here("why", "hands").out
    assert told.startswith("embeddings/hands\n")
    assert "  locked as   embeddings/hands.safetensors\n" in told


def test_why_of_what_nothing_pins_ends_with_the_next_step(world):
    lock(world, LOST)
    assert world.here("why", LOST).err.endswith(
        "hint: Look for it with `comfylock search lost`, then `comfylock pin` it\n"
    )


def test_why_asks_only_what_was_never_asked(world):
    """What `lock` has asked is in the cache, and `why` takes it whatever its age."""
    lock(world, INK)
    world.hub.clear_requests()
    assert world.here("why", INK).code == 0
    assert world.hub.requests == ()


def test_why_offline_without_a_cache_still_tells_what_is_known(world):
    lock(world, INK)
    cache = str(world.root / "empty")
    ran = world.here("why", INK, "--offline", COMFYLOCK_CACHE_DIR=cache)
    assert ran.code == 0
    assert "locked      by exact file name" in ran.out
    assert "! offline:" in ran.out


def test_why_of_an_ambiguous_reference_lists_the_candidates(world):
    lock(world, TWIN)
    ran = world.here("why", TWIN)
    assert "  locked      no\n" in ran.out
    assert (
        f"    Twin A / v1: twin.safetensors (4.1 kB, SDXL 1.0)\n"
        f"      comfylock pin {TWIN} civitai:41/411\n"
    ) in ran.out
    document = world.here("why", TWIN, "--json").document
    assert [one["file"] for one in document["candidates"]] == [411, 511]
    assert document["pin"] is None
    assert {miss["rung"] for miss in document["misses"]} >= {"hash", "embedded"}
    assert document["needed_by"] == [
        {
            "workflow": "workflows/a.json",
            "node": "1",
            "type": "LoraLoader",
            "input": "lora_name",
            "name": "twin.safetensors",
            "active": True,
        }
    ]


def test_why_tells_the_users_word(world):
    lock(world, LOST)
    world.here("pin", LOST, "civitai:12")
    ran = world.here("why", LOST)
    assert "  said        pin = civitai:12/121 in comfylock.toml\n" in ran.out
    assert "  + pinned    Ink Wash / v2" in ran.out


def test_why_without_the_workflows_goes_by_the_lock(world):
    lock(world, INK)
    (world.project / "workflows" / "a.json").unlink()
    (world.project / "workflows").rmdir()
    ran = world.here("why", INK)
    assert ran.code == 0
    assert "needed by   workflows/a.json" in ran.out


def test_why_of_an_unknown_reference_is_a_no(world):
    lock(world, INK)
    assert world.here("why", "loras/other.safetensors").code == 1
    assert world.here("why", "loras/other.safetensors", "--json").document["ok"] is False


def test_tree_shows_workflows_with_their_models_from_the_lock_alone(world):
    put_workflow(world, INK, LOST, name="b.json")
    lock(world, INK)
    world.hub.clear_requests()
    ran = world.here("tree")
    leaf = f"{INK}  4.1 kB  filename  civitai version 11 (file 111)"
    assert ran.code == 0
    assert ran.out == (
        f"workflows/a.json\n└── {leaf}\nworkflows/b.json\n├── {leaf}\n└── {LOST}  not pinned\n"
    )
    assert ran.err == "2 workflows, 1 model (4.1 kB), 1 not pinned\n"
    assert world.hub.requests == ()


@pytest.mark.parametrize("name", ["workflows/b.json", "./workflows/b.json", "b.json", "*b*"])
def test_tree_of_one_workflow_however_it_is_named(world, name):
    put_workflow(world, INK, name="b.json")
    lock(world, INK, LOST)
    document = world.here("tree", name, "--json").document
    (one,) = document["workflows"]
    assert one["path"] == "workflows/b.json"
    assert [model["ref"] for model in one["models"]] == [INK]
    assert one["models"][0]["sources"][0]["version"] == 11


def test_tree_of_an_unknown_workflow_is_a_no(world):
    lock(world, INK)
    ran = world.here("tree", "workflows/c.json")
    assert ran.code == 1
    assert "comfy.lock has no workflow workflows/c.json" in ran.err


def test_tree_without_a_lock_cannot_work(world):
    ran = world.here("tree")
    assert ran.code == 2
    assert "error[lock-missing]" in ran.err
