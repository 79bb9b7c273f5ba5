r"""Aliases: names with ``\`` that ComfyUI on POSIX finds only as literal file names."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from comfylock.aliases import with_aliases
from comfylock.lockfile.model import Pin
from comfylock.plan import OnOccupied
from comfylock.settings import Aliases, LinkMode
from tests.standin.faults import Fault
from tests.world import BRUSH, INK, PAPER, World, bytes_of, on_file, pin_of

KEY = "loras/SDXL/ink.safetensors"
ALIAS = "SDXL\\ink.safetensors"
SPOT = f"loras/{ALIAS}"


def ink(file_id: int = INK) -> Pin:
    """Return a pin of one name, with its alias."""
    return pin_of(file_id, KEY, aliases=(ALIAS,))


def number(path: Path) -> int:
    return path.stat().st_ino


def test_an_alias_is_a_second_name_of_its_model_and_takes_no_room(world: World) -> None:
    world.lock(ink())
    ran = world.run("install")
    assert ran.code == 0
    assert world.has(SPOT, INK)
    assert number(world.spot(SPOT)) == number(world.spot(KEY))
    assert f"{KEY}  as {ALIAS}  linked" in ran.out
    assert "Installed 1 model in" in ran.err
    assert "linked 1 alias" in ran.err
    assert len(world.downloads()) == 1


def test_a_second_install_has_nothing_to_do_and_counts_models_only(world: World) -> None:
    world.lock(ink(), pin_of(PAPER))
    assert world.run("install").code == 0
    for _ in range(2):  # the second time a receipt may answer
        again = world.run("install")
        assert (again.code, again.out, again.err.count("\n")) == (0, "", 1)
        assert again.err.startswith("Checked 2 models in")
    read = world.run("install", "--verify", "full", "--json").document
    assert read["summary"]["hashed"] == 2  # the alias is the very file that was read


def test_an_alias_of_a_model_that_is_there_is_linked_without_reading_others(
    world: World,
) -> None:
    world.put(KEY, bytes_of(INK))
    world.put("loras/other.safetensors", bytes(300_000))  # of the same size
    world.lock(ink())
    ran = world.here("install", "--json")
    assert ran.document["summary"]["hashed"] == 1
    assert [(one["ref"], one["alias"], one["action"]) for one in ran.document["plan"]] == [
        (KEY, None, "keep"),
        (KEY, ALIAS, "link"),
    ]
    assert world.has(SPOT, INK)
    assert world.downloads() == []


def test_json_names_the_model_and_the_alias(world: World) -> None:
    world.lock(ink())
    document = world.here("install", "--json").document
    assert {(one["ref"], one["alias"]) for one in document["results"]} == {
        (KEY, None),
        (KEY, ALIAS),
    }
    assert (document["summary"]["models"], document["summary"]["aliases"]) == (1, 1)
    assert (document["summary"]["done"], document["summary"]["link"]) == (1, 0)


def test_a_dry_run_shows_the_alias_and_links_nothing(world: World) -> None:
    world.lock(ink())
    ran = world.here("install", "--dry-run")
    assert f"= {KEY}  as {ALIAS}  to be linked" in ran.out
    assert "1 alias to link" in ran.err
    assert world.files() == {}


def test_an_alias_follows_when_its_model_is_replaced(world: World) -> None:
    world.lock(ink())
    assert world.run("install").code == 0
    world.lock(ink(BRUSH))
    ran = world.run("install")
    assert ran.code == 0
    assert world.has(KEY, BRUSH)
    assert world.has(SPOT, BRUSH)
    assert number(world.spot(SPOT)) == number(world.spot(KEY))
    assert world.run("check").code == 0


def test_an_alias_that_is_gone_is_linked_again_and_only_check_minds(world: World) -> None:
    world.lock(ink())
    world.run("install")
    world.spot(SPOT).unlink()
    assert "The only model is present" in world.here("status").err
    ran = world.here("check", "--json")
    assert ran.code == 1
    (found,) = ran.document["errors"]
    assert (found["slug"], found["ref"]) == ("drift", KEY)
    assert ALIAS in found["message"]
    assert [one["state"] for one in ran.document["models"]] == ["present"]
    again = world.here("install")
    assert again.code == 0
    assert "Checked 1 model in" in again.err
    assert "linked 1 alias" in again.err
    assert world.here("check").code == 0


def test_a_missing_model_is_not_told_twice(world: World) -> None:
    world.lock(ink())
    assert [one["slug"] for one in world.here("check", "--json").document["errors"]] == ["drift"]


@pytest.mark.parametrize("where", ["variable", "project file"])
def test_the_setting_turns_aliases_off(world: World, where: str) -> None:
    world.lock(ink())
    variables = {"COMFYLOCK_ALIASES": "off"} if where == "variable" else {}
    if where == "project file":
        (world.project / "comfylock.toml").write_text('[lock]\naliases = "off"\n', "utf-8")
    assert world.here("install", **variables).code == 0
    assert list(world.files()) == [KEY]
    assert world.here("check", **variables).code == 0


def test_windows_has_no_aliases() -> None:
    pins = [ink()]
    assert with_aliases(pins, Aliases.LINK, "nt") == tuple(pins)
    assert [pin.key for pin in with_aliases(pins, Aliases.LINK, "posix")] == [KEY, SPOT]


def test_a_file_of_the_users_under_that_name_is_left_alone(world: World) -> None:
    world.put(SPOT, b"mine")
    world.lock(ink())
    ran = world.here("install", "--json")
    assert ran.code == 1
    assert [(one["slug"], one["ref"]) for one in ran.document["errors"]] == [("path-occupied", KEY)]
    assert world.spot(SPOT).read_bytes() == b"mine"
    assert world.has(KEY, INK)
    assert [
        (one["alias"], one["status"]) for one in ran.document["results"] if one["ref"] == KEY
    ] == [(None, "done"), (ALIAS, "failed")]
    assert "path-occupied" in world.here("check").err
    moved = world.here("install", "--replace")
    assert moved.code == 0
    assert world.has(SPOT, INK)
    assert [path.read_bytes() for path in world.replaced()] == [b"mine"]


def test_a_file_that_appears_in_the_last_moment_is_left_alone(world: World) -> None:
    pins = with_aliases([ink()], Aliases.LINK)
    done = world.install(*pins, before_apply=lambda: world.put(SPOT, b"mine"))
    assert done.slugs == ("path-occupied",)
    assert done.results == {KEY: "download done", SPOT: "link failed"}
    assert world.spot(SPOT).read_bytes() == b"mine"


def test_an_alias_whose_model_fails_is_skipped_and_told_once(world: World) -> None:
    world.hub.fault(Fault(kind="status", status=403, match=on_file(INK), times=None))
    pins = with_aliases([ink(), pin_of(PAPER)], Aliases.LINK)
    done = world.install(*pins)
    assert len(done.problems) == 1
    assert done.results[SPOT] == "link skipped"
    assert world.has("loras/paper.safetensors", PAPER)
    assert not world.spot(SPOT).exists()


def test_an_alias_of_a_blocked_model_is_not_planned(world: World) -> None:
    world.put(KEY, b"other bytes")
    world.lock(ink())
    ran = world.here("install", "--json")
    assert ran.code == 1
    assert [(one["alias"], one["action"]) for one in ran.document["plan"]] == [(None, "blocked")]
    assert not world.spot(SPOT).exists()


def test_a_model_comes_back_from_its_alias(world: World) -> None:
    world.lock(ink())
    world.run("install")
    world.spot(KEY).unlink()
    before = len(world.downloads())
    assert world.run("install").code == 0
    assert world.has(KEY, INK)
    assert len(world.downloads()) == before


def test_two_models_of_one_content_are_fetched_once_with_all_their_aliases(world: World) -> None:
    other = pin_of(INK, "loras/XL/b/ink.safetensors", aliases=("XL\\b\\ink.safetensors",))
    assert world.install(*with_aliases([ink(), other], Aliases.LINK)).code == 0
    names = (KEY, SPOT, other.key, "loras/XL\\b\\ink.safetensors")
    assert all(world.has(name, INK) for name in names)
    assert len(world.downloads()) == 1


def test_mixed_and_several_spellings_are_each_linked(world: World) -> None:
    aliases = ("a\\b\\ink.safetensors", "a\\b/ink.safetensors", "a/b\\ink.safetensors")
    world.lock(pin_of(INK, "loras/a/b/ink.safetensors", aliases=aliases))
    assert world.here("install").code == 0
    assert all(world.has(f"loras/{alias}", INK) for alias in aliases)
    assert world.here("check").code == 0


def test_the_copy_mode_of_links_makes_no_copy_of_an_alias(world: World) -> None:
    pins = with_aliases([ink()], Aliases.LINK)
    assert world.install(*pins, link_mode=LinkMode.COPY).code == 0
    assert number(world.spot(SPOT)) == number(world.spot(KEY))


def test_a_users_own_link_serves_as_alias(world: World) -> None:
    world.put(KEY, bytes_of(INK))
    world.spot(SPOT).symlink_to("SDXL/ink.safetensors")
    world.lock(ink())
    assert "Checked 1 model" in world.here("install").err
    assert world.spot(SPOT).is_symlink()


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with TemporaryDirectory(dir=shared) as name:
        yield Path(name)


def test_across_disks_an_alias_is_a_relative_link(world: World, other_disk: Path) -> None:
    r"""A models folder whose models lie on another disk: a hard link cannot reach them."""
    second = ("--models-dir", str(world.models), "--models-dir", str(other_disk))
    (other_disk / "loras" / "SDXL").mkdir(parents=True)
    (other_disk / KEY).write_bytes(bytes_of(INK))
    world.lock(ink())
    assert world.here(*second, "install").code == 0
    link = world.spot(SPOT)
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.read_bytes() == bytes_of(INK)
    assert "Checked 1 model" in world.here(*second, "install").err


def test_a_link_that_waits_for_its_model_is_no_obstacle(world: World) -> None:
    """Where aliases are symbolic links, deleting the model leaves one that leads nowhere."""
    world.spot("loras").mkdir()
    world.spot(SPOT).symlink_to("SDXL/ink.safetensors")
    world.lock(ink())
    ran = world.here("install")
    assert (ran.code, world.has(SPOT, INK), world.spot(SPOT).is_symlink()) == (0, True, True)
    world.lock(ink(BRUSH))
    again = world.here("install")
    assert (again.code, world.has(SPOT, BRUSH)) == (0, True)
    assert len(world.replaced()) == 1


def test_a_link_to_somewhere_else_is_an_obstacle(world: World) -> None:
    world.spot("loras").mkdir()
    world.spot(SPOT).symlink_to("nowhere.safetensors")
    world.lock(ink())
    ran = world.here("install")
    assert (ran.code, world.spot(SPOT).is_symlink(), world.has(KEY, INK)) == (1, True, True)
    assert "a link that leads nowhere" in ran.err


def test_replacing_twice_with_the_flag_never_loses_a_file_of_the_users(world: World) -> None:
    world.put(SPOT, b"mine")
    pins = with_aliases([ink()], Aliases.LINK)
    assert world.install(*pins, occupied=OnOccupied.REPLACE).code == 0
    assert [path.read_bytes() for path in world.replaced()] == [b"mine"]
