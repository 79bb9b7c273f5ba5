"""`comfylock lock`, from workflows and the stand-in to comfy.lock."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.standin.catalogue import file, model, version
from tests.standin.server import Fault
from tests.world import SHELVES, World, bytes_of, pin_of

INK, PAPER = "ink.safetensors", "paper-grain.safetensors"
GRAIN = model(
    8, "Paper Grain", "LORA", versions=[version(81, "v1", files=[file(811, PAPER, size=5_000)])]
)


@pytest.fixture(autouse=True)
def shelves(hub):
    """File names are not searchable: each file's words are those of its model."""
    hub.replace(SHELVES.with_model(GRAIN))


def graph(*loras: str) -> str:
    """An API-format workflow with one LoraLoader per name."""
    nodes = {
        str(number): {"class_type": "LoraLoader", "inputs": {"lora_name": name}}
        for number, name in enumerate(loras, start=1)
    }
    return json.dumps(nodes)


def write(world: World, name: str, *loras: str) -> None:
    path = world.project / "workflows" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(graph(*loras), encoding="utf-8")


def locked(world: World) -> dict[str, Any]:
    return tomllib.loads(world.lock_path.read_text("utf-8"))


def test_an_exact_file_name_is_pinned_with_ids_hashes_and_evidence(world):
    write(world, "a.json", INK)

    done = world.here("lock", "workflows", "--json")

    assert done.code == 0
    pin = locked(world)["model"]["loras/ink.safetensors"]
    held = SHELVES.file(111)
    assert (pin["sha256"], pin["blake3"]) == (held.sha256, held.blake3)
    assert pin["sources"] == [{"type": "civitai", "model": 1, "version": 11, "file": 111}]
    [change] = done.document["changes"]
    assert (change["ref"], change["change"]) == ("loras/ink.safetensors", "added")
    assert change["evidence"] == "filename"


def test_locking_twice_gives_the_same_bytes_and_asks_nobody(world):
    """With nothing changed no request is made, even with an empty response cache."""
    write(world, "a.json", INK, "nowhere.safetensors")
    assert world.here("lock", "workflows").code == 1
    first = world.lock_path.read_bytes()
    world.hub.clear_requests()

    again = world.here("lock", COMFYLOCK_CACHE_DIR=str(world.root / "other-cache"))

    assert again.code == 1
    assert world.lock_path.read_bytes() == first
    assert world.hub.requests == ()


def test_the_lock_does_not_depend_on_the_order_of_workflows_and_paths(world):
    write(world, "a.json", INK, PAPER)
    write(world, "b.json", PAPER, INK)
    assert world.here("lock", "workflows/b.json", "workflows/a.json").code == 0
    first = world.lock_path.read_bytes()
    world.lock_path.unlink()

    assert world.here("lock", "workflows/a.json", "workflows/b.json").code == 0

    assert world.lock_path.read_bytes() == first


def test_what_is_not_found_is_recorded_told_and_ends_with_one(world):
    write(world, "a.json", INK, "nowhere.safetensors")

    done = world.here("lock", "workflows", "--json")

    assert done.code == 1
    assert locked(world)["workflow"]["workflows/a.json"]["unresolved"] == [
        "loras/nowhere.safetensors"
    ]
    assert [each["ref"] for each in done.document["unresolved"]] == ["loras/nowhere.safetensors"]
    assert "loras/ink.safetensors" in locked(world)["model"]


def test_a_name_with_two_contents_is_ambiguous_and_lists_both(world):
    other = model(
        9, "Other Ink", "LORA", versions=[version(91, "v1", files=[file(911, INK, size=999)])]
    )
    world.hub.replace(SHELVES.with_model(GRAIN).with_model(other))
    write(world, "a.json", INK)

    done = world.here("lock", "workflows", "--json")

    assert done.code == 1
    [ambiguous] = done.document["ambiguous"]
    assert {each["file"] for each in ambiguous["candidates"]} == {111, 911}
    assert "model" not in locked(world)


