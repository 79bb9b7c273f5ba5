"""Several runs at once. Nothing rests on file locks, so one that lies costs bandwidth alone."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.campaigns.together import locks, naive_together, together
from tests.world import INK, World, pin_of


@pytest.mark.usefixtures("strace")
def test_an_install_asks_for_no_file_lock(world: World, tmp_path: Path) -> None:
    world.lock(pin_of(INK))
    log = tmp_path / "log"
    subprocess.run(
        ["strace", "-f", "-qq", "-o", str(log), "-e", "trace=flock,fcntl",
         *world.command("install")],
        env=world.environment,
        cwd=world.project,
        check=True,
        capture_output=True,
    )  # fmt: skip
    assert world.has("loras/ink.safetensors", INK)
    asked = re.findall(r"flock\(|F_\w*SETLK\w*", log.read_text(errors="replace"))
    assert asked == []


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    ("turns", "lies"), [(10, ""), (4, "retval=0"), (4, "error=ENOLCK")], ids=str
)
def test_four_installs_at_once_all_end_well(tmp_path: Path, turns: int, lies: str) -> None:
    found = together(tmp_path, turns, lies)
    print(found)
    assert (found.failed, found.wrong, found.lost, found.leftovers) == ([], 0, [], 0)
    assert found.ratio <= 4


@pytest.mark.slow
def test_the_same_turns_catch_installers_that_write_in_place(tmp_path: Path) -> None:
    found = naive_together(tmp_path, 2)
    assert len(found.lost) == 2


@pytest.mark.slow
def test_four_locks_at_once_write_what_one_writes(tmp_path: Path) -> None:
    found = locks(tmp_path, 6)
    print(found)
    assert (found.failed, found.different) == ([], 0)
