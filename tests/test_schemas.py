"""The documents of `--json`: each command prints what its schema describes, and nothing else."""

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from comfylock.report.documents.commands import DOCUMENTS
from tests import shop
from tests.standin.server import Standin
from tests.test_wording import complaint
from tests.tools.command_docs import commands
from tests.tools.schemas import FOLDER, differences, schema_of
from tests.world import Ran, World

KEY = "a-key-for-the-hub"


def problem_with(document: dict[str, Any]) -> str | None:
    """Return why a document is not what its command's schema says, closed and as published."""
    command = document["command"]
    published = json.loads((FOLDER / f"{command.replace(' ', '-')}.json").read_text("utf-8"))
    for schema in (schema_of(command, closed=True), published):
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        fault = best_match(validator.iter_errors(document))
        if fault is not None:
            return f"{command} {fault.json_path}: {fault.message}"
    return None


@pytest.fixture
def market(world: World) -> Iterator[World]:
    """A world whose hub has models of many kinds, and two workflows."""
    world.hub.stop()
    with Standin(shop.SHOP, keys=(KEY,)) as standin:
        world.hub = standin
        world.environment["COMFYLOCK_CIVITAI_URL"] = standin.url
        world.environment["CIVITAI_TOKEN"] = KEY
        shop.put_workflow(world, shop.INK, shop.MEADOW, shop.TWIN, shop.LOST)
        shop.put_workflow(world, shop.INK, "loras/style\\fork.safetensors", name="b.json")
        yield world


#: What is typed one after the other; between them they show every field of every document.
STORY = (
    "init",
    "scan",
    "status",  # without a lock
    "install",  # fails: there is no lock
    "lock workflows",
    "lock --check",
    "lock",
    "pin loras/twin civitai:41",
    "unpin loras/twin",
    "ignore loras/lost",
    "pin loras/nothing civitai:41",  # fails
    "diff empty.lock comfy.lock",
    "diff comfy.lock empty.lock --exit-code",
    "install --dry-run",
    "install --link-mode copy",
    "install",
    "status",
    "check",
    "verify",
    "outdated",
    "update --dry-run",
    "update",
    "install --replace",
    "search ink",
    "search 00ff00ff00",
    "why loras/ink",
    "why loras/twin",
    "tree",
    "report",
    "report -o report.html",
    "export",
    "export --format csv -o models.csv",
    "fix-paths --dry-run",
    "fix-paths",
    "cache dir",
    "cache info",
    "cache prune --dry-run",
    "cache clear --dry-run",
    "doctor",
    "doctor --online",
    "auth status",
    "auth logout",
)


def told(ran: Ran) -> str:
    return f"exit code {ran.code}\n{ran.out}\n{ran.err}"


