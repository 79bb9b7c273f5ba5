"""What every command has in common: options and variables, output, colour, errors."""

import re

import pytest

from tests.shop import put_workflow
from tests.world import BRUSH, INK, pin_of


def test_a_line_end_in_a_name_is_shown_escaped_and_ends_no_line(world):
    put_workflow(world, "loras/a\nb.safetensors", "loras/ink.safetensors", name="c\nd.json")
    put_workflow(world, "loras/a\nb.safetensors")
    world.lock(pin_of(INK))
    for arguments in (
        ["lock", "workflows"],
        ["lock"],
        ["scan", "workflows"],
        ["check"],
        ["install", "--only", "a\nb."],
        ["install", "--workflow", "a\nb."],
        ["-C", "a\nb.", "status"],
        ["status", "--extra-model-paths", "a\nb."],
        ["status", "--lockfile", "a\nb."],
        ["report", "-o", "a\nb./x"],
    ):
        told = world.here(*arguments).text
        assert "\nb." not in told
        assert "\nd." not in told


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["lock", "x"], {"comfylock.toml": "bogus = 1"}),
        (["lock", "x"], {"comfylock.toml": "= 1"}),
        (["status"], {"comfy.lock": "version = 0"}),
        (["status"], {"comfy.lock": "\udcff"}),
        (["status", "--extra-model-paths", "no.yaml"], {"comfy.lock": "version = 1"}),
        (["status", "--extra-model-paths", "a.yaml"], {"comfy.lock": "version = 1", "a.yaml": "["}),
        (["lock", "a\x1b.json"], {}),
        (["scan", "nowhere"], {}),
        (["check"], {"comfy.lock": "<<<<<<< HEAD"}),
        (["check"], {}),
        (["install", "--models-dir", "nowhere"], {"comfy.lock": "version = 1"}),
        (["status", "--color", "blue"], {}),
    ],
)
def test_every_error_names_the_next_step(world, arguments, files):
    for name, text in files.items():
        (world.project / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    done = world.here(*arguments)

    assert done.code == 2
    assert re.fullmatch(r"error\[[a-z-]+\]: [^\n]+\n\nhint: [^\n]+\n", done.err)


# ---------------------------------------------------------------------------------- no-ops


def test_a_lock_without_changes_prints_the_one_line(world):
    put_workflow(world, "loras/ink.safetensors")
    world.here("lock", "workflows")

    assert re.fullmatch(r"Checked 1 model in \d+ ms\n", world.here("lock").err)
    put_workflow(world, "loras/lost.safetensors", name="b.json")
    world.here("lock")
    assert re.match(r"Checked 1 model in \d+ ms, 1 not pinned\n", world.here("lock").err)


def test_keys_of_later_versions_get_one_warning_from_every_reader(world):
    world.lock(pin_of(INK), pin_of(BRUSH))
    world.lock_path.write_text(world.lock_path.read_text("utf-8") + "\n[later]\nx = 1\n", "utf-8")
    put_workflow(world, "loras/ink.safetensors", "loras/brush.safetensors")
    warning = "warning: keys that this comfylock does not know are kept as they are: later"
    for arguments in (["status"], ["check"], ["tree"], ["lock", "workflows"], ["install"]):
        told = world.here(*arguments).err
        assert told.count("warning") == 1, arguments
        assert warning in told
    assert world.here("status", "--json").document["warnings"] == [warning.partition(" ")[2]]
