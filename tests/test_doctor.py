"""The doctor: what is wrong is found, with its fix; nothing is changed and nobody asked."""

import os
import re
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from comfylock.disk.probe import Traits, probe
from comfylock.operations.doctor_disk import judge
from comfylock.settings import Aliases, LinkMode
from tests import shop
from tests.standin.faults import Fault
from tests.standin_hf.repositories import Shelves
from tests.standin_hf.server import HuggingFaceStandin
from tests.world import CANARY, INK, Ran, World, pin_of

as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


def findings(ran: Ran, area: str | None = None, health: str | None = None) -> list[dict[str, Any]]:
    return [
        one
        for one in ran.document["findings"]
        if area in {None, one["area"]} and health in {None, one["health"]}
    ]


def bad(ran: Ran) -> list[str]:
    """Return the messages of everything that is not in order."""
    return [one["message"] for one in ran.document["findings"] if one["health"] != "ok"]


def everything_below(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


def test_a_sound_machine_has_no_problem_and_stays_as_it_is(world: World) -> None:
    shop.put_workflow(world, "loras/ink.safetensors")
    world.lock(pin_of(INK))
    before = everything_below(world.root)
    ran = world.here("doctor", "--json", CIVITAI_TOKEN=CANARY)
    assert (ran.code, ran.document["ok"], bad(ran)) == (0, True, [])
    assert everything_below(world.root) == before
    assert world.hub.requests == ()
    assert CANARY not in ran.text
    told = {one["area"]: one["message"] for one in ran.document["findings"]}
    assert re.match("(case counts|case does not count): Ink and ink are", told["names"])
    assert re.match(r"(reflink, )?hardlink, symlink, copy work; auto takes", told["links"])
    areas = {one["area"] for one in ran.document["findings"]}
    assert areas == {
        "settings", "folders", "disk", "links", "names", "leftovers", "lock", "workflows", "keys",
        "network", "versions",
    }  # fmt: skip


def test_text_has_a_line_for_each_finding_and_a_fix_below_what_is_bad(world: World) -> None:
    ran = world.here("doctor", COMFYLOCK_MODELS_DIR="", CIVITAI_TOKEN=CANARY)
    lines = ran.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("problem  folders"))
    assert lines[at + 1].strip().startswith("fix: Name it with --models-dir")
    assert (ran.code, ran.err) == (1, "1 problem, 0 warnings\n")


def test_every_setting_is_shown_with_who_says_it(world: World) -> None:
    (world.project / "comfylock.toml").write_text('[lock]\nformats = "deny"\naliases = "off"\n')
    (world.root / "config").mkdir()
    (world.root / "config" / "config.toml").write_text('jobs = 2\naliases = "link"\n')
    ran = world.here("doctor", "--json", COMFYLOCK_LINK_MODE="copy")
    said = {one["name"]: (one["value"], one["origin"]) for one in ran.document["settings"]}
    assert said["formats"] == ("deny", "comfylock.toml")
    assert said["aliases"] == ("off", "comfylock.toml")
    assert said["jobs"] == ("2", "config.toml")
    assert said["link-mode"] == ("copy", "COMFYLOCK_LINK_MODE")
    assert said["connections"] == ("8", "default")
    assert said["civitai-url"] == (world.hub.url, "COMFYLOCK_CIVITAI_URL")
    assert said["models-dirs"] == (str(world.models), "COMFYLOCK_MODELS_DIR")
    flag = world.here("doctor", "--json", "--models-dir", str(world.models))
    assert flag.document["settings"][-1]["origin"] == "--models-dir"


@pytest.mark.parametrize("name", ["project/comfylock.toml", "config/config.toml"])
def test_a_broken_settings_file_is_one_problem_and_the_rest_is_looked_at(
    world: World, name: str
) -> None:
    path = world.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("jobbs = 3\n")
    ran = world.here("doctor", "--json")
    assert ran.code == 1
    assert len([one for one in findings(ran, health="problem") if "jobbs" in one["message"]]) == 1
    assert findings(ran, "versions")


