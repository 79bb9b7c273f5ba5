"""The stand-in's storage keeps the rules of the real hosts, and its faults strike as scripted."""

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.client import AGENT, KEY, Reply, ask, opened
from tests.standin.filenames import download_filename
from tests.standin.server import Fault, Standin

JUGGERNAUT = (133005, 357609, 285921)


@pytest.fixture(scope="module")
def shared() -> Iterator[Standin]:
    with Standin() as hub:
        yield hub


@pytest.fixture
def hub(shared: Standin) -> Standin:
    shared.reset()
    return shared


def api(hub: Standin, path: str, **options: Any) -> Reply:
    return ask(f"{hub.url}/api/v1{path}", **options)


def download(hub: Standin, version_id: int, query: str = "", **options: Any) -> Reply:
    return ask(f"{hub.url}/api/download/models/{version_id}{query}", **options)


def address(hub: Standin, file_id: int = JUGGERNAUT[2]) -> str:
    shelf = hub.catalogue.shelf(file_id)
    answer = download(hub, shelf.version.id, f"?fileId={file_id}", headers=KEY)
    assert answer.status == 307
    return answer.headers["location"]


# --- storage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file_id", [JUGGERNAUT[2], 1310654, 93203])
def test_the_storage_sends_the_true_bytes(hub: Standin, file_id: int):
    """Following the redirect gives the file whose hash the hub recorded."""
    answer = ask(address(hub, file_id))
    assert answer.status == 200
    wanted = hub.catalogue.file(file_id)
    assert int(answer.headers["content-length"]) == wanted.size == len(answer.body)
    assert hashlib.sha256(answer.body).hexdigest() == wanted.sha256
    shelf = hub.catalogue.shelf(file_id)
    name = download_filename(shelf.model, shelf.version, shelf.file)
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["content-type"].endswith("octet-stream")


def test_storage_names_may_be_left_out(hub: Standin):
    """By switch, and for some files for good."""
    assert "content-disposition" not in ask(address(hub, 9200023)).headers
    hub.configure(content_disposition=False)
    assert "content-disposition" not in ask(address(hub)).headers


@pytest.mark.parametrize(("file_id", "content"), [(285921, b"<?xml"), (1310654, b'{"code"')])
def test_the_storage_refuses_a_key_and_an_expired_address(
    hub: Standin, file_id: int, content: bytes
):
    """400 with an Authorization header, 403 after expiry; XML on R2, JSON on B2."""
    place = address(hub, file_id)
    refused = ask(place, headers=KEY)
    assert (refused.status, refused.body[: len(content)]) == (400, content)
    hub.expire_addresses()
    late = ask(place)
    assert (late.status, late.body[: len(content)]) == (403, content)
    assert ask(address(hub, file_id)).status == 200
    assert ask(address(hub, file_id).replace("model/", "model/9")).status in {401, 403}
    assert ask(address(hub), method="HEAD").status == 403


def test_b2_blocks_aria2_by_its_agent(hub: Standin):
    """Known of b2.civitai.com; the other host does not mind."""
    agent = {"User-Agent": "aria2/1.36.0"}
    assert ask(address(hub, 1310654), headers=agent).status == 403
    assert ask(address(hub), headers=agent).status == 200


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "count"),
    [
        ("bytes=100-", 206, "bytes 100-3071/3072", 2972),
        ("bytes=0-0", 206, "bytes 0-0/3072", 1),
        ("bytes=10-5000", 206, "bytes 10-3071/3072", 3062),
        ("bytes=-72", 206, "bytes 3000-3071/3072", 72),
        ("bytes=3072-", 416, "bytes */3072", None),
        ("bytes=0-1,5-6", 200, None, 3072),
        ("lines=1-2", 200, None, 3072),
    ],
)
def test_ranges(
    hub: Standin, asked: str, status: int, content_range: str | None, count: int | None
):
    """206, 416 or the whole file, as S3 does it."""
    answer = ask(address(hub, 9200019), headers={"Range": asked})
    assert answer.status == status
    assert answer.headers.get("content-range") == content_range
    if count is not None:
        assert len(answer.body) == count


def test_if_range_starts_over_when_the_file_is_another(hub: Standin):
    """The part comes only when the ETag or the date still agrees."""
    place = address(hub, 9200019)
    first = ask(place)
    etag, date = first.headers["etag"], first.headers["last-modified"]
    for condition, status in ((etag, 206), (date, 206), ('"other"', 200)):
        asked = {"Range": "bytes=5-", "If-Range": condition}
        assert ask(place, headers=asked).status == status


