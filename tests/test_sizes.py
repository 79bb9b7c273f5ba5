"""Recorded sizes that are wrong: Civitai's are the uploader's word, and nothing rests on them."""

import io
import json
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfylock.disk.copies import Copies
from comfylock.disk.hashcache import HashCache, stat_of
from comfylock.events import Advanced, Measured, Silence, Started
from comfylock.hashes import Digests
from comfylock.report.json_lines import JsonLines
from comfylock.session import Session, Wishes
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Fault, Standin
from tests.test_install import mounted
from tests.workflows import node, ui, write
from tests.world import Listener, World

TRUE = 60_000
#: What an uploader's browser may have said of 60,000 bytes.
SMALLER, LARGER, ABSURD = 12_000, 90_000, 9 * 10**12
NAME, KEY = "wrong_size.safetensors", "loras/wrong_size.safetensors"


def shelves(recorded: int) -> Catalogue:
    held = file(111, NAME, size=TRUE, size_kb=recorded / 1024)
    return Catalogue.of(
        [model(1, "Wrong Size", "LORA", versions=[version(11, "v1", files=[held])])]
    )


@pytest.fixture
def hub() -> Iterator[Standin]:
    with Standin(shelves(LARGER)) as standin:
        yield standin


def locked_with(world: World, recorded: int) -> bytes:
    """Lock a workflow that needs the file, by its name; return its true bytes."""
    world.hub.replace(shelves(recorded))
    write(world.project / "w.json", json.dumps(ui(node(1, "LoraLoaderModelOnly", NAME, 1.0))))
    assert world.here("lock", "w.json").code == 0
    entry = tomllib.loads(world.lock_path.read_text("utf-8"))["model"][KEY]
    assert entry["size"] == recorded
    world.hub.clear_requests()
    return world.hub.catalogue.file(111).payload.read()


def remember(world: World, path: Path) -> None:
    """Have the hash cache know a file, as if an earlier run had read it for another model."""
    held = world.hub.catalogue.file(111)
    digests = Digests(sha256=held.sha256, blake3=held.blake3)
    with Session(Wishes(directory=world.project), world.environment, Silence()) as session:
        session.hash_cache.record(path, stat_of(path.stat()), digests)


sizes = pytest.mark.parametrize("recorded", [SMALLER, LARGER, ABSURD])


@sizes
def test_a_file_of_another_size_is_downloaded_and_verified(world: World, recorded: int):
    content = locked_with(world, recorded)
    ran = world.here("install")
    assert ran.code == 0, ran.text
    assert world.spot(KEY).read_bytes() == content
    assert len(world.downloads()) == 1
    text = world.lock_path.read_bytes()
    world.hub.clear_requests()
    assert world.here("install").code == 0
    assert (world.hub.requests, world.lock_path.read_bytes()) == ((), text)


@sizes
def test_a_download_of_another_size_goes_on_where_it_broke_off(world: World, recorded: int):
    content = locked_with(world, recorded)
    world.hub.fault(Fault(kind="truncate", origin="storage", nbytes=40_000))
    ran = world.here("install")
    assert ran.code == 0, ran.text
    assert world.spot(KEY).read_bytes() == content
    assert world.downloads()[-1].headers["range"] == "bytes=40000-"


@sizes
def test_a_copy_under_another_name_is_linked_when_the_server_has_told_its_length(
    world: World, recorded: int
):
    content = locked_with(world, recorded)
    world.put("vae/renamed.safetensors", content)
    ran = world.here("install", "--json")
    assert ran.code == 0, ran.text
    [result] = ran.document["results"]
    assert (result["action"], result["status"], result["bytes"]) == ("link", "done", 0)
    assert world.spot(KEY).read_bytes() == content
    assert len(world.downloads()) == 1, "its head told the length"
    assert world.parts() == []
    world.hub.clear_requests()
    assert world.here("install").code == 0
    assert world.hub.requests == ()


def test_a_file_that_was_hashed_once_is_known_whatever_size_the_lock_has(world: World):
    """The scan of another install has read it; no server is asked at all."""
    content = locked_with(world, LARGER)
    remember(world, world.put("vae/renamed.safetensors", content))
    ran = world.here("install", "--json")
    assert [one["action"] for one in ran.document["plan"]] == ["link"]
    assert ran.code == 0
    assert world.hub.requests == ()
    assert world.spot(KEY).read_bytes() == content


def test_a_file_that_was_hashed_and_has_changed_since_is_not_taken(world: World):
    content = locked_with(world, LARGER)
    path = world.put("vae/renamed.safetensors", content)
    remember(world, path)
    path.write_bytes(content[:-1] + b"x")
    ran = world.here("install", "--json")
    assert [one["action"] for one in ran.document["results"]] == ["download"]
    assert world.spot(KEY).read_bytes() == content


