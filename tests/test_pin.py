"""`pin`, `unpin`, `ignore`, and the choice at a terminal: the user's word."""

import hashlib
import os
import pty
import re
import shlex
import subprocess
from dataclasses import replace

import pytest

from tests.shop import (
    FORK,
    INK,
    LOST,
    MEADOW,
    SHOP,
    TWIN,
    lock,
    locked,
    project_file,
    put_workflow,
    source,
    unresolved,
)
from tests.standin.client import ask
from tests.standin.server import Standin
from tests.standin_hf.repositories import Shelves, hub_file, repository
from tests.standin_hf.server import HuggingFaceStandin


@pytest.fixture
def hub():
    with Standin(SHOP) as standin:
        yield standin


def test_a_pin_is_written_and_locked_and_nothing_else_changes(world):
    lock(world, INK, LOST, TWIN)
    before = locked(world)
    ran = world.here("pin", "lost", "civitai:12")
    assert ran.code == 0
    assert ran.out == f"+ {LOST}  Ink Wash / v2  5 kB  by comfylock.toml\n"
    assert ran.err == f"comfylock.toml: {LOST} = civitai:12/121\nUpdated comfy.lock\n"
    assert project_file(world) == f'[models."{LOST}"]\npin = "civitai:12/121"\n'
    after = locked(world)
    assert after.pop(LOST)["evidence"] == "pinned"
    assert after == before
    assert unresolved(world) == [TWIN]
    assert world.here("lock", "--check").code == 0


def test_lock_after_pin_has_nothing_to_do_and_asks_nobody(world):
    lock(world, INK, LOST)
    world.here("pin", LOST, "civitai:12/121")
    text = world.lock_path.read_bytes()
    world.hub.clear_requests()
    assert world.here("lock").code == 0
    assert world.lock_path.read_bytes() == text
    assert world.hub.requests == ()


@pytest.mark.parametrize(
    "spec",
    [
        "civitai:12",
        "civitai:12/121",
        "urn:air:sdxl:lora:civitai:1@12",
        "https://civitai.com/models/1?modelVersionId=12",
        "https://civitai.com/api/download/models/12?fileId=121",
    ],
)
def test_every_way_to_name_a_civitai_file_becomes_its_ids(world, spec):
    lock(world, LOST)
    assert world.here("pin", LOST, spec).code == 0
    assert 'pin = "civitai:12/121"' in project_file(world)
    assert source(world, LOST) == (12, 121)


def test_a_page_without_a_version_pins_the_file_of_that_name(world):
    """A page means "the latest", which moves; the name says which one is meant."""
    lock(world, INK)
    assert world.here("pin", INK, "https://civitai.com/models/1").code == 0
    assert source(world, INK) == (11, 111)
    ran = world.here("pin", FORK, "https://civitai.com/models/1")
    assert ran.code == 1, "the fork is not known"


def test_a_version_with_several_files_lists_them_and_writes_nothing(world):
    lock(world, MEADOW)
    before = world.lock_path.read_bytes()
    ran = world.here("pin", "meadow_v1", "civitai:21")
    assert ran.code == 1
    assert f"comfylock pin {MEADOW} civitai:21/211\n" in ran.out
    assert f"comfylock pin {MEADOW} civitai:21/212\n" in ran.out
    assert "error[ambiguous]" in ran.err
    assert project_file(world) == ""
    assert world.lock_path.read_bytes() == before
    document = world.here("pin", MEADOW, "civitai:21", "--json").document
    assert [one["file"] for one in document["ambiguous"][0]["candidates"]] == [211, 212]


