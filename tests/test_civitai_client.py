"""The catalogue against a stand-in of the hub: hashes, versions, names, and old answers."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from comfylock.artifacts import VersionId
from comfylock.civitai.cache import ResponseCache
from comfylock.civitai.client import CivitaiClient, age_in_words
from comfylock.errors import (
    ComfylockError,
    FetchError,
    GoneError,
    NetworkError,
    OfflineError,
    ServerError,
)
from comfylock.events import Event, Warned
from comfylock.hubs import Secret
from comfylock.web.origins import Origin
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Fault, Standin

KEY = "standin-key"

SHELVES = Catalogue.of(
    [
        model(1, "Juggernaut XL", "Checkpoint", versions=[
            version(11, "V9 + RDPhoto 2_Lightning_4S", files=[file(111, "raw_upload.safetensors")]),
            version(12, "V8", files=[file(112, "raw8.safetensors")]),
        ]),
        model(2, "Add More Details", "LORA", versions=[
            version(21, "v1", files=[file(211, "add_detail.safetensors")]),
        ]),
        model(3, "Detail Tweaker", "LORA", versions=[
            version(31, "v1", files=[file(311, "Add_Detail.safetensors")]),
        ]),
        model(4, "Grown Up Ink", "LORA", nsfw_level=16, versions=[
            version(41, "v1", nsfw_level=16, files=[file(411, "grownUpInk.safetensors")]),
        ]),
        model(5, "Copy Of Details", "LORA", versions=[
            version(51, "v1", published_at="2025-01-01T00:00:00.000Z",
                    files=[file(511, "copied.safetensors", seed="file 211")]),
        ]),
        model(6, "Anime Tagger", "LORA", tags=("hidden with nsfw",), versions=[
            version(61, "v1", files=[file(611, "animeTagger.safetensors")]),
        ]),
    ]
)  # fmt: skip


class World:
    """A client, the hub behind it, its clock and what it told."""

    def __init__(self, hub: Standin, path: Path | None) -> None:
        self.hub = hub
        self.now = 1_000_000.0
        self.events: list[Event] = []
        self.path = path

    def on(self, event: Event) -> None:
        self.events.append(event)

    @contextmanager
    def client(self, *, offline: bool = False) -> Iterator[CivitaiClient]:
        port = int(self.hub.url.rpartition(":")[2])
        transport = Transport(
            keys={Origin("http", "127.0.0.1", port): Secret(KEY)},
            allowed_hosts=frozenset(),
            environment={},
            reporter=self,
            offline=offline,
            waiting=Waiting(sleep=lambda _: None, clock=time.monotonic),
        )
        cache = ResponseCache(self.path, clock=lambda: self.now, reporter=self)
        try:
            yield CivitaiClient(
                api=transport, cache=cache, base_url=self.hub.url + "/", reporter=self
            )
        finally:
            transport.close()
            cache.close()

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Standin(SHELVES) as hub:
        yield World(hub, tmp_path / "api.sqlite")


def test_files_are_found_by_hash_and_by_nothing_else(world: World):
    with world.client() as client:
        version11 = client.by_version(VersionId(11))
        assert version11 is not None
        [wanted] = version11.files
        assert wanted.digests.sha256
        found = client.by_hashes([wanted.digests.sha256, "0" * 64])
    assert set(found) == {wanted.digests.sha256}
    assert [one.version for one in found[wanted.digests.sha256]] == [11]


def test_one_content_on_two_pages_gives_both(world: World):
    with world.client() as client:
        version21 = client.by_version(VersionId(21))
        assert version21 is not None
        sha256 = version21.files[0].digests.sha256
        assert sha256
        assert [one.version for one in client.by_hashes([sha256])[sha256]] == [21, 51]


def test_computed_name_of_a_checkpoint_is_found(world: World):
    with world.client() as client:
        found = client.search_name(
            "SDXL/JUGGERNAUTXL_v9Rdphoto2Lightning.safetensors", "checkpoints"
        )
    assert [one.source.file for one in found] == [111]


def test_same_raw_name_on_two_pages_is_seen_even_if_their_words_differ(world: World):
    """ "add" is in one model's name only; the later words find the other."""
    with world.client() as client:
        found = client.search_name("add_detail.safetensors", "loras")
    assert sorted(one.source.file for one in found) == [211, 311]


