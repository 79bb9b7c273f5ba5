"""Media files as workflows: from the file on disk to references."""

import json
import zlib
from pathlib import Path

import pytest

from comfylock.errors import WorkflowInvalidError
from comfylock.folders import load_node_table
from comfylock.references import collect_references
from comfylock.workflows.file import read_workflow
from comfylock.workflows.find import find_workflow_files
from comfylock.workflows.media.kinds import MEDIA_SUFFIXES
from comfylock.workflows.model import NotAWorkflow, Workflow
from tests.media_writers import (
    BOTH,
    PARAMETERS,
    PROMPT,
    WORKFLOW,
    archive,
    chunk,
    encrypted,
    flac,
    glb,
    keyed,
    mp4,
    png,
    svg,
    text_chunk,
)
from tests.workflows import node, ui

#: Files of a few hundred bytes, written with Pillow and FFmpeg in the way ComfyUI does.
SAMPLES = sorted((Path(__file__).parent / "data" / "media").iterdir())


def read(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return read_workflow(path)


def keys(workflow):
    assert isinstance(workflow, Workflow), workflow
    return [entry.key for entry in collect_references(workflow, "w", load_node_table())]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_files_of_real_writers_are_read(path):
    assert keys(read_workflow(path)) == ["vae/a.pt"]


def test_the_ui_graph_wins_over_the_api_graph_and_settings(tmp_path):
    chunks = [text_chunk(*pair) for pair in {**BOTH, "parameters": PARAMETERS}.items()]
    assert keys(read(tmp_path, "a.png", png(*chunks))) == ["vae/ui.pt"]


@pytest.mark.parametrize("text", ["{}", "{", "[1]", "null", "a cat"])
def test_a_graph_that_is_none_leaves_the_word_to_the_next(tmp_path, text):
    data = png(text_chunk("workflow", text), text_chunk("prompt", PROMPT))
    assert keys(read(tmp_path, "a.png", data)) == ["vae/api.pt"]


def test_settings_count_where_there_is_no_graph(tmp_path):
    data = png(text_chunk("parameters", PARAMETERS))
    assert keys(read(tmp_path, "a.png", data)) == ["checkpoints/toon", "loras/paint"]


def test_nan_is_taken(tmp_path):
    """Python's ComfyUI writes it."""
    text = WORKFLOW.replace('"ui.pt"', '"ui.pt", NaN')
    assert keys(read(tmp_path, "a.flac", flac({"workflow": text}))) == ["vae/ui.pt"]


def test_json_in_a_string_in_a_string_is_unwrapped(tmp_path):
    text = json.dumps(json.dumps(WORKFLOW))
    assert keys(read(tmp_path, "a.mp4", mp4(keyed({"workflow": text})))) == ["vae/ui.pt"]


@pytest.mark.parametrize("extras", [BOTH, {name: json.loads(text) for name, text in BOTH.items()}])
def test_a_scene_is_read_with_graphs_as_texts_and_as_objects(tmp_path, extras):
    document = {"asset": {"version": "2.0", "extras": extras}}
    assert keys(read(tmp_path, "a.glb", glb(document))) == ["vae/ui.pt"]
    assert keys(read(tmp_path, "a.gltf", json.dumps(document).encode())) == ["vae/ui.pt"]


def test_a_drawing_is_read(tmp_path):
    both = {name: json.loads(text) for name, text in BOTH.items()}
    data = svg(f"<![CDATA[{json.dumps(both)}]]>")
    assert keys(read(tmp_path, "a.svg", data)) == ["vae/ui.pt"]


def test_the_first_bytes_tell_the_kind_not_the_name(tmp_path):
    assert keys(read(tmp_path, "a.jpg", png(text_chunk("workflow", WORKFLOW)))) == ["vae/ui.pt"]
    assert keys(read(tmp_path, "a.json", png(text_chunk("workflow", WORKFLOW)))) == ["vae/ui.pt"]
    assert keys(read(tmp_path, "a.png", WORKFLOW.encode())) == ["vae/ui.pt"]


def test_the_members_of_an_archive_are_one_workflow(tmp_path):
    other = json.dumps(ui(node(1, "LoraLoaderModelOnly", "b.safetensors", 1.0)))
    members = {
        "b/b.json": other,
        "a.png": png(text_chunk("workflow", WORKFLOW)),
        "package.json": '{"name": "x"}',
        "broken.json": "{",
    }
    workflow = read(tmp_path, "a.zip", archive(members))
    assert keys(workflow) == ["vae/ui.pt", "loras/b.safetensors"]
    assert isinstance(workflow, Workflow)
    assert [entry.id for entry in workflow.nodes] == ["a.png:1", "b/b.json:1"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.png", png(), "it holds no workflow"),
        ("a.png", png(text_chunk("prompt", "a cat")), "it holds no workflow"),
        ("a.mp3", b"\xff\xfb\x90\x00", "it holds no workflow"),
        ("a.glb", glb({"asset": {"extras": {"author": "me"}}}), "it holds no workflow"),
        ("a.zip", archive({"a.txt": "x"}), "it holds no workflow"),
        ("a.zip", b"PK\3\4" + archive({"a.json": WORKFLOW})[40:], "(it points before its start))"),
        ("a.zip", encrypted(archive({"a.json": WORKFLOW})), "(a.json: it is encrypted)"),
        ("a.zip", archive({"\x1b[2J.json": "{}"}), r"(\x1b[2J.json: it holds no workflow)"),
    ],
)
def test_media_without_a_workflow_are_a_value(tmp_path, name, data, reason):
    found = read(tmp_path, name, data)
    assert isinstance(found, NotAWorkflow)
    assert found.reason.endswith(reason)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.png", b"", "its first bytes are not those of a .png file"),
        ("a.webp", b"version https://git-lfs.github.com/spec/v1\n", "not those of a .webp file"),
        ("a.png", png(text_chunk("workflow", "{")), "it is not valid JSON"),
        ("a.png", png(chunk(b"tEXt", b"workflow\0{", length=999)), "it ends in the middle"),
        ("a.png", png(text_chunk("workflow", '{"a":' * 10**5)), "nested deeper than"),
        ("a.zip", b"PK\3\4", "the archive is damaged"),
        ("a.png", png(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"{")[:4])), "is cut off"),
    ],
)
def test_a_damaged_file_is_an_error_with_its_name_cause_and_next_step(
    tmp_path, name, data, message
):
    with pytest.raises(WorkflowInvalidError) as caught:
        read(tmp_path, name, data)
    assert name in caught.value.message
    assert message in caught.value.message
    assert caught.value.hint
    assert caught.value.ref == str(tmp_path / name)


def test_media_are_found_in_folders(tmp_path):
    for suffix in (*MEDIA_SUFFIXES, ".json", ".safetensors", ".txt"):
        (tmp_path / f"a{suffix}").touch()
    (tmp_path / "B.PNG").touch()
    found = {path.name for path in find_workflow_files(["."], tmp_path)}
    assert found == {f"a{suffix}" for suffix in MEDIA_SUFFIXES} | {"a.json", "B.PNG"}
