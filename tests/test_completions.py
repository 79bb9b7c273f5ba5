"""Completion as the shells themselves do it."""

import os
import re
import select
import shutil
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.world import INK, PAPER, World, pin_of

NEEDED = {shell: shutil.which(shell) for shell in ("bash", "zsh", "fish", "pwsh")}

needs_zsh = pytest.mark.skipif(NEEDED["zsh"] is None, reason="zsh is not installed")
needs_fish = pytest.mark.skipif(NEEDED["fish"] is None, reason="fish is not installed")
needs_pwsh = pytest.mark.skipif(NEEDED["pwsh"] is None, reason="PowerShell is not installed")


@pytest.fixture
def bin_dir(world: World) -> Path:
    """Put a command `comfylock` on the world's path, and a lock with two models into it."""
    directory = world.root / "bin"
    directory.mkdir()
    command = directory / "comfylock"
    command.write_text(f'#!/bin/sh\nexec "{world.command()[0]}" -m comfylock "$@"\n')
    command.chmod(0o755)
    world.environment["PATH"] = f"{directory}{os.pathsep}{world.environment['PATH']}"
    world.lock(pin_of(INK), pin_of(PAPER, "loras/with space.safetensors"))
    return directory


def script(world: World, shell: str) -> str:
    ran = world.run("completions", shell)
    assert (ran.code, ran.err) == (0, "")
    path = world.root / f"completion.{shell}"
    path.write_text(ran.out)
    return str(path)


