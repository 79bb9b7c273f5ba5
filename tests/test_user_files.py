"""Whatever a user does between installs, and whatever flags they have: no file of his is lost.

A machine plays both: it writes, copies, renames, edits and deletes files as a user does, changes
the lock, breaks the hub, and runs installs; after each of them it looks for everything that is
the user's.
"""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.standin.faults import Fault
from tests.standin.server import Standin
from tests.world import BRUSH, INK, PAPER, SHELVES, World, bytes_of, pin_of

KEYS = ("loras/a.safetensors", "loras/b.safetensors", "vae/sub/c.safetensors")
ELSEWHERE = ("loras/copy.safetensors", "checkpoints/old name", "vae/sub/x.bin")
MODELS = (INK, PAPER, BRUSH)

keys = st.sampled_from(KEYS)
names = st.sampled_from(KEYS + ELSEWHERE)
models = st.sampled_from(MODELS)
flags = st.sampled_from(
    [
        [],
        ["--replace"],
        ["--prune", "--yes"],
        ["--replace", "--prune", "--yes"],
        ["--link-mode", "copy"],
        ["--link-mode", "symlink", "--replace"],
        ["--dry-run", "--replace"],
        ["--only", "loras/*"],
        ["--verify", "full"],
    ]
)


class Life(RuleBasedStateMachine):
    """A models folder over many days."""

    def __init__(self) -> None:
        super().__init__()
        shared = Path("/dev/shm")
        self.root = Path(mkdtemp(dir=shared if shared.is_dir() else None))
        self.hub = Standin(SHELVES)
        self.hub.start()
        self.world = World(self.root, self.hub)
        self.owned: set[str] = set()
        self.count = 0

    def teardown(self) -> None:
        self.hub.stop()
        shutil.rmtree(self.root)

    # -------------------------------------------------------------------------- the user

    @initialize(first=models)
    def begin(self, first: int) -> None:
        self.world.lock(pin_of(first, KEYS[0]))

    @rule(name=names)
    def write(self, name: str) -> None:
        self.count += 1
        self._clear(name)
        self.world.put(name, f"mine, number {self.count}".encode())
        self.owned.add(name)

    @rule(name=names, model=models)
    def bring_a_model(self, name: str, model: int) -> None:
        self._clear(name)
        self.world.put(name, bytes_of(model))
        self.owned.add(name)

    @rule(name=names)
    def edit(self, name: str) -> None:
        """In place: what is linked to it changes too, and is the user's from now on."""
        path = self.world.models / name
        if not path.exists():
            return
        self.count += 1
        before = self._all()
        with path.open("r+b") as file:
            file.write(f"edit {self.count:06}".encode())
        self.owned |= {one for one, content in self._all().items() if before[one] != content}

    @rule(old=names, new=names)
    def rename(self, old: str, new: str) -> None:
        source, target = self.world.models / old, self.world.models / new
        if old == new or not source.exists() or source.is_symlink():
            return
        self._clear(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        self.owned.discard(old)
        self.owned.add(new)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self._clear(name)

    def _clear(self, name: str) -> None:
        path = self.world.models / name
        if os.path.lexists(path):
            path.unlink()
        self.owned.discard(name)

    @rule(pins=st.dictionaries(keys, models, max_size=3))
    def change_the_lock(self, pins: dict[str, int]) -> None:
        self.world.lock(*(pin_of(model, key) for key, model in pins.items()))

    @rule()
    def break_the_hub(self) -> None:
        self.hub.fault(Fault(kind="status", status=410, origin="storage", times=2))

    # ------------------------------------------------------------------------ the install

    @rule(chosen=flags)
    def install(self, chosen: list[str]) -> None:
        before = self._all()
        mine = {name: before[name] for name in self.owned if name in before}
        ran = self.world.here("install", *chosen)
        after = self._all()
        assert "Traceback" not in ran.text
        assert ran.code in {0, 1} or "matches no model" in ran.err, ran.text
        for name, content in mine.items():
            if "--replace" in chosen and "--dry-run" not in chosen:
                assert content in after.values(), (name, chosen, ran.text)
            else:
                assert after.get(name) == content, (name, chosen, ran.text)
        self.owned = {name for name in self.owned if after.get(name) == before.get(name)}
        if "--dry-run" in chosen:
            assert after == before
        aside = {name for name in after if "/replaced/" in name}
        self.owned |= {name for name in aside if after[name] in mine.values()}

    @rule()
    def install_twice(self) -> None:
        self.hub.clear_faults()
        self.install(["--replace"])
        seen = self._all()
        requests = len(self.hub.requests)
        ran = self.world.here("install", "--replace")
        assert (self._all(), len(self.hub.requests)) == (seen, requests), ran.text

    def _all(self) -> dict[str, bytes]:
        """Return every file below the models folder with its bytes, those moved aside too."""
        return {
            str(path.relative_to(self.world.models)): path.read_bytes()
            for path in self.world.models.rglob("*")
            if path.is_file() and (".comfylock" not in path.parts or path.parent.name == "replaced")
        }


@pytest.mark.parametrize("lives", [4, pytest.param(300, marks=pytest.mark.slow)])
def test_no_file_of_the_users_is_ever_lost(lives: int) -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=lives,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
