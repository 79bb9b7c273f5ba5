"""Promise 5 as laws: equal workflows give equal bytes, whatever the order of files and answers."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.client import ask
from tests.standin.server import Standin
from tests.standin_hf.repositories import Shelves, hub_file, repository
from tests.standin_hf.server import HuggingFaceStandin
from tests.workflows import node, ui, write
from tests.world import World

SAME_DAY = "2024-01-01T00:00:00.000Z"
VAE = hub_file("ae.safetensors", size=4_000)


def lora(number: int, name: str, *files: Any, **more: Any) -> Any:
    return model(number, name, "LORA", versions=[version(number * 10, "v1", files=files, **more)])


def raw(file_id: int, name: str, **more: Any) -> Any:
    return file(file_id, name, override_name=name, **more)


SHELVES = Catalogue.of(
    [
        # One content on three pages, two of them published in the same second.
        lora(1, "Ink Wash", raw(101, "ink_wash.safetensors", seed="ink"), published_at=SAME_DAY),
        lora(2, "Ink Wash", raw(102, "ink_wash.safetensors", seed="ink"), published_at=SAME_DAY),
        lora(3, "Ink Wash", raw(103, "ink_wash.safetensors", seed="ink")),
        # Two contents under one name, and two under one name in one version.
        lora(4, "Twin A", raw(104, "twin.safetensors")),
        lora(5, "Twin B", raw(105, "twin.safetensors")),
        model(6, "Flux Base", "Checkpoint", versions=[
            version(60, "Dev", files=[file(106, "a.safetensors", fp="fp16"),
                                      file(107, "b.safetensors", fp="fp8")]),
            version(61, "Dev two", files=[file(108, "c.safetensors"), raw(109, "d.safetensors")]),
        ]),
        lora(7, "Renamed Page", raw(110, "found_by_hash.safetensors"),
             raw(111, "beside_it.safetensors")),
        lora(8, "Embedded", raw(112, "embedded.safetensors"), raw(113, "other.safetensors")),
        lora(9, "Brush", raw(114, "brush.safetensors")),
    ]
)  # fmt: skip
NAMES = (
    "ink_wash.safetensors", "twin.safetensors", "local_name.safetensors", "embedded.safetensors",
    "brush.safetensors", "sub/brush.safetensors", "nowhere.safetensors",
)  # fmt: skip
DECLARED = {
    "embedded.safetensors": ["https://civitai.com/api/download/models/80"],
}


def loader(number: int, name: str) -> dict[str, Any]:
    models = [{"name": name, "directory": "loras", "url": url} for url in DECLARED.get(name, ())]
    made: dict[str, Any] = node(
        number, "LoraLoaderModelOnly", name, 1.0, properties={"models": models}
    )
    return made


def others() -> list[dict[str, Any]]:
    urls = [f"https://huggingface.co/{repo}/resolve/main/ae.safetensors" for repo in ("O/a", "O/b")]
    models = [{"name": "ae.safetensors", "directory": "vae", "url": url} for url in urls]
    return [
        node(90, "VAELoader", "ae.safetensors", properties={"models": models}),
        node(91, "CheckpointLoaderSimple", "fluxBase_dev.safetensors"),
        node(92, "CheckpointLoaderSimple", "d.safetensors"),
    ]


def build(world: World, files: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Write a project: each workflow with these names in this order, the same as a set."""
    for path, names in files:
        nodes = [loader(number, name) for number, name in enumerate(names, 1)]
        write(
            world.project / path, json.dumps(ui(*nodes, *(others() if path == "w/a.json" else ())))
        )
    world.put("loras/local_name.safetensors", SHELVES.file(110).payload.read())


def cold_lock(world: World, paths: Sequence[str]) -> bytes:
    world.lock_path.unlink(missing_ok=True)
    cache = world.root / "cache" / "api.sqlite"
    for path in cache.parent.glob("api.sqlite*"):
        path.unlink()
    ran = world.here("lock", *paths)
    assert ran.code == 1, ran.text
    return world.lock_path.read_bytes()


