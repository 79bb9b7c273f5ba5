"""Digests as values, and both from one pass."""

import hashlib

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from comfylock.hashes import Digests, Hasher, is_digest, needed_to_check

A, B = "a" * 64, "b" * 64
SOME = st.builds(
    Digests, sha256=st.sampled_from([None, A, B]), blake3=st.sampled_from([None, A, B])
)


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_pieces_hash_to_what_the_whole_hashes_to(pieces: list[bytes]) -> None:
    hasher = Hasher(["sha256", "blake3"])
    for piece in pieces:
        hasher.update(piece)
    whole = b"".join(pieces)
    assert hasher.digests() == Digests(
        sha256=hashlib.sha256(whole).hexdigest(), blake3=blake3(whole).hexdigest()
    )


def test_only_what_is_asked_for_is_computed() -> None:
    assert Hasher(["blake3", "blake3"]).digests().sha256 is None
    assert Hasher(()).digests() == Digests()
    with pytest.raises(ValueError, match="md5"):
        Hasher(["md5"])


@given(SOME, SOME)
def test_agreeing_and_contradicting_exclude_each_other(one: Digests, other: Digests) -> None:
    assert not (one.agrees(other) and one.contradicts(other))
    assert one.agrees(other) == other.agrees(one)
    assert one.contradicts(other) == other.contradicts(one)
    if one:
        assert one.agrees(one)


def test_nothing_in_common_is_neither() -> None:
    one, other = Digests(sha256=A), Digests(blake3=A)
    assert not one.agrees(other)
    assert not one.contradicts(other)


def test_one_equal_digest_does_not_outweigh_one_that_differs() -> None:
    assert not Digests(sha256=A, blake3=A).agrees(Digests(sha256=A, blake3=B))


@given(SOME, SOME)
def test_combined_keeps_this_ones_word(one: Digests, other: Digests) -> None:
    both = one.combined(other)
    assert both.sha256 == (one.sha256 or other.sha256)
    assert both.blake3 == (one.blake3 or other.blake3)


def test_the_cheaper_hash_checks() -> None:
    assert needed_to_check(Digests(sha256=A, blake3=B)) == ("blake3",)
    assert needed_to_check(Digests(sha256=A)) == ("sha256",)
    assert needed_to_check(Digests(blake3=B)) == ("blake3",)


def test_a_content_is_named_by_blake3_first() -> None:
    assert Digests(sha256=A, blake3=B).label == B
    assert Digests(sha256=A).label == A
    assert str(Digests(sha256=A, blake3=B)) == f"sha256:{A}"
    assert (str(Digests(blake3=B)), str(Digests())) == (f"blake3:{B}", "no hash")
    assert not Digests()


@pytest.mark.parametrize("text", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n"])
def test_what_is_no_digest(text: str) -> None:
    assert not is_digest(text)
    assert is_digest(A)
