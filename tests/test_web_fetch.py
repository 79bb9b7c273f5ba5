"""Model bytes from a stand-in of the hub and its storage: ranges, faults, keys, and pages."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from comfylock.artifacts import (
    CivitaiSource,
    FileId,
    HuggingFaceSource,
    ModelId,
    Source,
    UrlSource,
    VersionId,
)
from comfylock.errors import (
    AuthRequiredError,
    EarlyAccessError,
    FetchError,
    ForbiddenError,
    GoneError,
    HostNotAllowedError,
    NetworkError,
    NotAModelError,
    ServerError,
)
from comfylock.events import Silence
from comfylock.hubs import Secret
from comfylock.web.fetch import Fetcher
from comfylock.web.origins import Origin
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Fault, Standin

KEY = "a-key-of-ours"

SIZE = 300_000
SHELVES = Catalogue.of(
    [
        model(
            1,
            "Ink Wash",
            "LORA",
            versions=[
                version(11, "v1", files=[file(111, "ink.safetensors", size=SIZE)]),
                version(
                    12,
                    "v2",
                    files=[file(112, "ink2.safetensors")],
                    paid_access={"ends_at": "2099-01-01T00:00:00.000Z"},
                ),
                version(
                    13, "v3", files=[file(113, "ink3.safetensors")], usage_control="Generation"
                ),
                version(14, "v4", files=[file(114, "ink4.safetensors")], require_auth=True),
            ],
        )
    ]
)


def source(version_id: int = 11, file_id: int = 111) -> CivitaiSource:
    return CivitaiSource(model=ModelId(1), version=VersionId(version_id), file=FileId(file_id))


@contextmanager
def fetching(
    hub: Standin, *, key: str | None = None, allowed: frozenset[str] = frozenset()
) -> Iterator[Fetcher]:
    port = int(hub.url.rpartition(":")[2])
    transport = Transport(
        keys={Origin("http", "127.0.0.1", port): Secret(key)} if key else {},
        allowed_hosts=frozenset(),
        environment={},
        reporter=Silence(),
        offline=False,
        waiting=Waiting(sleep=lambda _: None, clock=time.monotonic),
    )
    try:
        yield Fetcher(
            transport, civitai_url=hub.url, huggingface_url=hub.url, allowed_hosts=allowed
        )
    finally:
        transport.close()


def whole(hub: Standin) -> bytes:
    with fetching(hub) as fetcher, fetcher.open(source(), start=0, validator=None) as body:
        return b"".join(bytes(chunk) for chunk in body.chunks())


def read(
    fetcher: Fetcher, start: int, validator: str | None = None, *, wanted: Source | None = None
) -> tuple[int, bytes]:
    with fetcher.open(wanted or source(), start=start, validator=validator) as body:
        return body.start, b"".join(bytes(chunk) for chunk in body.chunks())


@pytest.fixture
def hub() -> Iterator[Standin]:
    with Standin(SHELVES) as standing:
        yield standing


def test_file_comes_whole_with_its_length_and_validator(hub: Standin):
    with fetching(hub) as fetcher, fetcher.open(source(), start=0, validator=None) as body:
        data = b"".join(bytes(chunk) for chunk in body.chunks())
        assert (body.start, body.total, len(data)) == (0, SIZE, SIZE)
        assert body.validator
    assert hub.requests[0].path == "/api/download/models/11"
    assert hub.requests[0].query == "fileId=111"


def test_body_with_a_length_is_read_past_the_library_and_chunks_do_not_last(hub: Standin):
    """A chunk kept for later must fail loudly, not change under its holder."""
    with fetching(hub) as fetcher, fetcher.open(source(), start=0, validator=None) as body:
        kept = list(body.chunks())
    late = [chunk for chunk in kept if isinstance(chunk, memoryview)]
    assert late
    with pytest.raises(ValueError, match="released"):
        bytes(late[0])


def test_key_goes_to_the_hub_and_never_to_the_storage(hub: Standin):
    with fetching(hub, key="standin-key") as fetcher:
        read(fetcher, 0)
    assert hub.requests[0].headers["authorization"] == "Bearer standin-key"
    storage = [one for one in hub.requests if one.origin == "storage"]
    assert storage
    assert all("authorization" not in one.headers for one in storage)
    assert all("standin-key" not in one.query + one.path for one in hub.requests)


def test_rest_of_a_file_is_asked_for_with_its_validator(hub: Standin):
    expected = whole(hub)
    with fetching(hub) as fetcher:
        with fetcher.open(source(), start=0, validator=None) as body:
            validator = body.validator
        assert read(fetcher, 100_000, validator) == (100_000, expected[100_000:])
    last = hub.requests[-1]
    assert last.status == 206
    assert last.headers["range"] == "bytes=100000-"
    assert last.headers["if-range"] == validator
    assert last.headers["accept-encoding"] == "identity"


def test_resume_goes_through_the_hub_again(hub: Standin):
    """Signed addresses run out; only the hub's is lasting."""
    with fetching(hub) as fetcher:
        read(fetcher, 0)
        read(fetcher, 1000)
    assert [one.origin for one in hub.requests] == ["api", "storage", "api", "storage"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="ignore_range", origin="storage"),
        Fault(kind="status_416", origin="storage"),
        Fault(kind="bad_content_range", origin="storage"),
        Fault(kind="no_content_range", origin="storage"),
    ],
)
def test_a_range_that_cannot_be_had_starts_over(hub: Standin, fault: Fault):
    expected = whole(hub)
    hub.fault(fault)
    with fetching(hub) as fetcher:
        assert read(fetcher, 5000) == (0, expected)


def test_changed_file_starts_over_by_its_validator(hub: Standin):
    with fetching(hub) as fetcher:
        start, data = read(fetcher, 5000, '"another-tag"')
        assert (start, len(data)) == (0, SIZE)


