"""Two sides of a merge made one lock, with git itself making the conflicts."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfylock.artifacts import UrlSource
from comfylock.errors import LockConflictError, LockInvalidError
from comfylock.hashes import Digests
from comfylock.lockfile.file import parse_lock, render_lock
from comfylock.lockfile.merge import merge_conflicted, merge_locks, split_conflict
from comfylock.lockfile.model import Evidence, Lock, Pin, WorkflowEntry


def pin(key: str, digit: str = "a", blake3: str | None = None) -> Pin:
    return Pin(
        key=key,
        size=1,
        digests=Digests(sha256=digit * 64 if digit else None, blake3=blake3),
        evidence=Evidence.HASH,
    )


def lock_of(workflows: dict[str, list[str]], *pins: Pin) -> Lock:
    return Lock(
        inputs=("workflows",),
        workflows={
            path: WorkflowEntry(path=path, models=tuple(models))
            for path, models in workflows.items()
        },
        models={pin.key: pin for pin in pins},
    )


A, B, C = "loras/a.pt", "loras/b.pt", "loras/c.pt"
BASE = lock_of({"one.json": [A]}, pin(A))
OURS = lock_of({"one.json": [A, B]}, pin(A), pin(B))
THEIRS = lock_of({"one.json": [A, C]}, pin(A), pin(C))
BOTH = lock_of({"one.json": [A, B, C]}, pin(A), pin(B), pin(C))


def git_merge(folder: Path, style: str, *locks: Lock) -> str:
    files = [folder / name for name in ("ours", "base", "theirs")]
    for file, lock in zip(files, locks, strict=True):
        file.write_text(render_lock(lock), encoding="utf-8")
    done = subprocess.run(
        ["git", "merge-file", "-p", *style.split(), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode > 0, "the texts should conflict"
    return done.stdout


@pytest.mark.parametrize("style", ["--quiet", "--diff3", "--zdiff3"])
def test_conflict_made_by_git_is_merged_entry_by_entry(tmp_path, style):
    merged = merge_conflicted(git_merge(tmp_path, style, OURS, BASE, THEIRS), "comfy.lock")
    assert merged.lock == BOTH
    assert merged.conflicts == ()
    assert (merged.from_ours, merged.from_theirs) == (1, 1)


def test_sides_of_a_conflict_are_told_apart():
    text = "a\n<<<<<<< HEAD\nb\n||||||| 1\nc\n=======\nd\n>>>>>>> x\ne\n"
    assert split_conflict(text) == ("a\nb\ne\n", "a\nd\ne\n", "a\nc\ne\n")
    assert split_conflict(text.replace("||||||| 1\nc\n", "").replace("\n", "\r\n")) == (
        "a\nb\ne\n",
        "a\nd\ne\n",
        None,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< a\n", "the last conflict has no end"),
        ("=======\n", "the merge conflict marker in line 1 is out of place"),
        ("<<<<<<< a\n=======\n<<<<<<< b\n", "marker in line 3 is out of place"),
        ("<<<<<<< a\n>>>>>>> b\n", "marker in line 2 is out of place"),
    ],
)
def test_markers_that_make_no_sense_are_refused(text, message):
    with pytest.raises(LockConflictError, match=message):
        split_conflict(text)


def test_side_that_is_no_lock_is_named():
    with pytest.raises(LockInvalidError, match=r"comfy\.lock \(their side\): version: missing"):
        merge_conflicted("<<<<<<< a\nversion = 1\n=======\n>>>>>>> b\n", "comfy.lock")


def test_reference_to_a_model_that_neither_side_has_is_dropped():
    """A merge of texts may keep the line of a workflow and lose the table of its model."""
    text = render_lock(lock_of({"one.json": []})).replace(
        "models = []", f'models = ["{A}"]\n<<<<<<< a\n=======\n>>>>>>> b'
    )
    merged = merge_conflicted(text, "comfy.lock")
    assert merged.lock.workflows["one.json"].models == ()
    assert parse_lock(render_lock(merged.lock), "comfy.lock") == merged.lock


def test_model_pinned_to_two_files_is_a_conflict_and_ours_stands():
    merged = merge_locks(lock_of({}, pin(A, "b")), lock_of({}, pin(A, "c")), lock_of({}, pin(A)))
    assert merged.conflicts == (A,)
    assert merged.lock.models == {A: pin(A, "b")}


def test_change_of_one_side_is_taken():
    changed = lock_of({}, pin(A, "b"))
    assert merge_locks(changed, BASE, BASE).lock.models == {A: pin(A, "b")}
    assert merge_locks(BASE, changed, BASE).lock.models == {A: pin(A, "b")}
    assert merge_locks(BASE, changed, BASE).conflicts == ()


def test_without_a_base_two_files_for_one_model_are_a_conflict():
    merged = merge_locks(lock_of({}, pin(A, "b")), lock_of({}, pin(A, "c")), None)
    assert merged.conflicts == (A,)


def test_one_file_described_twice_is_united():
    ours = replace(pin("loras/s/a.pt"), aliases=("s\\a.pt",))
    theirs = replace(
        pin("loras/s/a.pt", blake3="b" * 64), size=None, sources=(UrlSource(url="https://x.org/a"),)
    )
    merged = merge_locks(lock_of({}, ours), lock_of({}, theirs), None)
    assert merged.conflicts == ()
    assert merged.lock.models["loras/s/a.pt"] == replace(
        theirs, size=1, aliases=("s\\a.pt",), evidence=Evidence.HASH
    )


def test_hashes_that_cannot_be_compared_are_a_conflict():
    merged = merge_locks(
        lock_of({}, pin(A)), lock_of({}, pin(A, digit="", blake3="b" * 64)), lock_of({})
    )
    assert merged.conflicts == (A,)


def test_removal_is_kept_unless_the_other_side_changed_the_model():
    removed = lock_of({})
    assert merge_locks(removed, BASE, BASE).lock.models == {}
    assert merge_locks(BASE, removed, BASE).lock.workflows == {}
    changed = lock_of({}, pin(A, "b"))
    assert merge_locks(removed, changed, BASE).lock.models == changed.models
    assert merge_locks(removed, BASE, None).lock.models == BASE.models


def test_keys_that_differ_in_case_alone_do_not_both_enter_the_lock():
    merged = merge_locks(
        lock_of({}, pin("loras/a.pt")),
        lock_of({"one.json": ["loras/A.pt"]}, pin("loras/A.pt", "b")),
        lock_of({}),
    )
    assert merged.conflicts == ("loras/A.pt",)
    assert parse_lock(render_lock(merged.lock), "comfy.lock") == merged.lock


def test_unresolved_reference_that_the_other_side_pinned_is_resolved():
    ours = replace(
        BASE, workflows={"one.json": WorkflowEntry(path="one.json", models=(A,), unresolved=(B,))}
    )
    merged = merge_locks(ours, OURS, BASE)
    assert merged.lock.workflows["one.json"] == WorkflowEntry(path="one.json", models=(A, B))


def test_inputs_and_unknown_keys_of_both_sides_are_kept():
    ours = replace(BASE, inputs=("workflows", "x"), unknown=(("later", 1),))
    theirs = replace(BASE, inputs=("y",), unknown=(("newer", 2),))
    merged = merge_locks(ours, theirs, BASE).lock
    assert merged.inputs == ("x", "y")
    assert merged.unknown == (("later", 1), ("newer", 2))


changes = st.dictionaries(
    st.sampled_from([f"loras/{name}.pt" for name in "abcdefgh"]),
    st.none() | st.sampled_from("123"),
    max_size=4,
)


def changed(base: Lock, by: dict[str, str | None]) -> Lock:
    models = dict(base.models)
    for key, digit in by.items():
        models.pop(key, None)
        if digit is not None:
            models[key] = pin(key, digit)
    return lock_of({"one.json": sorted(models)}, *models.values())


@settings(max_examples=100, deadline=None)
@given(changes, changes, changes)
def test_changes_of_different_models_merge_the_same_either_way_round(start, mine, other):
    base = changed(lock_of({}), start)
    ours = changed(base, mine)
    theirs = changed(base, {key: digit for key, digit in other.items() if key not in mine})
    merged, reverse = merge_locks(ours, theirs, base), merge_locks(theirs, ours, base)
    assert merged.lock == reverse.lock
    assert merged.conflicts == ()
    assert (merged.from_ours, merged.from_theirs) == (reverse.from_theirs, reverse.from_ours)
    assert merge_locks(merged.lock, merged.lock, base).lock == merged.lock


@settings(max_examples=60, deadline=None)
@given(changes, changes, changes, st.booleans())
def test_any_merge_is_a_lock_again(start, mine, other, with_base):
    base = changed(lock_of({}), start)
    merged = merge_locks(changed(base, mine), changed(base, other), base if with_base else None)
    assert parse_lock(render_lock(merged.lock), "comfy.lock") == merged.lock
    assert set(merged.conflicts) <= set(mine) | set(other)
