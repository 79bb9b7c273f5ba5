"""What a start costs: commands that have nothing to do load nothing that is heavy."""

import json
import subprocess
import sys

import pytest

from tests.world import INK, World, bytes_of, pin_of

HEAVY = (
    "httpx", "httpcore", "tomlkit", "rich", "yaml", "rapidfuzz", "platformdirs", "asyncio",
    "urllib.request", "http.client", "sqlite3", "email.parser",
)  # fmt: skip

REPORT = """
import json, os, sys
from comfylock.cli.main import run
code = run(sys.argv[1:])
sys.stdout.flush()
print(json.dumps([code, sorted(sys.modules)]))
"""


def loaded(world: World, *arguments: str) -> tuple[int, set[str]]:
    """Run a command in a process of its own and return its code and the modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments],
        env=world.environment,
        cwd=world.project,
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize(
    "arguments", [["install"], ["install", "--json"], ["status"], ["--help"], ["install", "--help"]]
)
def test_a_command_without_work_loads_nothing_heavy(world: World, arguments: list[str]) -> None:
    world.put("loras/ink.safetensors", bytes_of(INK))
    world.lock(pin_of(INK))
    code, modules = loaded(world, *arguments)
    assert code == 0
    assert sorted(modules & set(HEAVY)) == []


def test_this_check_would_notice(world: World) -> None:
    world.lock(pin_of(INK))
    code, modules = loaded(world, "install")
    assert code == 0
    assert "httpx" in modules


def test_a_no_op_prints_one_line_and_the_version_costs_nothing(world: World) -> None:
    world.put("loras/ink.safetensors", bytes_of(INK))
    world.lock(pin_of(INK))
    ran = world.run("install")
    assert (ran.code, ran.out, ran.err.count("\n")) == (0, "", 1)
    version = world.run("--version")
    assert (version.code, version.out.startswith("comfylock ")) == (0, True)
