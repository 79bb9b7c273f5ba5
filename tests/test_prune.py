"""`install --prune`: what goes, and above all what stays."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfylock.actions import Link, Plan
from comfylock.disk.hashcache import HashCache, stat_of
from comfylock.disk.registry import known_locks, register_lock
from comfylock.hashes import Digests, Hasher
from comfylock.inventory import FileStat, LocalFile, PlacedFile
from comfylock.lockfile.model import Evidence, Pin
from comfylock.lockfile.text import render_lock
from comfylock.names import is_alias
from comfylock.plan import Policy
from comfylock.pruning import Surroundings, find_removals
from comfylock.settings import LinkMode
from tests.standin.server import Standin
from tests.world import BRUSH, INK, PAPER, World, bytes_of, lock_of, pin_of

INK_KEY, PAPER_KEY = "loras/ink.safetensors", "loras/paper.safetensors"


def installed(world: World, *pins: Pin) -> None:
    """Install pins, so that comfylock has placed their files."""
    world.lock(*pins)
    assert world.here("install").code == 0


def other_lock(world: World, *pins: Pin) -> Path:
    """Write the lock of another project that has installed into the same models folder."""
    path = world.root / "other" / "comfy.lock"
    path.parent.mkdir()
    path.write_text(render_lock(lock_of(*pins)), "utf-8")
    register_lock(world.models, path)
    return path


def prune(world: World, *more: str) -> Sequence[str]:
    """Prune, and return the files that are left."""
    ran = world.here("install", "--prune", "--yes", *more)
    assert ran.code == 0, ran.text
    return sorted(world.files())


def test_what_no_lock_wants_any_more_is_removed(world: World) -> None:
    installed(world, pin_of(INK), pin_of(PAPER))
    world.lock(pin_of(PAPER))
    ran = world.here("install", "--prune", "--yes")
    assert ran.code == 0
    assert list(world.files()) == [PAPER_KEY]
    assert f"- {INK_KEY}  removed" in ran.out
    assert "removed 1 file, 300 kB freed" in ran.err
    assert world.parts() == []
    assert "Checked 1 model in" in world.here("install", "--prune").err


def test_without_the_flag_nothing_goes(world: World) -> None:
    installed(world, pin_of(INK), pin_of(PAPER))
    world.lock(pin_of(PAPER))
    assert world.here("install", "--yes").code == 0
    assert sorted(world.files()) == [INK_KEY, PAPER_KEY]


def test_a_dry_run_shows_what_would_go_with_its_source(world: World) -> None:
    installed(world, pin_of(INK), pin_of(PAPER))
    world.lock(pin_of(PAPER))
    ran = world.here("install", "--prune", "--dry-run")
    assert ran.code == 0
    assert "civitai version 11 (file 111) has it" in ran.out
    assert "1 file to remove, 300 kB to free" in ran.err
    document = world.here("install", "--prune", "--dry-run", "--json").document
    (removal,) = [one for one in document["plan"] if one["action"] == "remove"]
    assert (removal["ref"], removal["size"], removal["frees"]) == (INK_KEY, 300_000, 300_000)
    assert (document["summary"]["remove"], document["summary"]["frees"]) == (1, 300_000)
    assert sorted(world.files()) == [INK_KEY, PAPER_KEY]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_off_a_terminal_it_wants_a_yes_and_does_nothing_without(
    world: World, form: Sequence[str]
) -> None:
    installed(world, pin_of(INK))
    world.lock(pin_of(PAPER))
    ran = world.here("install", "--prune", *form)
    assert ran.code == 2
    assert "--yes" in ran.err
    assert list(world.files()) == [INK_KEY]


def asked(world: World, answer: bytes) -> str:
    """Prune at a terminal, type an answer, and return what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "comfylock", "install", "--prune"],
        env=world.environment,
        cwd=world.project,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, answer)
    text = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert process.wait(timeout=20) == 0
    return text.decode()


def test_at_a_terminal_it_asks_with_the_list(world: World) -> None:
    installed(world, pin_of(INK))
    world.lock(pin_of(PAPER))
    shown = asked(world, b"n\n")
    assert f"- {INK_KEY}  300 kB" in shown
    assert "Remove 1 file and free 300 kB? [y/N]" in shown
    assert sorted(world.files()) == [INK_KEY, PAPER_KEY]
    assert "Nothing is removed" in shown
    asked(world, b"y\n")
    assert list(world.files()) == [PAPER_KEY]


# ------------------------------------------------------------------------ what stays


def test_a_file_of_the_users_stays(world: World) -> None:
    world.put(INK_KEY, bytes_of(INK))
    installed(world, pin_of(INK), pin_of(PAPER))  # kept, not placed
    world.lock(pin_of(PAPER))
    assert prune(world) == [INK_KEY, PAPER_KEY]


