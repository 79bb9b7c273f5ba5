"""Run one campaign as often as asked for, and print what came of it."""

import argparse
import inspect
import tempfile
from pathlib import Path

from tests.campaigns.stops import cuts, kills, signals

CAMPAIGNS = {campaign.__name__: campaign for campaign in (kills, cuts, signals)}


def main() -> None:
    names = "\n".join(
        f"  {name:<10} {(inspect.getdoc(campaign) or '').partition(chr(10))[0]}"
        for name, campaign in CAMPAIGNS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns",
        epilog=f"campaigns:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("campaign", choices=CAMPAIGNS, metavar="campaign")
    parser.add_argument("count", type=int, help="how often")
    parser.add_argument("--folder", type=Path, help="a disk with some GB of room [default: /tmp]")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        print(CAMPAIGNS[asked.campaign](Path(folder), asked.count))


if __name__ == "__main__":
    main()
