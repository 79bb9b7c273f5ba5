"""Run one campaign as often as asked for, and print what came of it."""

import argparse
import inspect
import tempfile
from pathlib import Path

from tests.campaigns.damage import caches, flips
from tests.campaigns.power import lock_power, naive_power, power
from tests.campaigns.races import aside_races, naive_races, races
from tests.campaigns.stops import cuts, kills, signals, spread_cuts
from tests.campaigns.together import locks, together

CAMPAIGNS = {
    campaign.__name__: campaign
    for campaign in (
        kills, cuts, spread_cuts, signals, power, naive_power, lock_power, together, locks, races,
        naive_races, aside_races, flips, caches,
    )
}  # fmt: skip


def main() -> None:
    names = "\n".join(
        f"  {name:<12} {(inspect.getdoc(campaign) or '').partition(chr(10))[0]}"
        for name, campaign in CAMPAIGNS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns",
        epilog=f"campaigns:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("campaign", choices=CAMPAIGNS, metavar="campaign")
    parser.add_argument("count", type=int, help="how often")
    parser.add_argument("how", nargs="?", help="what else it takes: a way, a file system, or a lie")
    parser.add_argument("--folder", type=Path, help="a disk with some GB of room [default: /tmp]")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        more = [] if asked.how is None else [asked.how]
        print(CAMPAIGNS[asked.campaign](Path(folder), asked.count, *more))


if __name__ == "__main__":
    main()