def said(world: World, command: list[str], variables: Mapping[str, str] | None = None) -> list[str]:
    """Run a shell and return the lines that it printed."""
    done = subprocess.run(
        command,
        env=world.environment | dict(variables or {}),
        cwd=world.project,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def in_bash(world: World, *words: str) -> list[str]:
    """Return what bash would offer for the last of some words."""
    typed = " ".join(f"'{word}'" for word in ("comfylock", *words))
    line = " ".join(("comfylock", *words))
    return said(
        world,
        [
            "bash",
            "-c",
            (
                f'source "{script(world, "bash")}"; COMP_WORDS=({typed}); COMP_CWORD={len(words)};'
                f' COMP_LINE="{line}"; COMP_POINT={len(line)};'
                " compopt() { :; }; _comfylock_completion comfylock;"
                ' printf "%s\\n" "${COMPREPLY[@]}"'
            ),
        ],
    )


@pytest.mark.usefixtures("bin_dir")
def test_bash_completes_commands_options_sites_and_references(world: World) -> None:
    assert in_bash(world, "inst") == ["install"]
    assert "--frozen" in in_bash(world, "install", "--f")
    assert in_bash(world, "auth", "lo") == ["login", "logout"]
    assert in_bash(world, "auth", "login", "h") == ["huggingface"]
    assert in_bash(world, "why", "loras/i") == ["loras/ink.safetensors"]
    assert in_bash(world, "pin", "loras/") == [
        "loras/ink.safetensors",
        "loras/with\\ space.safetensors",
    ]


@pytest.mark.usefixtures("bin_dir")
def test_bash_completes_workflows_files_and_values(world: World) -> None:
    world.lock(pin_of(INK), workflows={"workflows/a b.json": ["loras/ink.safetensors"]})
    assert in_bash(world, "tree", "work") == ["workflows/a\\ b.json"]
    assert in_bash(world, "install", "--workflow", "work") == ["workflows/a\\ b.json"]
    assert in_bash(world, "install", "--only", "loras/i") == ["loras/ink.safetensors"]
    assert in_bash(world, "lock", "-P", "loras/i") == ["loras/ink.safetensors"]
    for words in (
        ["lock", "w"],
        ["scan", "w"],
        ["diff", "w"],
        ["report", "-o", "w"],
        ["init", "-w"],
    ):
        assert in_bash(world, *words) == [""], words  # the shell itself offers files


#: What is typed before Tab, and the last word of the line that it makes.
TYPED = {
    "why loras/with": "loras/with space.safetensors",
    "why loras/with\\ s": "loras/with space.safetensors",
    "why 'loras/with": "loras/with space.safetensors",
    'why "loras/do': "loras/do$(touch pwned).safetensors",
    "why 'loras/it": "loras/it's.safetensors",
    "why loras/it": "loras/it's.safetensors",
    "why loras/do": "loras/do$(touch pwned).safetensors",
    "why loras/@": "loras/@me.safetensors",
    "why loras/@m": "loras/@me.safetensors",
    "why loras/=": "loras/=1.safetensors",
    "export --format=cs": "--format=csv",
    "report --format=": "--format=",
    "lock wor": "workflows/",
}


@pytest.mark.usefixtures("bin_dir")
def test_bash_writes_every_name_as_one_word_that_runs_nothing(world: World) -> None:
    """A real bash at a terminal makes the line, and another one reads it."""
    names = ("with space", "do$(touch pwned)", "@me", "=1", "it's")
    world.lock(*(pin_of(INK, f"loras/{name}.safetensors") for name in names))
    (world.project / "workflows").mkdir()
    with bash_at_a_terminal(world) as completed:
        lines = {typed: completed(f"comfylock {typed}") for typed in TYPED}
    read = {
        typed: said(world, ["bash", "-c", f"set -- {line}\nprintf '%s\n' \"${{@: -1}}\""])
        for typed, line in lines.items()
    }
    assert read == {typed: [word] for typed, word in TYPED.items()}
    assert not (world.project / "pwned").exists()


#: For bash: a key that prints the line as it stands, and empties it.
_PRINT_LINE = """bind -x '"\\C-t": printf "<<%s>>" "$READLINE_LINE"; READLINE_LINE='"""


@contextmanager
def bash_at_a_terminal(world: World) -> Iterator[Callable[[str], str]]:
    """Run bash with the completion, and yield what tells how it completes a line."""
    setup = world.root / "bashrc"
    setup.write_text(f"source '{script(world, 'bash')}'\n{_PRINT_LINE}\n")
    main, side = os.openpty()
    termios.tcsetwinsize(side, (24, 400))
    process = subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", str(setup), "-i"],
        cwd=world.project, env=world.environment | {"TERM": "dumb"},
        stdin=side, stdout=side, stderr=side, start_new_session=True,
    )  # fmt: skip
    os.close(side)

    def completed(typed: str) -> str:
        os.write(main, f"{typed}\t\x14".encode())
        heard = ""
        while (found := re.search("<<(.*?)>>", heard)) is None:
            ready, _, _ = select.select([main], [], [], 20)
            assert ready, heard
            heard += os.read(main, 4096).decode("utf-8", "replace")
        return found[1].rstrip()

    try:
        yield completed
    finally:
        process.kill()
        process.wait()
        os.close(main)


@pytest.mark.usefixtures("bin_dir")
def test_bash_knows_the_function_for_the_command(world: World) -> None:
    lines = said(world, ["bash", "-c", f'source "{script(world, "bash")}"; complete -p comfylock'])
    assert "-F _comfylock_completion comfylock" in lines[0]


@pytest.mark.usefixtures("bin_dir")
def test_without_a_lock_or_with_a_broken_one_references_complete_to_nothing(world: World) -> None:
    world.lock_path.write_text("<<<<<<< ours\n")
    assert in_bash(world, "why", "l") == [""]
    world.lock_path.unlink()
    assert in_bash(world, "why", "l") == [""]
    assert in_bash(world, "-C", str(world.root / "nowhere"), "why", "l") == [""]


@pytest.mark.usefixtures("bin_dir")
def test_references_come_from_the_lock_that_is_named(world: World) -> None:
    (world.root / "other").mkdir()
    world.lock_path.rename(world.root / "other" / "comfy.lock")
    assert in_bash(world, "why", "l") == [""]
    elsewhere = ["-C", str(world.root / "other"), "why", "loras/i"]
    assert in_bash(world, *elsewhere) == ["loras/ink.safetensors"]


