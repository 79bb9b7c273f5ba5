"""Whole lives of models on other file systems: exFAT and NTFS as Linux mounts them.

Neither tells large from small letters. exFAT has no links of any kind and keeps time in steps of
two seconds; NTFS changes a file's facts when it is closed and refuses names that Windows refuses.
"""

from collections.abc import Iterator

import pytest

from comfylock.plan import OnOccupied
from tests.disks import Disk, disk_of
from tests.standin.faults import Fault
from tests.world import BRUSH, INK, PAPER, World, bytes_of, pin_of

INK_KEY, PAPER_KEY = "loras/ink.safetensors", "loras/paper.safetensors"
SECOND = "vae/Sub/second.safetensors"


@pytest.fixture(params=["exfat", "ntfs"])
def disk(request: pytest.FixtureRequest, world: World) -> Iterator[Disk]:
    """Another disk under the models folder of this world."""
    with disk_of(request.param, world.models) as mounted:
        yield mounted


def folded(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return files under their names in small letters: some mounts list them so."""
    return {name.lower(): content for name, content in files.items()}


@pytest.mark.usefixtures("disk")
def test_what_is_placed_is_known_again_without_reading(world: World) -> None:
    """Downloaded, copied or linked: the next install believes the facts that were recorded."""
    world.lock(pin_of(INK), pin_of(PAPER), pin_of(INK, SECOND))
    ran = world.here("install")
    assert (ran.code, len(world.downloads())) == (0, 2), ran.text
    assert world.has(SECOND, INK)
    document = world.here("install", "--only", "*", "--json").document
    assert (document["ok"], document["summary"]["keep"], document["summary"]["hashed"]) == (
        True, 3, 0,
    )  # fmt: skip
    assert len(world.downloads()) == 2


@pytest.mark.usefixtures("disk")
def test_what_is_placed_is_still_ours_to_replace_and_to_remove(world: World) -> None:
    world.lock(pin_of(INK), pin_of(PAPER), pin_of(INK, SECOND))
    assert world.here("install").code == 0
    world.lock(pin_of(PAPER, INK_KEY), pin_of(BRUSH, SECOND))
    ran = world.here("install", "--prune", "--yes")
    assert ran.code == 0, ran.text
    assert folded(world.files()) == {INK_KEY: bytes_of(PAPER), SECOND.lower(): bytes_of(BRUSH)}
    assert [path.read_bytes() for path in world.replaced()] == [bytes_of(INK)] * 2
    world.lock()
    ran = world.here("install", "--prune", "--yes")
    assert (ran.code, world.files()) == (0, {}), ran.text


@pytest.mark.usefixtures("disk")
def test_a_broken_download_goes_on_and_leaves_nothing(world: World) -> None:
    world.hub.fault(Fault(kind="truncate", nbytes=200_000, origin="storage", match="/ink"))
    world.hub.fault(Fault(kind="status", status=404, origin="storage", match="/ink", times=None))
    assert world.install(pin_of(INK)).code == 1
    assert [part.stat().st_size for part in world.parts() if part.suffix == ".part"] == [200_000]
    world.hub.clear_faults()
    world.hub.clear_requests()
    assert world.install(pin_of(INK)).code == 0
    assert [entry.headers.get("range") for entry in world.downloads()] == ["bytes=200000-"]
    assert world.has(INK_KEY, INK)
    assert world.parts() == []


@pytest.mark.usefixtures("disk")
def test_a_name_in_other_letters_is_the_same_file(world: World) -> None:
    world.put("loras/INK.safetensors", bytes_of(INK))
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    assert world.hub.requests == ()
    assert folded(world.files()) == {INK_KEY: bytes_of(INK)}
    ran = world.here("install", "--prune", "--yes")
    assert folded(world.files()) == {INK_KEY: bytes_of(INK)}, ran.text


@pytest.mark.usefixtures("disk")
def test_a_model_whose_key_changes_its_letters_alone_is_not_pruned(world: World) -> None:
    world.lock(pin_of(INK))
    assert world.here("install").code == 0
    world.lock(pin_of(INK, "loras/INK.safetensors"))
    assert world.here("install", "--prune", "--yes").code == 0
    assert world.has(INK_KEY, INK)


@pytest.mark.parametrize(
    "when", ["behind the plan", pytest.param("before the plan", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("what", ["file", "name in other letters", "folder", "empty file", "link"])
def test_nothing_of_the_users_is_overwritten(
    world: World, disk: Disk, what: str, when: str
) -> None:
    """Each kind of thing that may lie in a spot, there from the first or since the plan."""
    del disk
    spot = world.spot(INK_KEY)
    mine = world.put("mine", b"what a link leads to")

    def occupy() -> None:
        spot.parent.mkdir(exist_ok=True)
        match what:
            case "folder":
                spot.mkdir()
            case "name in other letters":
                spot.with_name("INK.SAFETENSORS").write_bytes(b"mine")
            case "link":
                try:
                    spot.symlink_to(mine)
                except OSError:
                    pytest.skip("this file system has no links")
            case _:
                spot.write_bytes(b"mine" if what == "file" else b"")

    if when == "before the plan":
        occupy()
        done = world.install(pin_of(INK), pin_of(PAPER))
    else:
        done = world.install(pin_of(INK), pin_of(PAPER), before_apply=occupy)
    assert (done.code, done.slugs) == (1, ("path-occupied",)), done.told
    assert world.has(PAPER_KEY, PAPER)
    after = folded(world.files())
    assert after.pop(PAPER_KEY) == bytes_of(PAPER)
    content = {"link": b"what a link leads to", "empty file": b""}.get(what, b"mine")
    assert after == {"mine": b"what a link leads to"} | (
        {} if what == "folder" else {INK_KEY: content}
    )
    assert spot.is_symlink() == (what == "link")
    assert spot.is_dir() == (what == "folder")
    if what != "folder":
        again = world.install(pin_of(INK), occupied=OnOccupied.REPLACE)
        assert (again.code, world.has(INK_KEY, INK)) == (0, True), again.told
        assert len(world.replaced()) == 1


def test_an_alias_that_the_disk_cannot_have_is_told_with_the_way_out(
    world: World, disk: Disk
) -> None:
    del disk
    world.lock(pin_of(INK, "loras/a/ink.safetensors", aliases=("a\\ink.safetensors",)))
    ran = world.here("install")
    assert ran.code == 1
    assert world.has("loras/a/ink.safetensors", INK)
    assert 'aliases = "off"' in ran.err
    assert world.here("install", COMFYLOCK_ALIASES="off").code == 0
    assert [path.name for path in (world.models / "loras").iterdir()] == ["a"]


@pytest.mark.usefixtures("disk")
def test_the_longest_name_that_a_lock_may_hold_can_be_placed_and_make_way(world: World) -> None:
    key = "loras/" + "模" * 62 + ".safetensors"
    for file_id in (INK, PAPER):
        world.lock(pin_of(file_id, key))
        ran = world.here("install")
        assert (ran.code, world.has(key, file_id)) == (0, True), ran.text
