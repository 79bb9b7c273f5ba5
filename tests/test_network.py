"""Faults of the network itself, made by the kernel in a network of the test's own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.disks import require, require_root
from tests.world import ROOT

pytestmark = pytest.mark.slow


def came_of(scene: str, folder: Path, *programs: str) -> dict[str, Any]:
    """Run a scene of `tests.network` below a network of its own."""
    require("unshare", "ip", *programs)
    require_root()
    own = ["unshare", "--net"]
    if subprocess.run([*own, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a network of its own is not permitted here")
    done = subprocess.run(
        [*own, sys.executable, "-m", "tests.network", scene, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if "nft" in done.stderr and "Operation not supported" in done.stderr:
        pytest.skip("this kernel filters no packets")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert "Traceback" not in found["err"]
    return found


def test_without_a_network_a_part_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    found = came_of("no_route", tmp_path)
    assert found["code"] == 1
    assert "error[network]: checkpoints/large.safetensors: 127.0.0.1" in found["err"]
    assert "Check the network" in found["err"]
    assert found["held"] == 1 << 20
    assert (found["in_the_end"], found["ratio"], found["parts"]) == (True, 1.0, [])


@pytest.mark.parametrize("scene", ["link_down", "lost_packets"])
def test_what_the_connection_outlives_is_not_even_noticed(tmp_path: Path, scene: str) -> None:
    found = came_of(scene, tmp_path, *(["nft"] if scene == "lost_packets" else []))
    assert (found["code"], found["in_the_end"]) == (0, True), found["err"]
    assert (found["requests"], found["parts"]) == (1, [])


def test_connections_that_are_reset_are_made_again(tmp_path: Path) -> None:
    found = came_of("resets", tmp_path, "nft")
    assert (found["code"], found["in_the_end"]) == (0, True), found["err"]
    assert "broke the connection" in found["err"] or "cannot be reached" in found["err"]
    assert found["requests"] > 1
    assert found["parts"] == []


def test_silence_is_borne_for_half_a_minute_and_then_asked_about(tmp_path: Path) -> None:
    found = came_of("silence", tmp_path, "nft")
    assert (found["code"], found["in_the_end"]) == (0, True), found["err"]
    assert "sent nothing for 30 s" in found["err"]
    assert (found["requests"], found["parts"]) == (2, [])
