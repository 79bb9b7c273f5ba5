"""Hugging Face as a catalogue, against a stand-in of the hub: commits, hashes, refusals, age."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from comfylock.addresses import HuggingFaceAddress, PlainAddress, parse_address, parse_spec
from comfylock.artifacts import HostedFile, HuggingFaceSource
from comfylock.civitai.cache import ResponseCache
from comfylock.errors import (
    AuthRequiredError,
    ForbiddenError,
    NetworkError,
    OfflineError,
    ServerError,
)
from comfylock.events import Event, Warned
from comfylock.hashes import Digests
from comfylock.hubs import Hub, Secret
from comfylock.huggingface.client import HuggingFaceClient
from comfylock.huggingface.payloads import parse_commit, parse_entry
from comfylock.web.fetch import Fetcher
from comfylock.web.origins import hub_keys
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting
from tests.standin_hf.repositories import Shelves, hub_file, repository
from tests.standin_hf.server import Fault, HuggingFaceStandin, keys_seen

DAY_S = 24 * 3600
KEY = "canary-hf-7d1c"
VAE = hub_file("ae.safetensors", size=30_000)
SMALL = hub_file("small.pt", size=900, lfs=False)


def shelves() -> Shelves:
    return Shelves.of(
        repository(
            "owner/open",
            {
                "vae/ae.safetensors": VAE,
                "small.pt": SMALL,
                "sub dir/x#1.safetensors": hub_file("x"),
                "bad.pt": hub_file("bad.pt", av_status="unsafe"),
            },
        ),
        repository(
            "owner/gated",
            {"ae.safetensors": VAE},
            gated=True,
            metadata_gated=True,
            granted=(KEY,),
        ),
        repository("owner/half", {"ae.safetensors": VAE}, gated=True, granted=(KEY,)),
        repository("owner/secret", {"ae.safetensors": VAE}, private=True, granted=(KEY,)),
        renamed={"old/name": "owner/open"},
    )


class World:
    """A client, the hub behind it, its clock and what it told."""

    def __init__(self, hub: HuggingFaceStandin, path: Path | None) -> None:
        self.hub = hub
        self.path = path
        self.now = 1_000_000.0
        self.events: list[Event] = []

    def on(self, event: Event) -> None:
        self.events.append(event)

    @contextmanager
    def client(
        self, *, offline: bool = False, key: str | None = None
    ) -> Iterator[HuggingFaceClient]:
        hubs = Hub(huggingface_url=self.hub.url, huggingface_key=Secret(key) if key else None)
        transport = Transport(
            keys=hub_keys(hubs),
            allowed_hosts=frozenset(),
            environment={},
            reporter=self,
            offline=offline,
            waiting=Waiting(sleep=lambda _: None, clock=time.monotonic),
        )
        answers = ResponseCache(self.path, clock=lambda: self.now, reporter=self)
        files = Fetcher(
            transport,
            civitai_url=self.hub.url,
            huggingface_url=self.hub.url,
            allowed_hosts=frozenset(),
        )
        try:
            yield HuggingFaceClient(
                api=transport,
                files=files,
                answers=answers,
                base_url=self.hub.url + "/",
                reporter=self,
            )
        finally:
            transport.close()
            answers.close()

    def ask(
        self,
        repo: str = "owner/open",
        file: str = "vae/ae.safetensors",
        revision: str = "main",
        *,
        offline: bool = False,
        key: str | None = None,
    ) -> HostedFile | None:
        with self.client(offline=offline, key=key) as client:
            return client.file_at(HuggingFaceAddress(repo=repo, revision=revision, file=file))

    @property
    def asked(self) -> int:
        """How many requests the hub has had."""
        return len(self.hub.requests)

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with HuggingFaceStandin(shelves(), keys=(KEY, "other-key")) as hub:
        yield World(hub, tmp_path / "api.sqlite")


def found(file: HostedFile | None) -> HostedFile:
    assert file is not None
    return file


# What is learned


def test_branch_is_pinned_to_its_commit_with_exact_size_and_hash_and_nothing_is_downloaded(
    world: World,
):
    file = found(world.ask())
    head = world.hub["owner/open"].head
    assert file.source == HuggingFaceSource(
        repo="owner/open", revision=head, file="vae/ae.safetensors"
    )
    assert (file.size_hint, file.digests) == (30_000, Digests(sha256=VAE.sha256))
    assert file.file_name == "ae.safetensors"
    assert not file.unsafe
    assert {entry.origin for entry in world.hub.requests} == {"api"}


def test_commit_needs_one_question_and_never_another(world: World):
    head = world.hub["owner/open"].head
    first = world.ask(revision=head)
    assert world.asked == 1
    world.now += 60 * DAY_S
    assert world.ask(revision=head) == first
    assert world.ask(revision=head, offline=True) == first
    assert world.asked == 1


def test_branch_is_asked_for_again_after_a_day_and_its_files_only_if_it_moved(world: World):
    world.ask()
    world.ask()
    assert world.asked == 2
    world.now += DAY_S + 1
    world.ask()
    assert world.asked == 3
    new = hub_file("ae.safetensors", seed="new")
    moved = world.hub.push("owner/open", {"vae/ae.safetensors": new})
    world.now += DAY_S + 1
    file = found(world.ask())
    assert isinstance(file.source, HuggingFaceSource)
    assert (file.source.revision, file.digests.sha256) == (moved, new.sha256)


def test_two_files_of_one_branch_ask_for_its_commit_once(world: World):
    world.ask()
    world.ask(file="sub dir/x#1.safetensors")
    assert [entry.path.split("/")[5] for entry in world.hub.requests] == [
        "revision",
        "paths-info",
        "paths-info",
    ]


def test_small_file_without_lfs_is_fetched_once_and_hashed(world: World):
    data = SMALL.payload.read()
    wanted = Digests(sha256=hashlib.sha256(data).hexdigest(), blake3=blake3(data).hexdigest())
    assert found(world.ask(file="small.pt")).digests == wanted
    asked = world.asked
    assert found(world.ask(file="small.pt")).digests == wanted
    assert world.asked == asked


def test_small_file_whose_bytes_are_not_gits_is_no_answer(world: World):
    world.hub.fault(Fault(kind="flip", match="resolve-cache", nbytes=5))
    with pytest.raises(ServerError, match="not those that its commit holds"):
        world.ask(file="small.pt")
    assert world.ask(file="small.pt") is not None


def test_renamed_repository_is_followed_and_keeps_the_asked_name(world: World):
    file = found(world.ask("old/name"))
    assert isinstance(file.source, HuggingFaceSource)
    assert file.source.repo == "old/name"
    assert file.digests.sha256 == VAE.sha256


def test_virus_is_told(world: World):
    assert found(world.ask(file="bad.pt")).unsafe


@pytest.mark.parametrize(
    ("repo", "file", "revision"),
    [
        ("owner/open", "vae/none.safetensors", "main"),
        ("owner/open", "vae", "main"),
        ("owner/open", "vae/ae.safetensors", "nobranch"),
        ("owner/open", "vae/ae.safetensors", "e" * 40),
        ("owner/none", "vae/ae.safetensors", "main"),
        ("owner/secret", "ae.safetensors", "main"),
    ],
)
def test_what_is_not_there_is_none(world: World, repo: str, file: str, revision: str):
    assert world.ask(repo, file, revision) is None


def test_private_repository_is_seen_as_soon_as_there_is_a_key(world: World):
    assert world.ask("owner/secret", "ae.safetensors") is None
    assert world.ask("owner/secret", "ae.safetensors", key=KEY) is not None


# Refusals and faults


def test_gated_repository_tells_where_to_accept_its_licence(world: World):
    with pytest.raises(
        AuthRequiredError, match="Access to model owner/gated is restricted"
    ) as told:
        world.ask("owner/gated", "ae.safetensors")
    assert "https://huggingface.co/owner/gated, then set HF_TOKEN" in str(told.value.hint)
    with pytest.raises(ForbiddenError, match="not in the authorized list") as told_again:
        world.ask("owner/gated", "ae.safetensors", key="other-key")
    assert "https://huggingface.co/owner/gated" in str(told_again.value.hint)
    assert world.ask("owner/gated", "ae.safetensors", key=KEY) is not None


def test_gated_files_are_locked_without_a_key_where_the_hub_tells_of_them(world: World):
    assert found(world.ask("owner/half", "ae.safetensors")).digests.sha256 == VAE.sha256


def test_bad_key_is_told_as_such(world: World):
    with pytest.raises(AuthRequiredError, match="does not accept the key") as told:
        world.ask(key="expired-key")
    assert "expired-key" not in f"{told.value} {told.value.hint}"


def test_key_goes_to_the_hub_alone(world: World):
    found(world.ask("owner/gated", "ae.safetensors", key=KEY))
    found(world.ask(file="small.pt", key=KEY))
    assert keys_seen(world.hub.requests)["api"] == {f"Bearer {KEY}"}
    assert KEY.encode() not in (world.path or Path()).read_bytes()


def test_old_answer_serves_when_the_hub_fails_and_is_told_with_its_age(world: World):
    first = world.ask()
    world.now += 3 * DAY_S
    world.hub.fault(Fault(kind="status", status=503, times=None))
    assert world.ask() == first
    assert "3 days old" in world.warnings[0]
    with pytest.raises(ServerError):
        world.ask("owner/half", "ae.safetensors")


def test_offline_answers_what_is_kept_and_refuses_the_rest(world: World):
    first = world.ask()
    world.now += 3 * DAY_S
    assert world.ask(offline=True) == first
    with pytest.raises(OfflineError):
        world.ask("owner/half", "ae.safetensors", offline=True)
    world.hub.stop()
    with pytest.raises(NetworkError):
        world.ask("owner/half", "ae.safetensors")


def test_answer_without_a_commit_is_a_fault_not_an_absence(world: World):
    world.hub.fault(Fault(kind="json", match="/revision/", body='{"id": "owner/open"}', times=None))
    with pytest.raises(ServerError, match="without a commit"):
        world.ask()


# Payloads and addresses

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["path", "type", "size", "oid", "lfs", "sha", "securityFileStatus"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_json_is_ever_an_error(answer: object):
    parse_commit(answer)
    parse_entry(answer, "x")
    parse_entry([answer], "x")


def test_hash_of_a_pointer_is_never_taken_for_that_of_the_bytes():
    row = {"path": "x", "type": "file", "oid": "a" * 40, "size": 7}
    entry = parse_entry([row], "x")
    assert entry is not None
    assert (entry.digests, entry.blob) == (Digests(), "a" * 40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://huggingface.co/a/b/resolve/main/c/d.pt?download=true", "a/b main c/d.pt"),
        ("https://huggingface.co/a/b/blob/v1/c%20d.bin", "a/b v1 c d.bin"),
        ("https://hf-mirror.com/a/b/resolve/main/c.bin", "a/b main c.bin"),
        ("https://huggingface.co/gpt2/resolve/main/c.bin", "gpt2 main c.bin"),
        ("https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/c.bin", "a/b refs/pr/1 c.bin"),
        ("hf:a/b@main:c/d.bin", "a/b main c/d.bin"),
        ("hf:a/b:c.bin", "a/b main c.bin"),
        (f"hf:a/b@{'f' * 40}:c.bin", f"a/b {'f' * 40} c.bin"),
    ],
)  # fmt: skip
def test_places_in_repositories_are_understood(text: str, expected: str):
    address = parse_spec(text)
    assert isinstance(address, HuggingFaceAddress)
    assert f"{address.repo} {address.revision} {address.file}" == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://huggingface.co/a/b",
        "https://huggingface.co/a/b/tree/main",
        "https://huggingface.co/datasets/a/b/resolve/main/c.bin",
        "https://huggingface.co/datasets/a/resolve/main/c.bin",
        "https://huggingface.co/a/b/resolve/main/../c.bin",
        "https://huggingface.co/a/b/resolve/main/c%0a.bin",
        "https://huggingface.co.evil.org/a/b/resolve/main/c.bin",
        "hf:a/b/c@main:d",
        "hf:../b@main:d",
        "hf:a/b@main:",
    ],
)
def test_what_names_no_single_file_of_a_repository_is_not_taken_for_one(text: str):
    assert not isinstance(parse_spec(text), HuggingFaceAddress)
    assert parse_address(text) is None


def test_other_addresses_are_plain():
    assert parse_spec("https://example.org/a.bin") == PlainAddress(url="https://example.org/a.bin")
    assert parse_spec("ftp://example.org/a.bin") is None
    assert parse_spec("models/a.bin") is None


@pytest.mark.parametrize(
    "lacking",
    [
        Fault(kind="status", status=404, match="/revision/", times=None),
        Fault(kind="status", status=404, match="/paths-info/", times=None),
        Fault(kind="status", status=501, match="/paths-info/", times=None),
        Fault(kind="status", status=404, match="/api/models/", times=None),
    ],
)
def test_mirror_without_the_api_tells_by_the_headers_of_the_file_itself(
    world: World, lacking: Fault
):
    known = world.ask()
    assert known is not None
    mirror = World(world.hub, None)
    world.hub.fault(lacking)
    told = mirror.ask()
    assert told is not None
    assert (told.source, told.digests, told.size_hint) == (
        known.source, known.digests, known.size_hint,
    )  # fmt: skip
    assert "HEAD" in {entry.method for entry in world.hub.requests}


def test_file_that_the_hub_itself_says_is_not_there_is_not_asked_for_in_another_way(world: World):
    assert world.ask("owner/none") is None
    assert world.ask(file="none.safetensors") is None
    assert "HEAD" not in {entry.method for entry in world.hub.requests}


def test_mirror_that_has_pages_alone_is_in_trouble_and_says_nothing_of_the_file(world: World):
    world.hub.fault(Fault(kind="status", status=404, match="/", times=None))
    with pytest.raises(ServerError, match="web page"):
        world.ask()
