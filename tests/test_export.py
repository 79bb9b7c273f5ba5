"""`comfylock export`: real tools run what it writes, against the stand-in and its faults."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from comfylock.artifacts import UrlSource
from comfylock.exports.bash import bash_script
from comfylock.exports.cyclonedx import bill_of_materials
from comfylock.exports.entries import Trust, fetchable
from comfylock.exports.table import COLUMNS, lock_table
from comfylock.hashes import Digests
from comfylock.hubs import Hub
from comfylock.lockfile.model import Lock, Pin, WorkflowEntry
from comfylock.lockfile.text import render_lock
from comfylock.names import unsafe_reason
from comfylock.settings import Formats
from tests.overviews import atelier, civitai, hosted, lock_of, pinned
from tests.standin.faults import Fault
from tests.world import BRUSH, CANARY, INK, PAPER, World, on_file, pin_of, wait_until

OPEN = Trust(formats=Formats.WARN, allowed_hosts=frozenset())
KEY = "loras/ink.safetensors"


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


pytestmark = [needs("bash"), needs("curl")]


def script_of(world: World, *pins: Pin, stall_s: int = 1) -> Path:
    """Write the script of these pins, which gives up a silent connection sooner than usual."""
    entries, problems = fetchable(pins, Hub(civitai_url=world.hub.url), OPEN)
    assert not problems
    path = world.root / "fetch.sh"
    path.write_text(bash_script(entries, Hub(civitai_url=world.hub.url), stall_s=stall_s), "utf-8")
    return path


def run(world: World, script: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the models folder; its pauses are skipped, its messages are kept."""
    tools = world.root / "tools"
    if not tools.exists():
        tools.mkdir()
        (tools / "sleep").write_text("#!/bin/sh\n", "utf-8")
        (tools / "sleep").chmod(0o755)
    environment = {
        "PATH": f"{tools}:{world.environment['PATH']}",
        "HOME": str(world.root / "home"),
    }
    return subprocess.run(
        ["bash", str(script), str(world.models)],
        env=environment | variables,
        cwd=world.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def left(world: World) -> list[str]:
    """Return all files below the models folder that are no models."""
    found = (path for path in world.models.rglob("*") if path.is_file())
    return sorted(path.name for path in found if path.suffix != ".safetensors")


# ------------------------------------------------------------------------------ the script


def test_the_script_downloads_verifies_and_places_and_then_finds_all_there(world):
    world.lock(pin_of(INK), pin_of(PAPER, "loras/deep/er/it's paper.safetensors"))
    exported = world.here("export", "-o", "fetch.sh")
    assert (exported.code, exported.out) == (0, "")

    first = run(world, world.project / "fetch.sh")
    downloads = len(world.downloads())
    second = run(world, world.project / "fetch.sh")

    assert (first.returncode, first.stderr) == (0, "")
    assert world.has(KEY, INK)
    assert world.has("loras/deep/er/it's paper.safetensors", PAPER)
    assert (second.returncode, second.stdout.splitlines()[-1]) == (0, "All 2 models are there")
    assert len(world.downloads()) == downloads == 2
    assert left(world) == []


@needs("shellcheck")
def test_the_script_is_clean_for_shellcheck(tmp_path):
    lock = atelier().lock
    odd = [
        pinned(f"loras/{name}.safetensors", 5, civitai(number), content=name)
        for number, name in enumerate(("$(id) `id`", "it's \"", "-rf", "#x ${HOME}", "a  b"), 1)
        if unsafe_reason(f"loras/{name}.safetensors") is None
    ]
    aliased = pinned("loras/a/b.safetensors", 5, civitai(9))
    pins = [*lock.models.values(), *odd, replace(aliased, aliases=("a\\b.safetensors",))]
    entries, _ = fetchable(pins, Hub(), OPEN)
    path = tmp_path / "fetch.sh"
    path.write_text(bash_script(entries, Hub()), "utf-8")

    done = subprocess.run(
        ["shellcheck", "--shell=bash", str(path)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


PASSING = {
    "reset": Fault(kind="reset", nbytes=90_000),
    "truncate": Fault(kind="truncate", nbytes=90_000),
    "stall": Fault(kind="stall", nbytes=90_000, stall_s=30),
    "short": Fault(kind="short", nbytes=100),
    "long": Fault(kind="long", nbytes=100),
    "endless": Fault(kind="endless"),
    "nolen": Fault(kind="nolen"),
    "flip": Fault(kind="flip", nbytes=200_000),
    "status 500": Fault(kind="status", status=500),
    "status 503 at the storage": Fault(kind="status", status=503, origin="storage"),
    "status 429": Fault(kind="status", status=429, origin="api"),
    "html": Fault(kind="html"),
    "expired address": Fault(kind="expire", origin="storage"),
    "gzip": Fault(kind="gzip", origin="storage"),
    "extra bytes": Fault(kind="extra_bytes", origin="storage"),
    "wrong file": Fault(kind="wrong_file", file_id=PAPER, origin="storage"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_ends_with_the_right_file(world, fault):
    origin = fault.origin if fault.origin != "any" else "storage"
    world.hub.fault(replace(fault, match=on_file(INK), origin=origin))

    done = run(world, script_of(world, pin_of(INK)))

    assert (done.returncode, world.has(KEY, INK)) == (0, True), done.stderr
    assert left(world) == []


@pytest.mark.parametrize(
    "resumed",
    [
        Fault(kind="ignore_range", needs_header="range"),
        Fault(kind="bad_content_range", needs_header="range"),
        Fault(kind="etag_changes", needs_header="range"),
        Fault(kind="status_416", needs_header="range"),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_download_that_cannot_go_on_starts_over(world, resumed):
    world.hub.fault(Fault(kind="truncate", nbytes=90_000, match=on_file(INK), origin="storage"))
    world.hub.fault(replace(resumed, match=on_file(INK), origin="storage"))

    done = run(world, script_of(world, pin_of(INK)))

    assert (done.returncode, world.has(KEY, INK)) == (0, True), done.stderr


STAYING = {
    "gone": Fault(kind="status", status=404),
    "forbidden": Fault(kind="status", status=403, origin="api"),
    "html": Fault(kind="html", origin="storage"),
    "flip": Fault(kind="flip", nbytes=200_000, origin="storage"),
    "endless": Fault(kind="endless", origin="storage"),
    "long": Fault(kind="long", nbytes=100, origin="storage"),
    "wrong file": Fault(kind="wrong_file", file_id=PAPER, origin="storage"),
    "redirect loop": Fault(kind="redirect", origin="api"),
    "to a file": Fault(kind="redirect", location="file:///etc/passwd", origin="api"),
}


@pytest.mark.parametrize("fault", STAYING.values(), ids=STAYING)
def test_a_fault_that_stays_leaves_no_file_and_stops_no_other(world, fault):
    origin = fault.origin if fault.origin != "any" else "api"
    match = f"fileId={INK}" if fault.kind == "redirect" else on_file(INK)
    world.hub.fault(replace(fault, match=match, origin=origin, times=None))

    done = run(world, script_of(world, pin_of(INK), pin_of(BRUSH)))

    assert done.returncode == 1
    assert not world.spot(KEY).exists()
    assert world.has("loras/brush.safetensors", BRUSH)
    assert f"error: ./{KEY}" in done.stderr
    assert "error: 1 of 2 models are not there" in done.stderr


def test_a_broken_download_goes_on_where_it_ended_in_the_next_run(world):
    script = script_of(world, pin_of(INK))
    world.hub.fault(Fault(kind="truncate", nbytes=90_000, match=on_file(INK), origin="storage"))
    world.hub.fault(Fault(kind="status", status=404, match=on_file(INK), origin="api", after=1))
    assert run(world, script).returncode == 1
    [part] = left(world)
    assert part.endswith(".part")
    world.hub.clear_faults()
    world.hub.clear_requests()

    done = run(world, script)

    assert done.returncode == 0
    assert [entry.headers.get("range") for entry in world.downloads()] == ["bytes=90000-"]
    assert world.has(KEY, INK)
    assert left(world) == []


def test_what_is_in_the_spot_is_never_touched(world):
    mine = world.put(KEY, b"mine")
    elsewhere = world.root / "elsewhere"
    link = world.spot("loras/brush.safetensors")
    link.symlink_to(elsewhere)

    done = run(world, script_of(world, pin_of(INK), pin_of(BRUSH), pin_of(PAPER)))

    assert done.returncode == 1
    assert mine.read_bytes() == b"mine"
    assert not elsewhere.exists()
    assert world.has("loras/paper.safetensors", PAPER)
    assert done.stderr.count("something else is there") == 2


def test_one_content_under_two_names_is_downloaded_once(world):
    script = script_of(world, pin_of(INK), pin_of(INK, "loras/twin.safetensors"))

    assert run(world, script).returncode == 0
    assert world.has("loras/twin.safetensors", INK)
    assert len(world.downloads()) == 1


def test_the_script_links_the_spellings_that_workflows_use(world):
    key, alias = "loras/SDXL/it's ink.safetensors", "SDXL\\it's ink.safetensors"
    script = script_of(world, pin_of(INK, key, aliases=(alias,)))

    first, second = run(world, script), run(world, script)

    assert (first.returncode, first.stderr) == (0, "")
    assert world.has(f"loras/{alias}", INK)
    assert world.spot(f"loras/{alias}").readlink() == Path("SDXL/it's ink.safetensors")
    assert first.stdout.splitlines()[1] == f"= ./loras/{alias}"
    assert second.stdout.splitlines() == [f"= ./{key}", "The model is there"]


def test_a_file_that_has_the_name_of_a_spelling_is_left_alone(world):
    alias = "SDXL\\ink.safetensors"
    mine = world.put(f"loras/{alias}", b"mine")
    lock = pin_of(INK, "loras/SDXL/ink.safetensors", aliases=(alias,))

    done = run(world, script_of(world, lock))

    assert (done.returncode, mine.read_bytes()) == (1, b"mine")
    assert "something else is there" in done.stderr
    assert world.has("loras/SDXL/ink.safetensors", INK)


def test_spellings_are_not_linked_where_the_settings_say_so(world):
    world.lock(pin_of(INK, "loras/SDXL/ink.safetensors", aliases=("SDXL\\ink.safetensors",)))
    assert "\nspelling " in world.here("export").out
    (world.project / "comfylock.toml").write_text('[lock]\naliases = "off"\n')
    assert "\nspelling " not in world.here("export").out


def test_a_failing_source_gives_way_to_the_next(world):
    world.hub.fault(Fault(kind="status", status=404, match="fileId=112", times=None))
    ink = pin_of(INK, sources=(*pin_of(PAPER).sources, *pin_of(INK).sources))

    assert run(world, script_of(world, ink)).returncode == 0
    assert world.has(KEY, INK)


@needs("b3sum")
def test_a_model_without_sha256_is_verified_by_blake3(world):
    digest = pin_of(INK).digests.blake3
    good = pin_of(INK, digests=Digests(blake3=digest), size=None)
    bad = pin_of(PAPER, digests=Digests(blake3="0" * 64))

    done = run(world, script_of(world, good, bad))

    assert (done.returncode, world.has(KEY, INK)) == (1, True)
    assert not world.spot("loras/paper.safetensors").exists()


def test_without_b3sum_such_a_model_fails_with_a_clear_line(world):
    pin = pin_of(INK, digests=Digests(blake3=pin_of(INK).digests.blake3))
    script = script_of(world, pin)
    bare = world.root / "bare"
    bare.mkdir()
    for tool in ("bash", "curl", "sha256sum", "dirname"):
        (bare / tool).symlink_to(shutil.which(tool) or tool)

    done = subprocess.run(
        ["bash", str(script), str(world.models)],
        env={"PATH": str(bare)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "b3sum, which checks it, is not installed" in done.stderr


# -------------------------------------------------------------------------------------- keys


def test_the_key_goes_to_the_hub_alone_and_never_into_an_argument(world):
    """The storage sees none, the script holds none, and no process is started with one."""
    world.hub.configure(keys=(CANARY,), anonymous_downloads=False)
    script = script_of(world, pin_of(INK))
    spy = world.root / "tools"
    spy.mkdir()
    (spy / "curl").write_text(
        f'#!/bin/bash\nprintf "%s\\n" "$@" >>"{world.root}/argv"\n'
        f'exec {shutil.which("curl")} "$@"\n',
        "utf-8",
    )
    (spy / "sleep").write_text("#!/bin/sh\n", "utf-8")
    for tool in spy.iterdir():
        tool.chmod(0o755)

    done = run(world, script, CIVITAI_TOKEN=f"{CANARY}\n")

    assert (done.returncode, world.has(KEY, INK)) == (0, True), done.stderr
    assert "--config" in (world.root / "argv").read_text("utf-8")
    told = script.read_text("utf-8") + (world.root / "argv").read_text("utf-8") + done.stdout
    assert CANARY not in told + done.stderr
    keyed = {entry.origin for entry in world.hub.requests if "authorization" in entry.headers}
    assert keyed == {"api"}


def test_without_a_key_the_script_says_which_variable_helps(world):
    world.hub.configure(anonymous_downloads=False)

    done = run(world, script_of(world, pin_of(INK)))

    assert done.returncode == 1
    assert "needs a key: set CIVITAI_TOKEN or HF_TOKEN" in done.stderr


def test_a_key_is_not_sent_to_another_hub(world):
    world.hub.configure(anonymous_downloads=False)

    run(world, script_of(world, pin_of(INK)), HF_TOKEN=CANARY)

    assert not any("authorization" in entry.headers for entry in world.hub.requests)


def test_a_key_with_a_quote_in_it_is_refused_before_anything_is_fetched(world):
    done = run(world, script_of(world, pin_of(INK)), CIVITAI_TOKEN='x"\noutput = "/tmp/x')

    assert done.returncode == 2
    assert world.hub.requests == ()


# ------------------------------------------------------------------------------ hostile names

_NASTY = st.text(
    alphabet="aé $`'!;&#()[]{}~^%@=+,-_\u6a21", min_size=1, max_size=12
).map(lambda text: f"loras/{text}.safetensors")  # fmt: skip


@settings(max_examples=100)
@given(st.lists(_NASTY, min_size=1, max_size=10, unique_by=lambda key: key.casefold()))
def test_no_name_makes_the_script_do_anything_else(keys):
    """Bash itself reads the words back: each name is one word, and nothing runs."""
    keys = [key for key in keys if unsafe_reason(key) is None]
    pins = [pinned(key, 5, civitai(number)) for number, key in enumerate(keys, start=1)]
    entries, _ = fetchable(pins, Hub(), OPEN)
    text = bash_script(entries, Hub())
    lines = [line for line in text.splitlines() if line.startswith("model ")]
    stub = "set -e\nmodel() { printf '%s\\0' \"$1\"; }\n" + "\n".join(lines)

    done = subprocess.run(["bash", "-c", stub], capture_output=True, check=True)

    assert done.stdout.decode().split("\0")[:-1] == [f"./{key}" for key in keys]
    assert done.stderr == b""


def test_nothing_foreign_stands_in_a_comment():
    pin = pinned("loras/x.safetensors", 5, civitai(1), name="evil\n$(touch /tmp/owned)")
    text = bash_script(fetchable([pin], Hub(), OPEN)[0], Hub())

    assert "evil" not in text


def test_a_remote_base_allows_https_alone():
    text = bash_script(fetchable([pin_of(INK)], Hub(), OPEN)[0], Hub())

    assert "\nprotocols=https\n" in text


# ------------------------------------------------------------------------------- what is left out


def test_a_model_without_a_source_is_told_and_the_rest_is_exported(world):
    world.lock(pin_of(INK), pin_of(PAPER, sources=()))

    for form in ("bash", "aria2", "csv", "cyclonedx"):
        done = world.here("export", "--format", form, "--json")
        assert done.code == 1
        assert [each["slug"] for each in done.document["errors"]] == ["no-source"]
        assert KEY in done.document["text"] or "ink.safetensors" in done.document["text"]


def test_hosts_and_formats_that_are_not_allowed_are_left_out():
    url = UrlSource(url="https://example.org/x.safetensors")
    pins = [
        pinned("loras/x.safetensors", 5, url),
        pinned("loras/y.safetensors", 5, url, civitai(2)),
        pinned("upscale_models/z.pth", 5, civitai(3)),
    ]

    entries, problems = fetchable(
        pins, Hub(), Trust(formats=Formats.DENY, allowed_hosts=frozenset())
    )

    assert [problem.slug for problem in problems] == ["host-not-allowed", "unsafe-format"]
    assert [entry.addresses for entry in entries] == [
        ("https://civitai.com/api/download/models/20?fileId=200",)
    ]


def test_an_unresolved_reference_is_told(world):
    lock = lock_of([pin_of(INK)], {"a.json": [KEY]}, {"a.json": ["loras/who.safetensors"]})
    world.lock_path.write_text(render_lock(lock), "utf-8")

    done = world.here("export", "--json")

    assert (done.code, [each["slug"] for each in done.document["errors"]]) == (1, ["unresolved"])


def test_output_goes_nowhere_that_matters(world):
    world.lock(pin_of(INK))
    world.put("x.safetensors", b"mine")
    before = world.lock_path.read_bytes()

    for name in ("comfy.lock", "/dev/null", str(world.models), str(world.models / "x.safetensors")):
        done = world.here("export", "-o", name)
        assert (done.code, "error[path-occupied]" in done.err) == (2, True), name
    assert world.here("export", "-o", "no/such/folder/x.sh").code == 2
    assert world.lock_path.read_bytes() == before
    assert Path("/dev/null").is_char_device()
    (world.project / "old.sh").write_text("old", "utf-8")
    assert world.here("export", "-o", "old.sh").code == 0
    assert (world.project / "old.sh").read_text("utf-8").startswith("#!/usr/bin/env bash")


# -------------------------------------------------------------------------------------- aria2


def aria2(world: World, listing: str) -> subprocess.CompletedProcess[str]:
    path = world.root / "list.aria2"
    path.write_text(listing, "utf-8")
    return subprocess.run(
        ["aria2c", "--no-conf", f"--input-file={path}", "--max-tries=1", "--quiet"],
        cwd=world.models, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@needs("aria2c")
def test_aria2_downloads_and_checks_what_the_list_says(world):
    odd = "loras/sub/#odd, it's [x].safetensors"
    world.lock(pin_of(INK), pin_of(PAPER, odd))
    done = world.here("export", "--format", "aria2")

    assert (done.code, aria2(world, done.out).returncode) == (0, 0)
    assert world.has(KEY, INK)
    assert world.has(odd, PAPER)


@needs("aria2c")
def test_aria2_says_when_bytes_are_wrong_and_leaves_other_files_alone(world):
    world.lock(pin_of(INK, digests=Digests(sha256="0" * 64)), pin_of(PAPER))
    mine = world.put("loras/paper.safetensors", b"mine")

    assert aria2(world, world.here("export", "--format", "aria2").out).returncode != 0
    assert mine.read_bytes() == b"mine"


def test_the_list_for_aria2_holds_no_key_and_nothing_it_cannot_check(world):
    world.lock(
        pin_of(INK), pin_of(PAPER, digests=Digests(blake3="0" * 64)),
        pin_of(BRUSH, "loras/${HOME}.safetensors"),
    )  # fmt: skip

    done = world.here("export", "--format", "aria2", CIVITAI_TOKEN=CANARY)

    assert CANARY not in done.text
    assert (done.code, done.err.count("error[not-exportable]")) == (1, 2)
    assert done.out.count("checksum=sha-256=") == done.out.count("out=") == 1


# ---------------------------------------------------------------------------------------- csv


def test_the_table_has_one_row_for_each_model_and_no_formula():
    pins = [
        pinned("loras/a.safetensors", 5, civitai(1), name='=HYPERLINK("http://evil","x")'),
        pinned("loras/b.safetensors", None, name="@SUM(1)", base_model="\t+1"),
    ]
    lock = lock_of(pins, {"=cmd.json": ["loras/a.safetensors"], "w.json": ["loras/a.safetensors"]})

    rows = list(csv.DictReader(io.StringIO(lock_table(lock, Hub()))))

    assert tuple(rows[0]) == COLUMNS
    assert [row["key"] for row in rows] == ["loras/a.safetensors", "loras/b.safetensors"]
    assert rows[0]["name"] == '\'=HYPERLINK("http://evil","x")'
    assert rows[0]["workflows"] == "'=cmd.json; w.json"
    assert rows[0]["download"] == "https://civitai.com/api/download/models/10?fileId=100"
    cells = [cell for row in rows for cell in row.values()]
    assert not any(cell.strip().startswith(("=", "+", "-", "@")) for cell in cells)


# ----------------------------------------------------------------------------------- cyclonedx


def hostile_lock() -> Lock:
    """Return a lock whose every foreign text is strange."""
    odd = "\u202e<b>\"'&\\ \U0001f525 http://x y\x00\n"
    pins = [
        pinned("loras/日本 $(x) #1.safetensors", None, civitai(1), name=odd, base_model=odd),
        pinned("loras/private.safetensors", 5),
        pinned("vae/ae.safetensors", 5, hosted("a/b", "dir/odd name#?%.safetensors")),
        pinned("vae/u.safetensors", 5, UrlSource(url="https://example.org/a%20b/ü.safetensors")),
    ]
    return lock_of(pins, {"w/<img> #&.json": [pins[0].key]}, {"w/<img> #&.json": ["x/\x1b"]})


@pytest.mark.parametrize("lock", [atelier().lock, hostile_lock(), lock_of([], {})])
def test_the_bill_of_materials_keeps_the_rules_of_cyclonedx(lock):
    """Its own library says so, by the strict form of the 1.6 schema."""
    text = bill_of_materials(lock, Hub(), project="atelier é", tool_version="1.0")

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    names = [one["bom-ref"] for one in document["components"]]
    assert len(names) == len(set(names)) == len(lock.models) + len(lock.workflows)
    assert set(references(document)) <= {*names, document["metadata"]["component"]["bom-ref"]}


def test_the_library_would_notice_a_broken_bill():
    text = bill_of_materials(atelier().lock, Hub(), project="x", tool_version="1")
    for good, bad in (('"SHA-256"', '"SHA256"'), ('"website"', '"page"'), ("urn:uuid:", "uuid:")):
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace(good, bad))


def references(document: dict[str, Any]) -> Iterator[str]:
    for one in document["dependencies"]:
        yield one["ref"]
        yield from one["dependsOn"]


def test_equal_locks_give_equal_bills():
    lock = atelier().lock
    turned = Lock(
        inputs=lock.inputs,
        workflows=dict(reversed([*lock.workflows.items()])),
        models=dict(reversed([*lock.models.items()])),
    )
    first, second = (
        bill_of_materials(one, Hub(), project="x", tool_version="1") for one in (lock, turned)
    )
    other = bill_of_materials(
        replace(lock, workflows={"a": WorkflowEntry(path="a", models=())}), Hub(),
        project="x", tool_version="1",
    )  # fmt: skip

    assert first == second
    assert json.loads(first)["serialNumber"] != json.loads(other)["serialNumber"]


def test_sources_become_addresses_made_of_ids():
    entries, _ = fetchable(
        [pinned("vae/ae.safetensors", 5, hosted("a/b", "dir/odd name#?.safetensors"))], Hub(), OPEN
    )

    assert entries[0].addresses == (
        f"https://huggingface.co/a/b/resolve/{'1f0e2d3c' * 5}/dir/odd%20name%23%3F.safetensors",
    )


def test_an_interrupted_script_keeps_what_it_has(world):
    world.hub.fault(
        Fault(kind="stall", nbytes=90_000, match=on_file(INK), origin="storage", stall_s=30)
    )
    script = script_of(world, pin_of(INK), stall_s=30)
    with subprocess.Popen(
        ["bash", str(script), str(world.models)],
        env=world.environment, start_new_session=True, stderr=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        wait_until(lambda: held(world))
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(10) == 130

    assert [name.rpartition(".")[2] for name in left(world)] == ["part"]


def held(world: World) -> bool:
    return any(path.stat().st_size > 50_000 for path in world.models.rglob("*.tmp"))