@needs_zsh
@pytest.mark.usefixtures("bin_dir")
def test_zsh_completes(world: World) -> None:
    """Completion's own functions are replaced by ones that print what they are given."""
    lines = said(
        world,
        [
            "zsh",
            "-fc",
            (
                "compdef() { :; }; _describe() { print -l ${(P)3}; };"
                " compadd() { print -l ${(P)@[-1]} };"
                f' source "{script(world, "zsh")}"; words=(comfylock why loras/i); CURRENT=3;'
                " _comfylock_completion; words=(comfylock inst); CURRENT=2; _comfylock_completion"
            ),
        ],
    )
    assert lines[0] == "loras/ink.safetensors"
    assert lines[1].startswith("install:Make the models folder agree")


@needs_fish
@pytest.mark.usefixtures("bin_dir")
def test_fish_completes(world: World) -> None:
    def offered(line: str) -> list[str]:
        source = f'source "{script(world, "fish")}"; complete -C "{line}"'
        return said(world, ["fish", "--no-config", "-c", source])

    assert [line.split("\t")[0] for line in offered("comfylock inst")] == ["install"]
    assert offered("comfylock why loras/i") == ["loras/ink.safetensors"]


@needs_fish
@pytest.mark.usefixtures("bin_dir")
def test_fish_shows_names_and_descriptions_behind_a_comma(world: World) -> None:
    world.lock(pin_of(INK, "loras/a, b.safetensors"))
    script_path = script(world, "fish")

    def offered(line: str) -> list[str]:
        source = f'source "{script_path}"; complete -C "{line}"'
        return said(world, ["fish", "--no-config", "-c", source])

    assert offered("comfylock why loras/a") == ["loras/a, b.safetensors"]
    assert offered("comfylock verif") == ["verify\tThe same, reading every model again."]
    (world.project / "workflows").mkdir()
    assert offered("comfylock lock work") == ["workflows/"]


@pytest.mark.usefixtures("bin_dir")
def test_what_the_powershell_script_asks_comes_as_three_lines_a_word(world: World) -> None:
    text = Path(script(world, "powershell")).read_text()
    assert "Register-ArgumentCompleter -Native -CommandName comfylock" in text
    assert text.isascii()
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    asked = {
        "COMP_WORDS": "comfylock why loras/",
        "COMP_CWORD": "2",
        "_COMFYLOCK_COMPLETE": "zsh_complete",
    }
    assert all(name in text for name in asked)
    assert said(world, ["comfylock"], asked) == [
        *("plain", "loras/ink.safetensors", "_"),
        *("plain", "loras/with space.safetensors", "_"),
    ]
    asked |= {"COMP_WORDS": "comfylock ", "COMP_CWORD": "1"}
    answer = said(world, ["comfylock"], asked)
    assert len(answer) % 3 == 0
    assert answer[0::3] == ["plain"] * (len(answer) // 3)
    assert {"install", "lock", "completions"} <= set(answer[1::3])


@needs_pwsh
@pytest.mark.usefixtures("bin_dir")
def test_powershell_completes(world: World) -> None:
    ask = "(TabExpansion2 'comfylock why loras/i' 21).CompletionMatches.CompletionText"
    path = script(world, "powershell")
    lines = said(world, ["pwsh", "-NoProfile", "-Command", f". '{path}'; {ask}"])
    assert lines == ["loras/ink.safetensors"]


@pytest.mark.parametrize("line", ["comfylock ", "comfylock auth ", "comfylock cache "])
def test_what_a_command_does_is_told_whole(world: World, line: str) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()))}
    ran = world.run(timeout_s=60, _COMFYLOCK_COMPLETE="zsh_complete", **words)
    told = ran.out.splitlines()[2::3]
    assert len(told) >= 3
    assert all(one.endswith(".") and not one.endswith("..") for one in told), told


def test_another_shell_is_a_usage_error(world: World) -> None:
    ran = world.here("completions", "tcsh")
    assert ran.code == 2
    assert "Invalid value for 'SHELL': 'tcsh' is not one of 'bash', 'zsh'" in ran.err