def test_a_broken_lock_is_a_problem_with_its_fix(world: World) -> None:
    world.lock_path.write_text("version = 1\nbroken")
    ran = world.here("doctor", "--json")
    (problem,) = findings(ran, health="problem")
    assert ("comfy.lock" in problem["message"], "--rebuild" in problem["fix"]) == (True, True)


def test_folders_that_are_missing_or_elsewhere_are_told(world: World) -> None:
    extra = world.root / "extra.yaml"
    shared = world.root / "shared"
    shared.mkdir()
    extra.write_text(f"a:\n  loras: {shared}\n  vae: {world.root / 'unmounted'}\n")
    ran = world.here("doctor", "--json", "--extra-model-paths", str(extra))
    told = [one["message"] for one in findings(ran, "folders")]
    assert told == [
        f"models folder {world.models}: readable, writable; files are placed here",
        f"extra path for loras {shared}: readable, writable, on the same disk",
        f"extra path for vae {world.root / 'unmounted'} is not there",
    ]
    assert bad(ran)[0] == told[2]


@as_root
def test_a_models_folder_that_cannot_be_written_is_a_problem(world: World) -> None:
    world.models.chmod(0o555)
    ran = world.here("doctor", "--json")
    world.models.chmod(0o755)
    assert "nothing can be installed" in findings(ran, "folders", "problem")[0]["message"]


def test_interrupted_parts_and_replaced_files_are_told_with_their_size(world: World) -> None:
    world.put(".comfylock/partial/abc.part", b"x" * 2000)
    world.put(".comfylock/partial/abc.json", b"{}")
    world.put("loras/.comfylock/replaced/def.old", b"y" * 3000)
    ran = world.here("doctor", "--json")
    told = [(one["message"], one["bytes"]) for one in findings(ran, "leftovers", "warning")]
    assert told == [
        (f"1 interrupted download in {world.models}/.comfylock/partial: 2 kB", 2000),
        (f"1 replaced file in {world.models}/loras/.comfylock/replaced: 3 kB", 3000),
    ]


def test_names_with_the_other_separator_lead_to_fix_paths(world: World) -> None:
    shop.put_workflow(world, "loras/style\\ink.safetensors")
    world.lock(workflows={"workflows/a.json": []})
    ran = world.here("doctor", "--json")
    (warning,) = findings(ran, "workflows", "warning")
    assert "1 model name is spelled with \\" in warning["message"]
    assert "fix-paths" in warning["fix"]


def test_a_workflow_that_cannot_be_read_is_a_warning(world: World) -> None:
    (world.project / "comfylock.toml").write_text('workflows = ["a.json"]\n')
    (world.project / "a.json").write_text('{"nodes": [')
    assert findings(world.here("doctor", "--json"), "workflows", "warning")


# ----------------------------------------------------------------------------- keys, online


def test_keys_are_named_by_their_place_and_never_shown(world: World) -> None:
    (world.root / "config").mkdir()
    path = world.root / "config" / "config.toml"
    path.write_text(f'civitai-key = "{CANARY}"\n')
    path.chmod(0o644)
    ran = world.here("doctor", "--json")
    assert CANARY not in ran.text
    told = [one["message"] for one in findings(ran, "keys")]
    assert told[0] == f"others can read the key in {path}"
    assert told[1] == "Civitai: the key in config.toml counts"
    assert world.here("doctor", "--json", HF_TOKEN="two words").code == 1


