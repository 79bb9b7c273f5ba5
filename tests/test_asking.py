"""What a lock asks Civitai for: everything that could make a name ambiguous, and nothing twice."""

import json
import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from comfylock.candidates import same_name
from comfylock.civitai.cache import ResponseCache
from comfylock.civitai.client import CivitaiClient
from comfylock.civitai.queries import Mode, Query, Stage, is_covered, must_be_asked, plan_queries
from comfylock.events import Silence
from comfylock.workers import side_by_side
from tests.standin.catalogue import Catalogue, CatalogueModel, file, model, version
from tests.standin_hf.repositories import Shelves
from tests.standin_hf.server import HuggingFaceStandin
from tests.workflows import node, ui, write
from tests.world import World


def lora(number: int, name: str, file_name: str, **fields: object) -> CatalogueModel:
    files = [file(number * 100, file_name)]
    versions = [version(number * 10, "v1", files=files, **fields.pop("of_version", {}))]  # type: ignore[arg-type]
    return model(number, name, "LORA", versions=versions, **fields)


#: The one that everybody finds first.
FIRST = lora(1, "Ink Wash", "ink_wash.safetensors", stats={"thumbs_up": 900})


def lock(world: World, *names: str, **variables: str):
    nodes = [node(number, "LoraLoaderModelOnly", name, 1.0) for number, name in enumerate(names, 1)]
    write(world.project / "w.json", json.dumps(ui(*nodes)))
    return world.here("lock", "w.json", "--json", **variables)


def searches(world: World) -> list[str]:
    return [one.query for one in world.hub.requests if one.path == "/api/v1/models"]


# What may not be left out


@pytest.mark.parametrize(
    "twin",
    [
        pytest.param({"tags": ("hidden with nsfw",)}, id="only without nsfw"),
        pytest.param({"minor": True}, id="minor-flagged, only without nsfw"),
        pytest.param({"nsfw_level": 16}, id="only with nsfw"),
    ],
)
def test_a_twin_that_only_one_browsing_mode_shows_makes_a_name_ambiguous(world, twin):
    world.hub.replace(
        Catalogue.of([FIRST, lora(2, "Ink Wash Again", "ink_wash.safetensors", **twin)])
    )
    document = lock(world, "ink_wash.safetensors").document
    [one] = document["ambiguous"]
    assert {each["file"] for each in one["candidates"]} == {100, 200}


@pytest.mark.parametrize("folder", ["loras", "checkpoints"])
def test_a_twin_on_a_later_page_makes_a_name_ambiguous(world, folder):
    kind = {"loras": "LORA", "checkpoints": "Checkpoint"}[folder]
    name = "inkWash_v1.safetensors"

    def shelf(number: int, title: str, thumbs: int, wanted: str) -> CatalogueModel:
        files = [file(number * 100, wanted, override_name=wanted)]
        return model(number, title, kind, versions=[version(number * 10, "v1", files=files)],
                     stats={"thumbs_up": thumbs})  # fmt: skip

    crowd = [shelf(number, f"Ink Wash {number}", 500, f"x{number}.safetensors")
             for number in range(10, 240)]  # fmt: skip
    first, twin = shelf(1, "Ink Wash", 900, name), shelf(2, "Ink Wash Two", 1, name)
    world.hub.replace(Catalogue.of([first, twin, *crowd]))
    loader = {"loras": "LoraLoaderModelOnly", "checkpoints": "CheckpointLoaderSimple"}[folder]
    write(world.project / "w.json", json.dumps(ui(node(1, loader, name, 1.0))))
    document = world.here("lock", "w.json", "--json").document
    [one] = document["ambiguous"]
    assert {each["file"] for each in one["candidates"]} == {100, 200}


def test_a_twin_whose_model_lacks_the_first_word_makes_a_name_ambiguous(world):
    twin = lora(2, "Wash of Colours", "ink_wash.safetensors")
    world.hub.replace(Catalogue.of([FIRST, twin]))
    assert lock(world, "ink_wash.safetensors").document["ambiguous"]


def test_the_later_words_begin_with_one_that_says_something(world):
    """Nothing but the first word is never dropped: a "b" there finds what has a "b"."""
    twin = lora(2, "Abliterated Detail", "gemma_3_12b_it_abliterated.safetensors")
    world.hub.replace(
        Catalogue.of([lora(1, "Gemma", "gemma_3_12b_it_abliterated.safetensors"), twin])
    )
    assert lock(world, "gemma_3_12b_it_abliterated.safetensors").document["ambiguous"]


# What is not asked twice


def test_what_several_names_have_to_ask_is_asked_once(world):
    """Of a checkpoint only the words before the first ``_`` count, and no case."""
    names = [f"{word}_v{number}.safetensors" for word in ("flux", "Flux") for number in range(10)]
    nodes = [node(number, "CheckpointLoaderSimple", name) for number, name in enumerate(names, 1)]
    write(world.project / "w.json", json.dumps(ui(*nodes)))
    world.hub.configure(latency_s=0.02)
    world.here("lock", "w.json")
    asked = Counter(searches(world))
    assert asked
    assert set(asked.values()) == {1}


