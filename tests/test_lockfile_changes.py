"""What differs between two locks, and between a lock and its workflows."""

from dataclasses import replace

import pytest

from comfylock.hashes import Digests
from comfylock.lockfile.changes import (
    Change,
    ChangeKind,
    Wanted,
    diff_locks,
    matches,
    staleness,
)
from comfylock.lockfile.model import Evidence, Lock, Pin, WorkflowEntry


def pin(key: str, digit: str = "a", **more: object) -> Pin:
    made = Pin(key=key, size=1, digests=Digests(sha256=digit * 64), evidence=Evidence.HASH)
    return replace(made, **more)  # type: ignore[arg-type]


def lock_of(workflows: dict[str, list[str]], *pins: Pin, unresolved: tuple[str, ...] = ()) -> Lock:
    return Lock(
        inputs=(),
        workflows={
            path: WorkflowEntry(path=path, models=tuple(models), unresolved=unresolved)
            for path, models in workflows.items()
        },
        models={pin.key: pin for pin in pins},
    )


def wanted(*keys: str, **aliases: tuple[str, ...]) -> Wanted:
    return Wanted(
        keys=frozenset(keys), aliases={k.replace("__", "/"): v for k, v in aliases.items()}
    )


def lines(lock: Lock, now: dict[str, Wanted]) -> list[str]:
    return [str(difference) for difference in staleness(lock, now)]


def test_every_pin_of_a_first_lock_is_added():
    new = lock_of({}, pin("loras/b.pt"), pin("loras/a.pt"))
    assert [(c.ref, c.change) for c in diff_locks(None, new)] == [
        ("loras/a.pt", "added"),
        ("loras/b.pt", "added"),
    ]


def test_changes_are_told_with_both_pins_and_sorted():
    old = lock_of({}, pin("loras/a.pt"), pin("loras/b.pt"), pin("loras/c.pt"))
    new = lock_of({}, pin("loras/c.pt", "b"), pin("loras/b.pt"), pin("loras/d.pt"))
    assert diff_locks(old, new) == (
        Change(ref="loras/a.pt", change=ChangeKind.REMOVED, old=pin("loras/a.pt"), new=None),
        Change(
            ref="loras/c.pt",
            change=ChangeKind.UPDATED,
            old=pin("loras/c.pt"),
            new=pin("loras/c.pt", "b"),
        ),
        Change(ref="loras/d.pt", change=ChangeKind.ADDED, old=None, new=pin("loras/d.pt")),
    )


def test_equal_locks_have_no_changes():
    lock = lock_of({"a.json": ["loras/a.pt"]}, pin("loras/a.pt"))
    assert diff_locks(lock, lock) == ()


@pytest.mark.parametrize(
    ("asked", "recorded", "expected"),
    [
        ("loras/a.pt", "loras/a.pt", True),
        ("loras/a", "loras/a.safetensors", True),
        ("embeddings/x.v1", "embeddings/x.v1.PT", True),
        ("loras/a", "loras/a.txt", False),
        ("loras/a.pt", "loras/a.pt.safetensors", False),
        ("loras/a", "loras/b/a.pt", False),
        ("loras/a.pt", "loras/a", False),
    ],
)
def test_recorded_key_may_add_an_extension_to_what_is_asked(asked, recorded, expected):
    assert matches(asked, recorded) is expected


def test_lock_that_records_what_is_asked_is_fresh():
    lock = lock_of(
        {"a.json": ["embeddings/e.pt", "loras/a.pt"], "b.json": []},
        pin("embeddings/e.pt"),
        pin("loras/a.pt"),
        unresolved=("loras/lost",),
    )
    now = {
        "a.json": wanted("loras/a.pt", "embeddings/e", "loras/lost"),
        "b.json": wanted("loras/lost"),
    }
    assert staleness(lock, now) == ()


def test_each_difference_is_one_line():
    lock = lock_of(
        {"workflows/gone.json": [], "workflows/portrait.json": ["loras/old.pt"]},
        pin("loras/old.pt"),
        unresolved=("loras/lost.pt",),
    )
    now = {
        "workflows/new.json": wanted("loras/any.pt"),
        "workflows/portrait.json": wanted("loras/new.safetensors", "embeddings/e"),
    }
    assert lines(lock, now) == [
        "- workflows/gone.json",
        "+ workflows/new.json",
        "workflows/portrait.json  + embeddings/e",
        "workflows/portrait.json  - loras/lost.pt",
        "workflows/portrait.json  + loras/new.safetensors",
        "workflows/portrait.json  - loras/old.pt",
    ]


def test_model_pinned_for_another_workflow_only_is_a_difference():
    lock = lock_of({"a.json": ["loras/a.pt"], "b.json": []}, pin("loras/a.pt"))
    now = {"a.json": wanted("loras/a.pt"), "b.json": wanted("loras/a.pt")}
    assert lines(lock, now) == ["b.json  + loras/a.pt"]


def test_name_with_an_extension_is_no_stem():
    lock = lock_of({"a.json": ["loras/a.pt.safetensors"]}, pin("loras/a.pt.safetensors"))
    assert lines(lock, {"a.json": wanted("loras/a.pt")}) == [
        "a.json  + loras/a.pt",
        "a.json  - loras/a.pt.safetensors",
    ]


def test_new_spelling_of_a_name_is_a_difference():
    lock = lock_of({"a.json": ["loras/s/a.pt"]}, pin("loras/s/a.pt"))
    now = {"a.json": wanted("loras/s/a.pt", **{"loras__s/a.pt": ("s\\a.pt",)})}
    assert lines(lock, now) == ["a.json  + loras/s/a.pt (spelled s\\a.pt)"]


def test_spelling_that_some_workflow_still_uses_is_none():
    lock = lock_of(
        {"a.json": ["loras/s/a.pt"], "b.json": ["loras/s/a.pt"]},
        pin("loras/s/a.pt", aliases=("s\\a.pt",)),
    )
    one = wanted("loras/s/a.pt", **{"loras__s/a.pt": ("s\\a.pt",)})
    plain = wanted("loras/s/a.pt")
    assert lines(lock, {"a.json": plain, "b.json": one}) == []
    assert lines(lock, {"a.json": plain, "b.json": plain}) == [
        "a.json  - loras/s/a.pt (spelled s\\a.pt)"
    ]


def test_names_with_control_characters_are_shown_escaped_and_can_be_fresh():
    lock = lock_of({"a.json": []}, unresolved=("loras/\x1b[2J",))
    assert staleness(lock, {"a.json": wanted("loras/\x1b[2J")}) == ()
    assert lines(lock, {"a.json": wanted()}) == ["a.json  - loras/\\x1b[2J"]
