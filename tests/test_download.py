"""Every fault of the network that the stand-in can stage, and what an install makes of it.

Each row says what the user is told, what is left behind, and that a second run without the fault
ends well; a second model beside the faulty one always comes through.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from comfylock.artifacts import Source, UrlSource
from comfylock.disk.download import receive
from comfylock.disk.part import Part
from comfylock.disk.parts import claim_part
from comfylock.disk.sniff import refuse_foreign
from comfylock.disk.streams import Patience, Receiving
from comfylock.disk.tree import opened_below
from comfylock.errors import (
    FetchError,
    GoneError,
    HashMismatchError,
    NetworkError,
    NotAModelError,
    StoppedError,
)
from comfylock.events import Noted
from comfylock.hashes import Digests, needed_to_check
from comfylock.lockfile.model import Pin
from comfylock.web.faults import NoAnswerError, SlowDownError
from comfylock.web.fetch import Stretch
from tests.standin.server import Fault, Standin
from tests.world import (
    DISABLED,
    EARLY,
    FALSE,
    INK,
    INK_SIZE,
    MEMBERS,
    PAPER,
    SHELVES,
    Listener,
    World,
    bytes_of,
    pin_of,
    source_of,
    wait_until,
)

INK_KEY, PAPER_KEY = "loras/ink.safetensors", "loras/paper.safetensors"
AT_STORAGE: dict[str, Any] = {"origin": "storage", "match": "/ink[.]"}
AT_HUB: dict[str, Any] = {"origin": "api", "match": "models/11$"}
CUT = 123_456


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of faults.

    Attributes:
        faults: what is staged, first to last.
        slug: what the user is told, ``None`` where the install succeeds all the same.
        says: words of the message or its hint.
        kept: bytes that are left for the next run.
        tries: requests that the storage gets, where that matters.
    """

    faults: tuple[Fault, ...]
    slug: str | None = None
    says: tuple[str, ...] = ()
    kept: int = 0
    tries: int | None = None


def row(kind: str, slug: str | None = None, *says: str, kept: int = 0, tries: int | None = None,
        place: dict[str, Any] = AT_STORAGE, **fields: Any) -> Row:  # fmt: skip
    fault = Fault(kind=kind, **(place | fields))  # type: ignore[arg-type]
    return Row(faults=(fault,), slug=slug, says=says, kept=kept, tries=tries)


def cut_then(kind: str, slug: str | None = None, *says: str, kept: int = 0,
             place: dict[str, Any] = AT_STORAGE, **fields: Any) -> Row:  # fmt: skip
    """A stream that breaks in the middle, and a fault of the resumed one."""
    broken = Fault(kind="truncate", nbytes=CUT, **AT_STORAGE)
    then = Fault(kind=kind, **(place | {"after": 1} | fields))  # type: ignore[arg-type]
    return Row(faults=(broken, then), slug=slug, says=says, kept=kept)