@pytest.mark.parametrize(("name", "file_id"), [("grownUpInk", 411), ("animeTagger", 611)])
def test_each_browsing_mode_shows_what_the_other_hides(world: World, name: str, file_id: int):
    with world.client() as client:
        found = client.search_name(f"{name}.safetensors", "loras")
    assert [one.source.file for one in found] == [file_id]


def test_name_in_a_folder_of_another_kind_is_not_taken(world: World):
    with world.client() as client:
        assert client.search_name("grownUpInk.safetensors", "checkpoints") == ()
        assert client.search_name("grownUpInk", "loras")
        assert client.search_name("grownUpIn.safetensors", "loras") == ()


def test_missing_version_is_none_and_remembered_for_an_hour(world: World):
    with world.client() as client:
        assert client.by_version(VersionId(999)) is None
        asked = len(world.hub.requests)
        assert client.by_version(VersionId(999)) is None
        assert len(world.hub.requests) == asked
        world.now += 3601
        assert client.by_version(VersionId(999)) is None
        assert len(world.hub.requests) == asked + 1


def test_fresh_answers_need_no_request_in_a_later_run(world: World):
    with world.client() as client:
        before = client.search_name("add_detail.safetensors", "loras")
    world.hub.clear_requests()
    with world.client(offline=True) as client:
        assert client.search_name("add_detail.safetensors", "loras") == before
    assert world.hub.requests == ()
    assert world.warnings == []


def test_old_answers_serve_with_their_age_when_the_hub_is_down(world: World):
    with world.client() as client:
        before = client.by_version(VersionId(21))
    world.now += 3 * 24 * 3600
    world.hub.fault(Fault(kind="status", status=500, times=None))
    with world.client() as client:
        assert client.by_version(VersionId(21)) == before
    [warning] = world.warnings
    assert "3 days old" in warning
    assert "500" in warning


def test_faults_are_not_kept_and_are_no_absence(world: World):
    world.hub.fault(Fault(kind="status", status=500, times=4))
    with world.client() as client:
        with pytest.raises(FetchError):
            client.search_name("add_detail.safetensors", "loras")
        assert client.search_name("add_detail.safetensors", "loras")


def test_old_not_found_is_no_answer_while_the_hub_is_down(world: World):
    with world.client() as client:
        assert client.by_version(VersionId(999)) is None
    world.now += 2 * 3600
    with world.client(offline=True) as client, pytest.raises(OfflineError):
        client.by_version(VersionId(999))


def test_nothing_known_offline_is_an_error(world: World):
    with world.client(offline=True) as client:
        for ask in (
            lambda: client.by_hashes(["0" * 64]),
            lambda: client.search_name("x.safetensors", "loras"),
            lambda: client.search_text("x"),
        ):
            with pytest.raises(OfflineError):
                ask()
    assert world.hub.requests == ()


def test_key_is_in_no_address_and_not_in_the_cache(world: World):
    with world.client() as client:
        client.search_name("add_detail.safetensors", "loras")
    assert all(one.headers["authorization"] == f"Bearer {KEY}" for one in world.hub.requests)
    assert all(KEY not in one.query for one in world.hub.requests)
    assert world.path is not None
    for kept in world.path.parent.iterdir():
        assert KEY.encode() not in kept.read_bytes()


@pytest.mark.parametrize("text", ["civitai:21", "civitai:21/211", "urn:air:sdxl:lora:civitai:2@21",
                                  "https://civitai.com/models/2/slug?modelVersionId=21",
                                  "https://civitai.com/models/2"])  # fmt: skip
def test_search_understands_ids_and_addresses(world: World, text: str):
    with world.client() as client:
        assert [one.source.file for one in client.search_text(text)] == [211]


def test_search_understands_hashes_and_words(world: World):
    with world.client() as client:
        version21 = client.by_version(VersionId(21))
        assert version21 is not None
        sha256 = version21.files[0].digests.sha256 or ""
        for text in (sha256, sha256[:10], sha256.upper()):
            assert [one.source.file for one in client.search_text(text)] == [211]
        assert 311 in [one.source.file for one in client.search_text("Detail Tweaker")]
        assert client.search_text("f" * 64) == ()


class Script:
    """An API that answers from a list of hashes; for answers that no sound hub gives."""

    def __init__(self, batch: object, singles: dict[str, object]) -> None:
        self.batch = batch
        self.singles = singles
        self.posts: list[int] = []
        self.gets: list[str] = []

    def post_json(self, url: str, content: object) -> object:
        assert isinstance(content, list)
        self.posts.append(len(content))
        return self.batch

    def get_json(self, url: str, params: Sequence[tuple[str, str]] = ()) -> object:
        wanted = url.rpartition("/")[2]
        self.gets.append(wanted)
        if wanted not in self.singles:
            raise GoneError("not found")
        return self.singles[wanted]


