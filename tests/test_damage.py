"""Bits that flip on the disk: in models they are found, in what is remembered they are harmless."""

from pathlib import Path

import pytest

from tests.campaigns.damage import caches, flips


@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_verify_finds_every_flipped_bit(tmp_path: Path, count: int) -> None:
    """And so does `check` by its stat, as every write moves the ctime."""
    found = flips(tmp_path, count)
    print(found)
    assert (found.flips, found.found, found.found_by_stat) == (count, count, count)


@pytest.mark.parametrize("count", [20, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_damaged_memory_of_hashes_costs_time_alone(tmp_path: Path, count: int) -> None:
    found = caches(tmp_path, count)
    print(found)
    assert (found.files, found.wrong_yes, found.wrong_no, found.crashed) == (count, 0, 0, [])
