"""Errors that several models share are printed as one; JSON tells each by itself."""

import pytest

from comfylock.lockfile.model import WorkflowEntry
from comfylock.lockfile.text import render_lock
from tests.shop import SHOP, put_workflow
from tests.standin.server import Standin
from tests.world import lock_of

LOST = [f"loras/lost_{number:02}.safetensors" for number in range(12)]


@pytest.fixture
def hub():
    with Standin(SHOP) as standin:
        yield standin


def test_one_model_is_told_with_the_command_that_can_be_typed(world):
    put_workflow(world, LOST[0])
    ran = world.here("lock", "workflows")
    assert ran.err.endswith(
        "error[unresolved]: loras/lost_00.safetensors: nothing says for certain which file it is\n"
        "\n"
        "hint: Look for it with `comfylock search lost_00`, then `comfylock pin` it\n"
    )


def test_several_models_with_one_trouble_share_one_error_and_one_hint(world):
    put_workflow(world, *LOST[:3])
    ran = world.here("lock", "workflows")
    assert ran.err.endswith(
        "error[unresolved]: nothing says for certain which file it is\n"
        "  loras/lost_00.safetensors\n"
        "  loras/lost_01.safetensors\n"
        "  loras/lost_02.safetensors\n"
        "\n"
        "hint: Look for it with `comfylock search NAME`, then `comfylock pin` it\n"
    )
    assert ran.err.count("hint:") == 1


def test_references_with_several_candidates_share_one_error_too(world):
    put_workflow(world, "loras/twin.safetensors", "loras/sub/twin.safetensors")
    ran = world.here("lock", "workflows")
    assert "error[ambiguous]: 2 different files are called NAME\n" in ran.err
    assert "hint: Say which one, as in `comfylock pin REF SPEC`\n" in ran.err
    assert "comfylock pin loras/sub/twin.safetensors civitai:41/411\n" in ran.out


def test_json_names_each_model_with_its_own_command(world):
    put_workflow(world, *LOST[:3])
    errors = world.here("lock", "workflows", "--json").document["errors"]
    assert [error["ref"] for error in errors] == LOST[:3]
    assert [f"`comfylock search lost_{number:02}`" in error["hint"]
            for number, error in enumerate(errors)] == [True] * 3  # fmt: skip


def test_names_that_have_a_line_already_are_not_all_repeated(world):
    put_workflow(world, *LOST)
    ran = world.here("lock", "workflows")
    assert all(f"? {ref}  unresolved\n" in ran.out for ref in LOST)
    assert ran.err.count("loras/lost_") == 10
    assert "  … and 2 more\n" in ran.err


def test_every_name_is_told_where_no_other_line_does(world):
    lock = lock_of()
    entry = WorkflowEntry(path="workflows/a.json", models=(), unresolved=tuple(LOST))
    lock.workflows["workflows/a.json"] = entry  # type: ignore[index] # a dict in these tests
    world.lock_path.write_text(render_lock(lock), "utf-8")
    ran = world.here("install", "--frozen")
    assert ran.code == 1
    assert all(f"  {ref}\n" in ran.err for ref in LOST)
    assert ran.err.count("error[") == 1
    assert "`comfylock pin REF SPEC`" in ran.err


def test_a_name_with_invisible_characters_is_not_told_twice(world):
    put_workflow(world, "loras/in\x1bk.safetensors")
    ran = world.here("lock", "workflows")
    told = next(line for line in ran.err.splitlines() if line.startswith("error["))
    assert told.count("loras/in") == 1