PASSING = {
    "reset in the middle": row("reset", nbytes=CUT, tries=2),
    "reset in the middle, three times": row("reset", nbytes=CUT // 2, times=3, tries=4),
    "reset before the first byte": row("reset", tries=2),
    "early end": row("truncate", nbytes=CUT, tries=2),
    "early end before the first byte": row("truncate", nbytes=0, tries=2),
    "early end before the last byte": row("truncate", nbytes=INK_SIZE - 1, tries=2),
    "early end within what tells the format": row("truncate", nbytes=5, tries=2),
    "no length told": row("nolen"),
    "no length told, always": row("nolen", times=None),
    "range ignored": cut_then("ignore_range"),
    "206 with another range": cut_then("bad_content_range"),
    "206 without a range": cut_then("no_content_range"),
    "206 whose total is a lie": cut_then(
        "headers", headers={"Content-Range": f"bytes {CUT}-{INK_SIZE - 1}/{10**15}"}
    ),
    "206 that nobody asked for": row(
        "bad_content_range", content_range=f"bytes 0-{INK_SIZE - 1}/{INK_SIZE}"
    ),
    "another version meanwhile": cut_then("etag_changes", times=2, after=0),
    "416 on a resume": cut_then("status_416"),
    "signature run out on a resume": cut_then("expire"),
    "signature run out at once": row("expire"),
    "500": row("status", status=500),
    "502": row("status", status=502),
    "503": row("status", status=503),
    "520 of the edge": row("status", status=520),
    "500 of the hub": row("status", status=500, place=AT_HUB),
    "503 of the hub, four times": row("status", status=503, times=4, place=AT_HUB),
    "404 of the hub for a moment": row("status", status=404, place=AT_HUB),
    "429": row("status", status=429, body='{"error":"slow"}'),
    "429 with seconds": row(
        "status", status=429, headers={"Retry-After": "0"}, place=AT_HUB
    ),
    "429 with a date gone by": row(
        "status", status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    ),
    "429 with nonsense": row("status", status=429, headers={"Retry-After": "-5 or so"}),
    "junk behind the body": row("extra_bytes"),
    "five redirects": row("redirect", chain=5),
    "foreign name for the file": row(
        "headers", headers={"Content-Disposition": 'attachment; filename="../../x.sh"'}
    ),
    "wrong bytes, then right ones": cut_then("flip", nbytes=10, after=1, times=1),
}  # fmt: skip

LASTING = {
    "reset on every try": row(
        "reset", "network", INK_KEY, "127.0.0.1", "no new byte", "install", times=None, tries=5
    ),
    "reset on every try in the middle": Row(
        faults=(
            Fault(kind="reset", nbytes=CUT, **AT_STORAGE),
            Fault(kind="reset", times=None, **AT_STORAGE),
        ),
        slug="network",
        says=(INK_KEY, f"{CUT:,} of {INK_SIZE:,} bytes are kept", "comfylock install"),
        kept=CUT,
        tries=6,
    ),
    "always early and without ranges": Row(
        faults=(Fault(kind="short", nbytes=100_000, times=None, **AT_STORAGE),),
        slug="hash-mismatch",
        says=(INK_KEY, "expected", "found", "200,000 bytes", "comfylock pin"),
    ),
    "500 on every try": row(
        "status", "server-error", INK_KEY, "500", "install", status=500, times=None, tries=5
    ),
    "429 on every try": row(
        "status", "rate-limited", INK_KEY, "429", "install", status=429, times=None, tries=5
    ),
    "429 for longer than one waits": row(
        "status", "rate-limited", "3600 s", "again", status=429,
        headers={"Retry-After": "3600"}, times=None, tries=1,
    ),
    "web page": row("html", "unsafe-format", "text/html", "browser", times=None, tries=1),
    "web page that claims to be bytes": row(
        "html", "unsafe-format", INK_KEY, "a web page", "browser",
        headers={"Content-Type": "application/octet-stream"}, times=None, tries=1,
    ),
    "JSON": row("json", "unsafe-format", "application/json", times=None, tries=1),
    "JSON that claims to be bytes": row(
        "json", "unsafe-format", INK_KEY, "JSON",
        headers={"Content-Type": "binary/octet-stream"}, times=None, tries=1,
    ),
    "compressed": row("gzip", "server-error", "compressed", times=None, tries=1),
    "compressed in an unknown way": row(
        "gzip", "server-error", "compressed", encoding="br", times=None, tries=1
    ),
    "right length, wrong bytes": row(
        "flip", "hash-mismatch", INK_KEY, "expected", "found", "lock", nbytes=777, times=None,
        tries=1,
    ),
    "another file's bytes": row(
        "wrong_file", "hash-mismatch", INK_KEY, file_id=PAPER, times=None, tries=1
    ),
    "longer": row("long", "hash-mismatch", INK_KEY, nbytes=5000, times=None, tries=1),
    "endless": row("endless", "hash-mismatch", INK_KEY, "more than", times=None, tries=1),
    "wrong bytes on both sides of a seam": Row(
        faults=(
            Fault(kind="truncate", nbytes=CUT, **AT_STORAGE),
            Fault(kind="flip", nbytes=10, times=None, **AT_STORAGE),
        ),
        slug="hash-mismatch",
        says=(INK_KEY, "expected"),
        tries=3,
    ),
    "401": row("status", "auth-required", "key", "CIVITAI_TOKEN", status=401, place=AT_HUB,
               times=None, body='{"error":"Unauthorized","message":"log in"}', tries=0),
    "403": row("status", "forbidden", "refuses", status=403, place=AT_HUB, times=None,
               body='{"error":"You do not have access"}', tries=0),
    "404": row("status", "gone", "404", "search", status=404, place=AT_HUB, times=None, tries=0),
    "410": row("status", "gone", "410", "archived", status=410, place=AT_HUB, times=None,
               body='{"error":"Model archived"}', tries=0),
    "451": row("status", "forbidden", "region", status=451, place=AT_HUB, times=None, tries=0),
    "404 of the storage": row("status", "gone", "404", status=404, times=None, tries=1),
    "403 of the storage for good": row("status", "forbidden", status=403, times=None, tries=2),
    "circle of redirects": row("redirect", "server-error", "redirected", times=None),
    "redirect to plain http elsewhere": row(
        "redirect", "host-not-allowed", "models.example", times=None, tries=1,
        location="http://models.example/x",
    ),
    "redirect to a file": row(
        "redirect", "host-not-allowed", times=None, tries=1, location="file:///etc/passwd"
    ),
    "206 that nobody asked for, always": row(
        "bad_content_range", "server-error", "206", times=None,
        content_range=f"bytes 0-{INK_SIZE - 1}/{INK_SIZE}",
    ),
    "a length that no disk holds": row(
        "status", "hash-mismatch", status=200, times=None,
        body="0123456789abcdef", headers={"Content-Type": "application/octet-stream"},
    ),
}  # fmt: skip


def stage(hub: Standin, case: Row) -> None:
    for fault in case.faults:
        hub.fault(fault)


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_costs_nothing_but_tries(world: World, name: str) -> None:
    case = PASSING[name]
    stage(world.hub, case)
    done = world.install(pin_of(INK), pin_of(PAPER))
    assert (done.code, done.slugs) == (0, ()), done.told + done.notes
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)
    assert world.parts() == []
    if case.tries is not None:
        tries = [entry for entry in world.downloads() if "/ink." in entry.path]
        assert len(tries) == case.tries


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_is_told_and_leaves_no_wrong_file(world: World, name: str) -> None:
    case = LASTING[name]
    stage(world.hub, case)
    done = world.install(pin_of(INK), pin_of(PAPER), jobs=1)
    assert (done.code, done.slugs) == (1, (case.slug,)), done.told + done.notes
    for words in case.says:
        assert words in done.told
    problem = done.problems[0]
    assert problem.ref == INK_KEY
    assert set(world.files()) == {PAPER_KEY}
    kept = [part for part in world.parts() if part.suffix == ".part"]
    assert [part.stat().st_size for part in kept] == ([case.kept] if case.kept else [])
    if case.tries is not None:
        assert len([one for one in world.downloads() if "/ink." in one.path]) == case.tries
    world.hub.clear_faults()
    world.hub.clear_requests()
    again = world.install(pin_of(INK), pin_of(PAPER))
    assert (again.code, again.slugs) == (0, ()), again.told
    assert world.has(INK_KEY, INK)
    assert world.parts() == []
    resumed = [one for one in world.downloads() if "range" in one.headers]
    assert len(resumed) == (1 if case.kept else 0)


