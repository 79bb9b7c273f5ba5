"""A file that Civitai no longer gives: what has become of it, and the next step."""

from dataclasses import replace

from tests.standin.catalogue import Catalogue, CatalogueModel, file, model, version
from tests.standin.server import Fault
from tests.world import INK, SHELVES, World, pin_of

KEY = "loras/ink.safetensors"


def shelf(**changes: object) -> CatalogueModel:
    return model(
        1, "Ink Wash", "LORA",
        versions=[version(11, "v1", files=[file(INK, "ink.safetensors", size=300_000)],
                          **changes)],
    )  # fmt: skip


def failed(world: World, *models: CatalogueModel) -> dict[str, str]:
    world.lock(pin_of(INK))
    world.hub.replace(Catalogue.of(models))
    ran = world.here("install", "--json")
    assert ran.code == 1
    [error] = ran.document["errors"]
    assert (error["slug"], error["ref"]) == ("gone", KEY)
    assert world.files() == {}
    told: dict[str, str] = error
    return told


def test_a_replaced_file_is_told_with_what_is_there_instead(world: World) -> None:
    new = replace(file(119, "ink.safetensors"), seed="new bytes")
    kept = shelf()
    kept = replace(kept, versions=(replace(kept.versions[0], files=(new,)),))
    error = failed(world, kept)
    assert "its version has civitai:11/119 ink.safetensors instead" in error["message"]
    assert f"comfylock pin {KEY} civitai:11/119" in error["hint"]


def test_an_unpublished_version_is_told_as_such(world: World) -> None:
    error = failed(world, shelf(status="Unpublished"))
    assert "the version is not shown any more" in error["message"]
    assert error["hint"]


def test_the_same_bytes_elsewhere_are_the_next_step(world: World) -> None:
    copy = model(
        2, "Copy", "LORA",
        versions=[version(22, "v1", files=[file(222, "c.safetensors", size=300_000,
                                                seed=SHELVES.file(INK).seed)])],
    )  # fmt: skip
    error = failed(world, copy)
    assert f"comfylock pin {KEY} civitai:22/222" in error["hint"]


def test_an_answer_that_was_kept_before_does_not_speak_of_today(world: World) -> None:
    """The cache still says that the file is there."""
    world.here("search", "civitai:11")
    error = failed(world, shelf(status="Unpublished"))
    assert "not shown any more" in error["message"]


def test_a_storage_that_fails_for_a_while_is_no_replaced_file(world: World) -> None:
    world.lock(pin_of(INK))
    world.hub.fault(Fault(kind="status", status=404, match="api/download", times=None,
                          body='{"error":"File not found"}'))  # fmt: skip
    [error] = world.here("install", "--json").document["errors"]
    assert "its version still shows it" in error["message"]
    assert "again later" in error["hint"]


def test_with_nobody_to_ask_the_failure_is_told_as_it_was(world: World) -> None:
    world.lock(pin_of(INK))
    gone = '{"error":"File not found"}'
    world.hub.fault(Fault(kind="status", status=404, match="api/download", times=None, body=gone))
    world.hub.fault(Fault(kind="status", status=400, match="/api/v1/", times=None))
    [error] = world.here("install", "--json").document["errors"]
    assert error["slug"] == "gone"
    assert "File not found" in error["message"]


def test_a_sound_install_asks_the_api_nothing(world: World) -> None:
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    assert not [one for one in world.hub.requests if one.path.startswith("/api/v1/")]
