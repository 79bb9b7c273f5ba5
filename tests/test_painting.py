"""Colour: of signs, states, warnings and hints, on request or at a terminal, never of names."""

import re

import pytest

from tests.test_lock_command import INK, write
from tests.world import pin_of

SGR = re.compile(r"\x1b\[[0-9;]*m")


def painted(text: str) -> list[str]:
    """Return what is in colour."""
    return re.findall(r"(?:\x1b\[[1-9][0-9]*m)+([^\x1b]*)\x1b\[0m", text)


def test_states_and_hints_are_painted_and_the_text_is_the_same(world):
    world.lock(pin_of(111), pin_of(112, sources=()))
    plain, bright = world.here("status"), world.here("status", "--color", "always")

    assert painted(bright.out) == ["missing", "blocked"]
    assert painted(bright.err) == ["hint:"]
    assert (SGR.sub("", bright.out), SGR.sub("", bright.err)) == (plain.out, plain.err)
    assert "\x1b" not in plain.text


def test_signs_of_lock_and_diff_are_painted(world):
    write(world, "a.json", INK, "nowhere.safetensors")
    assert painted(world.here("lock", "workflows", "--color", "always").out) == ["+", "?"]
    world.here("lock")
    (world.root / "empty.lock").write_text("version = 1\n", "utf-8")
    told = world.here("diff", str(world.root / "empty.lock"), "comfy.lock", "--color", "always")
    assert set(painted(told.out)) == {"+", "!", "?"}


@pytest.mark.parametrize(
    "arguments",
    [["export"], ["report"], ["report", "--format", "html"], ["diff", "x.lock", "comfy.lock",
     "--format", "markdown"], ["tree"], ["scan"], ["status", "--json"]],
    ids=" ".join,
)  # fmt: skip
def test_texts_for_files_and_programs_are_never_painted(world, arguments):
    world.lock(pin_of(111, "loras/! x.safetensors"))
    (world.project / "x.lock").write_text("version = 1\n", "utf-8")
    assert "\x1b" not in world.here(*arguments, "--color", "always").out


def test_a_name_cannot_bring_codes_of_its_own(world):
    write(world, "a.json", "x\x1b[5m\x9b31m\x1b]0;title\x07.safetensors")
    told = world.here("lock", "workflows", "--color", "always").text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", SGR.sub("", told))
    assert set(SGR.findall(told)) <= {f"\x1b[{code}m" for code in (0, 1, 31, 32, 33, 36)}
