"""Runs that are stopped: by kill -9, by signals, by a connection that is cut. Nothing is lost.

`python -m tests.campaigns` does the same as often as one likes.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.stops import WAYS, Cuts, cuts, kills, signals, spread_cuts

pytestmark = pytest.mark.slow


def test_fifty_kills_of_a_large_download(tmp_path: Path) -> None:
    found = kills(tmp_path, 50)
    print(found)
    assert (found.partial, found.failed, found.leftovers) == (0, [], [])
    assert (found.kills, found.finished) == (50, 25)
    # A killed client may leave in the sockets what the server counts as sent.
    assert found.ratio < 1.1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("campaign", [cuts, spread_cuts])
def test_twenty_cuts_of_a_download_cost_no_more_than_a_fiftieth(
    tmp_path: Path, campaign: Callable[[Path, int, str], Cuts], way: str
) -> None:
    found = campaign(tmp_path, 20, way)
    print(found)
    assert (found.cuts, found.survived, found.is_right) == (20, 0, True)
    assert found.requests > (40 if campaign is spread_cuts else 20)
    assert found.ratio <= 1.02


def test_signals_at_random_moments_end_a_run_at_once_and_in_one_line(tmp_path: Path) -> None:
    found = signals(tmp_path, 60)
    print(found)
    assert (found.tracebacks, found.wrong_codes, found.wrong_words) == (0, [], [])
    assert (found.partial, found.ignored) == (0, 0)
    assert found.early + found.late < found.sent // 2
    assert found.often_lost < 1_000_000
    assert found.slowest_s < 2