@pytest.mark.parametrize(
    ("spec", "slug", "code"),
    [
        ("civitai:999", "unresolved", 1),
        ("civitai:12/999", "unresolved", 1),
        ("https://civitai.com/models/999", "unresolved", 1),
        ("./nowhere.safetensors", "unresolved", 1),
        ("blah", "unresolved", 1),
        ("https://example.org/a.safetensors", "unresolved", 1),
        ("https://user:pass@example.org/a.safetensors", "unresolved", 1),
    ],
)
def test_a_spec_that_leads_to_no_file_is_never_written(world, spec, slug, code):
    lock(world, LOST)
    before = world.lock_path.read_bytes()
    ran = world.here("pin", LOST, spec)
    assert (ran.code, f"error[{slug}]" in ran.err) == (code, True)
    assert "pass@" not in ran.text
    assert project_file(world) == ""
    assert world.lock_path.read_bytes() == before


def test_an_unknown_reference_is_told_with_those_most_alike(world):
    lock(world, FORK, LOST)
    ran = world.here("pin", "loras/forks.safetensors", "civitai:12")
    assert ran.code == 1
    assert "no reference is called loras/forks.safetensors; did you mean" in ran.err
    assert f"  {FORK}" in ran.err


def test_an_end_that_several_references_share_is_ambiguous(world):
    lock(world, "loras/a/ink.safetensors", "loras/b/ink.safetensors")
    ran = world.here("pin", "ink.safetensors", "civitai:11")
    assert ran.code == 1
    assert "error[ambiguous]: ink.safetensors may be any of 2 references:" in ran.err
    assert world.here("pin", "b/ink.safetensors", "civitai:11").code == 0


def test_a_local_file_of_another_name_is_pinned_by_its_hash_and_linked(world):
    lock(world, LOST)
    mine = world.put("loras/sub/mine.safetensors", b"private")
    world.hub.clear_requests()
    assert world.here("pin", LOST, str(mine)).code == 0
    sha256 = hashlib.sha256(b"private").hexdigest()
    word = f'[models."{LOST}"]\nlocal = true\nsha256 = "{sha256}"\nsize = 7\n'
    assert project_file(world) == word
    pin = locked(world)[LOST]
    assert (pin["evidence"], pin["size"], pin["sha256"]) == ("local", 7, sha256)
    assert "blake3" in pin
    assert world.here("lock", "--check").code == 0
    assert world.here("lock", "--rebuild").code == 0
    assert (locked(world)[LOST]["sha256"], locked(world)[LOST]["size"]) == (sha256, 7)
    assert world.hub.requests == ()
    assert world.here("install").code == 0
    assert world.spot(LOST).read_bytes() == b"private"


def test_a_local_file_outside_of_all_models_folders_is_pinned_by_its_hash(world):
    lock(world, LOST)
    (world.project / "mine.safetensors").write_bytes(b"private")
    assert world.here("pin", LOST, "mine.safetensors").code == 0
    assert str(world.project) not in project_file(world) + world.lock_path.read_text()
    installed = world.here("install", "--json")
    assert (installed.code, installed.document["errors"][0]["slug"]) == (1, "no-source")


def test_another_file_in_the_place_of_a_private_one_is_not_taken_for_it(world):
    lock(world, LOST)
    mine = world.put("loras/sub/mine.safetensors", b"private")
    world.put(LOST, b"another")
    assert world.here("pin", LOST, str(mine)).code == 0
    assert world.here("lock", "--rebuild").code == 0
    assert locked(world)[LOST]["sha256"] == hashlib.sha256(b"private").hexdigest()
    assert world.here("status", "--json").document["models"][0]["state"] == "different"


def test_a_local_file_is_pinned_where_it_lies(world):
    lock(world, LOST)
    place = world.put(LOST, b"private")
    assert world.here("pin", LOST, str(place)).code == 0
    assert project_file(world) == f'[models."{LOST}"]\nlocal = true\n'
    assert locked(world)[LOST]["evidence"] == "local"


COMMENTED = """\
# what we make
workflows = ["workflows"]  # all of them

[models."loras/lost.safetensors"]  # the old one
pin = "civitai:11/111"

# nobody's business
[ignore]
refs = ["loras/None"]
"""