@pytest.mark.parametrize("touch", ["bytes", "time", "another file"])
def test_a_file_that_was_touched_stays(world: World, touch: str) -> None:
    installed(world, pin_of(INK))
    world.lock()
    path = world.spot(INK_KEY)
    if touch == "time":
        os.utime(path)
    else:
        if touch == "another file":
            path.unlink()
        path.write_bytes(b"mine")
    assert prune(world) == [INK_KEY]


def test_a_file_that_cannot_be_fetched_stays(world: World) -> None:
    """It was linked from a copy of the user's, and no hub has it."""
    world.put("loras/mine/x.safetensors", bytes_of(INK))
    installed(world, pin_of(INK, sources=(), evidence=Evidence.LOCAL))
    assert world.has(INK_KEY, INK)
    world.lock()
    world.spot("loras/mine/x.safetensors").unlink()
    assert prune(world) == [INK_KEY]


def test_a_content_that_a_lock_pins_without_a_source_stays(world: World) -> None:
    installed(world, pin_of(INK))
    world.lock()
    other_lock(world, pin_of(INK, "loras/b.safetensors", sources=(), evidence=Evidence.LOCAL))
    assert prune(world) == [INK_KEY]


def test_what_another_lock_wants_stays_until_that_lock_is_gone(world: World) -> None:
    installed(world, pin_of(INK), pin_of(PAPER))
    world.lock(pin_of(PAPER))
    other = other_lock(world, pin_of(INK))
    assert prune(world) == [INK_KEY, PAPER_KEY]
    other.unlink()
    ran = world.here("install", "--prune", "--yes")
    assert f"{other}, which installed here too, is gone" in ran.err
    assert list(world.files()) == [PAPER_KEY]


@pytest.mark.parametrize("text", ["version = ", "<<<<<<< ours\n", "version = 99\n"])
def test_another_lock_that_cannot_be_used_stops_everything(world: World, text: str) -> None:
    installed(world, pin_of(INK))
    world.lock(pin_of(PAPER))
    other = other_lock(world)
    other.write_text(text, "utf-8")
    ran = world.here("install", "--prune", "--yes")
    assert ran.code == 2
    assert "nothing is pruned" in ran.err
    assert str(other) in ran.err
    assert list(world.files()) == [INK_KEY]


def test_an_unresolved_reference_holds_the_file_of_its_name(world: World) -> None:
    installed(world, pin_of(INK))
    lock = lock_of(workflows={"a.json": []})
    entry = replace(lock.workflows["a.json"], unresolved=(INK_KEY,))
    world.lock_path.write_text(render_lock(replace(lock, workflows={"a.json": entry})), "utf-8")
    world.here("install", "--prune", "--yes", "--frozen")
    assert list(world.files()) == [INK_KEY]


def test_a_choice_of_models_does_not_make_the_others_unwanted(world: World) -> None:
    installed(world, pin_of(INK), pin_of(PAPER))
    assert prune(world, "--only", INK_KEY) == [INK_KEY, PAPER_KEY]


def test_a_file_that_a_users_link_leads_to_stays(world: World) -> None:
    installed(world, pin_of(INK))
    (world.models / "loras" / "nice-name.safetensors").symlink_to("ink.safetensors")
    world.lock()
    assert prune(world) == [INK_KEY, "loras/nice-name.safetensors"]


def test_what_was_moved_aside_stays(world: World) -> None:
    installed(world, pin_of(INK))
    installed(world, pin_of(BRUSH, INK_KEY))
    world.lock()
    assert prune(world) == []
    assert len(world.replaced()) == 1


# --------------------------------------------------------------- renames and aliases


def test_a_renamed_model_is_linked_before_its_old_name_goes(world: World) -> None:
    installed(world, pin_of(INK))
    before = len(world.downloads())
    world.lock(pin_of(INK, "loras/new/name.safetensors"))
    assert prune(world) == ["loras/new/name.safetensors"]
    assert world.has("loras/new/name.safetensors", INK)
    assert len(world.downloads()) == before


def test_a_renamed_model_that_is_a_symbolic_link_keeps_its_file(world: World) -> None:
    installed(world, pin_of(INK))
    world.lock(pin_of(INK, "loras/new/name.safetensors"))
    for _ in range(2):
        left = prune(world, "--link-mode", "symlink")
        assert left == [INK_KEY, "loras/new/name.safetensors"]
        assert world.has("loras/new/name.safetensors", INK)


def test_the_old_name_stays_while_the_new_one_cannot_be_filled(world: World) -> None:
    installed(world, pin_of(INK))
    world.put("loras/new", b"a file where a folder is needed")
    world.lock(pin_of(INK, "loras/new/name.safetensors"))
    ran = world.here("install", "--prune", "--yes")
    assert ran.code == 1
    assert world.has(INK_KEY, INK)


