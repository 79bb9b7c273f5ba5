"""`--refresh`: what the hubs said before does not count, and what they say now is kept."""

from dataclasses import replace

import pytest

from comfylock.civitai.cache import ResponseCache
from comfylock.events import Silence
from comfylock.hubs import Reuse
from tests.shop import INK, LOST, SHOP, TWIN, lock, locked, put_workflow, source, unresolved
from tests.standin.catalogue import file, model, version
from tests.standin.server import Fault, Standin
from tests.standin_hf.repositories import Shelves, hub_file, repository
from tests.standin_hf.server import HuggingFaceStandin

FOUND = model(
    9, "Lost", "LORA", versions=[version(91, "v1", files=[file(911, "lost.safetensors")])]
)


@pytest.fixture
def hub():
    with Standin(SHOP) as standin:
        yield standin


def asked(world, *arguments, **variables):
    """Run a command and return how many requests it made."""
    world.hub.clear_requests()
    world.here(*arguments, **variables)
    return len(world.hub.requests)


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "ink wash"),
        ("outdated",),
        ("update", "--dry-run"),
        ("lock", "--rebuild"),
        ("lock", "-U", "--dry-run"),
        ("why", INK),
    ],
)
def test_every_asking_command_answers_from_the_cache_unless_told_to_refresh(world, arguments):
    lock(world, INK)
    first = asked(world, *arguments, "--refresh")
    assert first > 0
    assert asked(world, *arguments) == 0, "what was asked anew is kept"
    assert asked(world, *arguments, "--refresh") == first
    assert asked(world, *arguments, COMFYLOCK_REFRESH="1") == first


def test_pin_and_unpin_can_be_told_to_refresh(world):
    lock(world, LOST)
    world.here("pin", LOST, "civitai:12")
    assert asked(world, "pin", LOST, "civitai:12") == 0
    assert asked(world, "pin", LOST, "civitai:12", "--refresh") == 1
    assert asked(world, "unpin", LOST, "--refresh") > 0


def test_a_replaced_file_is_seen_at_once_by_who_refreshes(world):
    """Without it the answer of a moment ago would still serve."""
    lock(world, INK)
    world.here("outdated")
    world.hub.replace(SHOP.with_file(replace(SHOP.file(111), seed="other bytes")))
    assert "hash-mismatch" not in world.here("outdated").err
    assert "error[hash-mismatch]" in world.here("outdated", "--refresh").err


def test_lock_refresh_moves_no_pin_and_asks_nothing_about_it(world):
    lock(world, INK)
    text = world.lock_path.read_bytes()
    assert "Ink Wash / v2" in world.here("outdated").out
    assert asked(world, "lock", "--refresh") == 0
    assert world.lock_path.read_bytes() == text


def test_lock_refresh_asks_again_for_what_is_open(world):
    """Recorded as unresolved, as ambiguous, and kept as "not there": all three are open."""
    lock(world, INK, LOST, TWIN)
    ink = locked(world)[INK]
    assert unresolved(world) == [LOST, TWIN]
    world.hub.replace(SHOP.with_model(FOUND).without_model(5))
    assert asked(world, "lock") == 0
    assert unresolved(world) == [LOST, TWIN]

    ran = world.here("lock", "--refresh")

    assert ran.code == 0, ran.text
    assert unresolved(world) == []
    assert (source(world, LOST), source(world, TWIN)) == ((91, 911), (41, 411))
    assert locked(world)[INK] == ink


def test_a_version_kept_as_absent_is_asked_for_again(world):
    lock(world, LOST)
    assert world.here("pin", LOST, "civitai:91").code == 1
    world.hub.replace(SHOP.with_model(FOUND))
    assert world.here("pin", LOST, "civitai:91").code == 1, "kept for an hour"
    assert world.here("pin", LOST, "civitai:91", "--refresh").code == 0


def test_still_open_references_stay_recorded_and_the_lock_is_the_same(world):
    lock(world, INK, LOST, TWIN)
    text = world.lock_path.read_bytes()
    ran = world.here("lock", "--refresh")
    assert ran.code == 1
    assert "error[ambiguous]" in ran.err
    assert world.lock_path.read_bytes() == text


def test_a_hub_that_fails_is_no_reason_to_answer_from_the_cache(world):
    lock(world, INK)
    world.here("search", "ink wash")
    world.hub.fault(Fault(kind="status", status=400, match="/api/v1/", times=None))
    assert world.here("search", "ink wash").code == 0
    assert world.here("search", "ink wash", "--refresh").code == 2


def test_with_the_hub_down_a_refresh_costs_no_pin_and_no_record(world):
    lock(world, INK, LOST)
    text = world.lock_path.read_bytes()
    world.hub.fault(Fault(kind="status", status=400, match="/api/v1/", times=None))
    ran = world.here("lock", "--refresh")
    assert ran.code == 2
    assert world.lock_path.read_bytes() == text


@pytest.mark.parametrize(
    "arguments",
    [("lock",), ("search", "ink"), ("pin", LOST, "civitai:12"), ("unpin", LOST), ("outdated",),
     ("update",), ("why", LOST)],
)  # fmt: skip
def test_refreshing_offline_is_refused_with_both_named(world, arguments):
    lock(world, LOST)
    for words, variables in (
        (("--refresh", "--offline"), {}),
        (("--refresh",), {"COMFYLOCK_OFFLINE": "1"}),
        (("--offline",), {"COMFYLOCK_REFRESH": "1"}),
    ):
        ran = world.here(*arguments, *words, **variables)
        assert ran.code == 2
        assert "error[usage]: --refresh asks the hubs anew, and --offline forbids it" in ran.err


def test_check_asks_nobody_whatever_is_said(world):
    lock(world, INK)
    assert asked(world, "lock", "--check", "--refresh") == 0
    assert world.here("lock", "--check", "--offline", COMFYLOCK_REFRESH="1").code == 0


def test_a_branch_of_a_repository_is_looked_up_anew(world):
    put_workflow(world, LOST)
    spec = "hf:Org/ink@main:lost.safetensors"
    old, new = hub_file("lost.safetensors"), hub_file("lost.safetensors", seed="moved")
    with HuggingFaceStandin(Shelves.of(repository("Org/ink", {"lost.safetensors": old}))) as hf:
        world.environment["HF_ENDPOINT"] = hf.url
        lock(world, LOST)
        world.here("pin", LOST, spec)
        hf.push("Org/ink", {"lost.safetensors": new})
        world.here("pin", LOST, spec)
        assert locked(world)[LOST]["sha256"] == old.sha256
        assert world.here("pin", LOST, spec, "--refresh").code == 0
        assert locked(world)[LOST]["sha256"] == new.sha256


def test_answers_of_this_run_serve_and_no_others(tmp_path):
    now = 1_000_000.0
    path = tmp_path / "api.sqlite"
    before = ResponseCache(path, clock=lambda: now, reporter=Silence())
    before.put("GET x", {"a": 1})
    before.close()
    cache = ResponseCache(path, clock=lambda: now, reporter=Silence(), reuse=Reuse.NEVER)
    assert cache.get("GET x") is None
    cache.put("GET x", {"a": 2})
    kept = cache.get("GET x")
    assert kept is not None
    assert (kept.answer, kept.is_fresh) == ({"a": 2}, True)
    cache.close()
