"""What many tests share: a sealed world with a hub of its own."""

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