def test_an_alias_goes_with_its_model(world: World) -> None:
    key = "loras/SDXL/ink.safetensors"
    installed(world, pin_of(INK, key, aliases=("SDXL\\ink.safetensors",)))
    world.lock()
    ran = world.here("install", "--prune", "--yes", "--json")
    assert ran.document["summary"]["frees"] == 300_000
    assert {(one["ref"], one["alias"]) for one in ran.document["results"]} == {
        (key, None),
        (key, "SDXL\\ink.safetensors"),
    }
    assert world.files() == {}


def test_an_alias_that_no_workflow_uses_any_more_goes_alone(world: World) -> None:
    key = "loras/SDXL/ink.safetensors"
    pin = pin_of(INK, key, aliases=("SDXL\\ink.safetensors",))
    installed(world, pin)
    world.lock(replace(pin, aliases=()))
    assert prune(world) == [key]
    installed(world, pin)  # the model is still known to be ours
    world.lock()
    assert prune(world) == []


def test_a_file_that_changes_in_the_last_moment_stays(world: World) -> None:
    """What is removed is looked at again after its name was taken away."""
    from comfylock.disk.place import Destination
    from comfylock.disk.removal import remove_placed
    from comfylock.errors import BusyError

    path = world.put(INK_KEY, bytes_of(INK))
    digests = pin_of(INK).digests
    seen = LocalFile(path=path, stat=stat_of(path.stat()), digests=digests, placed=True)
    destination = Destination(world.models, world.models / "loras", "ink.safetensors")
    path.write_bytes(b"mine")
    with pytest.raises(BusyError):
        remove_placed(destination, seen)
    assert path.read_bytes() == b"mine"
    assert world.parts() == []


# ------------------------------------------------------------------------ the registry


def test_each_lock_that_installs_is_registered_once(world: World) -> None:
    installed(world, pin_of(INK))
    installed(world, pin_of(INK), pin_of(PAPER))
    assert known_locks(world.models) == (world.lock_path.resolve(),)


def test_a_dry_run_registers_nothing(world: World) -> None:
    world.lock(pin_of(INK))
    world.here("install", "--dry-run")
    assert known_locks(world.models) == ()


def test_lines_of_the_registry_that_make_no_sense_are_passed_over(world: World) -> None:
    lines = ["", "{", '{"lock": 5}', '{"lock": "relative"}', "[]", '{"lock": "/a/comfy.lock"}']
    path = world.models / ".comfylock" / "locks.jsonl"
    path.parent.mkdir()
    path.write_text("\n".join(lines))
    assert known_locks(world.models) == (Path("/a/comfy.lock"),)


def test_a_torn_line_of_the_registry_swallows_no_other(world: World) -> None:
    """A full disk has cut it off; the next lock's models would be nobody's."""
    path = world.models / ".comfylock" / "locks.jsonl"
    path.parent.mkdir()
    path.write_text('{"lock": "/a/comfy.lock"}\n{"lock": "/b/com')
    installed(world, pin_of(INK))
    assert known_locks(world.models) == (Path("/a/comfy.lock"), world.lock_path.resolve())


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "loras/../../x.safetensors", "/etc/passwd", "loras/x.txt"]
)
def test_a_forged_row_leads_nowhere(world: World, name: str) -> None:
    """The cache lies in the models folder and may be anybody's."""
    world.lock()
    path = Path(os.path.normpath(world.models / name))
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"precious")
    cache = HashCache(world.models / ".comfylock" / "hashes.jsonl", world.models)
    row = (stat_of(path.stat()), Digests(blake3="a" * 64))
    cache.record(world.models / name, *row, placed=True, origin="civitai version 1 (file 1)")
    cache.record(str(path), *row, placed=True, origin="civitai version 1 (file 1)")
    ran = world.here("install", "--prune", "--yes")
    assert ran.code == 0
    assert path.exists()


# --------------------------------------------------------------------------- properties

NAMES = [f"loras/{name}.safetensors" for name in "abcd"]
ALIASES = ["loras/s\\a.safetensors"]
ORIGIN = "civitai version 1 (file 1)"


def content(number: int) -> Digests:
    return Digests(blake3=f"{number:064x}")


def place_of(ref: str) -> Path:
    return Path("/models") / ref


