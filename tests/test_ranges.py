"""Large files over several connections: every order of events gives the right bytes, or none.

The scale is small, so that a file of some megabytes is a large one.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from comfylock.disk.download import receive
from comfylock.disk.journal import PAGE_BYTES, Journal, read_journal, write_journal
from comfylock.disk.part import NoRoomError, Part
from comfylock.disk.parts import claim_part, leftover
from comfylock.disk.pieces import Lead, Piece, Pieces, Ramp, Scale
from comfylock.disk.streams import Connections, Patience, Receiving
from comfylock.disk.tree import opened_below
from comfylock.errors import FetchError, ForbiddenError, HashMismatchError, StoppedError
from comfylock.events import Advanced, Noted, Silence
from comfylock.hashes import Digests, needed_to_check
from comfylock.lockfile.model import Pin
from comfylock.web.fetch import Fetcher
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Fault, LogEntry, Standin
from tests.world import ROOT, Listener, pin_of, source_of, wait_until

MIB = 1 << 20
BIG, SIZE = 211, 8 * MIB + 12_345
BIG_SHELVES = Catalogue.of(
    [model(2, "Big", "LORA", versions=[version(
        21, "v1", files=[file(BIG, "big.safetensors", size=SIZE)]
    )])]
)  # fmt: skip
SMALL = Scale(
    file_bytes=MIB, piece_bytes=MIB, least_bytes=MIB // 4, look_s=0.03, wait_s=0.2,
    fast=1e12, stalled_s=0.3,
)  # fmt: skip
SPEED = 12_000_000
AT_STORAGE: dict[str, Any] = {"origin": "storage"}
OF_PIECES: dict[str, Any] = {"origin": "storage", "needs_header": "range"}


def big_pin() -> Pin:
    shelf = BIG_SHELVES.shelf(BIG)
    digests = Digests(sha256=shelf.file.sha256, blake3=shelf.file.blake3)
    return replace(
        pin_of(111), key="loras/big.safetensors", size=SIZE, digests=digests,
        sources=(source_of(shelf),),
    )  # fmt: skip


def content() -> bytes:
    return BIG_SHELVES.file(BIG).payload.read()


@pytest.fixture
def hub() -> Iterator[Standin]:
    with Standin(BIG_SHELVES) as standin:
        standin.configure(throttle_per_connection=SPEED)
        yield standin


@dataclass
class Download:
    """One download into a folder, as an install does it."""

    folder: Path
    hub_url: str
    connections: Connections = field(default_factory=lambda: Connections(8, 8, SMALL))
    stop: threading.Event = field(default_factory=threading.Event)
    heard: Listener = field(default_factory=Listener)
    pin: Pin = field(default_factory=big_pin)

    def run(self) -> bytes:
        """Return what was brought; the part is sealed, and given back after an error."""
        with self.fetcher() as web, self.claimed() as part:
            receiving = Receiving(
                fetcher=web,
                reporter=self.heard,
                stop=self.stop,
                patience=Patience(first_wait_s=0.0, longest_wait_s=0.0),
                connections=self.connections,
            )
            try:
                receive(self.pin, part, receiving)
                part.seal()
            except BaseException:
                part.release()
                raise
            brought = part.path.read_bytes()
            part.discard()
            return brought

    @contextmanager
    def claimed(self) -> Iterator[Part]:
        with opened_below(self.folder, (".comfylock", "partial")) as directory:
            place = self.folder / ".comfylock" / "partial"
            part = claim_part(directory, place, self.pin.digests.label)
            part.rehash(needed_to_check(self.pin.digests))
            yield part

    @contextmanager
    def fetcher(self) -> Iterator[Fetcher]:
        transport = Transport(
            keys={}, allowed_hosts=frozenset(), environment={}, reporter=Silence(), offline=False,
            waiting=Waiting(sleep=lambda _: None),
        )  # fmt: skip
        with closing(transport):
            yield Fetcher(
                transport, civitai_url=self.hub_url, huggingface_url=self.hub_url,
                allowed_hosts=frozenset(),
            )  # fmt: skip

    def left(self) -> int:
        """How many bytes an inventory would find."""
        return leftover(self.folder, self.folder / "x", self.pin.digests.label).held

    def notes(self) -> str:
        return "\n".join(one.message for one in self.heard.heard if isinstance(one, Noted))

    def advanced(self) -> int:
        return sum(one.count for one in self.heard.heard if isinstance(one, Advanced))


def ranges(hub: Standin) -> list[LogEntry]:
    return [one for one in hub.requests if one.origin == "storage" and "range" in one.headers]


def sent(hub: Standin) -> int:
    return sum(one.bytes_sent for one in hub.requests if one.origin == "storage")


def asked_of_the_hub(hub: Standin) -> int:
    return sum(one.origin == "api" for one in hub.requests)


def interrupted(download: Download, hub: Standin) -> None:
    """Stop a download when several connections are at work and much is left to do."""
    hub.configure(throttle_per_connection=SPEED // 6)

    def stop() -> None:
        wait_until(lambda: len(ranges(hub)) >= 4)
        time.sleep(0.05)
        download.stop.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(StoppedError):
        download.run()
    stopper.join()
    hub.configure(throttle_per_connection=SPEED)
    # A connection that was just being opened is noticed by the server, too.
    wait_until(lambda: not any(one.name == "comfylock-range" for one in threading.enumerate()))


# --------------------------------------------------------------------------- the good day


def test_a_server_that_limits_each_connection_is_asked_over_several(
    tmp_path: Path, hub: Standin
) -> None:
    download = Download(tmp_path, hub.url)
    assert download.run() == content()
    assert len(ranges(hub)) >= 4
    assert all(one.status == 206 and "if-range" in one.headers for one in ranges(hub))
    assert asked_of_the_hub(hub) == 1, "all pieces share one signed address"
    assert download.advanced() == SIZE
    assert sent(hub) < 1.2 * SIZE  # what was under way where a piece was cut


def test_one_connection_is_one_request(tmp_path: Path, hub: Standin) -> None:
    hub.configure(throttle_per_connection=None)
    assert Download(tmp_path, hub.url, Connections(1, 4, SMALL)).run() == content()
    assert ranges(hub) == []


def test_a_fast_connection_gets_no_company(tmp_path: Path, hub: Standin) -> None:
    hub.configure(throttle_per_connection=40_000_000)
    fast = replace(SMALL, fast=1e6)
    assert Download(tmp_path, hub.url, Connections(8, 8, fast)).run() == content()
    assert ranges(hub) == []


def test_all_files_together_keep_to_the_number_of_connections(tmp_path: Path, hub: Standin) -> None:
    connections = Connections(8, 3, SMALL)
    runs = [Download(tmp_path / str(n), hub.url, connections) for n in range(2)]
    for run in runs:
        run.folder.mkdir()
    seen: list[int] = []
    threads = [threading.Thread(target=run.run) for run in runs]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(sum(one.name == "comfylock-range" for one in threading.enumerate()))
        time.sleep(0.01)
    assert max(seen) in {2, 3}
    assert connections.take()  # all were given back


# -------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="ignore_range", times=None, **OF_PIECES),
        Fault(kind="no_content_range", times=None, **OF_PIECES),
        Fault(kind="bad_content_range", times=None, **OF_PIECES),
        Fault(kind="status_416", times=None, **OF_PIECES),
        Fault(kind="status", status=503, times=None, **OF_PIECES),
        Fault(kind="html", times=None, **OF_PIECES),
        Fault(kind="reset", times=None, **OF_PIECES),
        Fault(kind="etag_changes", times=None, **OF_PIECES),
        Fault(kind="headers", headers={"Accept-Ranges": "none"}, times=None, **AT_STORAGE),
    ],
    ids=lambda fault: fault.kind,
)
def test_where_parts_of_a_file_are_not_given_the_first_stream_brings_it_whole(
    tmp_path: Path, hub: Standin, fault: Fault
) -> None:
    hub.configure(throttle_per_connection=40_000_000)
    hub.fault(fault)
    download = Download(tmp_path, hub.url)
    assert download.run() == content()
    whole = [one for one in hub.requests if one.origin == "storage" and one not in ranges(hub)]
    assert len(whole) == 1
    assert download.advanced() == SIZE


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="reset", nbytes=70_000, after=2, times=3, **OF_PIECES),
        Fault(kind="truncate", nbytes=100_000, after=1, times=2, **OF_PIECES),
        Fault(kind="truncate", nbytes=0, after=3, times=2, **OF_PIECES),
        Fault(kind="truncate", nbytes=MIB, times=1, **AT_STORAGE),
        Fault(kind="short", nbytes=50_000, after=2, times=1, **OF_PIECES),
        Fault(kind="stall", nbytes=60_000, after=2, times=1, **OF_PIECES),
        Fault(kind="status", status=503, after=2, times=2, **OF_PIECES),
        Fault(kind="extra_bytes", times=None, **OF_PIECES),
        Fault(kind="expire", after=2, times=1, **OF_PIECES),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.nbytes}",
)
def test_trouble_of_one_connection_is_made_good_by_the_others(
    tmp_path: Path, hub: Standin, fault: Fault
) -> None:
    hub.fault(fault)
    download = Download(tmp_path, hub.url)
    began = time.monotonic()
    assert download.run() == content()
    assert time.monotonic() - began < 10
    assert "starting over" not in download.notes()
    assert download.advanced() == SIZE


def test_bytes_that_are_ahead_of_the_hash_are_not_fetched_again(
    tmp_path: Path, hub: Standin
) -> None:
    """The last connection breaks before what it brought is hashed, and the run goes on itself."""
    hub.fault(Fault(kind="truncate", nbytes=MIB, times=1, **AT_STORAGE))
    download = Download(tmp_path, hub.url)
    assert download.run() == content()
    assert ranges(hub)[0].headers["range"].startswith(f"bytes={MIB}-")


def test_an_address_that_runs_out_is_replaced_once_for_all(tmp_path: Path, hub: Standin) -> None:
    download = Download(tmp_path, hub.url)
    runner = threading.Thread(target=download.run)
    runner.start()
    wait_until(lambda: len(ranges(hub)) >= 4)
    hub.expire_addresses()
    runner.join()
    assert download.advanced() == SIZE
    refused = [one for one in ranges(hub) if one.status == 403]
    assert 1 <= len(refused) <= 8
    assert asked_of_the_hub(hub) <= 1 + len(refused)


def test_another_version_in_the_middle_starts_over_on_one_connection(
    tmp_path: Path, hub: Standin
) -> None:
    hub.fault(Fault(kind="etag_changes", after=3, times=1, **OF_PIECES))
    download = Download(tmp_path, hub.url)
    assert download.run() == content()
    assert "the file has changed on the server meanwhile; starting over" in download.notes()
    assert download.advanced() == SIZE


def test_wrong_bytes_in_one_piece_get_one_clean_retry_on_one_connection(
    tmp_path: Path, hub: Standin
) -> None:
    hub.fault(Fault(kind="flip", nbytes=1000, after=2, times=1, **OF_PIECES))
    download = Download(tmp_path, hub.url)
    assert download.run() == content()
    assert "wrong hash after a resume, starting over" in download.notes()
    last = [one for one in hub.requests if one.origin == "storage"][-1]
    assert "range" not in last.headers


def test_wrong_bytes_again_and_again_are_thrown_away(tmp_path: Path, hub: Standin) -> None:
    hub.configure(throttle_per_connection=40_000_000)
    hub.fault(Fault(kind="flip", nbytes=1000, times=None, **AT_STORAGE))
    download = Download(tmp_path, hub.url)
    with pytest.raises(HashMismatchError):
        download.run()
    assert download.left() == 0
    assert list((tmp_path / ".comfylock" / "partial").glob("*.part")) == []


def test_the_last_connections_fault_is_the_downloads(tmp_path: Path, hub: Standin) -> None:
    """All break at once and nobody gets in again: what came is kept, gaps and all."""
    download = Download(tmp_path, hub.url)
    caught: list[BaseException] = []

    def run() -> None:
        try:
            download.run()
        except FetchError as error:
            caught.append(error)

    runner = threading.Thread(target=run)
    runner.start()
    wait_until(lambda: len(ranges(hub)) >= 6)
    hub.fault(Fault(kind="status", status=403, times=None, origin="any"))
    hub.cut()
    runner.join()
    assert isinstance(caught[0], ForbiddenError)
    kept = download.left()
    assert MIB < kept < SIZE
    hub.clear_faults()
    hub.clear_requests()
    assert Download(tmp_path, hub.url).run() == content()
    assert sent(hub) <= SIZE - kept + 0.2 * SIZE


def test_an_interrupt_ends_it_at_once_and_costs_nothing(tmp_path: Path, hub: Standin) -> None:
    download = Download(tmp_path, hub.url)
    interrupted(download, hub)
    kept = download.left()
    assert kept == download.advanced()
    assert kept > MIB
    hub.clear_requests()
    hub.configure(throttle_per_connection=None)
    again = Download(tmp_path, hub.url, Connections(1, 1, SMALL))
    assert again.run() == content()
    assert sent(hub) <= (SIZE - kept) * 1.02
    assert again.advanced() == SIZE - kept


def test_bytes_that_the_hash_had_not_reached_are_not_fetched_again(
    tmp_path: Path, hub: Standin
) -> None:
    """All connections broke when two pieces were there and the first was hashed."""
    download = Download(tmp_path, hub.url)
    with download.fetcher() as web, download.claimed() as part:
        part.write(content()[:MIB])
        part.begin_stream()
        part.write_at(MIB, content()[MIB : 2 * MIB])
        part.spread(Journal(total=SIZE, done=((0, 2 * MIB),)))
        receiving = Receiving(
            fetcher=web, reporter=download.heard, stop=download.stop,
            connections=download.connections,
        )  # fmt: skip
        receive(download.pin, part, receiving)
        part.discard()
    assert download.advanced() == SIZE - 2 * MIB


def test_ranges_refused_on_a_resume_start_over(tmp_path: Path, hub: Standin) -> None:
    download = Download(tmp_path, hub.url)
    interrupted(download, hub)
    hub.configure(throttle_per_connection=None)
    hub.fault(Fault(kind="status_416", times=None, **OF_PIECES))
    again = Download(tmp_path, hub.url)
    assert again.run() == content()


# ------------------------------------------------------------------------------- killed

RUN = """
import sys
from pathlib import Path
from tests.test_ranges import Download
Download(Path(sys.argv[1]), sys.argv[2]).run()
"""


def test_what_a_killed_run_had_is_not_fetched_again(tmp_path: Path, hub: Standin) -> None:
    """Three kills at random moments; a part of many gaps each time."""
    moments = random.Random(7)
    hub.configure(throttle_per_connection=2_000_000)
    gaps = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(tmp_path), hub.url],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        before = len(ranges(hub))
        wait_until(lambda before=before: len(ranges(hub)) > before + 2)  # type: ignore[misc]
        time.sleep(moments.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        (part,) = (tmp_path / ".comfylock" / "partial").glob("*.part")
        with part.open("rb") as opened:
            journal = read_journal(opened.fileno())
        assert journal is not None
        gaps = max(gaps, len(journal.done) - 1)
        assert all(
            part.read_bytes()[start:stop] == content()[start:stop] for start, stop in journal.done
        )
    assert gaps >= 1
    download = Download(tmp_path, hub.url)
    kept = download.left()
    hub.clear_requests()
    hub.configure(throttle_per_connection=None)
    assert download.run() == content()
    assert download.advanced() == SIZE - kept


@pytest.mark.parametrize("harm", ["page", "check", "gone", "lie", "shorter"])
def test_a_damaged_journal_costs_bandwidth_and_no_more(
    tmp_path: Path, hub: Standin, harm: str
) -> None:
    download = Download(tmp_path, hub.url)
    interrupted(download, hub)
    (part,) = (tmp_path / ".comfylock" / "partial").glob("*.part")
    length = part.stat().st_size
    with part.open("r+b") as opened:
        if harm == "lie":
            write_journal(opened.fileno(), Journal(total=SIZE, done=((0, SIZE),)))
        else:
            place, bytes_ = {
                "page": (length - PAGE_BYTES, b"\0" * PAGE_BYTES),
                "check": (length - PAGE_BYTES + 30, b"x"),
                "gone": (0, b""),
                "shorter": (0, b""),
            }[harm]
            opened.seek(place)
            opened.write(bytes_)
        if harm == "gone":
            opened.truncate(length - PAGE_BYTES)
        if harm == "shorter":
            opened.truncate(length // 2)
    hub.configure(throttle_per_connection=None)
    assert Download(tmp_path, hub.url).run() == content()


@pytest.mark.slow
def test_random_cuts_cost_no_more_than_a_fiftieth(tmp_path: Path) -> None:
    """At the true scale, with streams that break off at random places."""
    size = 300 * MIB
    shelves = Catalogue.of(
        [model(2, "Big", "LORA", versions=[version(
            21, "v1", files=[file(BIG, "big.safetensors", size=size)]
        )])]
    )  # fmt: skip
    shelf = shelves.shelf(BIG)
    digests = Digests(sha256=shelf.file.sha256, blake3=shelf.file.blake3)
    pin = replace(big_pin(), size=size, digests=digests)
    cuts = random.Random(3)
    with Standin(shelves) as hub:
        hub.configure(throttle_per_connection=30_000_000)
        for _ in range(12):
            nbytes, after = cuts.randrange(20 * MIB), cuts.randrange(4)
            hub.fault(Fault(kind="truncate", nbytes=nbytes, after=after, **OF_PIECES))
        download = Download(tmp_path, hub.url, Connections(8, 8), pin=pin)
        assert blake3(download.run()).hexdigest() == digests.blake3
        assert len(ranges(hub)) > 12
        ratio = sent(hub) / size
        print(f"{ratio:.4f} x the bytes, {len(ranges(hub))} stretches")
        assert ratio < 1.02


# --------------------------------------------------------------------------------- room


def test_room_is_set_aside_before_the_first_byte_and_counted_once(
    tmp_path: Path, hub: Standin
) -> None:
    download = Download(tmp_path, hub.url)
    with download.claimed() as part:
        part.require_room(SIZE)
        if not part.can_spread:
            pytest.skip("this file system sets no room aside")
        part.write(b"x" * 5000)
        assert part.path.stat().st_size == 5000
        assert part.path.stat().st_blocks * 512 >= SIZE
        part.close()  # as a kill leaves it
    label = download.pin.digests.label
    part.path.rename(part.path.with_name(f"{label}.part"))
    assert leftover(tmp_path, tmp_path / "x", label).room >= SIZE - 5000
    with download.claimed() as part:
        part.release()
    kept = (tmp_path / ".comfylock" / "partial" / f"{label}.part").stat()
    assert (kept.st_size, kept.st_blocks * 512 < 100_000) == (5000, True)


def test_a_disk_without_room_is_told_before_the_first_byte(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        with Download(tmp_path, "").claimed() as part:
            part.require_room(900_000)
            with pytest.raises(NoRoomError, match="too full"):
                part.require_room(1_100_000)
            part.discard()
        with Download(tmp_path, "").claimed() as part:
            part.require_room(600_000)
            # Set aside is taken: another download cannot have it.
            other = tmp_path / "other"
            other.mkdir()
            with Download(other, "").claimed() as second:
                with pytest.raises(NoRoomError):
                    second.require_room(600_000)
                second.discard()
            part.discard()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


# ----------------------------------------------------------------------- pieces, by value

TINY = Scale(piece_bytes=64, least_bytes=8, stalled_s=5.0)


class Fleet:
    """Connections by value: begun, answered, writing, broken, in whatever order is told."""

    def __init__(self, total: int, front: int, connections: int) -> None:
        self.now_s = 0.0
        self.written = [1] * front + [0] * (total - front)
        self.pieces = Pieces(total, [(0, front)] if front else [], connections, TINY)
        self.flowing: list[Piece] = [self.pieces.begin((front, total), 0.0)]
        self.asked: list[Piece] = []

    def ask(self, _: int) -> None:
        piece = self.pieces.next(self.now_s)
        if piece is not None:
            self.asked.append(piece)

    def answer(self, number: int) -> None:
        if self.asked:
            self.flowing.append(self.asked.pop(number % len(self.asked)))

    def write(self, number: int) -> None:
        if not self.flowing:
            return
        piece = self.flowing[number % len(self.flowing)]
        count = self.pieces.give(piece, 1 + number % 100)
        for at in range(piece.at, piece.at + count):
            self.written[at] += 1
        self.pieces.wrote(piece, self.now_s)
        if count == 0 or piece.at >= piece.stop:
            self.end(piece)

    def break_off(self, number: int) -> None:
        if self.flowing:
            self.end(self.flowing[number % len(self.flowing)])

    def end(self, piece: Piece) -> None:
        self.flowing.remove(piece)
        self.pieces.close(piece)

    def wait(self, number: int) -> None:
        self.now_s += number % 10

    def check(self) -> None:
        done = self.pieces.done
        assert max(self.written) <= 1
        assert sum(stop - start for start, stop in done) == sum(self.written) == self.pieces.held
        assert all(all(self.written[start:stop]) for start, stop in done)
        first_gap = next((at for at, one in enumerate(self.written) if not one), self.pieces.total)
        assert self.pieces.front == first_gap


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 1500),
    st.integers(0, 1500),
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(range(6)), st.integers(0, 1000)), max_size=150),
)
def test_any_order_of_events_writes_every_byte_once(
    total: int, front: int, connections: int, acts: list[tuple[int, int]]
) -> None:
    fleet = Fleet(total, min(front, total - 1), connections)
    ways = (fleet.ask, fleet.answer, fleet.write, fleet.write, fleet.break_off, fleet.wait)
    for act, number in acts:
        ways[act](number)
        fleet.check()
    for _ in range(10_000):  # from then on nothing goes wrong any more
        if fleet.pieces.is_whole:
            break
        for way in (fleet.ask, fleet.answer, fleet.write):
            way(99)
        fleet.now_s += 1
    fleet.check()
    assert min(fleet.written) == 1


def test_pieces_follow_the_front_and_become_smaller_near_the_end() -> None:
    pieces = Pieces(10_000, [], 4, TINY)
    spans: list[tuple[int, int]] = []
    while (piece := pieces.next(0.0)) is not None:
        spans.append((piece.first, piece.stop))
        pieces.give(piece, 10_000)
        pieces.wrote(piece, 0.0)
        pieces.close(piece)
    assert spans[0] == (0, 64)
    assert [start for start, _ in spans[1:]] == [stop for _, stop in spans[:-1]]
    sizes = [stop - start for start, stop in spans]
    assert sizes[:100] == [64] * 100
    assert max(sizes[-10:]) < 16
    assert min(sizes) == 8


def test_a_piece_that_stalls_is_taken_over_whole() -> None:
    pieces = Pieces(100, [], 4, TINY)
    slow = pieces.begin((0, 12), 0.0)
    pieces.close(pieces.begin((12, 100), 0.0))
    rest = pieces.begin((12, 100), 6.0)
    pieces.give(slow, 4)
    pieces.wrote(slow, 0.0)
    piece = pieces.next(6.0)
    assert piece is not None
    assert (piece.first, piece.stop, pieces.give(piece, 8)) == (4, 12, 8)
    assert pieces.give(slow, 8) == 0
    assert rest.stop == 100


def ramped(rate_of: Callable[[int], float], *, most: int = 8, seconds: float = 20.0) -> int:
    """Return how many connections a ramp ends with, where so many bring `rate_of` together."""
    ramp, held, now_s = Ramp(most, Scale(), rate_of(1)), 0.0, 0.0
    for _ in range(int(seconds / 0.05)):
        now_s += 0.05
        held += 0.05 * rate_of(ramp.target)
        ramp.look(now_s, int(held), ramp.target)
    return ramp.target


@pytest.mark.parametrize(
    ("rate_of", "expected"),
    [
        (lambda count: count * 20e6, 8),
        (lambda count: min(count, 4) * 20e6, 4),
        (lambda count: 12e6, 1),
        (lambda count: min(count * 50e6, 120e6), 4),
        (lambda count: 500e6, 1),
    ],
    ids=["limited each", "four pay", "the line is full", "the line fills up", "fast"],
)
def test_connections_are_added_as_long_as_they_pay(
    rate_of: Callable[[int], float], expected: int
) -> None:
    assert ramped(rate_of) == expected


def test_a_lead_judges_what_has_come_lately() -> None:
    lead = Lead(Scale(look_s=1.0, fast=100.0), 0.0, 0)
    assert not lead.is_slow(0.5, 1)
    assert not lead.is_slow(1.0, 100)
    assert lead.is_slow(2.0, 150)
    assert lead.rate == 50.0


# -------------------------------------------------------------------------- the journal


@st.composite
def journals(draw: st.DrawFn) -> Journal:
    edges = draw(st.lists(st.integers(0, 10**13), unique=True, max_size=60).map(sorted))
    spans = tuple(zip(edges[::2], edges[1::2], strict=False))
    return Journal(total=(edges[-1] if edges else 0) + draw(st.integers(0, 10**6)), done=spans)


@settings(max_examples=60, deadline=None)
@given(journals())
def test_a_journal_comes_back_as_it_was_written(journal: Journal) -> None:
    with open(os.memfd_create("part"), "r+b") as opened:  # noqa: PTH123
        journal = replace(journal, total=min(journal.total, 10**9), done=tuple(
            span for span in journal.done if span[1] <= 10**9
        ))  # fmt: skip
        write_journal(opened.fileno(), journal)
        assert read_journal(opened.fileno()) == journal


def test_a_journal_with_any_byte_changed_is_none_or_the_same(tmp_path: Path) -> None:
    journal = Journal(total=5000, done=((0, 1000), (2000, 3000)))
    path = tmp_path / "part"
    path.write_bytes(b"")
    with path.open("r+b") as opened:
        write_journal(opened.fileno(), journal)
        written = path.read_bytes()
        for place in range(len(written) - PAGE_BYTES, len(written) - PAGE_BYTES + 120):
            for flip in (0x01, 0x20, 0xFF):
                harmed = bytearray(written)
                harmed[place] ^= flip
                os.pwrite(opened.fileno(), harmed, 0)
                assert read_journal(opened.fileno()) in {None, journal}
        for length in (0, 1, PAGE_BYTES, 2 * PAGE_BYTES, 3 * PAGE_BYTES):
            path.write_bytes(written[:length].ljust(length, b"\0"))
            assert read_journal(opened.fileno()) in {None, journal}
    assert (journal.front, journal.held, journal.gap_end) == (1000, 2000, 2000)
    assert replace(journal, done=()).gap_end == 5000
    assert replace(journal, done=((5, 10),)).gap_end == 5