@pytest.mark.parametrize(
    ("file_id", "slug", "words"),
    [
        (EARLY, "early-access", "2099"),
        (DISABLED, "forbidden", "disabled downloads"),
        (MEMBERS, "auth-required", "CIVITAI_TOKEN"),
        (211, "gone", "archived"),
    ],
)
def test_what_the_site_does_not_give_is_told_in_its_words(
    world: World, file_id: int, slug: str, words: str
) -> None:
    done = world.install(pin_of(file_id))
    assert (done.code, done.slugs) == (1, (slug,))
    assert words in done.told
    assert world.files() == {}


def test_pickle_bytes_under_a_safetensors_name_are_refused_with_the_right_hash(
    world: World,
) -> None:
    done = world.install(pin_of(FALSE))
    assert (done.code, done.slugs) == (1, ("unsafe-format",))
    assert "run code" in done.told
    assert world.files() == {}
    assert world.parts() == []


def test_pickle_bytes_that_are_here_already_get_no_safetensors_name(world: World) -> None:
    world.put("vae/mine.pt", bytes_of(FALSE))
    done = world.install(pin_of(FALSE))
    assert (done.code, done.slugs) == (1, ("unsafe-format",))
    assert set(world.files()) == {"vae/mine.pt"}


# --------------------------------------------------------------------------- of several models


