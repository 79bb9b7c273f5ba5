"""`scan`, `status`, `check` and `verify`: questions that change nothing."""

import json
import re
import shutil

import pytest

from tests.test_lock_command import INK, PAPER, shelves, write  # noqa: F401
from tests.world import PICKLE, bytes_of, pin_of


def test_scan_tells_folder_name_node_and_evidence(world):
    write(world, "a.json", "SDXL\\ink.safetensors")

    done = world.here("scan", "workflows", "--json")

    assert done.code == 0
    [found] = done.document["references"]
    assert (found["workflow"], found["node"], found["type"]) == (
        "workflows/a.json",
        "1",
        "LoraLoader",
    )
    assert (found["input"], found["name"]) == ("lora_name", "SDXL\\ink.safetensors")
    assert (found["folder"], found["key"]) == ("loras", "loras/SDXL/ink.safetensors")
    assert (found["kind"], found["active"], found["found"]) == ("file", True, "node")


def test_scan_reports_broken_files_by_path_and_goes_on(world):
    write(world, "a.json", INK)
    (world.project / "workflows" / "cut.json").write_text('{"1": {"class_', "utf-8")

    done = world.here("scan", "workflows", "--json")

    assert done.code == 0
    assert [each["path"] for each in done.document["skipped"]] == ["workflows/cut.json"]
    assert len(done.document["references"]) == 1


def test_scan_needs_no_lock_no_models_folder_and_no_network(world):
    write(world, "a.json", INK)

    done = world.here("scan", "workflows", COMFYLOCK_MODELS_DIR="", COMFYLOCK_CIVITAI_URL="")

    assert done.code == 0
    assert world.hub.requests == ()


def test_status_says_how_each_model_stands_and_always_ends_well(world):
    world.lock(pin_of(111), pin_of(112), pin_of(113))
    world.put("loras/ink.safetensors", bytes_of(111))
    world.put("loras/paper.safetensors", b"something else")

    done = world.here("status", "--json")

    assert done.code == 0
    states = {each["ref"]: each["state"] for each in done.document["models"]}
    assert states == {
        "loras/brush.safetensors": "missing",
        "loras/ink.safetensors": "present",
        "loras/paper.safetensors": "different",
    }
    assert done.document["summary"]["bytes_to_fetch"] == 20_000


def test_status_ends_with_the_next_step(world):
    world.lock(pin_of(111), pin_of(112))
    assert world.here("status").err.endswith("to fetch\n\nhint: Run `comfylock install`\n")

    world.put("loras/ink.safetensors", bytes_of(111))
    world.put("loras/paper.safetensors", b"something else")
    told = world.here("status").err
    assert told.startswith("2 models: 1 present, 1 different; nothing to fetch\n")
    assert told.endswith("hint: `comfylock check` says what stands in the way of each\n")

    world.put("loras/paper.safetensors", bytes_of(112))
    assert world.here("status").err == "All 2 models are present\n"


def test_check_says_of_what_is_not_pinned_all_that_can_be_done(world):
    write(world, "a.json", "nowhere.safetensors")
    world.here("lock", "workflows")
    told = world.here("check").err
    assert "error[unresolved]: loras/nowhere.safetensors is in comfy.lock without a pin" in told
    assert "`comfylock pin loras/nowhere.safetensors SPEC`" in told
    assert "`comfylock ignore loras/nowhere.safetensors`" in told
    assert "hint: `comfylock why REF` says what was tried" in world.here("status").err


def test_models_that_nobody_has_share_one_line_of_advice(world):
    world.lock(pin_of(111, sources=()), pin_of(112, sources=()))
    told = world.here("check").err
    assert "error[no-source]: REF is pinned by hash alone" in told
    assert told.count("hint:") == 1
    assert world.hub.requests == ()


def test_status_without_a_lock_says_so(world):
    done = world.here("status", "--json")

    assert done.code == 0
    assert done.document["lock"] == "missing"


