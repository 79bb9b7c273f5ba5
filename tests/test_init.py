"""First set-up: what is written teaches, what is there stays, and the next command works."""

import subprocess
from pathlib import Path

import pytest

from comfylock.config import read_project_config
from comfylock.operations.init import ATTRIBUTES_LINE
from comfylock.projectfile import with_ignored
from tests import shop
from tests.world import World


def project_file(world: World) -> Path:
    return world.project / "comfylock.toml"


def attributes(world: World) -> Path:
    return world.project / ".gitattributes"


def test_a_new_folder_gets_both_files_and_the_next_command_works(world: World) -> None:
    shop.put_workflow(world)
    ran = world.here("init")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        "Wrote comfylock.toml",
        "Wrote .gitattributes",
        f"Found the models folder {world.models}",
        "Next: comfylock lock",
    ]
    assert read_project_config(project_file(world)).workflows == ("workflows",)
    assert attributes(world).read_text().splitlines()[-1] == ATTRIBUTES_LINE
    assert world.here("lock").code == 0
    assert world.here("doctor").code == 0


def test_what_the_comments_teach_is_accepted(world: World) -> None:
    """Every commented line of the file is a setting as it may be written."""
    world.here("init")
    text = project_file(world).read_text()
    live = [
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.startswith(("# [", '# "')) or (line.startswith("# ") and " = " in line)
    ]
    assert len(live) > 10
    project_file(world).write_text("\n".join(live))
    config = read_project_config(project_file(world))
    assert set(config.models) == {"loras/ink-wash.safetensors", "loras/my-face.safetensors"}
    assert (config.workflows, config.exclude) == (("workflows",), ("workflows/scratch/**",))
    assert config.folders == {"MyLoader.lora_file": "loras"}


def test_a_second_time_changes_nothing(world: World) -> None:
    world.here("init")
    before = {path: path.read_bytes() for path in world.project.iterdir()}
    ran = world.here("init", "--workflows", ".")
    assert (ran.code, "left as it is" in ran.err or "left as it was" in ran.err) == (0, True)
    assert "add . to its workflows by hand" in ran.err
    assert {path: path.read_bytes() for path in world.project.iterdir()} == before


def test_named_workflows_are_written_down(world: World) -> None:
    (world.project / "a b").mkdir()
    ran = world.here("init", "--workflows", "a b", "--workflows", "**/*.json", "--json")
    assert ran.document["workflows"] == ["a b", "**/*.json"]
    assert read_project_config(project_file(world)).workflows == ("a b", "**/*.json")
    assert ran.document["files"][0] == {"path": str(project_file(world)), "act": "written"}


@pytest.mark.parametrize("path", ["..", "/", "nowhere", "../project-b"])
def test_a_path_that_leads_nowhere_or_out_of_the_folder_writes_nothing(
    world: World, path: str
) -> None:
    assert world.here("init", "--workflows", path).code == 2
    assert list(world.project.iterdir()) == []


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_the_line_is_added_to_attributes_that_are_there(world: World, ending: str) -> None:
    attributes(world).write_bytes(f"*.png binary{ending}".encode())
    world.here("init")
    old, *_, last = attributes(world).read_text().splitlines()
    assert (old, last) == ("*.png binary", ATTRIBUTES_LINE)
    assert (b"\r\n" in attributes(world).read_bytes()) is (ending == "\r\n")


@pytest.mark.parametrize("line", ["comfy.lock merge=ours", "/comfy.lock -text", ATTRIBUTES_LINE])
def test_attributes_that_speak_of_the_lock_stay(world: World, line: str) -> None:
    attributes(world).write_text(f"{line}\n")
    world.here("init")
    assert attributes(world).read_text() == f"{line}\n"


def test_git_understands_the_attributes(world: World) -> None:
    world.here("init")
    subprocess.run(["git", "init", "-q"], cwd=world.project, env=world.environment, check=True)
    done = subprocess.run(
        ["git", "check-attr", "text", "eol", "--", "comfy.lock"],
        cwd=world.project,
        env=world.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["comfy.lock: text: set", "comfy.lock: eol: lf"]


def test_the_users_word_goes_into_the_file_beside_the_comments(world: World) -> None:
    world.here("init")
    text = project_file(world).read_text()
    edited = with_ignored(text, ("loras/None",))
    assert edited.startswith(text.rstrip("\n"))


def test_without_a_models_folder_it_says_what_names_one(world: World) -> None:
    ran = world.here("init", COMFYLOCK_MODELS_DIR="")
    assert (ran.code, "No ComfyUI models folder was found" in ran.err) == (0, True)
    assert "Next: comfylock lock WORKFLOWS" in ran.err
    assert world.here("init", "--json", COMFYLOCK_MODELS_DIR="").document["models_dir"] is None


def test_a_checkout_of_comfyui_and_its_extra_paths_are_found(world: World) -> None:
    comfy = world.project / "ComfyUI"
    (comfy / "models").mkdir(parents=True)
    (comfy / "main.py").touch()
    (comfy / "folder_paths.py").touch()
    (comfy / "extra_model_paths.yaml").write_text("share:\n  loras: /nowhere/loras\n")
    ran = world.here("init", COMFYLOCK_MODELS_DIR="")
    assert f"Found the models folder {comfy / 'models'} and 1 further path" in ran.err
