"""The plug is pulled, for real: ext4 and XFS on loop devices that stop without a flush."""

from pathlib import Path

import pytest

from tests.campaigns.power import lock_power, naive_power, power

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("kind", ["ext4", "xfs"])]


def test_a_power_cut_leaves_the_old_file_or_the_new_one(tmp_path: Path, kind: str) -> None:
    """Half the cuts come while it is fetched and placed, half when the run has just ended."""
    found = power(tmp_path, 16, kind)
    print(found)
    assert (found.corrupt, found.lost, found.old_lost, found.stuck) == (0, 0, 0, [])
    assert (found.cuts, found.late >= 8) == (16, True)


def test_the_same_cuts_catch_an_installer_that_syncs_nothing(tmp_path: Path, kind: str) -> None:
    found = naive_power(tmp_path, 3, kind)
    assert found.corrupt + found.lost == 3


def test_a_power_cut_leaves_the_old_lock_or_the_new_one(tmp_path: Path, kind: str) -> None:
    found = lock_power(tmp_path, 8, kind)
    print(found)
    assert (found.cuts, found.torn, found.lost) == (8, 0, 0)