def test_a_name_that_is_nowhere_costs_eight_requests_at_most(world):
    world.hub.replace(Catalogue.of([FIRST]))
    ran = lock(world, "ink_splash_brush.safetensors")
    assert ran.code == 1
    assert [one["file"] for one in ran.document["unresolved"][0]["candidates"]] == []
    assert len(world.hub.requests) <= 8


def test_likes_of_a_name_are_proposed_without_a_further_question(world):
    world.hub.replace(Catalogue.of([lora(1, "Ink Wash", "ink_washes.safetensors")]))
    ran = lock(world, "ink_wash.safetensors")
    [one] = ran.document["unresolved"]
    assert [each["file_name"] for each in one["candidates"]] == ["ink_washes.safetensors"]
    assert max(Counter(searches(world)).values()) == 1


def test_hashes_that_workflows_state_are_looked_up_in_one_request(world):
    files = [file(number, f"f{number}.safetensors") for number in range(1, 21)]
    world.hub.replace(
        Catalogue.of(
            [model(1, "Many", "LORA",
                   versions=[version(one.id, f"v{one.id}", files=[one]) for one in files])]
        )
    )  # fmt: skip
    nodes = [
        node(
            one.id,
            "LoraLoaderModelOnly",
            one.name,
            1.0,
            properties={
                "models": [
                    {"name": one.name, "directory": "loras", "hash": one.sha256,
                     "hash_type": "SHA256", "url": "https://example.org/x"}
                ]
            },
        )
        for one in files
    ]  # fmt: skip
    write(world.project / "w.json", json.dumps(ui(*nodes)))
    ran = world.here("lock", "w.json")
    assert ran.code == 0, ran.text
    assert [one.path for one in world.hub.requests] == ["/api/v1/model-versions/by-hash"]


def test_a_repository_that_is_not_to_be_seen_is_asked_for_once(world):
    """A template names many files of one repository; without a key the hub hides a private one."""
    names = [f"x{number}.safetensors" for number in range(6)]
    nodes = [
        node(number, "VAELoader", name, properties={"models": [
            {"name": name, "directory": "vae",
             "url": f"https://huggingface.co/Org/hidden/resolve/main/{name}"}]})
        for number, name in enumerate(names, 1)
    ]  # fmt: skip
    write(world.project / "w.json", json.dumps(ui(*nodes)))
    with HuggingFaceStandin(Shelves.of()) as hub:
        world.here("lock", "w.json", HF_ENDPOINT=hub.url)
        assert len(hub.requests) == 1


class Hall:
    """An API that counts how many questions are open at once, and answers that nothing is there."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._guard = threading.Lock()

    def get_json(self, url: str, params: Sequence[tuple[str, str]] = ()) -> object:
        with self._guard:
            self.asked.append(f"{url} {sorted(params)}")
        return {"items": [], "metadata": {}}

    def post_json(self, url: str, content: object) -> object:
        raise AssertionError("nobody looks up a hash")


def test_threads_that_want_the_same_share_one_answer():
    hall = Hall()
    cache = ResponseCache(None, clock=lambda: 1_000_000.0, reporter=Silence())
    client = CivitaiClient(api=hall, cache=cache, base_url="https://x.y", reporter=Silence())
    names = ["ink_wash.safetensors"] * 16
    found = list(side_by_side(lambda name: client.search_name(name, "loras"), names, workers=16))
    assert found == [()] * 16
    assert max(Counter(hall.asked).values()) == 1
    cache.close()


# The rules themselves


def query(text: str, *types: str, mode: Mode = Mode.GENERAL, stage: Stage = Stage.MORE) -> Query:
    return Query(text=text, types=types, mode=mode, pages=1, stage=stage)


@pytest.mark.parametrize(
    ("narrow", "wide", "covered"),
    [
        (query("ink wash"), query("ink wash old"), True),
        (query("Ink wash"), query("ink brush"), True),
        (query("ink wash", "LORA"), query("ink brush"), True),
        (query("ink wash", "LORA", "DoRA"), query("ink brush", "DoRA", "LORA"), True),
        (query("ink"), query("ink wash"), False),
        (query("wash ink"), query("ink wash"), False),
        (query("ink wash"), query("ink brush", "LORA"), False),
        (query("ink wash"), query("ink brush", mode=Mode.ALL_RATINGS), False),
    ],
)
def test_a_complete_answer_covers_narrower_questions_only(narrow, wide, covered):
    assert is_covered(narrow, wide) is covered


@pytest.mark.parametrize(
    ("name", "folder"),
    [("ink_wash.safetensors", "loras"), ("inkWash_v1.safetensors", "checkpoints")],
)
def test_both_browsing_modes_of_the_main_words_must_always_be_asked(name, folder):
    plan = plan_queries(name, folder)
    must = {(one.text, one.mode) for one in plan if must_be_asked(one, folder)}
    assert {mode for text, mode in must if text == plan[0].text} == set(Mode)
    assert same_name(name, name.upper())