class Town:
    """A world with both hubs, and the lock that is right for it."""

    def __init__(self, root: Path, hub: Standin, other: HuggingFaceStandin) -> None:
        self.world = World(root, hub)
        self.world.environment["HF_ENDPOINT"] = other.url
        build(self.world, [("w/a.json", NAMES), ("w/b.json", NAMES[:3]), ("w/c.json", NAMES[2:])])
        self.right = cold_lock(self.world, ["w"])


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    shelves = Shelves.of(
        repository("O/a", {"ae.safetensors": VAE}), repository("O/b", {"ae.safetensors": VAE})
    )
    with Standin(SHELVES) as hub, HuggingFaceStandin(shelves) as other:
        yield Town(tmp_path_factory.mktemp("town"), hub, other)


law = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_the_lock_of_this_town_has_an_entry_of_each_kind(town):
    """So that the laws below speak of something."""
    text = town.right.decode()
    for evidence in ("hash", "embedded", "filename"):
        assert f'evidence = "{evidence}"' in text
    assert "version = 10, file = 101" in text, "of three equal ones the oldest, then the lowest id"
    assert "huggingface" in text
    assert '"loras/twin.safetensors",' in text.partition("unresolved")[2]


@law
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_hubs_answers_changes_no_byte(town, seed):
    town.world.hub.configure(shuffle=seed)
    assert cold_lock(town.world, ["w"]) == town.right


@law
@given(
    names=st.permutations(NAMES),
    first=st.permutations(NAMES[:3]),
    last=st.permutations(NAMES[2:]),
    paths=st.permutations(["w/a.json", "w/b.json", "w/c.json"]),
)
def test_the_order_of_nodes_and_of_files_changes_no_pin(town, names, first, last, paths):
    """The inputs are recorded as they were named; all else is the same."""
    town.world.hub.configure(shuffle=None)
    build(town.world, [("w/a.json", names), ("w/b.json", first), ("w/c.json", last)])
    text = cold_lock(town.world, paths).decode()
    whole = 'inputs = [\n    "w",\n]\n'
    single = 'inputs = [\n    "w/a.json",\n    "w/b.json",\n    "w/c.json",\n]\n'
    assert text.replace(single, whole) == town.right.decode()


@law
@given(seed=st.integers(0, 10**6), workers=st.sampled_from(["0.0", "0.003"]))
def test_a_second_run_changes_no_byte_and_asks_nobody(town, seed, workers):
    town.world.hub.configure(shuffle=seed, latency_s=float(workers))
    build(town.world, [("w/a.json", NAMES), ("w/b.json", NAMES[:3]), ("w/c.json", NAMES[2:])])
    assert cold_lock(town.world, ["w"]) == town.right
    town.world.hub.clear_requests()
    for arguments in (("lock",), ("lock", "w"), ("lock", "--no-hash-local")):
        town.world.here(*arguments)
        assert town.world.lock_path.read_bytes() == town.right
    assert town.world.hub.requests == ()
    town.world.hub.configure(shuffle=None, latency_s=0.0)


def test_a_rebuild_of_an_unchanged_lock_changes_no_byte(town):
    town.world.hub.configure(shuffle=7)
    build(town.world, [("w/a.json", NAMES), ("w/b.json", NAMES[:3]), ("w/c.json", NAMES[2:])])
    assert cold_lock(town.world, ["w"]) == town.right
    town.world.here("lock", "--rebuild", "--refresh")
    assert town.world.lock_path.read_bytes() == town.right


def test_workflows_that_come_one_by_one_give_the_lock_of_all_at_once(town):
    town.world.hub.configure(shuffle=None)
    build(town.world, [("w/a.json", NAMES), ("w/b.json", NAMES[:3]), ("w/c.json", NAMES[2:])])
    cold_lock(town.world, ["w/c.json"])
    town.world.here("lock", "w/a.json")
    town.world.here("lock", "w/b.json")
    one_by_one = town.world.lock_path.read_bytes()
    assert one_by_one == cold_lock(town.world, ["w/a.json", "w/b.json", "w/c.json"])


def test_the_stand_in_really_shuffles(town):
    """A law over answers that never change would hold for anything."""
    hub = town.world.hub
    orders = set()
    for seed in range(8):
        hub.configure(shuffle=seed)
        answer = ask(f"{hub.url}/api/v1/models?query=ink%20wash&nsfw=true").json()
        orders.add(tuple(one["id"] for one in answer["items"]))
    hub.configure(shuffle=None)
    assert len(orders) > 3
    assert all(set(order) >= {1, 2, 3} for order in orders)
    assert replace(hub.settings, shuffle=None) == hub.settings