def test_expired_address_gets_one_fresh_trip(hub: Standin):
    expected = whole(hub)
    hub.fault(Fault(kind="expire", origin="storage"))
    with fetching(hub) as fetcher:
        assert read(fetcher, 0) == (0, expected)
    hub.fault(Fault(kind="expire", origin="storage", times=None))
    with fetching(hub) as fetcher, pytest.raises(ForbiddenError):
        read(fetcher, 0)


@pytest.mark.parametrize("start", [0, 5000])
@pytest.mark.parametrize("kind", ["html", "json"])
def test_pages_and_error_texts_are_not_models(hub: Standin, kind: str, start: int):
    body = '{"error":"x went wrong"}'
    hub.fault(Fault(kind=kind, origin="storage", times=None, status=200, body=body))  # type: ignore[arg-type]
    with fetching(hub) as fetcher, pytest.raises(NotAModelError) as caught:
        read(fetcher, start)
    assert caught.value.slug == "unsafe-format"
    assert caught.value.hint


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="json", body=f'{{"error":"{KEY}"}}', origin="api"),
        Fault(kind="html", body=f"<title>{KEY}</title>", origin="api"),
        Fault(kind="redirect", location=f"http://{KEY}.example/x", origin="api"),
    ],
    ids=["json", "page", "redirect"],
)
def test_key_that_a_server_repeats_where_a_model_should_be_is_not_told(hub: Standin, fault: Fault):
    hub.fault(fault)
    with fetching(hub, key=KEY) as fetcher, pytest.raises(FetchError) as caught:
        read(fetcher, 0)
    assert KEY not in f"{caught.value.message}{caught.value.hint}"


def test_compressed_file_is_refused(hub: Standin):
    hub.fault(Fault(kind="gzip", origin="storage"))
    with fetching(hub) as fetcher, pytest.raises(ServerError, match="compressed"):
        read(fetcher, 0)


@pytest.mark.parametrize("kind", ["reset", "truncate"])
def test_all_that_came_before_a_break_is_handed_over(hub: Standin, kind: str):
    expected = whole(hub)
    hub.fault(Fault(kind=kind, origin="storage", nbytes=200_001))  # type: ignore[arg-type]
    got = bytearray()

    def read_on(fetcher: Fetcher) -> None:
        with fetcher.open(source(), start=0, validator=None) as body:
            for chunk in body.chunks():
                got.extend(chunk)

    with fetching(hub) as fetcher, pytest.raises(NetworkError, match=r"127\.0\.0\.1"):
        read_on(fetcher)
    assert bytes(got) == expected[: len(got)]
    if kind == "truncate":
        assert len(got) == 200_001


def test_body_without_a_length_comes_whole(hub: Standin):
    expected = whole(hub)
    hub.fault(Fault(kind="nolen", origin="storage"))
    with fetching(hub) as fetcher, fetcher.open(source(), start=0, validator=None) as body:
        assert body.total is None
        assert b"".join(bytes(chunk) for chunk in body.chunks()) == expected


def test_endless_redirects_end(hub: Standin):
    hub.fault(Fault(kind="redirect", origin="api", times=None))
    with fetching(hub) as fetcher, pytest.raises(ServerError, match="redirected more than"):
        read(fetcher, 0)


@pytest.mark.parametrize(
    ("version_id", "file_id", "kind", "slug"),
    [
        (12, 112, EarlyAccessError, "early-access"),
        (13, 113, ForbiddenError, "forbidden"),
        (14, 114, AuthRequiredError, "auth-required"),
        (99, 999, GoneError, "gone"),
        (11, 112, GoneError, "gone"),
    ],
)
def test_the_hubs_refusals_are_told_apart(
    hub: Standin, version_id: int, file_id: int, kind: type[FetchError], slug: str
):
    with fetching(hub) as fetcher, pytest.raises(kind) as caught:
        read(fetcher, 0, wanted=source(version_id, file_id))
    assert caught.value.slug == slug
    assert caught.value.hint


def test_not_found_is_asked_once_more(hub: Standin):
    """civitai.com answers a fault of its storage with the same 404."""
    hub.fault(Fault(kind="status", origin="api", status=404, body='{"error":"File not found"}'))
    with fetching(hub) as fetcher:
        assert read(fetcher, 0)[0] == 0


def test_trouble_of_the_server_is_left_to_the_downloader(hub: Standin):
    hub.fault(Fault(kind="status", origin="api", status=503, headers={"Retry-After": "7"}))
    with fetching(hub) as fetcher, pytest.raises(ServerError) as caught:
        read(fetcher, 0)
    assert getattr(caught.value, "retry_after_s", None) == 7.0
    assert len(hub.requests) == 1


def test_plain_address_needs_an_allowed_host_though_it_be_this_machine(hub: Standin):
    address = UrlSource(url=f"{hub.url}/api/download/models/11?fileId=111")
    with fetching(hub) as fetcher, pytest.raises(HostNotAllowedError):
        read(fetcher, 0, wanted=address)
    assert hub.requests == ()
    with fetching(hub, allowed=frozenset({"127.0.0.1"})) as fetcher:
        assert len(read(fetcher, 0, wanted=address)[1]) == SIZE


def test_hugging_face_address_is_built_from_repo_revision_and_path(hub: Standin):
    wanted = HuggingFaceSource(repo="a/b", revision="f" * 40, file="sub dir/x#1.safetensors")
    with fetching(hub) as fetcher, pytest.raises(FetchError):
        read(fetcher, 0, wanted=wanted)
    assert hub.requests[0].path.startswith(f"/a/b/resolve/{'f' * 40}/sub")
    assert hub.requests[0].query == ""