def test_comments_and_order_of_the_project_file_survive(world):
    (world.project / "comfylock.toml").write_text(COMMENTED)
    lock(world, LOST, TWIN)
    world.here("pin", TWIN, "civitai:51")
    twin = f'[models."{TWIN}"]\npin = "civitai:51/511"\n\n'
    assert project_file(world) == COMMENTED.replace("# nobody", f"{twin}# nobody")
    world.here("unpin", TWIN)
    assert project_file(world) == COMMENTED
    world.here("pin", LOST, "civitai:12")
    assert project_file(world) == COMMENTED.replace("11/111", "12/121")
    world.here("ignore", TWIN)
    world.here("unpin", LOST)
    start, end = COMMENTED.index("[models"), COMMENTED.index("# nobody")
    rest = COMMENTED[:start] + COMMENTED[end:]
    assert project_file(world) == rest.replace('"loras/None"', f'"loras/None", "{TWIN}"')


def test_a_file_that_cannot_be_edited_is_left_alone(world):
    lock(world, LOST)
    (world.project / "comfylock.toml").write_text("models = 1\n")
    ran = world.here("pin", LOST, "civitai:12")
    assert ran.code == 2
    assert "error[config-invalid]" in ran.err
    assert project_file(world) == "models = 1\n"


def test_unpin_goes_back_to_the_evidence(world):
    lock(world, INK)
    world.here("pin", INK, "civitai:12")
    ran = world.here("unpin", "ink")
    assert ran.code == 0
    assert f"comfylock.toml: {INK} is no longer pinned" in ran.err
    assert source(world, INK) == (11, 111)
    assert locked(world)[INK]["evidence"] == "filename"
    assert project_file(world) == ""


def test_unpin_of_what_nothing_else_pins_leaves_it_unresolved(world):
    lock(world, LOST)
    world.here("pin", LOST, "civitai:12")
    ran = world.here("unpin", LOST)
    assert ran.code == 1
    assert "error[unresolved]" in ran.err
    assert unresolved(world) == [LOST]
    assert world.here("unpin", LOST).code == 1, "it is pinned no more"


def test_unpin_with_nobody_to_ask_keeps_the_lock_for_later(world):
    lock(world, LOST)
    world.here("pin", LOST, "civitai:12")
    ran = world.here("unpin", LOST, "--offline", COMFYLOCK_CACHE_DIR=str(world.root / "empty"))
    assert ran.code == 1
    assert "error[offline]" in ran.err
    assert source(world, LOST) == (12, 121)
    assert world.here("lock").code == 1, "now it is asked for"
    assert unresolved(world) == [LOST]


def test_ignore_drops_a_reference_from_the_lock(world):
    lock(world, INK, LOST)
    ran = world.here("ignore", LOST)
    assert ran.code == 0
    assert unresolved(world) == []
    assert project_file(world) == f'[ignore]\nrefs = [\n    "{LOST}",\n]\n'
    assert world.here("lock", "--check").code == 0
    assert world.here("ignore", "none").code == 1


@pytest.mark.parametrize(
    ("first", "again"), [(LOST, LOST), (LOST, "lost"), ("loras/*", LOST), ("loras/*", "loras/*")]
)
def test_ignoring_what_is_ignored_already_changes_nothing_and_is_no_error(world, first, again):
    lock(world, LOST)
    assert world.here("ignore", first).code == 0
    before = project_file(world), world.lock_path.read_bytes()
    ran = world.here("ignore", again)
    assert (ran.code, ran.err) == (0, f"{first} is ignored already\nNothing was written\n")
    assert (project_file(world), world.lock_path.read_bytes()) == before


@pytest.mark.parametrize("ignored", [LOST, "loras/*"])
def test_who_asks_for_what_is_ignored_is_told_so(world, ignored):
    lock(world, LOST)
    assert world.here("ignore", ignored).code == 0
    for asking in (["why", LOST], ["pin", LOST, "civitai:12"]):
        ran = world.here(*asking)
        assert ran.code == 1
        said = f"{LOST} is ignored: comfylock.toml names {ignored} below [ignore]"
        assert ran.err.startswith(f"error[unresolved]: {said}\n\nhint: Take it out there")


