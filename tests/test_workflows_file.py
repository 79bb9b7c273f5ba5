import json
import os
import sys

import pytest

from comfylock.errors import PathMissingError, WorkflowInvalidError
from comfylock.folders import load_node_table
from comfylock.references import collect_references
from comfylock.workflows.file import MAX_CONTAINERS, MAX_NESTING, MAX_VALUES, read_workflow
from comfylock.workflows.model import NotAWorkflow, Workflow
from tests.workflows import node, ui

VAE = json.dumps(ui(node(1, "VAELoader", "a.pt")))


def read(tmp_path, data):
    path = tmp_path / "w.json"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_workflow(path)


def keys(workflow):
    assert isinstance(workflow, Workflow)
    return [entry.key for entry in collect_references(workflow, "w", load_node_table())]


def test_a_byte_order_mark_does_no_harm(tmp_path):
    assert keys(read(tmp_path, b"\xef\xbb\xbf" + VAE.encode())) == ["vae/a.pt"]


def test_nan_and_infinity_are_taken(tmp_path):
    text = VAE.replace('"a.pt"', '"a.pt", NaN, -Infinity, 1e999')
    assert keys(read(tmp_path, text)) == ["vae/a.pt"]


def test_of_repeated_keys_the_last_counts(tmp_path):
    text = VAE.replace('"widgets_values": [', '"widgets_values": ["b.pt"], "widgets_values": [')
    assert keys(read(tmp_path, text)) == ["vae/a.pt"]


def test_a_lone_surrogate_can_be_printed_and_saved_later(tmp_path):
    text = VAE.replace("a.pt", "\\ud83d.pt").replace("VAELoader", "VAELoader")
    workflow = read(tmp_path, text)
    assert isinstance(workflow, Workflow)
    reference = collect_references(workflow, "w", load_node_table())[0]
    assert reference.name.encode() == "\ufffd.pt".encode()


def test_a_json_file_that_is_no_workflow_is_a_value(tmp_path):
    assert isinstance(read(tmp_path, '{"name": "a-package"}'), NotAWorkflow)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (VAE[: len(VAE) // 2], "not valid JSON"),
        ("", "the file is empty"),
        ("  \n", "the file is empty"),
        ("<!doctype html><html></html>", "a web page"),
        (VAE.encode("utf-16"), "not UTF-8"),
        (b"\x7fELF\xff", "not UTF-8"),
        ("[" * 100_000, "nested deeper"),
        ("[" * (MAX_NESTING + 2) + "]" * (MAX_NESTING + 2), "nested deeper"),
        (
            '{"nodes": ' + "9" * 5000 + "}",
            r"valid JSON \(it holds a number of thousands of digits\)",
        ),
        ('// a comment\n{"nodes": []}', "not valid JSON"),
        ("[" + "[]," * MAX_CONTAINERS + "[]]", "many times more than any workflow"),
        ("[" + "1," * (MAX_VALUES + 1) + "1]", "many times more than any workflow"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_cannot_be_understood_is_told_with_the_file_and_the_cause(tmp_path, data, reason):
    with pytest.raises(WorkflowInvalidError, match=reason) as caught:
        read(tmp_path, data)
    assert str(tmp_path / "w.json") in str(caught.value)
    assert caught.value.hint
    assert caught.value.ref == str(tmp_path / "w.json")


def test_a_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "w.json"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    with pytest.raises(WorkflowInvalidError, match="larger than 64 MiB"):
        read_workflow(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(PathMissingError, match=r"gone\.json"):
        read_workflow(tmp_path / "gone.json")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(WorkflowInvalidError, match="cannot read workflow"):
        read_workflow(tmp_path)


@pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="needs permissions that bind",
)
def test_an_unreadable_file_is_told(tmp_path):
    path = tmp_path / "w.json"
    path.write_text(VAE)
    path.chmod(0)
    with pytest.raises(WorkflowInvalidError, match=r"w\.json"):
        read_workflow(path)