def test_a_used_up_quota_stops_the_start_of_further_downloads(world: World) -> None:
    world.hub.configure(download_quota=1)
    pins = [pin_of(INK), pin_of(PAPER), pin_of(113), pin_of(117, "upscale_models/u.pth")]
    done = world.install(*pins, jobs=1)
    assert sorted(done.results.values()) == [
        "download done", "download failed", "download skipped", "download skipped",
    ]  # fmt: skip
    assert set(done.slugs) == {"quota"}
    assert "unusual amount of downloading" in done.told
    assert "24 hours" in done.told
    asked = [entry for entry in world.hub.requests if entry.origin == "api"]
    assert len(asked) == 2
    world.hub.configure(download_quota=None)
    assert world.install(*pins).code == 0


def test_a_used_up_quota_does_not_stop_what_another_source_has(world: World) -> None:
    world.hub.configure(download_quota=0)
    mirror = UrlSource(url=f"{world.hub.storage_url}/{signed_path(world, PAPER)}")
    pins = [pin_of(INK), pin_of(PAPER, sources=(*pin_of(PAPER).sources, mirror))]
    allow(world)
    done = world.install(*pins, jobs=1)
    assert done.results == {INK_KEY: "download failed", PAPER_KEY: "download done"}


def allow(world: World) -> None:
    config = world.root / "config"
    config.mkdir()
    (config / "config.toml").write_text('allow-hosts = ["127.0.0.1"]\n')


def signed_path(world: World, file_id: int) -> str:
    """Return where the storage has a file, as the hub would say."""
    from tests.standin.client import ask

    source = source_of(SHELVES.shelf(file_id))
    quota = world.hub.settings.download_quota
    world.hub.configure(download_quota=None)
    reply = ask(f"{world.hub.url}/api/download/models/{source.version}?fileId={source.file}")
    world.hub.configure(download_quota=quota)
    world.hub.clear_requests()
    return reply.headers["location"].removeprefix(f"{world.hub.storage_url}/")


def test_sources_are_tried_in_order_and_the_first_ones_error_is_told(world: World) -> None:
    allow(world)
    good = UrlSource(url=f"{world.hub.storage_url}/{signed_path(world, INK)}")
    bad = UrlSource(url=f"{world.hub.storage_url}/nothing/here")
    wrong = UrlSource(url=f"{world.hub.storage_url}/{signed_path(world, PAPER)}")
    done = world.install(pin_of(INK, sources=(bad, wrong, good)))
    assert done.code == 0, done.told
    assert world.has(INK_KEY, INK)
    world.spot(INK_KEY).unlink()
    done = world.install(pin_of(INK, sources=(wrong, bad)))
    assert done.slugs == ("hash-mismatch",)
    assert world.parts() == []


