"""What every command has in common: options and variables, output, colour, errors."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.shop import put_workflow
from tests.standin.server import Fault
from tests.world import BRUSH, INK, World, pin_of

ESCAPE = "\x1b["


def at_a_terminal(world: World, *arguments: str, **variables: str) -> str:
    """Run a command with a terminal for its output, and return what came out there."""
    mine, theirs = pty.openpty()
    with os.fdopen(mine, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            world.command(*arguments),
            env=world.environment | {"TERM": "xterm"} | variables,
            cwd=world.project,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        while True:
            try:
                read = terminal.read(65536)
            except OSError:  # Linux says EIO when the other side is closed
                break
            if not read:
                break
            seen += read
        process.wait(timeout=60)
    return seen.decode()


# ------------------------------------------------------------------------ options, variables


@pytest.mark.parametrize(
    "arguments", [["--version"], ["lock", "--version"], ["cache", "info", "--version"]]
)
def test_the_version_may_be_asked_before_and_after_the_command(world, arguments):
    done = world.here(*arguments)

    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"comfylock \d+\.\d+\.\d+\S*\n", done.out)


@pytest.mark.parametrize("word", ["0", "false", "No", "off", "f", "n", ""])
def test_a_variable_that_says_no_makes_no_json(world, word):
    done = world.here("status", "--bogus", COMFYLOCK_JSON=word)

    assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize("word", ["1", "TRUE", "yes", "On", "t", "y"])
def test_a_variable_that_says_yes_makes_json_of_a_usage_error(world, word):
    done = world.here("status", "--bogus", COMFYLOCK_JSON=word)

    assert done.code == 2
    assert done.document["errors"][0]["slug"] == "usage"


@pytest.mark.parametrize("word", ["y", "T", "yes"])
def test_a_setting_is_switched_on_by_the_words_that_switch_options_on(world, word):
    done = world.here("doctor", COMFYLOCK_INACTIVE=word)

    assert re.search(r"inactive +true +\(COMFYLOCK_INACTIVE\)", done.out)


@pytest.mark.parametrize("named", [["-C", "../.."], ["--lockfile", "../../comfy.lock"]])
def test_a_folder_above_may_be_named(world, named):
    put_workflow(world, "loras/ink.safetensors")
    world.here("lock", "workflows")
    below = world.project / "some" / "where"
    below.mkdir(parents=True)

    for arguments in (["lock"], ["install"], ["lock", "--check"], ["install", "--locked"]):
        done = subprocess.run(
            world.command(*arguments, *named),
            env=world.environment,
            cwd=below,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr


def test_a_workflow_may_be_named_through_a_link(world):
    put_workflow(world, "loras/ink.safetensors")
    (world.root / "link").symlink_to(world.project)

    assert world.here("lock", str(world.root / "link" / "workflows")).code == 0
    assert 'inputs = [\n    "workflows",\n]' in world.lock_path.read_text("utf-8")


def test_json_is_one_document_though_lines_are_asked_for_as_well(world):
    done = world.here("install", "--json", "--json-lines")

    assert (done.code, done.document["ok"]) == (2, False)


@pytest.mark.parametrize("arguments", [["diff", "a", "b", "c"], ["report", "a"], ["diff", "-x"]])
@pytest.mark.parametrize("asking", [["--format", "json"], ["--format=json"]])
def test_a_format_of_json_is_json_even_for_a_usage_error(world, arguments, asking):
    done = world.here(*arguments, *asking)

    assert (done.code, done.document["command"]) == (2, arguments[0])


@pytest.mark.parametrize("arguments", [[], ["cache"], ["auth"]])
def test_without_a_command_the_help_is_shown(world, arguments):
    done = world.run(*arguments)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: comfylock ")
    assert "error[" not in done.err


@pytest.mark.parametrize("arguments", [["bogus"], ["search"], ["why"], ["lock", "--bogus"]])
def test_a_usage_error_has_the_form_of_every_other_error(world, arguments):
    done = world.here(*arguments)

    said, blank, hint = done.err.splitlines()
    assert said.startswith("error[usage]: ")
    assert not said.endswith(".")
    assert (blank, hint[:16]) == ("", "hint: Run `comfy")


def test_without_a_command_json_is_an_error(world):
    for arguments in ([], ["cache"], ["--json"]):
        done = world.run(*arguments, COMFYLOCK_JSON="1")
        assert (done.code, done.document["errors"][0]["slug"]) == (2, "usage")


# ------------------------------------------------------------------------------------ colour


@pytest.mark.parametrize(
    "arguments", [["install", "--color", "always"], ["--color=always", "check"]]
)
def test_errors_are_coloured_where_the_flag_says_so(world, arguments):
    done = world.here(*arguments)

    assert f"{ESCAPE}31m" in done.err.partition("error[lock-missing]")[0]


def test_the_variable_colours_what_stands_first(world):
    world.lock(pin_of(INK))

    assert world.here("status", COMFYLOCK_COLOR="always").out.startswith(ESCAPE)
    assert ESCAPE not in world.here("status").text
    assert ESCAPE not in world.here("status", "--json", "--color", "always").out


@pytest.mark.parametrize(
    ("arguments", "variables", "coloured"),
    [
        ([], {}, True),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"NO_COLOR": ""}, True),
        ([], {"TERM": "dumb"}, False),
        (["--color", "never"], {}, False),
        ([], {"COMFYLOCK_COLOR": "never"}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
    ],
)
def test_a_terminal_gets_colour_unless_somebody_says_no(world, arguments, variables, coloured):
    assert (ESCAPE in at_a_terminal(world, "install", *arguments, **variables)) is coloured


# ------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("asking", [["lock", "workflows"], ["search", "ink"], ["outdated"]])
def test_an_interrupt_is_a_document_as_well(world, hub, asking):
    put_workflow(world, "loras/ink.safetensors")
    if asking == ["outdated"]:
        world.lock(pin_of(INK))
    hub.fault(Fault(kind="stall", match="/api/v1/", times=None))
    process = world.start(*asking, "--json")
    while not hub.requests:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    [error] = json.loads(out)["errors"]
    assert (error["slug"], error["hint"]) == (
        "interrupted",
        "Run it again: it goes on from where it was",
    )
    assert "error[interrupted]: stopped" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("asking", [["scan", "workflows"], ["scan", "workflows", "--json"]])
def test_output_that_cannot_be_written_is_said(world, asking):
    put_workflow(world, "loras/ink.safetensors")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            world.command(*asking),
            env=world.environment,
            cwd=world.project,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 2
    assert "error[disk-error]: cannot write to standard output: No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder without writing")
@pytest.mark.parametrize("asking", [["lock", "workflows"], ["lock", "workflows", "--json"]])
def test_a_lock_that_cannot_be_written_is_a_job_that_could_not_be_done(world, asking):
    put_workflow(world, "loras/ink.safetensors")
    world.lock_path.symlink_to("/proc/comfy.lock")

    done = world.here(*asking)

    assert done.code == 2
    assert "was not written" in done.err


@pytest.mark.parametrize(
    "asking", [["search", "ink"], ["pin", "ink", "civitai:12"], ["search", "\udcff"]]
)
def test_a_question_that_nobody_hears_has_no_answer(world, asking):
    put_workflow(world, "loras/ink.safetensors")
    world.lock(pin_of(INK), workflows={"workflows/a.json": ["loras/ink.safetensors"]})

    assert world.here(*asking, "--offline").code == 2


def test_an_argument_that_is_no_text_is_searched_for_as_far_as_it_is(world):
    assert world.here("search", "\udcff").code == 1
    assert world.here("search", "ink\udcff").code in {0, 1}


@pytest.mark.parametrize("url", ["http://example.org", "no address", "https://u:p@example.org"])
def test_a_wrong_address_of_a_hub_is_nobodys_fault_but_the_settings(world, url):
    world.lock(pin_of(INK), pin_of(BRUSH))

    done = world.here("install", "--json", COMFYLOCK_CIVITAI_URL=url)

    assert (done.code, [one["slug"] for one in done.document["errors"]]) == (2, ["config-invalid"])


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_reason_to_fail(world, closed):
    put_workflow(world, "loras/ink.safetensors")
    command = f"{sys.executable} -m comfylock scan workflows --json {closed}"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env=world.environment,
        cwd=world.project,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) is (">&-" not in closed.replace("2>&-", ""))


def test_quiet_acts_say_nothing_and_quiet_questions_are_answered(world):
    world.lock(pin_of(INK))

    assert world.here("status", "-q").out.startswith("missing")
    quiet = world.here("install", "-q")
    assert (quiet.code, quiet.text.strip()) == (0, "")
    assert world.has("loras/ink.safetensors", INK)


@pytest.mark.parametrize("asking", [["scan"], ["lock"], ["status"], ["lock", "--check"]])
def test_what_is_no_workflow_is_passed_over_quietly_unless_details_are_asked_for(world, asking):
    put_workflow(world, "loras/ink.safetensors")
    (world.project / "workflows" / "notes.json").write_text('{"a": 1}', "utf-8")
    world.here("lock", "workflows")

    assert "notes.json" not in world.here(*asking).text
    assert world.here(*asking, "-v").err.count("passed over workflows/notes.json: ") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["-C", "{}", "status"],
        ["status", "--lockfile", "{}"],
        ["status", "--models-dir", "{}"],
        ["status", "--extra-model-paths", "{}"],
        ["install", "--workflow", "{}"],
        ["lock", "{}"],
        ["lock", "workflows", "--object-info", "{}"],
        ["scan", "{}"],
        ["diff", "{}", "{}"],
        ["export", "-o", "{}"],
        ["report", "-o", "{}/x"],
        ["fix-paths", "{}"],
        ["pin", "ink", "/{}"],
        ["tree", "{}"],
    ],
)
def test_a_name_that_no_disk_takes_is_refused_as_any_other(world, arguments):
    put_workflow(world, "loras/ink.safetensors")
    world.lock(pin_of(INK), workflows={"workflows/a.json": ["loras/ink.safetensors"]})

    done = world.here(*(word.replace("{}", "模" * 300) for word in arguments))

    assert done.code in {1, 2}
    assert re.search(r"^error\[[a-z-]+\]: ", done.err, re.MULTILINE)


def test_a_line_end_in_a_name_is_shown_escaped_and_ends_no_line(world):
    put_workflow(world, "loras/a\nb.safetensors", "loras/ink.safetensors", name="c\nd.json")
    put_workflow(world, "loras/a\nb.safetensors")
    world.lock(pin_of(INK))
    for arguments in (
        ["lock", "workflows"],
        ["lock"],
        ["scan", "workflows"],
        ["check"],
        ["install", "--only", "a\nb."],
        ["install", "--workflow", "a\nb."],
        ["-C", "a\nb.", "status"],
        ["status", "--extra-model-paths", "a\nb."],
        ["status", "--lockfile", "a\nb."],
        ["report", "-o", "a\nb./x"],
    ):
        told = world.here(*arguments).text
        assert "\nb." not in told
        assert "\nd." not in told


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["lock", "x"], {"comfylock.toml": "bogus = 1"}),
        (["lock", "x"], {"comfylock.toml": "= 1"}),
        (["status"], {"comfy.lock": "version = 0"}),
        (["status"], {"comfy.lock": "\udcff"}),
        (["status", "--extra-model-paths", "no.yaml"], {"comfy.lock": "version = 1"}),
        (["status", "--extra-model-paths", "a.yaml"], {"comfy.lock": "version = 1", "a.yaml": "["}),
        (["lock", "a\x1b.json"], {}),
        (["scan", "nowhere"], {}),
        (["check"], {"comfy.lock": "<<<<<<< HEAD"}),
        (["check"], {}),
        (["install", "--models-dir", "nowhere"], {"comfy.lock": "version = 1"}),
        (["status", "--color", "blue"], {}),
    ],
)
def test_every_error_names_the_next_step(world, arguments, files):
    for name, text in files.items():
        (world.project / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    done = world.here(*arguments)

    assert done.code == 2
    assert re.fullmatch(r"error\[[a-z-]+\]: [^\n]+\n\nhint: [^\n]+\n", done.err)


# ---------------------------------------------------------------------------------- no-ops


def test_a_lock_without_changes_prints_the_one_line(world):
    put_workflow(world, "loras/ink.safetensors")
    world.here("lock", "workflows")

    assert re.fullmatch(r"Checked 1 model in \d+ ms\n", world.here("lock").err)
    put_workflow(world, "loras/lost.safetensors", name="b.json")
    world.here("lock")
    assert re.match(r"Checked 1 model in \d+ ms, 1 not pinned\n", world.here("lock").err)


def test_keys_of_later_versions_get_one_warning_from_every_reader(world):
    world.lock(pin_of(INK), pin_of(BRUSH))
    world.lock_path.write_text(world.lock_path.read_text("utf-8") + "\n[later]\nx = 1\n", "utf-8")
    put_workflow(world, "loras/ink.safetensors", "loras/brush.safetensors")
    warning = "warning: keys that this comfylock does not know are kept as they are: later"
    for arguments in (["status"], ["check"], ["tree"], ["lock", "workflows"], ["install"]):
        told = world.here(*arguments).err
        assert told.count("warning") == 1, arguments
        assert warning in told
    assert world.here("status", "--json").document["warnings"] == [warning.partition(" ")[2]]