def test_online_the_keys_and_the_clock_are_checked(world: World) -> None:
    world.hub.configure(keys=(CANARY,))
    with HuggingFaceStandin(Shelves.of(), keys=(CANARY,)) as hugging_face:
        variables = {"CIVITAI_TOKEN": CANARY, "HF_TOKEN": CANARY, "HF_ENDPOINT": hugging_face.url}
        ran = world.here("doctor", "--online", "--json", **variables)
        assert CANARY not in ran.text
        told = [one["message"] for one in findings(ran, health="ok")]
        assert "Civitai accepts the key of standin" in told
        assert "Hugging Face accepts the key of standin" in told
        assert [one["message"] for one in findings(ran, "clock")] == ["agrees with 127.0.0.1"]
        wrong = world.here("doctor", "--online", "--json", **(variables | {"HF_TOKEN": "wrong"}))
        (problem,) = findings(wrong, "keys", "problem")
        assert (wrong.code, "does not accept the key" in problem["message"]) == (1, True)
        offline = world.here("doctor", "--online", "--offline", "--json", **variables)
        assert not findings(offline, "clock")


def test_online_without_keys_the_hubs_still_answer(world: World) -> None:
    ran = world.here("doctor", "--online", "--json")
    assert "Civitai answers" in [one["message"] for one in findings(ran, "network")]
    assert all(entry.headers.get("authorization") is None for entry in world.hub.requests)
    (problem,) = findings(ran, health="problem")  # nobody listens for Hugging Face
    assert "cannot be reached" in problem["message"]


@pytest.mark.parametrize(("off_s", "health"), [(300, "warning"), (-200_000, "problem")])
def test_a_wrong_clock_is_told(world: World, off_s: int, health: str) -> None:
    date = formatdate(time.time() + off_s, usegmt=True)
    world.hub.fault(Fault(kind="headers", match="/me", headers={"Date": date}))
    ran = world.here("doctor", "--online", "--json")
    (finding,) = findings(ran, "clock")
    assert finding["health"] == health
    assert ("behind" if off_s > 0 else "ahead") in finding["message"]


def test_a_proxy_is_named_without_its_password(world: World) -> None:
    ran = world.here("doctor", HTTPS_PROXY=f"http://me:{CANARY}@proxy.test:8080")
    assert ("https goes through the proxy proxy.test" in ran.out, CANARY in ran.text) == (
        True,
        False,
    )
    assert world.here("doctor", HTTPS_PROXY="socks5://proxy.test").code == 1


# ----------------------------------------------------------------------------- the disk


def test_a_link_mode_that_does_not_work_is_a_problem(world: World) -> None:
    traits = probe(world.models)
    assert not (world.models / ".comfylock").exists()
    assert {LinkMode.HARDLINK, LinkMode.SYMLINK, LinkMode.COPY} <= traits.links
    assert (traits.case_sensitive, traits.keeps_unicode, traits.backslashes) == (True, True, True)
    if LinkMode.REFLINK in traits.links:
        pytest.skip("this file system has reflinks")
    ran = world.here("doctor", "--json", COMFYLOCK_LINK_MODE="reflink")
    assert "does not work here" in findings(ran, "links", "problem")[0]["message"]


def test_probing_leaves_what_was_there(world: World) -> None:
    kept = world.put(".comfylock/hashes.jsonl", b"")
    probe(world.models)
    assert list((world.models / ".comfylock").iterdir()) == [kept]


def test_a_file_system_without_links_is_judged_by_what_it_lacks() -> None:
    """As a FAT stick is: no links, no large files, no backslashes, one case."""
    fat = Traits(
        links=frozenset({LinkMode.COPY}),
        case_sensitive=False,
        keeps_unicode=False,
        backslashes=False,
        kind="vfat",
    )
    found = [(one.area, str(one.health)) for one in judge(fat, LinkMode.AUTO, Aliases.LINK)]
    assert found == [
        ("links", "warning"),
        ("disk", "problem"),
        ("names", "ok"),
        ("names", "warning"),
    ]
    unlinked = list(judge(fat, LinkMode.COPY, Aliases.OFF))
    assert [str(one.health) for one in unlinked] == ["warning", "problem", "ok"]