def test_one_connection_serves_many_requests(hub: Standin):
    """HTTP/1.1 keep-alive, errors included."""
    sockets = set()
    with closing(http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=5)) as connection:
        for path in ("/api/v1/models?limit=1", "/api/v1/models/1", "/api/v1/model-versions/1"):
            connection.request("GET", path, headers=AGENT)
            connection.getresponse().read()
            sockets.add(id(connection.sock))
    assert len(sockets) == 1
    assert len(hub.requests) == 3


# --- faults ------------------------------------------------------------------------------------


def faulty(hub: Standin, fault: Fault, **options: Any) -> Reply:
    """Ask the storage for the small LoRA with this fault armed."""
    place = address(hub, 9200019)
    hub.fault(replace(fault, origin="storage"))
    return ask(place, **options)


@pytest.fixture
def whole(hub: Standin) -> bytes:
    return hub.catalogue.file(9200019).payload.read()


@pytest.mark.parametrize("kind", ["reset", "truncate"])
def test_a_connection_cut_midway(hub: Standin, kind: Any):
    """A reset is an error of the connection, a truncation a clean end that comes too soon."""
    place = address(hub, 9200019)
    hub.fault(Fault(kind=kind, match="add-detail", nbytes=1000))
    expected = ConnectionResetError if kind == "reset" else http.client.IncompleteRead
    with pytest.raises(expected):
        ask(place)
    assert hub.requests[-1].bytes_sent == 1000
    assert ask(place).status == 200


def test_a_stall_sends_nothing_more(hub: Standin):
    """The first bytes come and then none, until the client loses patience."""
    place = address(hub, 9200019)
    hub.fault(Fault(kind="stall", nbytes=1000, stall_s=30))
    with opened(place, timeout_s=0.2) as answer:
        assert len(answer.read(1000)) == 1000
        with pytest.raises(TimeoutError):
            answer.read(1)


def test_slow_answers(hub: Standin, whole: bytes):
    """Drip, throttle and delay take the time that they should."""
    for fault, at_least in (
        (Fault(kind="drip", chunk=1000, interval_s=0.05), 0.15),
        (Fault(kind="throttle", bytes_per_s=20_000), 0.12),
        (Fault(kind="delay", delay_s=0.1), 0.1),
    ):
        started = time.monotonic()
        assert faulty(hub, fault).body == whole
        assert time.monotonic() - started >= at_least
    hub.configure(throttle_per_connection=20_000, latency_s=0.05)
    started = time.monotonic()
    assert ask(address(hub, 9200019)).body == whole
    assert time.monotonic() - started >= 0.2


def test_what_a_client_that_has_gone_does_not_get_is_not_counted(hub: Standin):
    """The system takes one piece more behind the client's end, and throws it away."""
    place = address(hub)
    hub.fault(Fault(kind="drip", chunk=100, interval_s=0.5))
    with opened(place) as answer:
        assert len(answer.read(100)) == 100
    time.sleep(0.8)
    assert hub.requests[-1].bytes_sent == 100


def test_bodies_of_wrong_length(hub: Standin, whole: bytes):
    """Short, long and without a length; all consistent as HTTP."""
    assert faulty(hub, Fault(kind="short", nbytes=10)).body == whole[:-10]
    longer = faulty(hub, Fault(kind="long", nbytes=10)).body
    assert (longer[: len(whole)], len(longer)) == (whole, len(whole) + 10)
    unmeasured = faulty(hub, Fault(kind="nolen"))
    assert unmeasured.body == whole
    assert "content-length" not in unmeasured.headers


def test_an_endless_body_ends_with_the_client(hub: Standin):
    """More and more bytes, until the connection is closed."""
    place = address(hub, 9200019)
    hub.fault(Fault(kind="endless"))
    with opened(place) as answer:
        assert len(answer.read(5_000_000)) == 5_000_000


def test_wrong_bytes_of_right_length(hub: Standin, whole: bytes):
    """One byte is flipped, or the file is another one."""
    flipped = faulty(hub, Fault(kind="flip", nbytes=500)).body
    assert [place for place, one in enumerate(flipped) if one != whole[place]] == [500]
    other = faulty(hub, Fault(kind="wrong_file", file_id=93203)).body
    assert hashlib.sha256(other).hexdigest() == hub.catalogue.file(93203).sha256


