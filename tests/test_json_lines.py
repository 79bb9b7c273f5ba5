"""`install --json-lines`: every line is an object, in an order that a reader may rely on."""

import io
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from comfylock.events import Advanced, Finished, Noted, Planned, Started, Stepped, Warned
from comfylock.report.json_lines import JsonLines
from tests.standin.faults import Fault
from tests.tools.schemas import FOLDER, lines_schema
from tests.world import INK, PAPER, Ran, World, bytes_of, on_file, pin_of

INK_KEY, PAPER_KEY = "loras/ink.safetensors", "loras/paper.safetensors"


SCHEMAS = (
    lines_schema(closed=True),
    json.loads((FOLDER / "install-lines.json").read_text("utf-8")),
)


def parsed(text: str) -> list[dict[str, Any]]:
    """Return the lines, each of which must be what the schema says, closed and as published."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        for schema in SCHEMAS:
            Draft202012Validator(schema).validate(line)
    return lines


def test_the_schema_is_one_and_would_notice_a_slip() -> None:
    good = {"type": "warning", "elapsed_ms": 1, "message": "x"}
    for schema in SCHEMAS:
        Draft202012Validator.check_schema(schema)
    assert parsed(json.dumps(good)) == [good]
    for bad in ({"elapsed_ms": "1"}, {"message": None}, {"type": "summary"}, {"more": 1}):
        with pytest.raises(ValidationError):
            parsed(json.dumps(good | bad))


def lines_of(ran: Ran, kind: str) -> list[dict[str, Any]]:
    return [line for line in parsed(ran.out) if line["type"] == kind]


def test_an_install_tells_version_plan_acts_and_summary_in_this_order(world: World) -> None:
    world.lock(pin_of(INK), pin_of(PAPER))
    ran = world.run("install", "--json-lines")
    lines = parsed(ran.out)
    kinds = [line["type"] for line in lines]
    assert ran.code == 0
    assert (kinds[:2], kinds[-1]) == (["version", "plan"], "summary")
    assert set(kinds) == {"version", "plan", "start", "complete", "summary"}
    assert lines[0]["schema"] == 1
    assert (lines[1]["models"], lines[1]["bytes"]) == (2, 350_000)
    assert [one["action"] for one in lines[1]["plan"]] == ["download", "download"]
    for key, size in ((INK_KEY, 300_000), (PAPER_KEY, 50_000)):
        start, end = (line for line in lines if line.get("ref") == key)
        assert (start["type"], start["act"], start["total_bytes"]) == ("start", "download", size)
        assert (end["type"], end["ok"], end["bytes"], end["slug"]) == ("complete", True, size, None)
    assert (lines[-1]["ok"], lines[-1]["exit_code"]) == (True, 0)
    assert lines[-1]["summary"]["download"] == 2
    assert [line["elapsed_ms"] for line in lines] == sorted(line["elapsed_ms"] for line in lines)


def test_nothing_to_do_is_told_at_once(world: World) -> None:
    world.put(INK_KEY, bytes_of(INK))
    world.lock(pin_of(INK))
    for _ in range(2):
        ran = world.here("install", "--json-lines")
        kinds = [line["type"] for line in parsed(ran.out) if line.get("act") != "hash"]
        assert kinds == ["version", "plan", "summary"]


def test_a_dry_run_tells_the_plan_and_no_act(world: World) -> None:
    world.lock(pin_of(INK))
    ran = world.here("install", "--json-lines", "--dry-run")
    assert [line["type"] for line in parsed(ran.out)] == ["version", "plan", "summary"]
    assert world.files() == {}


def test_a_failure_is_told_when_it_happens_and_with_its_hint_at_the_end(world: World) -> None:
    world.hub.fault(Fault(kind="status", status=403, match=on_file(INK), times=None))
    world.lock(pin_of(INK), pin_of(PAPER))
    ran = world.here("install", "--json-lines")
    assert ran.code == 1
    (failed,) = [line for line in lines_of(ran, "complete") if not line["ok"]]
    assert (failed["ref"], failed["slug"]) == (INK_KEY, "forbidden")
    (error,) = lines_of(ran, "error")
    assert (error["ref"], error["slug"]) == (INK_KEY, "forbidden")
    assert error["message"]
    assert (parsed(ran.out)[-1]["ok"], parsed(ran.out)[-1]["exit_code"]) == (False, 1)


def test_aliases_are_told_as_of_their_model(world: World) -> None:
    key = "loras/SDXL/ink.safetensors"
    world.lock(pin_of(INK, key, aliases=("SDXL\\ink.safetensors",)))
    ran = world.here("install", "--json-lines")
    assert {(line["ref"], line["alias"], line["act"]) for line in lines_of(ran, "complete")} == {
        (key, None, "download"),
        (key, "SDXL\\ink.safetensors", "link"),
    }


@pytest.mark.parametrize(
    ("arguments", "slug", "code"),
    [
        (["install", "--json-lines"], "lock-missing", 2),
        (["install", "--json-lines", "--nonsense"], "usage", 2),
        (["install", "--json-lines", "--locked", "--frozen"], "usage", 2),
    ],
)
def test_what_cannot_begin_ends_with_an_error_and_a_summary(
    world: World, arguments: list[str], slug: str, code: int
) -> None:
    ran = world.here(*arguments)
    lines = parsed(ran.out)
    assert ran.code == code
    assert [line["type"] for line in lines] == ["version", "error", "summary"]
    assert (lines[1]["slug"], lines[2]["exit_code"]) == (slug, code)


def test_the_variable_asks_for_lines_too(world: World) -> None:
    ran = world.here("install", COMFYLOCK_JSON_LINES="1")
    assert [line["type"] for line in parsed(ran.out)] == ["version", "error", "summary"]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_progress_comes_at_most_once_a_second_per_model() -> None:
    clock, stream = Clock(), io.StringIO()
    reporter = JsonLines(stream, clock=clock)
    for ref in ("a", "b"):
        reporter.on(Started(ref=ref, act="download", total_bytes=1000, done_bytes=100))
    for step in range(1, 31):
        clock.now_s = step / 10
        for ref in ("a", "b"):
            reporter.on(Advanced(ref=ref, count=10))
    for ref in ("a", "b"):
        reporter.on(Finished(ref=ref, succeeded=True))
    lines = parsed(stream.getvalue())
    for ref in ("a", "b"):
        told = [line for line in lines if line["type"] == "progress" and line["ref"] == ref]
        assert [line["done_bytes"] for line in told] == [200, 300, 400]
        assert {line["total_bytes"] for line in told} == {1000}


def test_a_removal_has_its_lines(world: World) -> None:
    world.lock(pin_of(INK))
    world.here("install")
    world.lock(pin_of(PAPER))
    ran = world.here("install", "--json-lines", "--prune", "--yes")
    assert [(line["ref"], line["act"]) for line in lines_of(ran, "complete")][-1] == (
        INK_KEY,
        "remove",
    )


def test_what_does_not_concern_a_model_is_a_warning_or_a_note() -> None:
    for verbose, kinds in ((False, ["warning"]), (True, ["warning", "note"])):
        stream = io.StringIO()
        reporter = JsonLines(stream, verbose=verbose, begun=True)
        for event in (
            Planned(fetches=1, total_bytes=1),
            Stepped(what="Looked up", done=1, total=2),
            Warned(message="a\x1b[31m"),
            Noted(message="b"),
            Advanced(ref="unknown", count=1),
            Finished(ref="unknown", succeeded=True),
        ):
            reporter.on(event)
        assert [line["type"] for line in parsed(stream.getvalue())] == kinds
        assert "\x1b" not in stream.getvalue()


def test_the_path_of_a_file_that_is_read_is_no_key() -> None:
    stream = io.StringIO()
    reporter = JsonLines(stream, begun=True)
    reporter.on(Started(ref="/models/loras/a\\b.safetensors", act="hash", total_bytes=5))
    (line,) = parsed(stream.getvalue())
    assert (line["ref"], line["alias"]) == ("/models/loras/a\\b.safetensors", None)


def test_each_line_is_flushed() -> None:
    class Stream(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    stream = Stream()
    reporter = JsonLines(stream)
    reporter.on(Warned(message="x"))
    assert stream.flushed == stream.getvalue().count("\n") == 2
