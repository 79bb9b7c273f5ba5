"""What many tests share: a sealed world with a hub of its own."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standin.server import Standin
from tests.world import SHELVES, World


@pytest.fixture
def hub() -> Iterator[Standin]:
    with Standin(SHELVES) as standin:
        yield standin


@pytest.fixture
def world(tmp_path: Path, hub: Standin) -> World:
    return World(tmp_path, hub)


@pytest.fixture
def strace() -> None:
    """Skip where no system call can be traced."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode != 0:
        pytest.skip("strace is not permitted")