def test_ranges_that_go_wrong(hub: Standin, whole: bytes):
    """Ignored, mislabelled, unlabelled, refused, and a file that has changed."""
    asked = {"Range": "bytes=1000-"}
    assert faulty(hub, Fault(kind="ignore_range"), headers=asked).body == whole
    bad = faulty(hub, Fault(kind="bad_content_range", content_range="bytes 5-9/10"), headers=asked)
    assert (bad.status, bad.headers["content-range"]) == (206, "bytes 5-9/10")
    unlabelled = faulty(hub, Fault(kind="no_content_range"), headers=asked)
    assert (unlabelled.status, "content-range" in unlabelled.headers) == (206, False)
    refused = faulty(hub, Fault(kind="status_416"), headers=asked)
    assert (refused.status, refused.headers["content-range"]) == (416, "bytes */3072")
    etag = ask(address(hub, 9200019)).headers["etag"]
    changed = faulty(hub, Fault(kind="etag_changes"), headers=asked | {"If-Range": etag})
    assert (changed.status, changed.headers["etag"]) == (200, '"changed-1"')


def test_a_resume_alone_can_be_hit(hub: Standin):
    """needs_header narrows a fault down to requests with a Range."""
    place = address(hub, 9200019)
    hub.fault(Fault(kind="expire", needs_header="Range", times=None))
    assert ask(place).status == 200
    assert ask(place, headers={"Range": "bytes=9-"}).status == 403


@pytest.mark.parametrize(
    ("fault", "status", "header", "value"),
    [
        (Fault(kind="status", status=429, headers={"Retry-After": "7"}), 429, "retry-after", "7"),
        (Fault(kind="status", status=524, body="<html>"), 524, "content-type", "text/html"),
        (Fault(kind="status", status=451, body="{}"), 451, "content-type", "application/json"),
        (Fault(kind="html"), 200, "content-type", "text/html"),
        (Fault(kind="json"), 200, "content-type", "application/json"),
        (Fault(kind="expire"), 403, "content-type", "application/xml"),
        (Fault(kind="redirect", location="file:///etc/passwd"), 307, "location", "file:///etc"),
        (Fault(kind="gzip"), 200, "content-encoding", "gzip"),
        (Fault(kind="gzip", encoding="br"), 200, "content-encoding", "br"),
        (Fault(kind="headers", headers={"ETag": '"x"'}), 200, "etag", '"x"'),
    ],
)
def test_answers_in_place_of_the_true_one(
    hub: Standin, fault: Fault, status: int, header: str, value: str
):
    """Statuses, pages, redirects and headers, once; then the truth again."""
    answer = faulty(hub, fault)
    assert answer.status == status
    assert answer.headers[header].startswith(value)
    assert ask(address(hub, 9200019)).status == 200


def test_redirects_in_a_chain_end_and_in_a_loop_do_not(hub: Standin):
    """A chain of three leads to the true answer; without an end it goes in a circle."""
    hub.fault(Fault(kind="redirect", match="357609", chain=3, times=None))
    place, hops = f"{hub.url}/api/download/models/357609?fileId=285921", 0
    while place.startswith(hub.url):
        place, hops = ask(place).headers["location"], hops + 1
    assert hops == 4
    assert place.startswith(hub.storage_url)
    hub.clear_faults()
    hub.fault(Fault(kind="redirect", match="357609", times=None))
    place = f"{hub.url}/api/download/models/357609"
    for _ in range(12):
        place = ask(place).headers["location"]
    assert place.startswith(hub.url)


def test_extra_bytes_follow_the_promised_length(hub: Standin, whole: bytes):
    """They lie on the connection, where a client that reuses it takes them for an answer."""
    place = urlsplit(address(hub, 9200019))
    hub.fault(Fault(kind="extra_bytes", nbytes=20, match="add-detail"))
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=5) as raw:
        target = f"{place.path}?{place.query}"
        raw.sendall(f"GET {target} HTTP/1.1\r\nHost: {place.netloc}\r\n".encode())
        raw.sendall(b"Connection: close\r\n\r\n")
        head, _, body = raw.makefile("rb").read().partition(b"\r\n\r\n")
    assert b"Content-Length: 3072" in head
    assert (body[:3072], len(body)) == (whole, 3092)


