"""Output that cannot be written: a full disk below a log, a reader who has gone away."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.world import INK, PAPER, World, pin_of

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")

INK_KEY, PAPER_KEY = "loras/ink.safetensors", "loras/paper.safetensors"


@contextmanager
def full_disk() -> Iterator[IO[str]]:
    with Path("/dev/full").open("w") as full:
        yield full


@contextmanager
def nobody() -> Iterator[IO[str]]:
    """A pipe whose reader has gone away."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        yield pipe


def ran(
    world: World,
    *arguments: str,
    stdout: IO[str] | int = subprocess.PIPE,
    stderr: IO[str] | int = subprocess.PIPE,
) -> "subprocess.CompletedProcess[str]":
    """Run the real command with stdout or stderr replaced."""
    return subprocess.run(
        world.command(*arguments),
        env=world.environment,
        cwd=world.project,
        stdout=stdout,
        stderr=stderr,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("place", [full_disk, nobody])
@pytest.mark.parametrize("output", [(), ("--json",), ("--json-lines",)])
def test_a_log_that_cannot_be_written_fails_no_model(world: World, place, output) -> None:
    world.lock(pin_of(INK), pin_of(PAPER))

    with place() as stderr:
        done = ran(world, "install", *output, stderr=stderr)

    assert done.returncode == 0
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)


def test_a_log_that_cannot_be_written_leaves_the_exit_code_as_it_is(world: World) -> None:
    world.lock(pin_of(INK))

    with full_disk() as stderr:
        codes = [
            ran(world, *asking, stderr=stderr).returncode
            for asking in (["status"], ["check"], ["check", "--no-such-option"], ["-C", "no/where"])
        ]

    assert codes == [0, 1, 2, 2]


@pytest.mark.parametrize(
    "asking",
    [
        ["--help"],
        ["--version"],
        ["install", "--help"],
        ["completions", "bash"],
        ["completions", "fish"],
        ["install", "--json-lines"],
        ["install", "--dry-run"],
        ["check", "--json"],
    ],
)
def test_an_answer_that_cannot_be_written_is_said(world: World, asking: list[str]) -> None:
    world.lock(pin_of(INK))

    with full_disk() as stdout:
        done = ran(world, *asking, stdout=stdout)

    assert done.returncode == 2
    assert "error[disk-error]: cannot write to standard output: No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_who_leaves_after_the_first_line_fails_no_model(world: World) -> None:
    world.lock(pin_of(INK), pin_of(PAPER))
    process = world.start("install", "--json-lines")
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.readline()
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()

    assert (process.wait(timeout=60), told) == (1, "")
    assert world.has(INK_KEY, INK)
    assert world.has(PAPER_KEY, PAPER)