@pytest.mark.parametrize(
    "ref",
    ["loras/in\x1b[31mk.safetensors", "loras/a [b] c.safetensors", "loras/\u202ex.safetensors"],
)
def test_the_ignore_command_that_lock_prints_works_for_any_name(world, ref):
    put_workflow(world, ref, INK)
    hint = world.here("lock", "workflows").err.rpartition("hint: ")[2]
    if "comfylock ignore" in hint:
        typed = shlex.split(re.findall("`(comfylock ignore[^`]*)`", hint)[0])[1:]
    else:
        typed = ["ignore", ref]
    ran = world.here(*typed)
    assert (ran.code, "Updated comfy.lock" in ran.err) == (0, True)
    assert unresolved(world) == []
    assert world.here("lock", "--check").code == 0
    assert world.here("lock").code == 0


def test_ignore_by_a_glob_is_written_as_a_glob(world):
    lock(world, "loras/wip/a.safetensors", "loras/wip/b.safetensors", INK)
    world.here("ignore", "loras/wip/*")
    assert '"loras/wip/*"' in project_file(world)
    assert list(locked(world)) == [INK]
    assert unresolved(world) == []


def test_without_a_lock_the_word_is_kept_for_it(world):
    put_workflow(world, LOST)
    (world.project / "comfylock.toml").write_text('workflows = ["workflows"]\n')
    ran = world.here("pin", LOST, "civitai:12")
    assert ran.code == 0
    assert "There is no comfy.lock yet" in ran.err
    assert not world.lock_path.exists()
    world.here("lock")
    assert source(world, LOST) == (12, 121)


def test_pinning_a_file_that_was_replaced_accepts_it_loudly(world):
    lock(world, INK)
    world.hub.replace(SHOP.with_file(replace(SHOP.file(111), seed="other bytes")))
    cache = str(world.root / "other-cache")
    ran = world.here("pin", INK, "civitai:11/111", COMFYLOCK_CACHE_DIR=cache)
    assert ran.code == 0
    assert "warning: Civitai version 11 file 111 had sha256:" in ran.err
    assert locked(world)[INK]["sha256"] == world.hub.catalogue.file(111).sha256


# ----------------------------------------------------------------------- other hubs


VAE = hub_file("ae.safetensors", size=4_000)


@pytest.fixture
def huggingface():
    shelves = Shelves.of(repository("Org/vae", {"split/ae.safetensors": VAE}))
    with HuggingFaceStandin(shelves) as standin:
        yield standin


@pytest.mark.parametrize(
    "spec",
    [
        "hf:Org/vae@main:split/ae.safetensors",
        "hf:Org/vae:split/ae.safetensors",
        "https://huggingface.co/Org/vae/blob/main/split/ae.safetensors",
    ],
)
def test_a_hugging_face_file_is_pinned_at_its_commit(world, huggingface, spec):
    world.environment["HF_ENDPOINT"] = huggingface.url
    lock(world, LOST)
    assert world.here("pin", LOST, spec).code == 0
    commit = huggingface["Org/vae"].head
    assert f'pin = "hf:Org/vae@{commit}:split/ae.safetensors"' in project_file(world)
    assert locked(world)[LOST]["sha256"] == VAE.sha256
    text = world.lock_path.read_bytes()
    huggingface.clear_requests()
    assert world.here("lock").code == 0
    assert (world.lock_path.read_bytes(), huggingface.requests) == (text, ())


def test_an_address_is_pinned_with_the_hash_that_its_publisher_names(world):
    lock(world, LOST)
    (world.root / "config").mkdir()
    (world.root / "config" / "config.toml").write_text('allow-hosts = ["example.org"]\n')
    url = "https://example.org/x/lost.safetensors"
    assert world.here("pin", LOST, url, "--sha256", "AB" * 32).code == 0
    assert project_file(world) == f'[models."{LOST}"]\npin = "{url}"\nsha256 = "{"ab" * 32}"\n'
    assert locked(world)[LOST]["sources"] == [{"type": "url", "url": url}]
    assert world.here("lock").code == 0