def test_faults_are_counted(hub: Standin):
    """The first two requests pass, two are hit, the next one is for the second fault."""
    hub.fault(Fault(kind="status", status=502, match=r"^/api/v1/models$", after=2, times=2))
    hub.fault(Fault(kind="status", status=503, match=r"^/api/v1/models\?limit=1$", after=4))
    hub.fault(Fault(kind="status", status=500, match="never"))
    seen = [api(hub, "/models?limit=1").status for _ in range(6)]
    assert seen == [200, 200, 502, 502, 503, 200]


def test_unknown_faults_are_refused():
    """A misspelt kind is an error at once."""
    with pytest.raises(ValueError, match="unknown kind"):
        Fault(kind="explode")  # type: ignore[arg-type]


# --- the handle --------------------------------------------------------------------------------


def test_the_log_tells_what_came_and_what_went(hub: Standin):
    """Origin, target, headers in lower case, status and bytes, in order."""
    ask(address(hub, 9200019))
    first, second = hub.requests
    assert (first.origin, first.status, first.path) == ("api", 307, "/api/download/models/135867")
    assert first.query == "fileId=9200019"
    assert first.headers["authorization"] == "Bearer standin-key"
    assert (second.origin, second.status, second.bytes_sent) == ("storage", 200, 3072)
    assert "authorization" not in second.headers
    hub.clear_requests()
    assert hub.requests == ()


def test_the_catalogue_can_change_while_it_runs(hub: Standin):
    """A model is published, its file replaced, and all of it deleted."""
    place = address(hub, 9200019)
    new = model(1, "New", "LORA", versions=[version(2, "v1", files=[file(3, "new.safetensors")])])
    hub.replace(Catalogue.of([new]))
    assert [one["id"] for one in api(hub, "/models?query=new").json()["items"]] == [1]
    assert ask(place).status == 404
    before = address(hub, 3)
    hub.replace(hub.catalogue.with_file(replace(hub.catalogue.file(3), seed="other")))
    assert ask(before).status == 404
    assert ask(address(hub, 3)).status == 200
    hub.replace(hub.catalogue.without_model(1))
    assert api(hub, "/model-versions/2").status == 404


def test_the_control_door_is_not_logged(hub: Standin):
    """Another process can script faults, read the log and reset."""
    door = f"{hub.url}/_standin"
    fault = json.dumps({"kind": "status", "status": 418, "match": "/me$"}).encode()
    assert ask(f"{door}/fault", method="POST", body=fault).json() == {"ok": True}
    assert api(hub, "/me").status == 418
    assert [one["path"] for one in ask(f"{door}/requests").json()] == ["/api/v1/me"]
    rows = ask(f"{door}/catalogue").json()
    assert {(one["name"], one["file"]) for one in rows} >= {("4x-UltraSharp.pth", 93203)}
    assert ask(f"{door}/fault", method="POST", body=b'{"kind": "boom"}').status == 400
    ask(f"{door}/reset", method="POST")
    assert hub.requests == ()


def test_a_large_file_costs_no_memory_and_a_stopped_host_refuses():
    """A 4 GiB file can be read at its end; stop refuses connections, start takes the same port."""
    huge = file(3, "huge.safetensors", size=4 << 30, hash_types=[])
    catalogue = Catalogue.of(
        [model(1, "Huge", "Checkpoint", versions=[version(2, "v1", files=[huge])])]
    )
    with Standin(catalogue) as hub:
        end = ask(address(hub, 3), headers={"Range": f"bytes={(4 << 30) - 10}-"})
        assert end.body == huge.payload.read((4 << 30) - 10)
        url = hub.url
        hub.stop()
        with pytest.raises(ConnectionRefusedError):
            ask(url)
        hub.start()
        assert hub.url == url
        assert ask(url).status == 200


def test_many_connections_at_once(hub: Standin):
    """Sixteen clients with a range each put the file together."""
    wanted = hub.catalogue.file(JUGGERNAUT[2])
    place, step = address(hub), wanted.size // 16
    parts: dict[int, bytes] = {}

    def fetch(number: int) -> None:
        asked = {"Range": f"bytes={number * step}-{(number + 1) * step - 1}"}
        parts[number] = ask(place, headers=asked).body

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(16)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    joined = b"".join(parts[number] for number in range(16))
    assert hashlib.sha256(joined).hexdigest() == wanted.sha256
