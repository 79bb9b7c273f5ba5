"""The oddities of the real site, each as a user meets it: what is locked, and what an install says.

The shelves are those that come with the stand-in; names and ids stand in its catalogue.
"""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Fault, Standin
from tests.standin_hf.repositories import Shelves
from tests.standin_hf.server import HuggingFaceStandin
from tests.workflows import node, ui, write
from tests.world import World

KEY = "standin-key"
JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.fixture(scope="module")
def standing() -> Iterator[Standin]:
    with Standin() as hub:
        yield hub


@pytest.fixture
def hub(standing: Standin) -> Standin:
    standing.reset()
    return standing


@pytest.fixture
def town(world: World) -> Iterator[World]:
    """A world whose other hub is in reach, and empty."""
    with HuggingFaceStandin(Shelves.of()) as other:
        world.environment["HF_ENDPOINT"] = other.url
        yield world


def flow(world: World, *nodes: dict[str, Any]) -> None:
    write(world.project / "w.json", json.dumps(ui(*nodes)))


def lora(name: str, number: int = 1, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = node(number, "LoraLoaderModelOnly", name, 1.0, **more)
    return made


def models(world: World) -> dict[str, dict[str, Any]]:
    document = tomllib.loads(world.lock_path.read_text("utf-8"))
    found: dict[str, dict[str, Any]] = document.get("model", {})
    return found


def file_of(entry: dict[str, Any]) -> tuple[int, int]:
    return entry["sources"][0]["version"], entry["sources"][0]["file"]


# By name alone: what is locked, and what an install with a key comes to

NAMED = {
    "archived_landscape": None,
    "famous_person": None,
    "deleted_dream": None,
    "half_unpublished": None,
    "unrated_upload": None,
    "stale_page": None,
    "unlisted_version": None,
    "nothing_to_show": None,
    "fresh_scanless": None,
    "neon_glow": "ambiguous",
    "taken_down_portrait": "done",
    "storybook_children": "done",
    "boudoir_light": "done",
    "members_only_texture": "done",
    "bell_and_whistle": "done",
    "numbered_creator": "done",
    "wrongly_weighed": "done",
    "early_bird_style": "early-access",
    "forever_paid_style": "early-access",
    "generation_only_look": "forbidden",
    "private_commission": "forbidden",
}


def test_every_kind_of_odd_model_is_locked_and_installed_or_told(town: World):
    """In one go: no one's trouble is another's."""
    flow(town, *(lora(f"{name}.safetensors", number) for number, name in enumerate(NAMED, 1)))
    locked = town.here("lock", "w.json", "--json")
    assert locked.code == 1
    named = {f"loras/{name}.safetensors": end for name, end in NAMED.items()}
    refs = {
        kind: {one["ref"] for one in locked.document[kind]} for kind in ("unresolved", "ambiguous")
    }
    assert refs["unresolved"] == {ref for ref, end in named.items() if end is None}
    assert refs["ambiguous"] == {ref for ref, end in named.items() if end == "ambiguous"}
    assert set(models(town)) == {
        ref for ref, end in named.items() if end not in {None, "ambiguous"}
    }
    assert all(error["hint"] for error in locked.document["errors"])

    done = town.here("install", "--json", CIVITAI_TOKEN=KEY)

    assert done.code == 1
    ends = {one["ref"]: one["slug"] or one["status"] for one in done.document["results"]}
    assert ends == {ref: end for ref, end in named.items() if end not in {None, "ambiguous"}}
    for ref in (ref for ref, end in named.items() if end == "done"):
        held = town.hub.catalogue.file(file_of(models(town)[ref])[1])
        assert town.spot(ref).read_bytes() == held.payload.read()


def test_without_a_key_only_what_wants_one_is_refused(town: World):
    flow(town, lora("members_only_texture.safetensors"), lora("boudoir_light.safetensors", 2))
    assert town.here("lock", "w.json").code == 0
    ran = town.here("install", "--json")
    assert {one["ref"]: one["slug"] for one in ran.document["results"]} == {
        "loras/boudoir_light.safetensors": None,
        "loras/members_only_texture.safetensors": "auth-required",
    }
    [error] = ran.document["errors"]
    assert "CIVITAI_TOKEN" in error["hint"]


def test_a_bad_key_is_told_apart_from_none(town: World):
    """The site takes it for no key at all; only the download says no."""
    flow(town, lora("members_only_texture.safetensors"))
    assert town.here("lock", "w.json", CIVITAI_TOKEN="old-key").code == 0
    [error] = town.here("install", "--json", CIVITAI_TOKEN="old-key").document["errors"]
    assert error["slug"] == "auth-required"
    assert "does not accept the key" in error["message"]


# By hash and by id

NAME = "local.safetensors"


@pytest.mark.parametrize(
    ("file_id", "expected"),
    [
        (9200040, (9100030, 9200040)),  # unrated: by hash it is shown, by id and list it is not
        (9200053, (9100043, 9200053)),  # its page has lost its versions
        (9200045, (135867, 9200019)),  # the same bytes elsewhere were published first
        (9200007, (691639, 9200007)),  # the second of two files, and not the primary one
        (9200006, (691639, 9200006)),
        (9200026, (9100015, 9200026)),
    ],
)
def test_a_local_file_is_known_by_its_hash_and_is_that_file_of_its_version(
    town: World, file_id: int, expected: tuple[int, int]
):
    flow(town, lora(NAME))
    town.put(f"loras/{NAME}", town.hub.catalogue.file(file_id).payload.read())
    ran = town.here("lock", "w.json")
    assert ran.code == 0, ran.text
    entry = models(town)[f"loras/{NAME}"]
    assert (entry["evidence"], file_of(entry)) == ("hash", expected)


@pytest.mark.parametrize("file_id", [9200054, 9200056])
def test_a_hash_whose_file_is_hidden_or_replaced_pins_no_other_file_of_its_version(
    town: World, file_id: int
):
    """By hash the version answers, and lists other files, or none."""
    flow(town, lora(NAME))
    content = town.hub.catalogue.file(file_id)
    town.put(f"loras/{NAME}", content.payload.read())
    assert town.here("lock", "w.json").code == 0
    entry = models(town)[f"loras/{NAME}"]
    assert (entry["evidence"], entry["sources"]) == ("local", [])
    assert entry["sha256"] == content.sha256


def test_a_stale_page_is_no_obstacle_to_its_version(town: World):
    flow(town, lora("stale_page.safetensors"))
    town.here("lock", "w.json")
    assert town.here("pin", "stale_page", "civitai:9100043").code == 0
    assert town.here("install").code == 0


def test_a_name_that_differs_between_endpoints_is_found_by_either(town: World):
    """By version id the site forgets the uploader's override."""
    url = "https://civitai.com/api/download/models/125843"
    declared = [{"name": "4x-UltraSharp.pth", "directory": "upscale_models", "url": url}]
    flow(town, node(1, "UpscaleModelLoader", "4x-UltraSharp.pth", properties={"models": declared}))
    assert town.here("lock", "w.json").code == 0
    assert file_of(models(town)["upscale_models/4x-UltraSharp.pth"]) == (125843, 93203)


def test_what_the_scan_calls_dangerous_is_never_pinned(town: World):
    flow(town, node(1, "UpscaleModelLoader", "dangerous.pth"))
    ran = town.here("lock", "w.json", "--json")
    assert ran.code == 1
    assert ran.document["errors"][0]["slug"] == "unsafe-format"
    assert town.here("pin", "dangerous", "civitai:9100047").code == 1
    assert models(town) == {}


@pytest.mark.parametrize("stated", ["6327eca98b", "not hex", "", "F" * 63, "f" * 65])
def test_a_hash_that_is_none_is_never_asked_for(town: World, stated: str):
    """A short one is a beginning and identifies nothing; the batch would be refused as a whole."""
    told = [
        {"name": "boudoir_light.safetensors", "directory": "loras", "hash": stated,
         "hash_type": "SHA256", "url": "https://example.org/x"}
    ]  # fmt: skip
    flow(town, lora("boudoir_light.safetensors", properties={"models": told}))
    town.here("lock", "w.json")
    assert not [one for one in town.hub.requests if one.path.endswith("/by-hash")]


def test_hashes_are_compared_whatever_their_case(town: World):
    held = town.hub.catalogue.file(9200042)
    told = [
        {"name": "boudoir_light.safetensors", "directory": "loras", "hash": held.sha256.upper(),
         "hash_type": "SHA256", "url": "https://example.org/x"}
    ]  # fmt: skip
    flow(town, lora("boudoir_light.safetensors", properties={"models": told}))
    assert town.here("lock", "w.json").code == 0
    entry = models(town)["loras/boudoir_light.safetensors"]
    assert (entry["evidence"], entry["sha256"]) == ("embedded", held.sha256)


def test_addresses_of_the_answers_are_never_used(town: World):
    """For a time the batch form wrote ``https://undefined`` into them."""
    town.hub.configure(batch_host_undefined=True)
    flow(town, lora(NAME))
    town.put(f"loras/{NAME}", town.hub.catalogue.file(9200019).payload.read())
    assert town.here("lock", "w.json").code == 0
    assert "undefined" not in town.lock_path.read_text("utf-8")
    town.spot(f"loras/{NAME}").unlink()
    assert town.here("install").code == 0
    assert town.hub.requests[-2].query == "fileId=9200019"


def test_no_request_uses_another_method_or_a_browsers_name(town: World):
    flow(town, lora("boudoir_light.safetensors"), lora(NAME, 2))
    town.put(f"loras/{NAME}", b"mine")
    town.here("lock", "w.json")
    town.here("install")
    town.here("outdated")
    assert {one.method for one in town.hub.requests} == {"GET", "POST"}
    assert all(one.path.endswith("/by-hash") for one in town.hub.requests if one.method == "POST")
    agents = {one.headers["user-agent"].lower() for one in town.hub.requests}
    assert len(agents) == 1
    assert next(iter(agents)).startswith("comfylock/")
    words = ("mozilla", "chrome", "safari", "firefox", "opera", "edge", "python", "httpx")
    assert not [word for word in words if word in next(iter(agents))]


# The table of errors, at the questions of a lock

LIST, BATCH = r"/api/v1/models(\?|$)", "/by-hash$"
ZOD = '{"error":{"name":"ZodError","message":"[{\\"message\\": \\"Invalid option\\"}]"}}'
PAGING = '{"error":"You\'ve requested too many pages, please use cursors instead"}'
AT_ONCE = {"Retry-After": "0"}
PAGE = "<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title></html>"
REFUSED = {
    "400 of the validator": (400, ZOD, {}, "server-error", 1, "Invalid option"),
    "400 for a cursor": (400, '{"message":"Invalid cursor"}', {}, "server-error", 1, "cursor"),
    "401": (401, '{"error":"Unauthorized"}', {}, "auth-required", 1, "Unauthorized"),
    "403 of the edge": (403, PAGE, {}, "forbidden", 1, "web page"),
    "403 of a block list": (403, '{"error":"Forbidden"}', {}, "forbidden", 1, "Forbidden"),
    "404 page of the edge": (404, PAGE, {}, "server-error", 1, "web page"),
    "405": (405, '{"error":"Method not allowed"}', {}, "server-error", 1, "405"),
    "429 for paging": (429, PAGING, {}, "rate-limited", 1, "too many pages"),
    "429": (429, "slow down", AT_ONCE, "rate-limited", 4, "slow down"),
    "429 for an hour": (429, "x", {"Retry-After": "3600"}, "rate-limited", 1, "3600 s"),
    "451": (451, '{"error":"not available in your region","code":"REGION_BLOCKED"}', {},
            "forbidden", 1, "region"),
    "500": (500, '{"message":"An unexpected error occurred","error":"x"}', AT_ONCE,
            "server-error", 4, "unexpected"),
    "503 brown-out": (503, '{"error":"Model search is temporarily overloaded"}', AT_ONCE,
                      "server-error", 4, "overloaded"),
    "524 of the edge": (524, PAGE, AT_ONCE, "server-error", 4, "524"),
    "200 with a page": (200, PAGE, {}, "server-error", 1, "web page"),
    "200 with an error": (200, '{"error":"x"}', {}, "server-error", 1, "no answer"),
    "200 with null": (200, "null", {}, "server-error", 1, "no answer"),
    "200 with half a text": (200, '{"items": [', {}, "server-error", 1, "not JSON"),
    "tRPC": (400, '{"code":"BAD","message":"odd","issues":[]}', {}, "server-error", 1, "odd"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_of_a_question_is_told_kept_apart_and_never_taken_for_absence(
    town: World, name: str
):
    status, body, headers, slug, tries, says = REFUSED[name]
    flow(town, lora("boudoir_light.safetensors"))
    kind = {} if body == PAGE else JSON
    town.hub.fault(
        Fault(kind="status", status=status, body=body, headers=kind | headers, match=LIST,
              times=None)
    )  # fmt: skip
    ran = town.here("lock", "w.json", "--json")
    assert ran.code in {1, 2}
    [error] = ran.document["errors"]
    assert (error["slug"], error["ref"]) == (slug, "loras/boudoir_light.safetensors")
    assert says in error["message"]
    assert "run `comfylock lock` again" in error["hint"]
    assert len([one for one in town.hub.requests if one.path == "/api/v1/models"]) == tries
    if town.lock_path.exists():
        assert "boudoir" not in town.lock_path.read_text("utf-8"), "no answer is recorded as none"
    town.hub.clear_faults()
    assert town.here("lock", "w.json").code == 0, "nothing of the fault was kept"


@pytest.mark.parametrize(
    "name", ["400 of the validator", "500", "200 with null", "200 with a page"]
)
def test_a_fault_of_the_batch_is_no_unknown_hash(town: World, name: str):
    """Pinned as a file that nobody has, the lock would depend on the weather."""
    status, body, headers, slug, _, _ = REFUSED[name]
    flow(town, lora(NAME))
    town.put(f"loras/{NAME}", town.hub.catalogue.file(9200019).payload.read())
    kind = {} if body == PAGE else JSON
    town.hub.fault(
        Fault(kind="status", status=status, body=body, headers=kind | headers, match=BATCH,
              times=None)
    )  # fmt: skip
    ran = town.here("lock", "w.json", "--json")
    assert ran.code == 2
    assert ran.document["errors"][0]["slug"] == slug
    assert not town.lock_path.exists()


def test_a_search_that_passes_after_a_brown_out_costs_nothing_but_the_pause(town: World):
    flow(town, lora("boudoir_light.safetensors"))
    brown_out = '{"error":"Model search is temporarily overloaded — please retry."}'
    town.hub.fault(
        Fault(
            kind="status", status=503, body=brown_out, headers=JSON | AT_ONCE, match=LIST, times=2
        )
    )
    assert town.here("lock", "w.json").code == 0


# Answers with less in them than usual

LEAST = Catalogue.of(
    [
        model(
            1, "Sparse", "LORA", creator=None, hidden_stats=True,
            versions=[version(11, "", base_model="", images=0,
                              files=[file(111, "sparse.safetensors", format=None,
                                          hash_types=["SHA256"], scanned_at=None)])],
        )
    ]
)  # fmt: skip


def test_a_model_of_which_nearly_nothing_is_said_is_locked_and_installed(town: World):
    town.hub.replace(LEAST)
    flow(town, lora("sparse.safetensors"))
    assert town.here("lock", "w.json").code == 0
    entry = models(town)["loras/sparse.safetensors"]
    assert "blake3" not in entry
    assert "base-model" not in entry
    assert town.here("install").code == 0
    assert town.here("outdated").code == 0
    assert town.here("search", "sparse").code == 0