def test_an_address_of_a_host_that_is_not_allowed_is_pinned_with_a_warning_and_not_fetched(world):
    """The user names it; whether a machine fetches from there is for that machine's user to say."""
    lock(world, LOST)
    url = "https://example.org/x.safetensors"
    ran = world.here("pin", LOST, url, "--sha256", "ab" * 32)
    assert ran.code == 0
    assert "warning: install fetches nothing from example.org" in ran.err
    assert 'allow-hosts = ["example.org"]' in ran.err
    assert locked(world)[LOST]["sources"] == [{"type": "url", "url": url}]
    installed = world.here("install", "--json")
    assert (installed.code, installed.document["errors"][0]["slug"]) == (1, "host-not-allowed")


def test_an_address_of_this_machine_is_asked_by_install_only_where_the_user_allows_it(world):
    """A lock comes from anywhere, and what listens here may take a request for its owner's."""
    lock(world, LOST)
    page = ask(f"{world.hub.url}/api/download/models/11?fileId=111").headers["location"]
    url = page.partition("?")[0]
    assert url.startswith("http://127.0.0.1:")
    ran = world.here("pin", LOST, url, "--sha256", "ab" * 32)
    assert (ran.code, "allow-hosts" in ran.err) == (0, True)
    world.hub.clear_requests()
    refused = world.here("install", "--json")
    assert (refused.code, refused.document["errors"][0]["slug"]) == (1, "host-not-allowed")
    assert world.hub.requests == ()
    (world.root / "config").mkdir()
    (world.root / "config" / "config.toml").write_text('allow-hosts = ["127.0.0.1"]\n')
    # The storage wants its signature, so it is asked and says no: nothing here forbade it.
    installed = world.here("install", "--json")
    assert installed.document["errors"][0]["slug"] != "host-not-allowed"
    assert installed.document["plan"][0]["action"] == "download"


# ------------------------------------------------------------------------ at a terminal


def at_terminal(world, typed, *arguments, **variables):
    """Run the real command line with stdin and stderr at a terminal; return its code and screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        world.command(*arguments),
        cwd=world.project,
        env=world.environment | {"TERM": "dumb"} | variables,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, typed)
    screen = b""
    try:
        while chunk := os.read(ours, 4096):
            screen += chunk
    except OSError:
        pass  # the other side is closed
    finally:
        os.close(ours)
    process.communicate(timeout=20)
    return process.returncode, screen.decode()


def test_at_a_terminal_lock_asks_which_file_is_meant(world):
    put_workflow(world, TWIN, INK)
    code, screen = at_terminal(world, b"7\n2\n", "lock", "workflows")
    assert code == 0, screen
    rows = [line.strip() for line in screen.splitlines() if re.match(" +[12][)]", line)]
    assert len({len(row) for row in rows}) == 1, rows
    assert re.fullmatch(
        r"1\)  Twin A / v1  \S+ kB  \S+ \S+  100 downloads  2024-06-01  civitai:41/411", rows[0]
    ), "the name that both have is not repeated"
    assert screen.count("Which one? 1-2, Enter skips:") == 2, "7 is no answer"
    assert project_file(world) == f'[models."{TWIN}"]\npin = "civitai:51/511"\n'
    assert source(world, TWIN) == (51, 511)
    assert source(world, INK) == (11, 111)


def test_enter_skips_a_question(world):
    put_workflow(world, TWIN)
    code, screen = at_terminal(world, b"\n", "lock", "workflows")
    assert code == 1
    assert "error[ambiguous]" in screen
    assert project_file(world) == ""
    assert unresolved(world) == [TWIN]


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(("--json",), {}), (("-q",), {}), (("--dry-run",), {}), ((), {"CI": "true"})],
)
def test_nobody_is_asked_who_did_not_come_to_talk(world, arguments, variables):
    put_workflow(world, TWIN)
    code, screen = at_terminal(world, b"2\n", "lock", "workflows", *arguments, **variables)
    assert code == 1
    assert "Which one?" not in screen
    assert project_file(world) == ""