@st.composite
def worlds(draw: st.DrawFn):
    """Draw placed files, locks, links between files, and a plan."""
    refs = draw(st.lists(st.sampled_from(NAMES + ALIASES), unique=True, max_size=5))
    placed = [
        PlacedFile(
            ref=ref,
            file=LocalFile(
                path=place_of(ref),
                stat=FileStat(100, 0, draw(st.integers(1, 3)), 0),
                digests=content(draw(st.integers(1, 3))),
                placed=True,
            ),
            origin=draw(st.sampled_from([None, ORIGIN])),
            location=place_of(ref),
            device=1,
            names=draw(st.integers(0, 3)),
        )
        for ref in refs
    ]
    locks = []
    for _ in range(draw(st.integers(1, 2))):
        pins = [
            replace(
                pin_of(INK, key, size=None, digests=content(draw(st.integers(1, 3)))),
                sources=pin_of(INK).sources if draw(st.booleans()) else (),
                aliases=draw(st.sampled_from([(), ("s\\a.safetensors",)])),
            )
            for key in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2))
        ]
        locks.append(lock_of(*pins))
    places = [place_of(ref) for ref in NAMES + ALIASES] + [Path("/models/user-link")]
    links = {
        link: tuple(draw(st.lists(st.sampled_from(places), max_size=2)))
        for link in draw(st.lists(st.sampled_from(places), unique=True, max_size=3))
    }
    source = place_of(draw(st.sampled_from(NAMES)))
    link = Link(pin=pin_of(INK), source=source, target=place_of("loras/z"), room_bytes=0)
    mode = draw(st.sampled_from(list(LinkMode)))
    around = Surroundings(locks=tuple(locks), links=links)
    return placed, around, Plan(actions=(link,)), Policy(link_mode=mode)


@given(worlds())
@settings(max_examples=150, deadline=None)
def test_only_what_is_placed_unwanted_and_fetchable_goes(drawn) -> None:
    placed, around, plan, policy = drawn
    removals = find_removals(placed, around, plan, policy)
    by_ref = {one.ref: one for one in placed}
    gone = {one.ref for one in removals}
    wanted = {key for lock in around.locks for key in lock.models}
    wanted |= {
        f"loras/{alias}"
        for lock in around.locks
        for pin in lock.models.values()
        for alias in pin.aliases
    }
    assert gone <= set(by_ref)
    assert not gone & wanted
    for ref in gone:
        assert by_ref[ref].origin is not None
        assert not any(
            pin.digests.agrees(by_ref[ref].file.digests) and not pin.sources
            for lock in around.locks
            for pin in lock.models.values()
        )
        if policy.link_mode is LinkMode.SYMLINK:
            assert plan.of_pins[0].source != by_ref[ref].file.path
    left_links = [hops for link, hops in around.links.items() if link not in map(place_of, gone)]
    assert not {place_of(ref) for ref in gone} & {place for hops in left_links for place in hops}


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_freed_bytes_are_counted_once_and_never_too_high(drawn) -> None:
    removals = find_removals(*drawn)
    files = {one.file.stat.inode for one in removals}
    assert sum(one.frees_bytes for one in removals) <= 100 * len(files)
    assert all(one.frees_bytes in {0, 100} for one in removals)
    assert [one.ref for one in removals] == sorted(one.ref for one in removals)


_numbers = count()
KINDS = ["fetchable", "no source", "users", "edited", "wanted", "wanted elsewhere"]


@given(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_on_a_real_disk_exactly_the_fetchable_go(
    kinds: list[str], tmp_path: Path, hub: Standin
) -> None:
    root = tmp_path / str(next(_numbers))
    root.mkdir()
    world = World(root, hub)
    cache = HashCache(world.models / ".comfylock" / "hashes.jsonl", world.models)
    pins: dict[str, list[Pin]] = {"wanted": [], "wanted elsewhere": []}
    for number, kind in enumerate(kinds):
        key = f"loras/{number}.safetensors"
        data = f"content {number}".encode()
        path = world.put(key, data)
        hasher = Hasher(["blake3"])
        hasher.update(data)
        if kind != "users":
            origin = None if kind == "no source" else ORIGIN
            cache.record(path, stat_of(path.stat()), hasher.digests(), placed=True, origin=origin)
        if kind == "edited":
            path.write_bytes(b"edited by hand")
        if kind in pins:
            pin = pin_of(INK, key, size=len(data), digests=hasher.digests())
            pins[kind].append(pin)
    world.lock(*pins["wanted"])
    other_lock(world, *pins["wanted elsewhere"])
    left = {
        f"loras/{number}.safetensors" for number, kind in enumerate(kinds) if kind != "fetchable"
    }
    assert set(prune(world)) == left


def test_rows_of_the_cache_are_lines_of_json(world: World) -> None:
    """Each row says where its file can be had again."""
    installed(world, pin_of(INK))
    line = (world.models / ".comfylock" / "hashes.jsonl").read_text().splitlines()[-1]
    fields = json.loads(line.partition(" ")[2])
    assert (fields[0], fields[4:]) == (INK_KEY, [True, "civitai version 11 (file 111)"])
    assert not is_alias(fields[0])
