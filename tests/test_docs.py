"""The pages in docs say what the code does."""

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from comfylock import names
from comfylock.cli.main import comfylock, run
from comfylock.errors import LockInvalidError
from comfylock.lockfile.file import MAX_LOCK_BYTES, parse_lock
from comfylock.lockfile.model import FORMATS, Evidence, lock_from_dict
from comfylock.lockfile.sources import (
    MAX_URL_CHARACTERS,
    SECRET_PARAMETERS,
    SECRET_PREFIXES,
    SOURCE_TYPES,
)
from comfylock.lockfile.text import render_lock
from comfylock.toml import MAX_KEY_PARTS, MAX_NESTING
from comfylock.workflows.find import WORKFLOW_SUFFIXES
from tests.tools import command_docs

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
FORMAT = (DOCS / "lockfile.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str, head: str) -> Iterator[list[str]]:
    """Yield the cells of the table that begins with a head."""
    lines = text[text.index(head) :].split("\n")[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ----------------------------------------------------------------------------- the format


def test_the_example_of_the_format_is_canonical() -> None:
    (example,) = blocks(FORMAT, "toml")
    lock = parse_lock(example, "comfy.lock")
    assert render_lock(lock) == example
    assert lock.warnings == ()
    sources = next(iter(lock.models.values())).sources
    assert len(sources) == len(SOURCE_TYPES)


def merged(one: Mapping[str, Any], other: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return tables laid over each other; an empty table takes the place of what was there."""
    found = dict(one)
    for key, value in other.items():
        deeper = isinstance(value, dict) and isinstance(one.get(key), dict) and value
        found[key] = merged(one[key], value, depth + 1) if deeper else value
    return found


@pytest.mark.parametrize("row", tuple(rows(FORMAT, "| place | value | why |")), ids=str)
def test_what_the_page_says_is_refused_is_refused_at_that_place(row: list[str]) -> None:
    place, value = (cell.strip("`") for cell in row[:2])
    (example,) = blocks(FORMAT, "toml")
    change = tomllib.loads(f"{place} = {value}")
    with pytest.raises(LockInvalidError) as raised:
        lock_from_dict(merged(tomllib.loads(example), change))
    assert str(raised.value).startswith(place)


def test_limits_and_lists_of_the_format_are_those_of_the_code() -> None:
    stated = [
        f"more than {MAX_LOCK_BYTES} bytes",
        f"nested more than {MAX_NESTING} deep",
        f"more than {MAX_KEY_PARTS} dotted parts",
        f"at most {names.MAX_KEY_CHARACTERS} characters",
        f"at most {names.MAX_SEGMENT_BYTES} bytes",
        f"at most {MAX_URL_CHARACTERS} characters",
        *(f"`{one}`" for one in (*FORMATS, *SOURCE_TYPES, *Evidence, *names.MODEL_EXTENSIONS)),
        *(f"`{one}`" for pair in names.LEGACY_FOLDERS.items() for one in pair),
        *(f"`{one}`" for one in (*SECRET_PARAMETERS, *SECRET_PREFIXES)),
    ]
    flat = " ".join(FORMAT.split())
    assert [text for text in stated if text not in flat] == []
    assert [row[0].strip("`") for row in rows(FORMAT, "| evidence | what it is |")] == list(
        Evidence
    )


def test_devices_and_folders_of_ours_are_no_names() -> None:
    for name in ("CON", "NUL", "com1", "x /y", "x./y", ".git/x", ".COMFYLOCK/x"):
        assert names.unsafe_reason(f"loras/{name}.safetensors") is not None, name
    assert names.unsafe_reason("loras/SDXL/Ink (v2).SafeTensors") is None


# ----------------------------------------------------------------------------- other pages


def test_the_page_of_commands_is_up_to_date() -> None:
    """`python -m tests.tools.command_docs --write` brings it up to date."""
    assert command_docs.PAGE.read_text("utf-8") == command_docs.rendered()


def test_every_name_on_the_walk_is_a_name_in_the_code() -> None:
    text = (DOCS / "how-it-works.md").read_text("utf-8")
    told = set(re.findall(r"`(comfylock\.[\w.]+)`", text)) - {"comfylock.toml"}
    assert len(told) > 25
    missing = [name for name in sorted(told) if not exists(name)]
    assert missing == []


def exists(name: str) -> bool:
    """Say whether a dotted name is a module, or something in one."""
    for candidate in (name, name.rpartition(".")[0]):
        try:
            module = import_module(candidate)
        except ModuleNotFoundError:
            continue
        return candidate == name or hasattr(module, name.rpartition(".")[2])
    return False


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield every `comfylock …` that a page shows in code, without what the shell makes of it."""
    for line in re.findall(r"(?:^|[`\s:])comfylock ((?:[a-z-]+)(?: [^`\n#|&;]*)?)", text):
        yield line.split()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_and_options_on_a_page_exist(page: Path) -> None:
    unknown: list[str] = []
    for block in re.findall(
        r"```(?:console|sh|text|yaml|dockerfile)?\n(.*?)```|`([^`\n]+)`",
        page.read_text("utf-8"),
        re.DOTALL,
    ):
        for words in command_lines("".join(block)):
            unknown += unknown_in(words)
    assert unknown == []


def unknown_in(words: list[str]) -> Iterator[str]:
    """Yield what of a command line is no command or option of ours."""
    group: Any = comfylock
    known = {name for parameter in group.params for name in parameter.opts}
    for word in words:
        command = getattr(group, "commands", {}).get({"sync": "install"}.get(word, word))
        if command is None:
            break
        group = command
        known |= {name for parameter in command.params for name in parameter.opts}
    if group is comfylock:
        yield words[0]
    flags = [word.partition("=")[0].rstrip(",.)") for word in words if re.match(r"--[a-z]", word)]
    yield from (f"{words[0]} {flag}" for flag in flags if flag not in known | {"--help"})


def test_a_slip_in_a_command_line_would_be_noticed() -> None:
    shown = "comfylock install --frozn\ncomfylock lokc --check # `comfylock auth login --all`"
    found = [fault for words in command_lines(shown) for fault in unknown_in(words)]
    assert found == ["install --frozn", "lokc", "lokc --check", "auth --all"]


@pytest.mark.parametrize("page", [page for page in PAGES if page != command_docs.PAGE], ids=ids)
def test_what_a_page_says_to_type_can_be_typed(page: Path) -> None:
    """Each line of a code block: options, values and the number of arguments."""
    text = page.read_text("utf-8")
    faults = [
        f"{line}: {fault}"
        for line in re.findall(r"^(?: {4}|\$ )?(comfylock .*)$", text, re.MULTILINE)
        if (fault := slip_in(shlex.split(line.partition("&&")[0], comments=True)[1:]))
    ]
    assert faults == []


def slip_in(words: list[str]) -> str | None:
    """Return what click would say of a command line; nothing is run."""
    command: click.Command = comfylock
    try:
        while isinstance(command, click.Group):
            name, found, words = command.resolve_command(click.Context(command), words)
            assert found is not None
            assert name is not None
            command = found
        command.make_context(command.name, words)
    except click.UsageError as error:
        return error.format_message()
    return None


def test_a_line_that_cannot_be_typed_would_be_noticed() -> None:
    assert slip_in(["install", "--jobs", "many"])
    assert slip_in(["pin", "loras/ink"])
    assert slip_in(["auth", "lgoin"])
    assert slip_in(["search", "neon", "glow", "--limit", "5"]) is None


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#\s]*)(?:#[^)]*)?\)", text):
        assert not target or (page.parent / target).exists(), target
    anchors = {anchor_of(line) for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def anchor_of(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_hook_for_pre_commit_runs_a_command_and_sees_every_workflow() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert list(unknown_in(hook["entry"].split()[1:])) == []
    seen = re.compile(hook["files"])
    wanted = [f"workflows/a{suffix}" for suffix in WORKFLOW_SUFFIXES]
    assert [
        name for name in [*wanted, "comfy.lock", "a/comfylock.toml"] if not seen.search(name)
    ] == []
    assert seen.search("README.md") is None
    assert f"id: {hook['id']}" in (DOCS / "ci.md").read_text("utf-8")


def test_yaml_on_a_page_can_be_read() -> None:
    found = blocks((DOCS / "ci.md").read_text("utf-8"), "yaml")
    assert len(found) > 1
    assert all(yaml.safe_load(block) for block in found)


def test_contributing_tells_every_target_of_make() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [one for one in targets if f"| `make {one}` |" not in text] == []


def test_a_list_of_commands_says_of_each_all_that_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in ("", "cache", "auth"):
        assert run([*path.split(), "--help"]) == 0
        listed = capsys.readouterr().out.partition("\nCommands:\n")[2]
        assert listed.strip()
        assert "..." not in listed


def test_without_a_command_there_is_the_help_and_no_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in ("", "cache", "auth"):
        assert run(path.split()) == 2
        told = capsys.readouterr()
        assert (told.out, told.err[:17]) == ("", "Usage: comfylock ")
        assert "error[" not in told.err
    assert run(["cache", "--json"]) == 2
    assert '"ok": false' in capsys.readouterr().out


def test_every_command_answers_help(capsys: pytest.CaptureFixture[str]) -> None:
    for path, _ in command_docs.commands():
        assert run([*path.split(), "--help"]) == 0
        assert f"Usage: comfylock {path}" in capsys.readouterr().out