def test_a_server_that_dies_half_way_costs_only_what_was_open(world: World) -> None:
    """What was whole stays, what was open is kept, and the next run fetches the rest alone."""
    pins = [pin_of(INK), pin_of(PAPER), pin_of(113)]
    world.hub.fault(Fault(kind="stall", nbytes=CUT, stall_s=2.0, **AT_STORAGE))

    def kill() -> None:
        wait_until(lambda: len(world.files()) == 2 and world.parts()[0].stat().st_size == CUT)
        world.hub.stop()

    killer = threading.Thread(target=kill)
    killer.start()
    done = world.install(*pins)
    killer.join()
    assert (done.code, set(done.slugs)) == (1, {"network"})
    assert [part.stat().st_size for part in world.parts() if part.suffix == ".part"] == [CUT]
    world.hub.start()
    world.hub.clear_faults()
    world.hub.clear_requests()
    again = world.install(*pins)
    assert again.code == 0, again.told
    assert sum(entry.bytes_sent for entry in world.downloads()) <= INK_SIZE - CUT + 70_000


def test_a_hub_that_is_down_is_told_with_the_next_step(world: World) -> None:
    world.hub.stop()
    done = world.install(pin_of(INK), pin_of(PAPER))
    assert done.slugs == ("network", "network")
    assert "127.0.0.1 cannot be reached" in done.told
    assert INK_KEY in done.told
    assert world.files() == {}
    assert world.parts() == []
    world.hub.start()
    assert world.install(pin_of(INK), pin_of(PAPER)).code == 0


def test_offline_is_told_and_links_all_the_same(world: World) -> None:
    world.put("vae/spare.safetensors", bytes_of(PAPER))
    world.lock(pin_of(INK), pin_of(PAPER))
    ran = world.here("install", "--offline")
    assert (ran.code, "error[offline]" in ran.err) == (1, True)
    assert set(world.files()) == {PAPER_KEY, "vae/spare.safetensors"}
    assert world.hub.requests == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stall", "drip"])
def test_a_server_that_falls_silent_is_asked_again(world: World, kind: str) -> None:
    """After 30 seconds without a byte, after a minute below 10 KiB/s."""
    fault = Fault(kind=kind, nbytes=CUT, chunk=1, interval_s=0.4, **AT_STORAGE)  # type: ignore[arg-type]
    world.hub.fault(fault)
    done = world.install(pin_of(INK))
    assert done.code == 0, done.told
    assert world.has(INK_KEY, INK)
    assert len(world.downloads()) == 2


def test_the_wrong_file_for_one_model_harms_no_other(world: World) -> None:
    # Each time: where the other file is in place first, its length makes ours look there and ask
    # once more.
    world.hub.fault(Fault(kind="wrong_file", file_id=PAPER, times=None, **AT_STORAGE))
    done = world.install(pin_of(INK), pin_of(PAPER))
    assert done.results == {INK_KEY: "download failed", PAPER_KEY: "download done"}
    assert world.has(PAPER_KEY, PAPER)


def test_the_wrong_file_is_refused_where_its_own_bytes_are_in_place(world: World) -> None:
    world.put(PAPER_KEY, bytes_of(PAPER))
    world.hub.fault(Fault(kind="wrong_file", file_id=PAPER, times=None, **AT_STORAGE))
    done = world.install(pin_of(INK), pin_of(PAPER))
    assert done.results == {INK_KEY: "download failed", PAPER_KEY: "keep done"}
    assert set(world.files()) == {PAPER_KEY}


# ------------------------------------------------------------------------------------ resuming