def test_files_of_that_length_with_other_bytes_cost_one_look_and_no_model(world: World):
    content = locked_with(world, LARGER)
    for number in range(3):
        world.put(f"vae/other{number}.safetensors", bytes([number]) * TRUE)
    ran = world.here("install", "--json")
    assert ran.code == 0, ran.text
    assert [one["action"] for one in ran.document["results"]] == ["download"]
    assert world.spot(KEY).read_bytes() == content
    assert len(world.downloads()) == 2, "once for the length, once for the bytes"


def test_a_wrong_file_in_the_spot_makes_way_for_a_copy_that_lies_elsewhere(world: World):
    content = locked_with(world, LARGER)
    mine = world.put(KEY, b"mine").read_bytes()
    world.put("vae/renamed.safetensors", content)
    ran = world.here("install", "--replace")
    assert ran.code == 0, ran.text
    assert world.spot(KEY).read_bytes() == content
    assert [path.read_bytes() for path in world.replaced()] == [mine]


def test_two_names_of_one_content_are_linked_to_the_copy_that_is_here(world: World):
    content = locked_with(world, LARGER)
    nodes = [
        node(1, "LoraLoaderModelOnly", NAME, 1.0),
        node(2, "LoraLoaderModelOnly", "b.safetensors", 1.0),
    ]
    write(world.project / "w.json", json.dumps(ui(*nodes)))
    assert world.here("pin", "b", "civitai:11/111").code == 0
    assert world.here("lock").code == 0
    world.put("vae/renamed.safetensors", content)
    world.hub.clear_requests()
    ran = world.here("install", "--json")
    assert ran.code == 0, ran.text
    assert {one["action"] for one in ran.document["results"]} == {"link"}
    assert world.spot("loras/b.safetensors").read_bytes() == content
    assert len(world.downloads()) == 1


# Room


def test_an_absurd_size_is_no_full_disk_when_the_file_fits(world: World):
    content = locked_with(world, ABSURD)
    dry = world.here("install", "--dry-run")
    assert dry.code == 0
    assert "too many, if that is true" in dry.out
    ran = world.here("install")
    assert ran.code == 0, ran.text
    assert f"warning: {KEY} has 60,000 bytes by the server and not the" in ran.err
    assert world.spot(KEY).read_bytes() == content


@pytest.mark.parametrize("recorded", [SMALLER, TRUE, LARGER, ABSURD])
def test_a_file_that_does_not_fit_is_refused_before_its_first_byte(world: World, recorded: int):
    locked_with(world, recorded)
    with mounted("tmpfs", world.models, "size=40k"):
        ran = world.here("install", "--json")
        assert ran.code == 1
        [error] = ran.document["errors"]
        assert (error["slug"], error["ref"]) == ("disk-full", KEY)
        assert error["hint"]
        assert world.files() == {}
        assert world.parts() == []


def test_an_absurd_size_takes_no_room_from_what_fits(world: World):
    true, wrong = file(112, "b.safetensors", size=30_000), file(111, NAME, size=TRUE, size_kb=1e12)
    world.hub.replace(
        Catalogue.of(
            [
                model(1, "Wrong Size", "LORA", versions=[version(11, "v1", files=[wrong])]),
                model(2, "B", "LORA", versions=[version(12, "v1", files=[true])]),
            ]
        )
    )
    names = (NAME, "b.safetensors")
    nodes = [node(number, "LoraLoaderModelOnly", name, 1.0) for number, name in enumerate(names)]
    write(world.project / "w.json", json.dumps(ui(*nodes)))
    assert world.here("lock", "w.json").code == 0
    with mounted("tmpfs", world.models, "size=200k"):
        ran = world.here("install")
        assert ran.code == 0, ran.text
        assert set(world.files()) == {KEY, "loras/b.safetensors"}


def test_status_calls_a_model_of_doubtful_size_missing(world: World):
    locked_with(world, ABSURD)
    document = world.here("status", "--json").document
    assert [one["state"] for one in document["models"]] == ["missing"]
    assert world.here("check").code == 1


# The parts of it


def test_copies_are_hashed_once_for_each_content_and_length(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * 10)
    ears = Listener()
    cache = HashCache(tmp_path / "hashes.jsonl", tmp_path)
    copies = Copies(lambda: (tmp_path,), cache, threading.Lock(), ears)
    wanted = Digests(sha256="a" * 64)
    assert not copies.may_be_here(wanted, 11)
    assert copies.may_be_here(wanted, 10)
    assert copies.find(wanted, 10) is None
    assert not copies.may_be_here(wanted, 10)
    read = [event for event in ears.heard if isinstance(event, Started)]
    assert len(read) == 2


def test_progress_is_told_by_the_true_size_once_it_is_known():
    stream, now = io.StringIO(), [0.0]
    lines = JsonLines(stream, clock=lambda: now[0])
    lines.on(Started(ref=KEY, act="download", total_bytes=ABSURD))
    lines.on(Measured(ref=KEY, total_bytes=TRUE))
    now[0] = 2.0
    lines.on(Advanced(ref=KEY, count=100))
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["total_bytes"] for one in told if one["type"] == "progress"] == [TRUE]
