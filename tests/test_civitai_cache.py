"""The kept answers: how long they count, and what becomes of a damaged or foreign file."""

import random
import sqlite3
import threading
from pathlib import Path

import pytest

from comfylock.civitai.cache import FRESH_S, MISSING_FRESH_S, ResponseCache
from comfylock.events import Event, Silence


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Ears:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "civitai.sqlite"


def opened(path: Path | None, clock: Clock, ears: Ears | None = None) -> ResponseCache:
    return ResponseCache(path, clock=clock, reporter=ears or Silence())


def test_answer_is_fresh_for_a_day_and_kept_after(path: Path, clock: Clock):
    cache = opened(path, clock)
    cache.put("GET x", {"a": "ä\ud800"})
    clock.now += FRESH_S - 1
    kept = cache.get("GET x")
    assert kept is not None
    assert (kept.answer, kept.is_fresh, kept.age_s) == ({"a": "ä\ud800"}, True, FRESH_S - 1)
    clock.now += 1
    stale = cache.get("GET x")
    assert stale is not None
    assert not stale.is_fresh
    cache.close()


def test_not_found_is_fresh_for_an_hour(path: Path, clock: Clock):
    cache = opened(path, clock)
    cache.put("GET x", None)
    kept = cache.get("GET x")
    assert kept is not None
    assert (kept.answer, kept.is_fresh) == (None, True)
    clock.now += MISSING_FRESH_S
    stale = cache.get("GET x")
    assert stale is not None
    assert not stale.is_fresh
    assert cache.get("GET y") is None
    cache.close()


def test_answer_from_the_future_is_not_fresh(path: Path, clock: Clock):
    cache = opened(path, clock)
    cache.put("GET x", 1)
    clock.now -= 5000
    kept = cache.get("GET x")
    assert kept is not None
    assert not kept.is_fresh
    cache.close()


def test_answers_outlive_the_run(path: Path, clock: Clock):
    first = opened(path, clock)
    first.put("GET x", [1])
    first.close()
    second = opened(path, clock)
    kept = second.get("GET x")
    assert kept is not None
    assert kept.answer == [1]
    second.close()


def test_answers_of_last_season_are_dropped(path: Path, clock: Clock):
    first = opened(path, clock)
    first.put("GET x", [1])
    first.close()
    clock.now += 100 * 24 * 3600
    second = opened(path, clock)
    assert second.get("GET x") is None
    second.close()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
    database.close()


def other_schema(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def damaged(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def cut(path: Path) -> None:
    cache = opened(path, Clock())
    for number in range(200):
        cache.put(f"GET {number}", "x" * 500)
    cache.close()
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096)


@pytest.mark.parametrize("spoil", [foreign, other_schema, damaged, cut])
def test_file_that_is_not_a_sound_cache_is_set_aside(path: Path, clock: Clock, spoil):
    path.parent.mkdir()
    spoil(path)
    before = path.read_bytes()
    ears = Ears()
    cache = opened(path, clock, ears)
    for number in range(200):
        cache.get(f"GET {number}")
    cache.put("GET x", 1)
    kept = cache.get("GET x")
    assert kept is not None
    assert kept.answer == 1
    cache.close()
    aside = path.with_name(path.name + ".damaged")
    assert aside.read_bytes() == before
    assert len(ears.events) == 1


def test_damaged_row_counts_as_nothing(path: Path, clock: Clock):
    cache = opened(path, clock)
    cache.put("GET x", 1)
    cache.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE answers SET body = x'00ff'")
    database.close()
    cache = opened(path, clock)
    assert cache.get("GET x") is None
    cache.close()


@pytest.mark.parametrize("flips", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_flipped_bit_costs_an_answer_and_never_makes_another(path: Path, clock: Clock, flips: int):
    """A row may come out as the answer to another question: an index and a table tell its key."""
    truth = {f"model-versions/{number}": {"id": number} for number in range(100, 130)}
    cache = opened(path, clock)
    for request, answer in truth.items():
        cache.put(request, answer)
    cache.put("model-versions/999", None)
    cache.close()
    good, chance = path.read_bytes(), random.Random(19)
    for _ in range(flips):
        bad = bytearray(good)
        place = chance.randrange(len(bad) * 8)
        bad[place // 8] ^= 1 << place % 8
        for left in path.parent.iterdir():
            left.unlink()
        path.write_bytes(bad)
        cache = opened(path, clock)
        for number in [*range(95, 135), 999]:
            request = f"model-versions/{number}"
            kept = cache.get(request)
            assert kept is None or (
                (request in truth or number == 999) and kept.answer == truth.get(request)
            ), place
        cache.close()


def test_home_that_cannot_be_written_costs_only_the_keeping(tmp_path: Path, clock: Clock):
    """A file stands where the cache's folder would be; root may write anywhere else."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    ears = Ears()
    cache = opened(blocked / "civitai.sqlite", clock, ears)
    assert cache.get("GET x") is None
    cache.put("GET x", 1)
    kept = cache.get("GET x")
    assert kept is not None
    assert kept.answer == 1
    assert len(ears.events) == 1
    cache.close()


def test_without_a_path_answers_live_in_memory(clock: Clock):
    cache = opened(None, clock)
    cache.put("GET x", 1)
    assert cache.get("GET x") is not None
    cache.close()


def test_two_users_of_one_file_see_each_others_answers(path: Path, clock: Clock):
    caches = [opened(path, clock) for _ in range(2)]

    def fill(cache: ResponseCache, name: str) -> None:
        for number in range(50):
            cache.put(f"{name} {number}", number)

    threads = [
        threading.Thread(target=fill, args=(cache, name))
        for cache, name in zip(caches, "ab", strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for cache in caches:
        for name in "ab":
            assert all(cache.get(f"{name} {number}") is not None for number in range(50))
    for cache in caches:
        cache.close()