def scripted(script: Script, world: World) -> CivitaiClient:
    cache = ResponseCache(None, clock=lambda: world.now, reporter=world)
    return CivitaiClient(api=script, cache=cache, base_url="https://civitai.com", reporter=world)


def entry(version_id: int, *digests: str) -> dict[str, object]:
    files = [
        {"id": 10 * version_id + number, "hashes": {"SHA256": one.upper()}}
        for number, one in enumerate(digests)
    ]
    return {"id": version_id, "modelId": 1, "files": files}


A, B, C = "a" * 64, "b" * 64, "c" * 64


def test_batch_is_sorted_out_whatever_its_order_nulls_and_repetitions(world: World):
    script = Script([entry(2, B), None, entry(1, A), entry(1, A), entry(3, A)], {})
    found = scripted(script, world).by_hashes([A, B])
    assert {key: [one.version for one in its] for key, its in found.items()} == {A: [1, 3], B: [2]}


def test_object_that_hides_the_matching_file_is_asked_for_alone(world: World):
    """The file was replaced: the version answers for its hash and no longer lists it."""
    script = Script([entry(1, A), entry(7)], {B: entry(7)})
    found = scripted(script, world).by_hashes([A, B, C])
    assert sorted(script.gets) == [B, C]
    assert {key: [one.version for one in its] for key, its in found.items()} == {A: [1], B: [7]}


def test_true_misses_are_not_asked_again(world: World):
    script = Script([entry(1, A)], {})
    client = scripted(script, world)
    assert set(client.by_hashes([A, B])) == {A}
    assert set(client.by_hashes([B, A])) == {A}
    assert (script.posts, script.gets) == ([2], [])


def test_hashes_are_asked_by_the_hundred(world: World):
    script = Script([], {})
    scripted(script, world).by_hashes([f"{number:064x}" for number in range(250)])
    assert script.posts == [100, 100, 50]


@pytest.mark.parametrize("answer", [None, {}, "x", 5])
def test_batch_answer_of_another_shape_is_a_fault_and_not_kept(world: World, answer: object):
    script = Script(json.loads(json.dumps(answer)), {})
    with pytest.raises(ServerError):
        scripted(script, world).by_hashes([A])
    assert scripted(Script([], {}), world).by_hashes([A]) == {}


@pytest.mark.parametrize("answer", [[[]], [{"id": 1}]])
def test_odd_batch_answers_do_no_harm(world: World, answer: object):
    script = Script(json.loads(json.dumps(answer)), {})
    assert scripted(script, world).by_hashes([A]) == {}


def test_short_pages_are_followed_and_a_standing_cursor_ends(world: World):
    class Pages(Script):
        def get_json(self, url: str, params: Sequence[tuple[str, str]] = ()) -> object:
            cursor = dict(params).get("cursor", "0")
            self.gets.append(cursor)
            return {"items": [], "metadata": {"nextCursor": "20" if cursor == "0" else cursor}}

    pages = Pages([], {})
    assert scripted(pages, world).search_name("x_y.safetensors", "checkpoints") == ()
    assert pages.gets[:2] == ["0", "20"]
    assert len(pages.gets) < 20


def test_fault_of_the_network_is_told_once(world: World):
    class Broken(Script):
        def post_json(self, url: str, content: object) -> object:
            raise NetworkError("civitai.com cannot be reached")

    script = Script([entry(1, A), entry(2, B)], {})
    client = scripted(script, world)
    client.by_hashes([A, B])
    world.now += 2 * 24 * 3600
    script.post_json = Broken([], {}).post_json  # type: ignore[method-assign]
    assert set(client.by_hashes([A, B])) == {A, B}
    assert len(world.warnings) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "of unknown age"),
        (5, "less than a minute old"),
        (60, "1 minute old"),
        (7200, "2 hours old"),
        (86400 * 3.5, "3 days old"),
    ],
)
def test_ages_are_told_as_people_say_them(seconds: float, words: str):
    assert age_in_words(seconds) == words


def test_errors_are_of_our_own_tree(world: World):
    world.hub.stop()
    with world.client() as client, pytest.raises(ComfylockError):
        client.search_text("x")
    world.hub.start()
