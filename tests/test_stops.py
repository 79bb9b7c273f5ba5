"""Runs that are stopped: by kill -9, by signals, by a connection that is cut. Nothing is lost.

`python -m tests.campaigns` does the same as often as one likes.
"""

from pathlib import Path

import pytest

from tests.campaigns.stops import cuts, kills, signals

pytestmark = pytest.mark.slow


def test_fifty_kills_of_a_large_download(tmp_path: Path) -> None:
    found = kills(tmp_path, 50)
    print(found)
    assert (found.partial, found.failed, found.leftovers) == (0, [], [])
    assert (found.kills, found.finished) == (50, 25)
    # A killed client may leave in the sockets what the server counts as sent.
    assert found.ratio < 1.1


def test_twenty_cuts_of_a_download_cost_no_more_than_a_fiftieth(tmp_path: Path) -> None:
    """By kill -9, by Ctrl-C and by a reset, in turn."""
    found = cuts(tmp_path, 20)
    print(found)
    assert (found.cuts, found.is_right) == (20, True)
    assert found.ratio <= 1.02


def test_signals_at_random_moments_end_a_run_at_once_and_in_one_line(tmp_path: Path) -> None:
    found = signals(tmp_path, 60)
    print(found)
    assert (found.tracebacks, found.wrong_codes, found.wrong_words) == (0, [], [])
    assert found.partial == 0
    assert found.early + found.late < found.sent // 2
    assert found.often_lost < 1_000_000
    assert found.slowest_s < 2
