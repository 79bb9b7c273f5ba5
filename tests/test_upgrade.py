"""`lock -U`, `lock -P`, `update`, `outdated`, and files that were replaced under their ids."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from comfylock.artifacts import (
    Artifact,
    CivitaiSource,
    FileId,
    ModelId,
    ModelVersion,
    Traits,
    VersionId,
)
from comfylock.hashes import Digests
from comfylock.lockfile.model import Evidence, Pin
from comfylock.operations.upgrade import Order, parse_order
from comfylock.upgrading import Newer, Undecided, Unmoved, newest
from tests.shop import (
    FORK,
    INK,
    LOST,
    MEADOW,
    SHOP,
    TWIN,
    lock,
    locked,
    put_workflow,
    source,
    unresolved,
)
from tests.standin.catalogue import file, model, version
from tests.standin.server import Fault, Standin


@pytest.fixture
def hub():
    with Standin(SHOP) as standin:
        yield standin


def replaced(world, file_id):
    """Put other bytes under the ids of a file, as an uploader can; forget the kept answers."""
    world.hub.replace(SHOP.with_file(replace(SHOP.file(file_id), seed="other bytes")))
    world.environment["COMFYLOCK_CACHE_DIR"] = str(world.root / "another-cache")


def test_outdated_shows_the_newest_version_for_the_same_base_model(world):
    """Not the one for another base model, and not the one that is sold for now."""
    lock(world, INK)
    ran = world.here("outdated")
    assert ran.code == 0
    assert ran.out == f"* {INK}  Ink Wash / v1 -> Ink Wash / v2  civitai:12/121  5 kB\n"
    assert ran.err == "1 of 1 model has a newer version\n"
    assert world.here("outdated", "--exit-code").code == 1
    document = world.here("outdated", "--json").document
    (one,) = document["outdated"]
    assert (one["ref"], one["current"]["version"], one["newest"]["version"]) == (INK, 11, 12)
    assert source(world, INK) == (11, 111), "it is only shown"


def test_update_takes_it_and_tells_from_what_to_what(world):
    lock(world, INK, LOST)
    ran = world.here("update", "ink.safetensors")
    assert ran.out.startswith(f"* {INK}  Ink Wash / v1 -> Ink Wash / v2  5 kB\n")
    assert source(world, INK) == (12, 121)
    entry = locked(world)[INK]
    assert (entry["size"], entry["name"]) == (5000, "Ink Wash / v2")
    assert entry["sha256"] == SHOP.file(121).sha256


def test_an_updated_model_stays_updated(world):
    lock(world, INK)
    world.here("lock", "-U")
    text = world.lock_path.read_bytes()
    world.hub.clear_requests()
    assert world.here("lock").code == 0
    assert world.lock_path.read_bytes() == text
    assert world.hub.requests == ()
    assert world.here("outdated").out == ""


def test_a_dry_run_writes_nothing(world):
    lock(world, INK)
    before = world.lock_path.read_bytes()
    for arguments in (("update", "--dry-run"), ("lock", "-U", "--dry-run")):
        ran = world.here(*arguments)
        assert "Ink Wash / v1 -> Ink Wash / v2" in ran.out
        assert world.lock_path.read_bytes() == before


def test_only_what_is_named_moves(world):
    world.put(MEADOW, SHOP.file(211).payload.read())
    lock(world, INK, MEADOW)
    ink = locked(world)[INK]
    assert world.here("lock", "-P", "checkpoints/*").code == 0
    assert locked(world)[INK] == ink
    assert source(world, MEADOW) == (22, 221)


def test_the_file_of_the_same_kind_is_taken_whatever_it_is_called(world):
    """Of a full and a pruned file, the one like the locked one; an inpainting version is none."""
    world.put(MEADOW, SHOP.file(212).payload.read())
    lock(world, MEADOW)
    assert source(world, MEADOW) == (21, 212)
    world.here("update")
    assert source(world, MEADOW) == (22, 222)


def test_files_that_fit_equally_are_listed_and_not_moved(world):
    lock(world, FORK)
    ran = world.here("update")
    assert ran.code == 1
    assert f"comfylock pin {FORK} civitai:32/321\n" in ran.out
    assert f"comfylock pin {FORK} civitai:32/322\n" in ran.out
    assert "error[ambiguous]" in ran.err
    assert source(world, FORK) == (31, 311)
    document = world.here("update", "--json").document
    assert [one["file"] for one in document["ambiguous"][0]["candidates"]] == [321, 322]


def test_a_version_can_be_named(world):
    lock(world, INK)
    assert world.here("lock", "-P", "ink.safetensors=13").code == 0
    assert source(world, INK) == (13, 131)
    assert world.here("update", f"{INK}=civitai:11").code == 0
    assert source(world, INK) == (11, 111)
    assert world.here("update", f"{FORK}=32").code == 1, "the fork is not known"


def test_a_version_may_name_its_file_too(world):
    lock(world, FORK)
    assert world.here("update", f"{FORK}=32/322").code == 0
    assert source(world, FORK) == (32, 322)


@pytest.mark.parametrize("order", [f"{INK}=999", f"{INK}=31", f"{INK}=12/999"])
def test_a_version_that_is_not_there_or_of_another_model_moves_nothing(world, order):
    lock(world, INK)
    ran = world.here("update", order)
    assert ran.code == 1
    assert "was not moved" in ran.err
    assert source(world, INK) == (11, 111)


def test_a_reference_that_means_nothing_is_an_error(world):
    lock(world, FORK)
    before = world.lock_path.read_bytes()
    for arguments in (("update", "loras/forks.safetensors"), ("lock", "-P", "nope/*")):
        ran = world.here(*arguments)
        assert ran.code == 1
        assert "error[unresolved]: no reference is called" in ran.err
    assert "did you mean" in world.here("update", "loras/forks.safetensors").err
    assert world.lock_path.read_bytes() == before


def test_what_is_pinned_or_local_stays_and_is_told(world):
    world.put(LOST, b"private")
    lock(world, INK, LOST)
    world.here("pin", INK, "civitai:11")
    ran = world.here("update")
    assert ran.code == 0
    assert f"{INK} not moved: pinned in comfylock.toml" in ran.err
    assert f"{LOST} not moved: a local file that no hub has" in ran.err
    assert source(world, INK) == (11, 111)
    assert world.here("update", f"{INK}=12").code == 1
    reasons = world.here("outdated", "--json").document["unmoved"]
    assert [one["ref"] for one in reasons] == [INK, LOST]


def test_an_order_asks_again_for_what_was_unresolved(world):
    lock(world, LOST, TWIN)
    assert unresolved(world) == [LOST, TWIN]
    ran = world.here("lock")
    assert "`comfylock lock -P REF` asks again" in ran.err
    found = model(
        9, "Lost", "LORA", versions=[version(91, "v1", files=[file(911, "lost.safetensors")])]
    )
    world.hub.replace(SHOP.with_model(found))
    world.environment["COMFYLOCK_CACHE_DIR"] = str(world.root / "another-cache")
    assert world.here("lock", "-P", LOST).code == 1, "the twin is still open"
    assert source(world, LOST) == (91, 911)
    assert unresolved(world) == [TWIN]


@pytest.mark.parametrize("arguments", [("update", "ink"), ("update",), ("update", "--dry-run")])
def test_what_is_still_open_and_was_not_meant_is_no_failure_of_an_update(world, arguments):
    lock(world, INK, LOST, TWIN)
    world.hub.clear_requests()
    ran = world.here(*arguments)
    assert ran.code == 0, ran.text
    assert "Ink Wash / v1 -> Ink Wash / v2" in ran.out
    assert "lost" not in ran.text
    assert not [one for one in world.hub.requests if "lost" in one.query or "twin" in one.query]
    assert unresolved(world) == [LOST, TWIN]


def test_an_open_reference_that_is_meant_is_asked_for_and_told(world):
    lock(world, INK, LOST)
    ran = world.here("update", "lost")
    assert ran.code == 1
    assert "error[unresolved]: loras/lost.safetensors" in ran.err


def test_several_references_are_updated_in_one_go(world):
    world.put(MEADOW, SHOP.file(211).payload.read())
    lock(world, INK, MEADOW)
    assert world.here("update", "ink", "checkpoints/*").code == 0
    assert (source(world, INK), source(world, MEADOW)) == ((12, 121), (22, 221))


def test_one_reference_that_means_nothing_moves_none_of_the_others(world):
    lock(world, INK)
    before = world.lock_path.read_bytes()
    assert world.here("update", "ink", "nope").code == 1
    assert world.lock_path.read_bytes() == before


@pytest.mark.parametrize(
    ("order", "code", "says"),
    [
        ("", 2, "no model is named"),
        ("=12", 2, "no model is named"),
        ("loras/*=12", 2, "no version in common"),
        ("ink=v2", 1, "no reference is called ink=v2"),
        ("ink=0", 1, "no reference is called ink=0"),
        ("ink=99999999999", 1, "no reference is called"),
        ("ink=12=13", 1, "no reference is called ink=12"),
    ],
)
def test_an_order_that_makes_no_sense_is_told_and_loses_nothing(world, order, code, says):
    lock(world, INK, FORK)
    before = world.lock_path.read_bytes()
    for command in (("update", order), ("lock", "-P", order)):
        ran = world.here(*command)
        assert ran.code == code
        assert says in ran.err
        assert "hint:" in ran.err or code == 2
    assert world.lock_path.read_bytes() == before


def test_a_page_that_cannot_be_found_is_made_good_by_the_list(world):
    """Seen for days on the real site, while lists and versions are as they were."""
    lock(world, INK)
    world.hub.fault(
        Fault(
            kind="status",
            status=404,
            match="/api/v1/models/1$",
            body='{"error":"No model with id 1"}',
            headers={"Content-Type": "application/json"},
        )
    )
    assert "Ink Wash / v1 -> Ink Wash / v2" in world.here("outdated").out


def test_a_page_that_lost_its_versions_moves_nothing(world):
    lock(world, INK)
    ink = SHOP.model(1)
    assert ink is not None
    world.hub.replace(SHOP.with_model(replace(ink, stale=True)))
    ran = world.here("outdated")
    assert (ran.code, ran.out) == (0, "")


def test_with_the_hub_down_nothing_moves_and_the_code_says_so(world):
    lock(world, INK)
    before = world.lock_path.read_bytes()
    cache = str(world.root / "empty")
    for command in ("update", "outdated"):
        ran = world.here(command, "--offline", COMFYLOCK_CACHE_DIR=cache)
        assert ran.code == 2
        assert "error[offline]" in ran.err
    assert world.lock_path.read_bytes() == before


# ------------------------------------------------------- other bytes under the same ids


@pytest.mark.parametrize(
    "arguments",
    [
        ("lock", "-U"),
        ("lock", "-P", "ink.safetensors"),
        ("lock", "-P", "ink.safetensors=11"),
        ("lock", "--rebuild"),
        ("update",),
    ],
)
def test_a_replaced_file_is_an_error_and_never_a_silent_rewrite(world, arguments):
    lock(world, INK)
    before = world.lock_path.read_bytes()
    replaced(world, 111)
    ran = world.here(*arguments)
    assert ran.code == 1
    assert "error[hash-mismatch]: " in ran.err
    assert "Civitai version 11 file 111 had sha256:" in ran.err
    assert f"comfylock pin {INK} civitai:11/111" in ran.err
    assert world.lock_path.read_bytes() == before


def test_outdated_tells_of_a_replaced_file(world):
    lock(world, INK)
    replaced(world, 111)
    ran = world.here("outdated")
    assert ran.code == 1
    assert "error[hash-mismatch]" in ran.err
    assert "No newer versions; asked for 1 model; 1 file changed at Civitai" in ran.err


def test_a_rebuild_keeps_the_inputs_and_shows_what_differs(world):
    lock(world, INK)
    world.here("update")
    ran = world.here("lock", "--rebuild")
    assert ran.code == 0
    assert ran.out.startswith(f"* {INK}  Ink Wash / v2 -> Ink Wash / v1")
    assert world.here("lock", "--check").code == 0


def test_a_rebuild_gets_over_a_lock_that_cannot_be_read(world):
    put_workflow(world, INK)
    world.lock_path.write_text("version = 'what'\n")
    assert world.here("lock", "workflows").code == 2
    assert world.here("lock", "workflows", "--rebuild").code == 0
    assert source(world, INK) == (11, 111)


@pytest.mark.parametrize(
    "arguments", [("-U", "--check"), ("-U", "--rebuild"), ("-U", "-P", "x"), ("-P", "x", "--check")]
)
def test_contradicting_wishes_are_refused(world, arguments):
    lock(world, INK)
    ran = world.here("lock", *arguments)
    assert ran.code == 2
    assert "exclude each other" in ran.err


@pytest.mark.parametrize(
    ("text", "ref", "numbers"),
    [
        ("loras/a.safetensors", "loras/a.safetensors", None),
        ("a=12", "a", (12, None)),
        ("a=12/34", "a", (12, 34)),
        ("a=civitai:12", "a", (12, None)),
        ("loras/a=b.safetensors", "loras/a=b.safetensors", None),
        ("loras/a=b=7", "loras/a=b", (7, None)),
    ],
)
def test_a_name_may_hold_the_sign_that_divides_it_from_a_version(text, ref, numbers):
    order = parse_order(text)
    assert isinstance(order, Order)
    assert order.ref == ref
    address = order.address
    assert (None if address is None else (address.version, address.file)) == numbers


# ---------------------------------------------------------------------------- pure cases

NOW = "2025-01-01T00:00:00Z"


def artifact(version_id, file_id, **more):
    values: dict[str, Any] = {
        "source": CivitaiSource(
            model=ModelId(1), version=VersionId(version_id), file=FileId(file_id)
        ),
        "file_name": "a.safetensors",
        "model_name": "A",
        "version_name": f"v{version_id}",
        "model_type": "LORA",
        "file_type": "Model",
        "base_model": "SDXL 1.0",
        "digests": Digests(sha256=f"{file_id:064x}"),
        "size_hint": 100,
        "published": f"2024-01-{version_id:02}",
        "downloads": 1,
        "unsafe": False,
    }
    return Artifact(**values | more)


def release(version_id, *files, **more):
    values: dict[str, Any] = {
        "model": ModelId(1),
        "version": VersionId(version_id),
        "name": f"v{version_id}",
        "model_name": "A",
        "base_model": "SDXL 1.0",
        "files": files,
        "published": f"2024-01-{version_id:02}",
    }
    return ModelVersion(**values | more)


LOCKED = artifact(1, 10, traits=Traits(format="SafeTensor", precision="fp16"))
ENTRY = Pin(
    key="loras/a.safetensors",
    size=100,
    digests=LOCKED.digests,
    evidence=Evidence.FILENAME,
    base_model="SDXL 1.0",
    sources=(LOCKED.source,),
)


def test_a_version_that_civitai_hides_moves_by_what_the_lock_knows():
    """Without the locked file's traits only a version with one fitting file is taken."""
    assert isinstance(newest(ENTRY, [release(2, artifact(2, 20))], NOW), Newer)
    two = release(2, artifact(2, 20), artifact(2, 21))
    assert isinstance(newest(ENTRY, [two], NOW), Undecided)
    assert isinstance(newest(ENTRY, [], NOW), Unmoved)


