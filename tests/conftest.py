"""What many tests share: a sealed world with a hub of its own."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.standin.server import Standin
from tests.world import SHELVES, World

# A busy machine is no defect, and a release must not hang on what chance finds: the same examples
# each time. `--hypothesis-profile=search` looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("same")


# Where the tests run in the background of a shell, interrupts are ignored, and by what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