def test_a_failed_look_up_leaves_its_reference_out_so_that_the_next_run_asks(world):
    """A network fault is no answer: the lock stays stale for it."""
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    write(world, "b.json", PAPER)
    world.hub.fault(Fault(match="/api/v1/", kind="status", status=400, times=None))

    failed = world.here("lock")

    assert failed.code == 2
    assert "workflows/b.json" not in locked(world)["workflow"]
    world.hub.clear_faults()
    assert world.here("lock").code == 0
    assert "loras/paper-grain.safetensors" in locked(world)["model"]


def test_nobody_to_ask_ends_with_two_and_writes_nothing(world):
    write(world, "a.json", INK)

    done = world.here("lock", "workflows", "--offline")

    assert done.code == 2
    assert "error[offline]" in done.err
    assert not world.lock_path.exists()


def test_a_workflow_that_broke_keeps_what_the_lock_knew_of_it(world):
    write(world, "a.json", INK)
    write(world, "b.json", PAPER)
    assert world.here("lock", "workflows").code == 0
    before = world.lock_path.read_bytes()
    (world.project / "workflows" / "a.json").write_text(graph(INK)[:20], encoding="utf-8")

    done = world.here("lock")

    assert done.code == 1
    assert "error[workflow-invalid]" in done.err
    assert "a.json" in done.err
    assert world.lock_path.read_bytes() == before


def test_a_file_that_is_no_workflow_is_passed_over_in_a_folder_and_refused_by_name(world):
    write(world, "a.json", INK)
    (world.project / "workflows" / "notes.json").write_text('{"a": 1}', encoding="utf-8")

    quiet = world.here("lock", "workflows")
    named = world.here("lock", "workflows/notes.json")

    assert quiet.code == 0
    assert "notes.json" not in quiet.text
    assert named.code == 1
    assert "is not a ComfyUI workflow" in named.err
    assert locked(world)["inputs"] == ["workflows"]