def test_check_is_content_only_when_all_agree(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    assert world.here("check").code == 1
    assert world.here("install").code == 0

    done = world.here("check", "--json")

    assert (done.code, done.document["ok"], done.document["lock"]) == (0, True, "fresh")


def test_check_names_the_missing_model_and_the_next_step(world):
    world.lock(pin_of(111))

    done = world.here("check")

    assert done.code == 1
    assert "error[drift]: loras/ink.safetensors is not there" in done.err
    assert "hint: Run `comfylock install`" in done.err


def test_check_finds_a_stale_lock(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    assert world.here("install").code == 0
    write(world, "a.json", INK, PAPER)

    done = world.here("check", "--json")

    assert (done.code, done.document["lock"]) == (1, "stale")
    assert [each["slug"] for each in done.document["errors"]] == ["lock-stale"]


@pytest.mark.parametrize("asked", ["workflows", "workflows/*.json", "workflows/a.json"])
def test_a_lock_whose_workflows_are_all_gone_is_stale_to_everybody(world, asked):
    """Whatever named them. Only an install needs none of them, and does not mind."""
    write(world, "a.json", INK)
    assert world.here("lock", asked).code == 0
    assert world.here("install").code == 0
    before = world.lock_path.read_bytes()
    shutil.rmtree(world.project / "workflows")

    for arguments in (["lock", "--check"], ["check"], ["status"], ["report"]):
        document = world.here(*arguments, "--json").document
        assert document["lock"] == "stale", arguments
    stale = world.here("lock", "--check")
    assert (stale.code, "\n  - workflows/a.json\n" in stale.err) == (1, True)
    assert world.here("install", "--locked").code == 1
    installed = world.here("install", "--json")
    assert (installed.code, installed.document["lock"]) == (0, None)
    assert (world.here("lock").code, world.lock_path.read_bytes()) == (2, before)


def test_a_lock_that_records_no_inputs_is_compared_with_its_own_workflows(world):
    write(world, "a.json", INK)
    world.here("lock", "workflows")
    text = world.lock_path.read_text("utf-8")
    without = re.sub(r"inputs = \[[^]]*\]\n", "", text)
    world.lock_path.write_text(without, "utf-8")

    assert world.here("status", "--json").document["lock"] == "fresh"
    (world.project / "workflows" / "a.json").unlink()
    assert world.here("status", "--json").document["lock"] == "stale"


def test_a_denied_format_is_one_finding(world):
    world.lock(pin_of(PICKLE, "upscale_models/upscaler.pth", format="pickle"))

    assert len(world.here("check", "--json", COMFYLOCK_FORMATS="deny").document["errors"]) == 1
    assert world.here("install").code == 0
    denied = world.here("check", "--json", COMFYLOCK_FORMATS="deny")
    assert [each["slug"] for each in denied.document["errors"]] == ["unsafe-format"]


def test_verify_finds_a_changed_byte_that_no_stat_shows(world):
    """The hash cache is not asked: every byte is read."""
    world.lock(pin_of(111))
    assert world.here("install").code == 0
    path = world.spot("loras/ink.safetensors")
    row = world.models / ".comfylock" / "hashes.jsonl"
    assert row.exists()
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)

    assert world.here("verify").code == 1
    assert world.here("check", "--verify", "full").code == 1


def test_deny_makes_a_pickle_a_finding_even_when_it_is_there(world):
    world.lock(pin_of(117, key="upscale_models/upscaler.pth", format="pickle"))
    assert world.here("install").code == 0
    (world.project / "comfylock.toml").write_text('[lock]\nformats = "deny"\n', "utf-8")

    done = world.here("check", "--json")

    assert [each["slug"] for each in done.document["errors"]] == ["unsafe-format"]


def test_json_is_one_document_whatever_happens(world):
    for arguments in (["status", "--frob"], ["frob", "--json"], ["check"], ["scan", "nowhere"]):
        done = world.run(*arguments, "--json")
        document = json.loads(done.out)
        assert document["schema"] == 1
        assert document["ok"] is (done.code == 0)
        assert done.code == 2
        assert document["errors"]


def test_a_group_nodes_values_are_the_instances_even_where_a_widget_is_hidden(world):
    """A hidden widget has no value at the instance, so the others stand one place further on."""
    inner = [
        {"type": "CheckpointLoaderSimple", "widgets_values": ["hidden.safetensors"]},
        {"type": "LoraLoader", "widgets_values": ["stale.safetensors", 1, 1]},
    ]
    hidden = {"0": {"input": {"ckpt_name": {"visible": False}}}}
    graph = {
        "version": 0.4,
        "nodes": [
            {"id": 1, "type": "workflow/Gr", "widgets_values": ["new.safetensors", 0.5, 0.6]}
        ],
        "links": [],
        "extra": {"groupNodes": {"Gr": {"nodes": inner, "links": [], "config": hidden}}},
    }
    (world.project / "g.json").write_text(json.dumps(graph), "utf-8")

    found = world.here("scan", "g.json", "--json").document["references"]

    assert {each["key"] for each in found} == {
        "checkpoints/hidden.safetensors",
        "loras/new.safetensors",
    }


def test_spellings_that_install_links_are_no_reason_for_a_warning(world):
    r"""ComfyUI accepts ``SDXL\ink.safetensors`` where a file of that literal name lies."""
    write(world, "a.json", "SDXL\\ink.safetensors")
    refused = "which ComfyUI on this system refuses"

    assert refused in world.here("scan", "workflows").err
    assert refused not in world.here("lock", "workflows").err
    assert world.here("install").code == 0
    assert refused not in world.here("check").err
    assert world.has("loras/SDXL\\ink.safetensors", 111)


def test_spellings_that_nobody_links_are_warned_of(world):
    write(world, "a.json", "SDXL\\ink.safetensors")
    (world.project / "comfylock.toml").write_text('aliases = "off"\n', "utf-8")
    refused = "1 model name is spelled with \\ in 1 workflow, which ComfyUI on this system refuses"

    assert refused in world.here("lock", "workflows").err
    assert world.here("install").code == 0
    checked = world.here("check")
    assert checked.code == 0
    assert refused in checked.err


def test_what_scan_skipped_is_told_in_order_whatever_the_reason(world):
    for name, text in {"b.json": "{}", "a.json": "{", "c.json": "<html>"}.items():
        (world.project / name).write_text(text, "utf-8")
    skipped = world.here("scan", ".", "--json").document["skipped"]
    assert [each["path"] for each in skipped] == ["a.json", "b.json", "c.json"]