def test_what_an_uploader_does_not_say_speaks_against_nothing():
    unsaid = release(2, artifact(2, 20))
    assert isinstance(newest(ENTRY, [release(1, LOCKED), unsaid], NOW), Newer)
    other = release(2, artifact(2, 20, traits=Traits(precision="fp8")))
    assert isinstance(newest(ENTRY, [release(1, LOCKED), other], NOW), Undecided)


def test_an_exact_kind_is_taken_before_one_that_is_not_said():
    both = release(2, artifact(2, 20), artifact(2, 21, traits=LOCKED.traits))
    moved = newest(ENTRY, [release(1, LOCKED), both], NOW)
    assert isinstance(moved, Newer)
    assert moved.artifact.source.file == 21


def test_the_same_bytes_twice_are_one_file():
    same = Digests(sha256="e" * 64)
    both = release(2, artifact(2, 20, digests=same), artifact(2, 21, digests=same))
    assert isinstance(newest(ENTRY, [release(1, LOCKED), both], NOW), Newer)


@pytest.mark.parametrize("trouble", [{"unsafe": True}, {"digests": Digests()}])
def test_what_is_dangerous_or_has_no_hash_is_not_taken(trouble):
    later = release(2, artifact(2, 20, **trouble))
    moved = newest(ENTRY, [release(1, LOCKED), later], NOW)
    assert isinstance(moved, Unmoved)


def test_a_pickle_never_takes_the_place_of_another_format():
    later = release(2, artifact(2, 20, file_name="a.ckpt"))
    assert isinstance(newest(ENTRY, [release(1, LOCKED), later], NOW), Undecided)


@pytest.mark.parametrize(
    ("sold_until", "kind"),
    [
        (None, Newer),
        ("2024-12-01T00:00:00.000Z", Newer),
        ("2025-02-01T00:00:00.000Z", Unmoved),
        ("", Unmoved),
    ],
)
def test_early_access_is_waited_for(sold_until, kind):
    later = release(2, artifact(2, 20), sold_until=sold_until)
    assert isinstance(newest(ENTRY, [release(1, LOCKED), later], NOW), kind)


def test_the_order_of_the_answer_has_no_influence():
    versions = [release(number, artifact(number, number * 10)) for number in (1, 2, 3)]
    for some in permutations([release(1, LOCKED), *versions[1:]]):
        moved = newest(ENTRY, some, NOW)
        assert isinstance(moved, Newer)
        assert moved.artifact.source.version == 3