def test_a_path_that_is_not_there_changes_nothing(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    before = world.lock_path.read_bytes()

    done = world.here("lock", "workflow")

    assert done.code == 2
    assert "error[path-missing]" in done.err
    assert world.lock_path.read_bytes() == before


def test_a_name_that_leads_outside_is_never_pinned(world):
    write(world, "a.json", "../../ink.safetensors", INK)

    done = world.here("lock", "workflows")

    assert done.code == 1
    assert "error[unsafe-path]" in done.err
    assert list(locked(world)["model"]) == ["loras/ink.safetensors"]


def test_a_local_file_is_pinned_by_its_hash_whatever_its_name_says(world):
    """The bytes decide: the file is looked up by hash, and its name is the workflow's."""
    write(world, "a.json", "my-own-name.safetensors")
    world.put("loras/my-own-name.safetensors", SHELVES.file(112).payload.read())

    assert world.here("lock", "workflows").code == 0

    pin = locked(world)["model"]["loras/my-own-name.safetensors"]
    assert pin["evidence"] == "hash"
    assert pin["sources"] == [{"type": "civitai", "model": 1, "version": 12, "file": 112}]


def test_a_file_on_no_hub_is_pinned_by_hash_alone(world):
    write(world, "a.json", "mine.safetensors")
    world.put("loras/mine.safetensors", b"my own bytes")

    assert world.here("lock", "workflows").code == 0

    pin = locked(world)["model"]["loras/mine.safetensors"]
    assert (pin["evidence"], pin["sources"], pin["size"]) == ("local", [], 12)


def test_a_file_that_turns_up_later_settles_an_unresolved_reference(world):
    write(world, "a.json", "mine.safetensors")
    assert world.here("lock", "workflows").code == 1

    world.put("loras/mine.safetensors", b"my own bytes")

    assert world.here("lock").code == 0
    assert "unresolved" not in locked(world)["workflow"]["workflows/a.json"]


def test_check_tells_each_difference_and_writes_nothing(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    assert world.here("lock", "--check").code == 0
    before = world.lock_path.read_bytes()
    write(world, "a.json", PAPER)
    world.hub.clear_requests()

    done = world.here("lock", "--check")

    assert done.code == 1
    assert "workflows/a.json  + loras/paper-grain.safetensors" in done.err
    assert "workflows/a.json  - loras/ink.safetensors" in done.err
    assert world.lock_path.read_bytes() == before
    assert world.hub.requests == ()


def test_a_dry_run_says_what_would_change_and_writes_nothing(world):
    write(world, "a.json", INK)

    done = world.here("lock", "workflows", "--dry-run")

    assert done.code == 0
    assert "+ loras/ink.safetensors" in done.out
    assert not world.lock_path.exists()


def test_rebuilding_asks_anew_for_what_was_not_found(world):
    write(world, "a.json", "late.safetensors")
    assert world.here("lock", "workflows").code == 1
    late = model(
        9, "Late", "LORA", versions=[version(91, "v1", files=[file(911, "late.safetensors")])]
    )
    world.hub.replace(SHELVES.with_model(late))
    fresh = str(world.root / "fresh-cache")
    assert world.here("lock", COMFYLOCK_CACHE_DIR=fresh).code == 1

    assert world.here("lock", "--rebuild", COMFYLOCK_CACHE_DIR=fresh).code == 0

    assert "loras/late.safetensors" in locked(world)["model"]


def test_both_sides_of_a_merge_conflict_are_kept(world):
    write(world, "a.json", INK)
    write(world, "b.json", PAPER)
    assert world.here("lock", "workflows").code == 0
    whole = world.lock_path.read_text("utf-8")
    head, ink, paper = _split_models(whole)
    conflicted = f"{head}<<<<<<< ours\n{ink}=======\n{paper}>>>>>>> theirs\n"
    world.lock_path.write_text(conflicted, "utf-8")

    assert world.here("install").code == 2
    done = world.here("lock")

    assert done.code == 0
    assert world.lock_path.read_text("utf-8") == whole
    assert (
        "Merged both sides of comfy.lock; entries: 2 only in ours, 2 only in theirs\n" in done.err
    )


def test_a_model_that_both_sides_pin_differently_is_shown_as_each_has_it(world):
    write(world, "a.json", INK)
    world.here("lock", "workflows")
    head, mark, ink = world.lock_path.read_text("utf-8").partition("[model.")
    ink = mark + ink
    digest = pin_of(111).digests.sha256
    assert digest is not None
    other = ink.replace(digest, "f" * 64).replace("Ink Wash", "Ink \\u0007 Dry")
    other = "".join(line for line in other.splitlines(True) if "blake3" not in line)
    world.lock_path.write_text(f"{head}<<<<<<< a\n{ink}=======\n{other}>>>>>>> b\n", "utf-8")
    before = world.lock_path.read_bytes()

    done = world.here("lock")

    assert (done.code, world.lock_path.read_bytes()) == (2, before)
    assert (
        "error[lock-conflict]: both sides of the merge pin these models differently:\n"
        "  loras/ink.safetensors\n"
        f"    ours    Ink Wash / v1, civitai version 11 (file 111), sha256:{digest[:12]}…\n"
        "    theirs  Ink \\x07 Dry / v1, civitai version 11 (file 111), sha256:ffffffffffff…\n"
    ) in done.err


def test_a_conflict_that_is_a_question_can_be_rebuilt_from_what_both_sides_read(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    whole = world.lock_path.read_text("utf-8")
    held = SHELVES.file(111)
    other = whole.replace(held.sha256, "a" * 64).replace(held.blake3, "b" * 64)
    head, ours = whole[: whole.index("[model.")], whole[whole.index("[model.") :]
    theirs = other[other.index("[model.") :]
    text = f"{head}<<<<<<< ours\n{theirs}=======\n{ours}>>>>>>> theirs\n"
    world.lock_path.write_text(text, "utf-8")

    refused = world.here("lock")
    assert (refused.code, world.lock_path.read_text("utf-8")) == (2, text)
    assert "`comfylock lock --rebuild`" in refused.err
    assert "error[usage]" not in world.here("lock", "--rebuild", "--dry-run").err


def test_a_recorded_glob_that_matches_nothing_now_stays_recorded(world):
    write(world, "a.json", INK)
    write(world, "more-b.json", PAPER)
    assert world.here("lock", "workflows/a.json", "workflows/more-*.json").code == 0
    (world.project / "workflows" / "more-b.json").unlink()

    assert world.here("lock", "--check").code == 1
    done = world.here("lock")

    assert (done.code, "workflows/more-*.json matches nothing now" in done.err) == (0, True)
    assert locked(world)["inputs"] == ["workflows/a.json", "workflows/more-*.json"]
    assert world.here("lock", "--check").code == 0
    write(world, "more-c.json", PAPER)
    assert world.here("lock", "--check").code == 1


def _split_models(text: str) -> tuple[str, str, str]:
    first = text.index('[model."loras/ink')
    second = text.index('[model."loras/paper')
    return text[:first], text[first:second], text[second:]


def test_nobody_is_told_the_hash_of_a_private_file(world, hub):
    write(world, "a.json", "my-face.safetensors")
    world.put("loras/my-face.safetensors", bytes_of(111))
    text = '[models."loras/my-face.safetensors"]\nlocal = true\n'
    (world.project / "comfylock.toml").write_text(text, "utf-8")

    assert world.here("lock", "workflows").code == 0

    assert locked(world)["model"]["loras/my-face.safetensors"]["evidence"] == "local"
    assert hub.requests == ()


def test_a_hash_that_may_not_pin_is_not_asked_about(world, hub):
    write(world, "a.json", "my-face.safetensors")
    world.put("loras/my-face.safetensors", bytes_of(111))

    assert world.here("lock", "workflows", COMFYLOCK_EVIDENCE="embedded,known").code == 0

    assert locked(world)["model"]["loras/my-face.safetensors"]["evidence"] == "local"
    assert hub.requests == ()


@pytest.mark.parametrize("text", ["", '[models."loras/false.safetensors"]\nlocal = true\n'])
def test_a_pickle_of_ones_own_under_a_safe_name_is_never_pinned(world, text):
    write(world, "a.json", "false.safetensors")
    world.put("loras/false.safetensors", bytes_of(118))
    (world.project / "comfylock.toml").write_text(text, "utf-8")

    done = world.here("lock", "workflows", "--json")

    assert (done.code, [one["slug"] for one in done.document["errors"]]) == (1, ["unsafe-format"])
    assert "model" not in locked(world)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that fails to read")
def test_a_file_that_cannot_be_read_stops_no_other_model(world):
    write(world, "a.json", "bad.safetensors", INK)
    (world.models / "loras").mkdir()
    (world.models / "loras" / "bad.safetensors").symlink_to("/proc/self/mem")

    done = world.here("lock", "workflows", "--json")

    assert done.code == 1
    assert [one["ref"] for one in done.document["errors"]] == ["loras/bad.safetensors"]
    assert "bad.safetensors is unreadable" in done.err
    assert list(locked(world)["model"]) == ["loras/ink.safetensors"]


def test_ignored_references_are_nobodys_business(world):
    write(world, "a.json", INK, "never.safetensors")
    (world.project / "comfylock.toml").write_text('[ignore]\nrefs = ["loras/never*"]\n', "utf-8")

    assert world.here("lock", "workflows").code == 0

    assert "unresolved" not in locked(world)["workflow"]["workflows/a.json"]


def test_a_users_pin_overrules_the_name(world):
    write(world, "a.json", INK)
    text = '[models."loras/ink.safetensors"]\npin = "civitai:12"\n'
    (world.project / "comfylock.toml").write_text(text, "utf-8")

    assert world.here("lock", "workflows").code == 0

    pin = locked(world)["model"]["loras/ink.safetensors"]
    assert pin["evidence"] == "pinned"
    assert pin["sources"][0]["version"] == 12


def test_spellings_with_backslashes_are_kept_as_aliases(world):
    write(world, "a.json", "SDXL\\ink.safetensors")

    assert world.here("lock", "workflows").code == 0

    pin = locked(world)["model"]["loras/SDXL/ink.safetensors"]
    assert pin["aliases"] == ["SDXL\\ink.safetensors"]


def test_the_lock_is_found_from_a_folder_below(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    below = world.project / "workflows"

    done = world.run("-C", str(below), "lock", "--check")

    assert done.code == 0


def test_a_future_lock_is_left_alone(world):
    world.lock_path.write_text("version = 2\n", "utf-8")
    write(world, "a.json", INK)

    done = world.here("lock", "workflows")

    assert done.code == 2
    assert "error[lock-version]" in done.err
    assert world.lock_path.read_text("utf-8") == "version = 2\n"


def test_the_key_is_in_no_file_and_no_output(world):
    write(world, "a.json", INK, "nowhere.safetensors")
    canary = "canary-4b1d"

    done = world.run("lock", "workflows", "-v", CIVITAI_TOKEN=canary)
    world.run("install", "-v", CIVITAI_TOKEN=canary)

    assert canary not in done.text
    for path in world.root.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes(), path
    sent = [entry for entry in world.hub.requests if canary in str(entry.headers)]
    assert {entry.origin for entry in sent} == {"api"}


def test_a_model_of_an_unknown_folder_is_told_and_not_lost(world):
    """Nothing tells where it belongs: the lock says so, until the user does."""
    node = {"1": {"class_type": "Unknown Thing", "inputs": {"what": INK}}}
    (world.project / "workflows").mkdir()
    (world.project / "workflows" / "a.json").write_text(json.dumps(node), "utf-8")

    done = world.here("lock", "workflows")

    assert done.code == 1
    assert "nothing tells the folder of ink.safetensors" in done.err
    assert locked(world)["workflow"]["workflows/a.json"]["unresolved"] == ["?/ink.safetensors"]
    text = '[folders]\n"Unknown Thing.what" = "loras"\n'
    (world.project / "comfylock.toml").write_text(text, "utf-8")
    assert world.here("lock").code == 0
    assert "loras/ink.safetensors" in locked(world)["model"]


def test_a_broken_workflow_keeps_its_spellings_and_blames_no_other(world):
    write(world, "a.json", "s\\ink.safetensors")
    write(world, "b.json", "s/ink.safetensors")
    assert world.here("lock", "workflows").code == 0
    before = world.lock_path.read_bytes()
    (world.project / "workflows" / "a.json").write_text("{", "utf-8")

    assert "- " not in world.here("lock", "--check").err
    world.here("lock")

    assert world.lock_path.read_bytes() == before


def test_an_unusable_pin_in_the_settings_costs_no_good_pin(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    before = world.lock_path.read_bytes()
    text = '[models."loras/ink.safetensors"]\npin = "banana"\n'
    (world.project / "comfylock.toml").write_text(text, "utf-8")

    done = world.here("lock")

    assert done.code == 1
    assert "banana" in done.err
    assert world.lock_path.read_bytes() == before


def test_an_answer_that_makes_no_sense_is_a_fault_and_not_kept(world):
    write(world, "a.json", INK)
    world.hub.fault(Fault(match="/api/v1/models", kind="status", status=200, body="null", times=9))

    assert world.here("lock", "workflows").code == 2
    world.hub.clear_faults()

    assert world.here("lock", "workflows").code == 0


def test_a_name_with_a_path_in_it_is_no_exact_file_name(world):
    odd = model(
        9, "Odd", "LORA", versions=[version(91, "v1", files=[file(911, "../../odd.safetensors")])]
    )
    world.hub.replace(SHELVES.with_model(odd))
    write(world, "a.json", "odd.safetensors")

    assert world.here("lock", "workflows").code == 1
    assert "model" not in locked(world)


def test_a_variable_of_several_paths_is_divided_as_a_path_is(world):
    write(world, "a b.json", INK)
    assert world.here("lock", "workflows").code == 0

    done = world.here("install", "--dry-run", COMFYLOCK_WORKFLOW="workflows/a b.json")

    assert done.code == 0


def test_a_lock_with_a_folder_that_nothing_loads_from_is_refused(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    text = world.lock_path.read_text("utf-8").replace("loras/ink", "nofolder/ink")
    world.lock_path.write_text(text, "utf-8")

    done = world.here("install", "--frozen")

    assert done.code == 2
    assert 'model."nofolder/ink.safetensors"' in done.err


@pytest.mark.parametrize(("formats", "warns"), [("warn", True), ("allow", False)])
def test_a_format_that_may_run_code_is_remarked_on_unless_the_user_allows_it(world, formats, warns):
    write(world, "a.json", "upscaler.pth")
    (world.project / "comfylock.toml").write_text(f'[lock]\nformats = "{formats}"\n')
    assert world.here("lock", "workflows").code == 1  # no LoRA of that name
    by_word = world.here("pin", "upscaler.pth", "civitai:17")
    world.lock_path.unlink()
    for ran in (by_word, world.here("lock", "workflows")):
        assert (ran.code, ran.out.count("upscaler.pth")) == (0, 1)
        assert ("may run code" in ran.out) is warns


def test_check_says_how_many_references_have_no_pin(world):
    write(world, "a.json", INK, "nowhere.safetensors")
    assert world.here("lock", "workflows").code == 1
    checked = world.here("lock", "--check")
    assert checked.code == 0
    assert checked.err == "comfy.lock is fresh: 1 model of 1 workflow, 1 not pinned\n"


def test_a_dry_run_with_nothing_to_change_says_what_a_run_without_news_says(world):
    write(world, "a.json", INK)
    assert world.here("lock", "workflows").code == 0
    ran = world.here("lock", "--dry-run")
    assert ran.code == 0
    assert re.fullmatch(r"Checked 1 model in .*s\n", ran.err)


def test_a_format_that_the_settings_deny_is_pinned_and_told_and_ends_with_1(world):
    """The lock says what the workflows mean; whether this machine takes it is another matter."""
    grain = model(
        9, "Grain", "Upscaler",
        versions=[version(91, "v1", files=[file(911, "grain_v1.pth", size=900)])],
    )  # fmt: skip
    world.hub.replace(SHELVES.with_model(grain))
    path = world.project / "workflows" / "a.json"
    path.parent.mkdir()
    up = {"1": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "grain_v1.pth"}}}
    path.write_text(json.dumps(up), "utf-8")
    key = "upscale_models/grain_v1.pth"
    assert world.here("lock", "workflows").code == 0
    (world.project / "comfylock.toml").write_text('[lock]\nformats = "deny"\n', "utf-8")
    before = world.lock_path.read_bytes()
    for flags in ((), ("--rebuild",)):
        done = world.here("lock", "--json", *flags)
        assert done.code == 1
        [error] = done.document["errors"]
        assert (error["slug"], error["ref"]) == ("unsafe-format", key)
        assert world.lock_path.read_bytes() == before


def test_an_unresolved_reference_is_told_with_the_same_fields_when_it_is_not_asked_again(world):
    write(world, "a.json", "nobody-has-this.safetensors")
    [first] = world.here("lock", "workflows", "--json").document["unresolved"]
    [again] = world.here("lock", "--json").document["unresolved"]
    assert again == first
