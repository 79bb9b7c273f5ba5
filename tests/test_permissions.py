"""Folders that this user may not enter or list: a sentence, and one model's failure at most."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.world import INK, PAPER, Ran, World, pin_of

PAPER_KEY = "vae/paper.safetensors"
#: Root without the powers that make it root: permissions count.
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


def ran(world: World, *arguments: str, cwd: Path | None = None) -> Ran:
    """Run the real command as a user for whom permissions count."""
    powerless = POWERLESS if os.geteuid() == 0 else ()
    if powerless and shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv")
    done = subprocess.run(
        [*powerless, *world.command(*arguments)],
        env=world.environment,
        cwd=cwd or world.project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "setpriv:" in done.stderr:
        pytest.skip(done.stderr)
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.mark.parametrize("key", ["loras/ink.safetensors", "loras/sub/ink.safetensors"])
@pytest.mark.parametrize("bits", [0o000, 0o300, 0o600])
def test_a_folder_that_is_closed_stops_only_the_models_in_it(
    world: World, key: str, bits: int
) -> None:
    world.lock(pin_of(INK, key), pin_of(PAPER, PAPER_KEY))
    folder = world.models / "loras"
    folder.mkdir()

    with mode(folder, bits):
        done = ran(world, "install")
        asked = [ran(world, name).code for name in ("status", "check")]

    assert (done.code, asked) == (1, [0, 1]), done.err
    assert world.has(PAPER_KEY, PAPER)
    assert f"error[permission]: {key}" in done.err.replace(str(folder), "loras"), done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("bits", [0o000, 0o600])
def test_a_models_folder_that_is_closed_is_told(world: World, bits: int) -> None:
    world.lock(pin_of(INK))

    with mode(world.models, bits):
        codes = {name: ran(world, name) for name in ("install", "status", "check")}

    assert {name: one.code for name, one in codes.items()} == {
        "install": 1,
        "status": 0,
        "check": 1,
    }
    for one in codes.values():
        assert "Traceback" not in one.err


def test_a_comfyui_of_somebody_else_beside_the_project_is_passed_over(world: World) -> None:
    world.lock(pin_of(INK))
    theirs = world.root / "ComfyUI"
    theirs.mkdir()
    del world.environment["COMFYLOCK_MODELS_DIR"]

    with mode(theirs, 0o000):
        done = ran(world, "install")

    assert done.code == 2
    assert "error[models-dir-missing]: no ComfyUI models folder was found" in done.err


def test_a_models_folder_in_a_closed_one_is_not_said_to_be_missing(world: World) -> None:
    world.lock(pin_of(INK))
    closed = world.root / "closed"
    (closed / "models").mkdir(parents=True)

    with mode(closed, 0o000):
        done = ran(world, "--models-dir", str(closed / "models"), "install")

    assert done.code == 2
    assert "cannot be looked at: Permission denied (named by --models-dir)" in done.err


def test_a_project_that_is_closed_is_told(world: World) -> None:
    world.lock(pin_of(INK))

    with mode(world.project, 0o600):
        done = ran(world, "-C", str(world.project), "install", cwd=world.root)

    assert (done.code, "Traceback" in done.err) == (2, False)
    assert f"error[permission]: cannot use {world.lock_path}: Permission denied" in done.err


def test_a_command_in_a_folder_that_is_gone_is_told(world: World) -> None:
    gone = world.root / "gone"
    script = 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, str(gone), *world.command("install")],
        env=world.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error[usage]: the folder that this was run in is gone",
    )