def test_every_command_prints_what_its_schema_says(market: World) -> None:
    (market.project / "empty.lock").write_text("version = 1\n")
    seen: set[str] = set()
    faults: list[str] = []
    for line in STORY:
        ran = market.here(*line.split(), "--json")
        document = ran.document
        assert document["ok"] is (ran.code == 0), told(ran)
        assert KEY not in ran.text
        faults += [f"{line}: {fault}" for fault in [problem_with(document)] if fault is not None]
        if "summary" in document:
            seen.add(document["command"])
    signed_in = subprocess.run(
        market.command("auth", "login", "--json"),
        env=market.environment,
        cwd=market.project,
        input=KEY,
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(signed_in.stdout)
    faults += [fault for fault in [problem_with(document)] if fault is not None]
    assert faults == []
    assert seen | {document["command"]} == set(DOCUMENTS)


#: What is typed for each command where it needs more than its name.
TYPED = {
    "lock": "lock workflows", "search": "search ink", "pin": "pin loras/ink civitai:11",
    "unpin": "unpin loras/ink", "ignore": "ignore loras/ink", "why": "why loras/ink",
    "diff": "diff comfy.lock comfy.lock", "report": "report -o r.html", "export": "export -o x.sh",
    "auth login": "auth login - --offline",
}  # fmt: skip


def _broken_lock(world: World) -> None:
    world.lock_path.write_text('version = 1\n[model."loras/x"]\nsize = 0\n')


def _conflict(world: World) -> None:
    world.lock_path.write_text("<<<<<<< ours\nversion = 1\n=======\n>>>>>>> theirs\n")


def _newer_lock(world: World) -> None:
    world.lock_path.write_text("version = 99\n")


def _broken_settings(world: World) -> None:
    config = world.root / "config" / "config.toml"
    config.parent.mkdir()
    config.write_text("jobbs = 1\n")


def _broken_project(world: World) -> None:
    (world.project / "comfylock.toml").write_text("[lokc]\n")


def _offline(world: World) -> None:
    world.environment["COMFYLOCK_OFFLINE"] = "1"


def _no_models_folder(world: World) -> None:
    world.environment["COMFYLOCK_MODELS_DIR"] = str(world.root / "no\x1bwhere")


def _bad_key(world: World) -> None:
    world.environment["CIVITAI_TOKEN"] = "\u201ckey\u201d"


TROUBLES = (
    _broken_lock, _conflict, _newer_lock, _broken_settings, _broken_project, _offline,
    _no_models_folder, _bad_key,
)  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__.strip("_"))
def test_a_command_in_trouble_prints_one_document_that_its_schema_knows(
    market: World, trouble: Callable[[World], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens; and every hint has the form that all hints have."""
    trouble(market)
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY))
    faults: list[str] = []
    for command in DOCUMENTS:
        ran = market.here(*TYPED.get(command, command).split(), "--json")
        document = ran.document
        found = [problem_with(document)]
        found += [complaint(error["hint"] or "Well") for error in document["errors"]]
        found += [] if document["command"] == command else [f"called {document['command']}"]
        found += [] if document["ok"] is (ran.code == 0) else [f"ok with exit code {ran.code}"]
        found += [] if "Traceback" not in ran.err else ["a traceback"]
        faults += [f"{command}: {fault}" for fault in found if fault is not None]
    assert faults == []


def test_a_slip_on_the_command_line_is_a_document_too(market: World) -> None:
    for command in DOCUMENTS:
        ran = market.here(*command.split(), "--json", "--nonsense")
        assert (ran.code, ran.document["errors"][0]["slug"]) == (2, "usage")
        assert (ran.document["command"], problem_with(ran.document)) == (command, None)


def test_the_key_is_in_nothing_that_any_command_prints_or_writes(market: World) -> None:
    """But for config.toml, where `auth login` keeps it."""
    (market.project / "empty.lock").write_text("version = 1\n")
    for line in STORY:
        assert KEY not in market.here(*line.split(), "-v").text, line
    keyed = [
        path
        for path in market.root.rglob("*")
        if path.is_file() and path.name != "config.toml" and KEY.encode() in path.read_bytes()
    ]
    assert keyed == []
    assert any(entry.headers.get("authorization") for entry in market.hub.requests)


def test_every_command_with_json_has_a_schema() -> None:
    with_json = {
        path
        for path, command in commands()
        if any(parameter.name == "as_json" for parameter in command.params)
    }
    assert with_json == set(DOCUMENTS)


def test_the_published_schemas_are_those_of_the_code() -> None:
    """`python -m tests.tools.schemas --write` brings them up to date."""
    assert list(differences()) == []


def test_an_error_names_the_command_with_its_group(world: World) -> None:
    broken = world.root / "config" / "config.toml"
    broken.parent.mkdir()
    broken.write_text("jobbs = 1\n")
    ran = world.here("auth", "status", "--json")
    assert (ran.code, ran.document["command"]) == (2, "auth status")
    assert problem_with(ran.document) is None
    assert world.here("sync", "--json").document["command"] == "install"


def test_this_check_would_notice() -> None:
    """A field that is missing, of another type, or not described."""
    document = {
        "schema": 1,
        "command": "search",
        "ok": True,
        "errors": [],
        "candidates": [],
        "summary": {"candidates": 0, "left_out": 0},
    }
    assert problem_with(document) is None
    assert problem_with(document | {"candidates": None}) is not None
    assert problem_with(document | {"more": 1}) is not None
    assert problem_with({name: document[name] for name in document if name != "summary"})