@contextmanager
def poisoning(first: bytes, second: bytes) -> Iterator[tuple[str, list[int]]]:
    """A server that sends an answer of its own invention behind the first file, unasked.

    Yields its address, and the connections' numbers in the order of their requests.
    """
    lie = b"\x00" * len(second)
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(lie), lie)
    asked: list[int] = []

    def serve(connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as lines, suppress(OSError):
            while line := lines.readline():
                while lines.readline() != b"\r\n":
                    pass
                asked.append(number)
                body = first if b"/first" in line else second
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                connection.sendall(head + body + (poison if body is first else b""))

    def accept(listening: socket.socket) -> None:
        threads: list[threading.Thread] = []
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threads.append(threading.Thread(target=serve, args=(connection, len(threads))))
                threads[-1].start()
        for thread in threads:
            thread.join(timeout=5)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, args=(listening,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one(world: World) -> None:
    allow(world)
    with poisoning(bytes_of(INK), bytes_of(PAPER)) as (url, asked):
        pins = [
            pin_of(INK, sources=(UrlSource(url=f"{url}/first"),)),
            pin_of(PAPER, sources=(UrlSource(url=f"{url}/second"),)),
        ]
        done = world.install(*pins, jobs=1)
    assert (done.code, done.slugs) == (0, ()), done.told + done.notes
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)
    assert asked == [0, 1]


def test_a_resumed_download_fetches_only_the_rest(world: World) -> None:
    for _ in range(3):
        world.hub.fault(Fault(kind="reset", nbytes=60_000, **AT_STORAGE))
    assert world.install(pin_of(INK)).code == 0
    starts = [entry.headers.get("range") for entry in world.downloads()]
    assert starts == [None, "bytes=60000-", "bytes=120000-", "bytes=180000-"]
    assert all("if-range" in entry.headers for entry in world.downloads()[1:])
    assert sum(entry.bytes_sent for entry in world.downloads()) == INK_SIZE
    assert len([one for one in world.hub.requests if one.origin == "api"]) == 4


def test_a_part_that_somebody_spoiled_costs_one_clean_retry(world: World) -> None:
    world.hub.fault(Fault(kind="truncate", nbytes=CUT, **AT_STORAGE))
    world.hub.fault(Fault(kind="status", status=404, times=None, **AT_STORAGE))
    assert world.install(pin_of(INK)).code == 1
    (part,) = [path for path in world.parts() if path.suffix == ".part"]
    part.write_bytes(b"\0" * CUT)
    world.hub.clear_faults()
    done = world.install(pin_of(INK))
    assert done.code == 0, done.told
    assert world.has(INK_KEY, INK)
    assert "starting over" in done.notes


@pytest.mark.parametrize("size", [INK_SIZE, INK_SIZE + 1, INK_SIZE * 3])
def test_a_spoiled_part_as_long_as_the_file_or_longer_is_begun_anew(
    world: World, size: int
) -> None:
    label = pin_of(INK).digests.label
    world.put(f".comfylock/partial/{label}.part", b"x" * size)
    assert world.install(pin_of(INK)).code == 0
    assert world.has(INK_KEY, INK)
    assert world.parts() == []


def test_a_whole_part_is_placed_without_a_request(world: World) -> None:
    label = pin_of(INK).digests.label
    world.put(f".comfylock/partial/{label}.part", bytes_of(INK))
    done = world.install(pin_of(INK))
    assert (done.code, world.hub.requests) == (0, ())
    assert world.has(INK_KEY, INK)


def test_a_dead_runs_part_that_has_become_the_model_is_never_written_to(world: World) -> None:
    """A run killed while it published leaves a second name of the placed file.

    The user then edits the file in place; going on with the "part" would write into his file.
    """
    label = pin_of(INK).digests.label
    mine = world.put(INK_KEY, b"edited by hand")
    leftover = world.put(f".comfylock/partial/{label}.part", b"")
    leftover.unlink()
    leftover.hardlink_to(mine)
    world.hub.fault(Fault(kind="reset", nbytes=CUT, times=None, **AT_STORAGE))
    assert world.here("status").code == 0
    from comfylock.plan import OnOccupied

    done = world.install(pin_of(INK), occupied=OnOccupied.REPLACE)
    assert done.code == 1
    assert mine.read_bytes() == b"edited by hand"
    world.hub.clear_faults()
    assert world.install(pin_of(INK), occupied=OnOccupied.REPLACE).code == 0
    (aside,) = world.replaced()
    assert aside.read_bytes() == b"edited by hand"
    assert world.has(INK_KEY, INK)


# ------------------------------------------------------------- one download, streams by value


class Script:
    """A fetcher whose streams are told beforehand; each is a start, a total, bytes, an error."""

    def __init__(self, *streams: "Stream | Exception") -> None:
        self.streams = list(streams)
        self.asked: list[tuple[int, str | None]] = []

    @contextmanager
    def open(
        self,
        source: Source,
        *,
        start: int,
        validator: str | None,
        stretch: Stretch | None = None,
    ) -> "Iterator[Stream]":
        self.asked.append((start, validator))
        stream = self.streams.pop(0)
        if isinstance(stream, Exception):
            raise stream
        yield stream


@dataclass(frozen=True, kw_only=True)
class Stream:
    content: bytes
    start: int = 0
    total: int | None = None
    validator: str | None = None
    fault: Exception | None = None
    piece: int = 64
    address: str = ""
    gives_ranges: bool = False

    def chunks(self) -> Iterator[bytes | memoryview]:
        for at in range(0, len(self.content), self.piece):
            yield memoryview(bytearray(self.content[at : at + self.piece]))
        if self.fault is not None:
            raise self.fault


TEXT = bytes_of(113)[:1000]


def text_pin(**changes: Any) -> Pin:
    import hashlib

    digests = Digests(sha256=hashlib.sha256(TEXT).hexdigest())
    return replace(pin_of(113, digests=digests, size=len(TEXT)), **changes)


def received(
    script: Script,
    folder: Path,
    *,
    pin: Pin | None = None,
    check: Callable[[Part], None] = lambda _: None,
    patience: Patience | None = None,
    stop: threading.Event | None = None,
) -> Listener:
    pin = pin or text_pin()
    listener = Listener()
    receiving = Receiving(
        fetcher=script,
        reporter=listener,
        stop=stop or threading.Event(),
        patience=patience or Patience(first_wait_s=0),
    )
    with opened_below(folder, ("partial",)) as directory:
        part = claim_part(directory, folder / "partial", pin.digests.label)
        try:
            part.rehash(needed_to_check(pin.digests))
            receive(pin, part, receiving)
            part.seal()
            assert part.path.read_bytes() == TEXT
        finally:
            check(part)
            part.release()
    return listener


def test_bytes_given_again_by_a_server_without_ranges_are_no_progress(tmp_path: Path) -> None:
    """It breaks off now sooner, now later: without a memory this would never end."""
    broken = [
        Stream(content=TEXT[: 500 - 100 * (turn % 2)], total=1000, fault=NoAnswerError("cut"))
        for turn in range(50)
    ]
    script = Script(*broken)
    with pytest.raises(NetworkError, match="5 tries"):
        received(script, tmp_path)
    assert len(script.asked) == 6


def test_every_new_byte_starts_the_count_of_tries_anew(tmp_path: Path) -> None:
    pieces = [
        Stream(content=TEXT[at : at + 100], start=at, total=1000, fault=NoAnswerError("cut"))
        for at in range(0, 1000, 100)
    ]
    script = Script(*pieces[:-1], replace(pieces[-1], fault=None))
    received(script, tmp_path)
    assert [start for start, _ in script.asked] == list(range(0, 1000, 100))


def test_the_servers_name_of_a_version_survives_the_run(tmp_path: Path) -> None:
    cut = Stream(content=TEXT[:300], total=1000, validator='"v1"', fault=GoneError("away"))
    with pytest.raises(GoneError):
        received(Script(cut), tmp_path)
    script = Script(Stream(content=TEXT[300:], start=300, total=1000))
    received(script, tmp_path)
    assert script.asked == [(300, '"v1"')]


def test_what_looks_foreign_does_not_cost_the_bytes_that_are_kept(tmp_path: Path) -> None:
    cut = Stream(content=TEXT[:300], total=1000, fault=GoneError("away"))
    with pytest.raises(GoneError):
        received(Script(cut), tmp_path)
    page = Stream(content=b"<!DOCTYPE html><html>", total=21)
    with pytest.raises(NotAModelError):
        received(Script(page), tmp_path)
    script = Script(Stream(content=TEXT[300:], start=300, total=1000))
    received(script, tmp_path)


def test_a_stream_without_length_is_cut_behind_the_locked_size(tmp_path: Path) -> None:
    endless = Stream(content=TEXT * 100, piece=256)
    sizes: list[int] = []
    with pytest.raises(HashMismatchError, match="more than the 1,000 bytes"):
        received(Script(endless), tmp_path, check=lambda part: sizes.append(part.size))
    assert sizes == [0]
    assert list((tmp_path / "partial").iterdir()) == []


def test_waits_double_and_the_servers_word_counts(tmp_path: Path) -> None:
    def slow(seconds: float | None) -> SlowDownError:
        error = SlowDownError("slow down")
        error.retry_after_s = seconds
        return error

    script = Script(slow(0.0), slow(None), slow(None), slow(0.02), Stream(content=TEXT))
    listener = received(
        script, tmp_path, patience=Patience(first_wait_s=0.001, longest_wait_s=0.01)
    )
    told = [event.message for event in listener.heard if isinstance(event, Noted)]
    assert len([text for text in told if "trying again in" in text]) == 4


def test_an_interrupt_ends_a_wait_at_once(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(StoppedError):
        received(
            Script(NoAnswerError("cut")), tmp_path, stop=stop, patience=Patience(first_wait_s=60)
        )


def test_an_interrupt_ends_a_stream_and_keeps_every_byte_that_came(tmp_path: Path) -> None:
    stop = threading.Event()

    class Interrupted(Stream):
        def chunks(self) -> Iterator[bytes | memoryview]:
            yield TEXT[:400]
            stop.set()
            yield TEXT[400:600]
            yield TEXT[600:]

    with pytest.raises(StoppedError):
        received(Script(Interrupted(content=TEXT)), tmp_path, stop=stop)
    (kept,) = (tmp_path / "partial").glob("*.part")
    assert kept.read_bytes() == TEXT[:600]


def test_every_digest_of_the_lock_must_agree(tmp_path: Path) -> None:
    pin = text_pin(digests=Digests(sha256=text_pin().digests.sha256, blake3="0" * 64))
    with pytest.raises(HashMismatchError):
        received(Script(Stream(content=TEXT, total=1000)), tmp_path, pin=pin)


def test_an_error_of_each_source_is_told_and_the_first_is_raised(tmp_path: Path) -> None:
    pin = text_pin(sources=(*text_pin().sources, UrlSource(url="https://mirror.example/x")))
    script = Script(GoneError("first"), FetchError("second"))
    with pytest.raises(GoneError, match="first"):
        received(script, tmp_path, pin=pin)
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    "head",
    [
        b"<!DOCTYPE html><html>",
        b"  \r\n<html lang=en>",
        b"\xef\xbb\xbf<html>",
        b"<!-- blocked -->",
        b"<?xml version='1.0'?><Error>",
        b'{"error":"Unauthorized"}',
        b'{\n  "error": 1',
        b"PK\x03\x04aaaaaaaaaaaa",
        b"\x80\x02}q\x00(X\x0a\x00\x00\x00stat",
        b"\x80\x05\x95\x00\x00\x00\x00\x00\x00\x00\x00}",
    ],
)
def test_foreign_beginnings_are_refused(head: bytes) -> None:
    with pytest.raises(NotAModelError):
        refuse_foreign("loras/x.safetensors", head[:16])


@pytest.mark.parametrize(
    ("key", "head"),
    [
        ("loras/x.safetensors", (0x3C).to_bytes(8, "little") + b'{"a":{}}'),
        ("loras/x.safetensors", b"<html\0\0\0" + b"{"),
        ("loras/x.safetensors", bytes_of(INK)[:16]),
        ("loras/x.safetensors", b"\0" * 16),
        ("upscale_models/x.pth", b"PK\x03\x04aaaaaaaaaaaa"),
        ("vae/x.pt", b"\x80\x02}q\x00(X\x0a\x00\x00\x00stat"),
        ("diffusion_models/x.gguf", b"GGUF\x03\x00\x00\x00"),
        ("loras/x.safetensors", b""),
    ],
)
def test_what_may_be_a_model_is_for_the_hash_to_judge(key: str, head: bytes) -> None:
    if head.startswith(b"<html"):
        with pytest.raises(NotAModelError):
            refuse_foreign(key, head)
    else:
        refuse_foreign(key, head)
