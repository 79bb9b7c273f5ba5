"""The last line of `install`: what was done, what is in place, what is not."""

import re

import pytest

from tests.standin.server import Fault
from tests.world import BRUSH, INK, PAPER, World, bytes_of, on_file, pin_of

INK_KEY = "loras/ink.safetensors"


def closing(world: World, *arguments: str) -> str:
    """Install, and return the sentence on how it went, with ``T`` for the time."""
    said = world.here("install", *arguments).err.splitlines()
    (line,) = (line for line in said if line.startswith(("Installed", "Checked")))
    return re.sub(r"in \d.*?s\b", "in T", line)


def test_it_tells_what_was_downloaded_and_linked_and_what_was_there(world: World) -> None:
    world.put(INK_KEY, bytes_of(INK))
    world.put("vae/spare.safetensors", bytes_of(PAPER))
    world.lock(pin_of(INK), pin_of(PAPER), pin_of(BRUSH))
    assert closing(world) == (
        "Installed 2 models in T: 1 downloaded (20 kB), 1 linked; 3 of 3 in place"
    )
    assert closing(world) == "Checked 3 models in T"


def test_when_some_fail_it_tells_how_many_are_in_place_and_how_many_are_not(world: World) -> None:
    world.hub.fault(Fault(kind="status", match=on_file(INK), status=404, times=None))
    world.put("loras/brush.safetensors", b"mine")
    world.lock(pin_of(INK), pin_of(PAPER), pin_of(BRUSH))
    assert closing(world) == (
        "Installed 1 model in T: 1 downloaded (50 kB); 1 of 3 in place, 1 blocked, 1 failed"
    )
    assert closing(world) == "Installed no models in T; 1 of 3 in place, 1 blocked, 1 failed"


def test_what_was_not_even_tried_is_told_apart_from_what_failed(world: World) -> None:
    world.hub.configure(download_quota=1)
    world.lock(pin_of(INK), pin_of(PAPER), pin_of(BRUSH))
    assert closing(world, "--jobs", "1") == (
        "Installed 1 model in T: 1 downloaded (300 kB); 1 of 3 in place, 1 failed, 1 skipped"
    )


def test_what_was_replaced_is_told_apart_and_counted_as_fetched(world: World) -> None:
    world.put(INK_KEY, b"mine")
    world.lock(pin_of(INK))
    assert closing(world, "--replace") == (
        "Installed 1 model in T: 1 replaced (300 kB); 1 of 1 in place"
    )


@pytest.mark.parametrize("file_id", [INK, PAPER])
def test_a_downloaded_model_is_told_with_its_size(world: World, file_id: int) -> None:
    world.lock(pin_of(file_id))
    (row,) = world.here("install").out.splitlines()
    size = {INK: "300 kB", PAPER: "50 kB"}[file_id]
    assert row == f"+ {pin_of(file_id).key}  {size}  downloaded and verified"
