r"""`fix-paths`: separators inside model names change, and every other byte of a file stays."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfylock.disk.rewrite import replace_text
from comfylock.errors import BusyError, WorkflowInvalidError
from comfylock.folders import load_node_table
from comfylock.mentions import Found, ReferenceKind
from comfylock.references import collect_references
from comfylock.spelling import Rewritten, Separator, respelled, rewrite_workflow
from comfylock.workflows.file import parse_document, parse_json
from comfylock.workflows.model import NotAWorkflow, Workflow
from comfylock.workflows.spans import PlacedText, differences, edited, place_strings
from tests.media_writers import png, text_chunk
from tests.test_real_workflows import files
from tests.workflows import inner_link, link, node, references, slot, subgraph, ui

TABLE = load_node_table()
SLASH, BACKSLASH = Separator.SLASH, Separator.BACKSLASH


def rewritten(document, separator=SLASH) -> Any:
    """A document, given and taken back as a value or as text."""
    text = document if isinstance(document, str) else json.dumps(document)
    result = rewrite_workflow(text.encode(), separator, TABLE)
    assert isinstance(result, Rewritten)
    new = result.data.decode()
    return new if isinstance(document, str) else json.loads(new)


def values(document, at=0):
    return document["nodes"][at]["widgets_values"]


class TestBytes:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (r'"XL\\a.pt"', '"XL/a.pt"'),
            (r'"XL\u005ca.pt"', '"XL/a.pt"'),
            (r'"XL\u005Ca\\b.pt"', '"XL/a/b.pt"'),
            (r'"\u0058L\\\u00e4\ud83d\ude00 \"é😀.pt"', r'"\u0058L/\u00e4\ud83d\ude00 \"é😀.pt"'),
            (r'"XL\\\ud800.pt"', r'"XL/\ud800.pt"'),
            (r'"a\/b\\c.pt"', r'"a\/b/c.pt"'),
        ],
    )
    def test_escapes_that_are_no_separators_keep_their_spelling(self, before, after):
        text = '{"nodes": [{"id": 1, "type": "VAELoader", "widgets_values": [%s]}]}'
        assert text % after == rewritten(text % before)

    def test_odd_formatting_stays(self):
        text = (
            '\ufeff\r\n{\t"version":0.40, "n": 1E+05,"big":123456789012345678901234567890.0e-5,\r\n'
            '"nan" : [NaN,-Infinity ],"nodes":[ {"id":1 ,"type":"VAELoader","mode": 0,\r\n'
            '  "mode":0,"widgets_values":\t["XL\\\\a.pt" , "x\\\\y"] } ],"z":"C:\\\\tmp\\u00e4",\n'
            '"nodes2":{},"nodes2":{"a":"XL\\\\a.pt"} }\n\n  '
        )
        assert text.replace("XL\\\\a.pt", "XL/a.pt", 1) == rewritten(text)

    def test_of_repeated_keys_only_the_one_that_counts_is_touched(self):
        text = (
            '{"nodes": [{"id": 1, "type": "VAELoader", "widgets_values": ["old\\\\a.pt"],'
            ' "widgets_values": ["XL\\\\a.pt"]}]}'
        )
        assert text.replace("XL\\\\a", "XL/a") == rewritten(text)

    def test_what_needs_no_change_is_the_same_object(self):
        data = json.dumps(ui(node(1, "VAELoader", "XL/a.pt"))).encode()
        result = rewrite_workflow(data, SLASH, TABLE)
        assert isinstance(result, Rewritten)
        assert (data, ()) == (result.data, result.names)
        assert result.data is data

    def test_a_second_time_changes_nothing(self):
        once = rewritten(json.dumps(ui(node(1, "VAELoader", "XL\\a.pt"))))
        assert once == rewritten(once)

    def test_other_json_is_no_workflow(self):
        assert isinstance(rewrite_workflow(b'{"a": "b\\\\c.pt"}', SLASH, TABLE), NotAWorkflow)


class TestPlaces:
    def test_known_loaders_and_scanned_values(self):
        new = rewritten(ui(node(1, "LoraLoader", "XL\\a.pt", 1), node(2, "My", "x\\b.gguf")))
        assert values(new) == ["XL/a.pt", 1]
        assert values(new, 1) == ["x/b.gguf"]

    def test_what_the_file_says_beside_a_name_changes_with_it(self):
        declared = {"name": "XL\\a.pt", "url": "https://x.test/XL\\a.pt", "directory": "vae\\x"}
        document = ui(
            node(
                1,
                "VAELoader",
                "XL\\a.pt",
                widgets_values_named={"vae_name": "XL\\a.pt"},
                properties={"models": [declared], "note": "XL\\a.pt"},
            ),
            models=[declared],
        )
        new = rewritten(document)
        one = new["nodes"][0]
        assert one["widgets_values_named"] == {"vae_name": "XL/a.pt"}
        assert [declared | {"name": "XL/a.pt"}] == one["properties"]["models"]
        assert [declared | {"name": "XL/a.pt"}] == new["models"]
        assert one["properties"]["note"] == "XL\\a.pt"

    def test_notes_prompts_and_other_nodes_are_left_alone(self):
        document = ui(
            node(1, "VAELoader", "XL\\a.pt"),
            node(2, "Note", "XL\\a.pt"),
            node(3, "CLIPTextEncode", r"a \(cat\), see XL\a.pt"),
            node(4, "SaveImage", "XL\\a.pt"),
        )
        new = rewritten(document)
        assert document["nodes"][1:] == new["nodes"][1:]

    def test_rows_that_are_objects(self):
        row = {"on": False, "lora": "XL\\a.pt", "strength": 1}
        new = rewritten(ui(node(1, "Power Lora Loader (rgthree)", {}, row)))
        assert [{}, row | {"lora": "XL/a.pt"}] == values(new)

    def test_instances_of_subgraphs_and_what_lies_inside(self):
        inner = node(3, "VAELoader", "XL\\a.pt", inputs=[slot("vae_name", 9)])
        definition = subgraph(
            "S", [inner], links=[inner_link(9, -10, 0, 3, 0)], inputs=["vae_name"]
        )
        proxies = {"proxyWidgets": [["3", "vae_name"]]}
        for properties in ({}, {"properties": proxies}):
            instance = node(57, "S", "XL\\a.pt", properties=properties)
            new = rewritten(ui(instance, subgraphs=[definition]))
            assert values(new) == ["XL/a.pt"]
            assert values(new["definitions"]["subgraphs"][0]) == ["XL/a.pt"]

    def test_a_stale_value_that_is_no_reference_stays(self):
        inner = node(3, "VAELoader", "old\\b.pt", inputs=[slot("vae_name", 9)])
        definition = subgraph(
            "S", [inner], links=[inner_link(9, -10, 0, 3, 0)], inputs=["vae_name"]
        )
        new = rewritten(ui(node(57, "S", "XL\\a.pt"), subgraphs=[definition]))
        assert values(new["definitions"]["subgraphs"][0]) == ["old\\b.pt"]

    def test_group_nodes(self):
        groups = {"G": {"nodes": [node(0, "VAELoader", "XL\\a.pt")], "links": []}}
        new = rewritten(ui(node(1, "workflow>G", "XL\\a.pt"), groups=groups))
        assert values(new) == ["XL/a.pt"]
        assert values(new["extra"]["groupNodes"]["G"]) == ["XL/a.pt"]

    def test_values_that_come_through_links(self):
        document = ui(
            node(1, "PrimitiveNode", "XL\\a.pt", "fixed"),
            node(2, "VAELoader", "old\\b.pt", inputs=[slot("vae_name", 7)]),
            links=[link(7, 1, 0, 2, 0)],
        )
        new = rewritten(document)
        assert values(new) == ["XL/a.pt", "fixed"]
        assert values(new, 1) == ["old\\b.pt"]

    def test_api_inputs(self):
        document = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "XL\\a.pt"}}}
        assert rewritten(document)["1"]["inputs"] == {"vae_name": "XL/a.pt"}
        assert rewritten({"prompt": document})["prompt"]["1"]["inputs"] == {"vae_name": "XL/a.pt"}

    def test_embeddings_in_prompts_where_the_backslash_is_surely_a_separator(self):
        text = (
            r"(embedding:XL\neg:1.2), \(x\), embedding:b\_d, embedding:XL\neg.pt \, embedding:c\)"
        )
        new = rewritten(ui(node(1, "CLIPTextEncode", text)))
        assert [text.replace(r"XL\neg", "XL/neg")] == values(new)

    def test_escaped_brackets_in_an_embeddings_name_keep_their_backslash(self):
        text = r"a cat, embedding:XL\ink\(v2\).pt, \(b\)"
        new = rewritten(ui(node(1, "CLIPTextEncode", text)))
        assert [text.replace(r"XL\ink", "XL/ink")] == values(new)

    def test_lora_tags_in_nodes_that_act_on_them(self):
        text = r"a <lora:XL\a:0.8> \(b\)"
        acting = rewritten(ui(node(1, "ImpactWildcardEncode", text)))
        assert [text.replace("XL\\", "XL/")] == values(acting)
        document = ui(node(1, "CLIPTextEncode", text))
        assert document == rewritten(document)

    def test_a_graph_kept_as_text_in_json_is_refused_with_the_reason(self):
        text = json.dumps({"workflow": json.dumps(ui(node(1, "VAELoader", "XL\\a.pt")))})
        with pytest.raises(WorkflowInvalidError, match="text inside JSON"):
            rewrite_workflow(text.encode(), SLASH, TABLE)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "C:\\models\\a.pt", "\\\\server\\share\\a.pt", "\\a.pt", "..\\a.pt", "x\\\\a.pt",
            "x\\.\\a.pt", "https://x.test/a\\b.pt",
        ],
    )  # fmt: skip
    def test_what_does_not_lead_downward_from_a_folder_stays(self, name):
        assert name == respelled(name, ReferenceKind.FILE, Found.NODE, SLASH)
        assert name == respelled(name, ReferenceKind.FILE, Found.NODE, BACKSLASH)

    @pytest.mark.parametrize(
        ("kind", "found"),
        [
            (ReferenceKind.REPOSITORY, Found.NODE), (ReferenceKind.HOSTED, Found.NODE),
            (ReferenceKind.DIRECTORY, Found.NODE), (ReferenceKind.EMBEDDING, Found.TEXT),
            (ReferenceKind.STEM, Found.TEXT), (ReferenceKind.FILE, Found.SCAN),
        ],
    )  # fmt: skip
    def test_a_slash_stays_where_it_may_belong_to_an_id_or_works_on_windows_too(self, kind, found):
        assert respelled("owner/name.pt", kind, found, BACKSLASH) == "owner/name.pt"

    @pytest.mark.parametrize("kind", [ReferenceKind.REPOSITORY, ReferenceKind.URL])
    def test_ids_and_addresses_stay(self, kind):
        assert respelled("a\\b", kind, Found.NODE, SLASH) == "a\\b"

    def test_both_directions(self):
        assert respelled("a\\b/c.pt", ReferenceKind.FILE, Found.NODE, SLASH) == "a/b/c.pt"
        assert respelled("a\\b/c.pt", ReferenceKind.FILE, Found.NODE, BACKSLASH) == "a\\b\\c.pt"
        assert respelled("d\\e\\", ReferenceKind.DIRECTORY, Found.NODE, SLASH) == "d/e/"


# ------------------------------------------------------------------------ any document

names = st.builds(
    lambda parts, sep, end: sep.join(parts) + end,
    st.lists(st.text("aB1é \\/.:", min_size=0, max_size=4), min_size=1, max_size=3),
    st.sampled_from(["\\", "/"]),
    st.sampled_from([".pt", ".safetensors", "", "/"]),
)
texts = st.one_of(
    names,
    st.builds("x embedding:{}, <lora:{}:1> \\(y\\)".format, names, names),
    st.text(max_size=10),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["lora", "name", "on", "content"]), inner, max_size=3),
    ),
    max_leaves=4,
)
classes = st.sampled_from(
    ["VAELoader", "LoraLoader", "Power Lora Loader (rgthree)", "ImpactWildcardEncode", "My", "S",
     "workflow>G", "PrimitiveNode", "CLIPTextEncode", "Note", "DualCLIPLoader", "SaveImage"]
)  # fmt: skip
nodes = st.builds(
    lambda number, kind, stored, more: node(number, kind, *stored, **more),
    st.integers(1, 4),
    classes,
    st.lists(json_values, max_size=3),
    st.dictionaries(
        st.sampled_from(["widgets_values_named", "properties", "title"]), json_values, max_size=2
    ),
)
documents = st.builds(
    lambda outer, inner, models: ui(
        *outer, subgraphs=[subgraph("S", inner)], groups={"G": {"nodes": inner}}, models=models
    ),
    st.lists(nodes, min_size=1, max_size=4),
    st.lists(nodes, max_size=2),
    st.lists(st.dictionaries(st.sampled_from(["name", "url"]), names, max_size=2), max_size=2),
)


@given(documents, st.booleans(), st.sampled_from([None, 1, "\t"]), st.sampled_from(Separator))
@settings(deadline=None, max_examples=150)
def test_in_any_workflow_only_separators_inside_reported_names_change(doc, ascii_only, indent, sep):
    text = json.dumps(doc, ensure_ascii=ascii_only, indent=indent)
    workflow = parse_document(parse_json(text.encode("utf-8", "surrogatepass")))
    assert isinstance(workflow, Workflow)
    result = rewrite_workflow(text.encode(), sep, TABLE)
    assert isinstance(result, Rewritten)
    new = result.data.decode()
    escaped, folded = re.compile(r"\\\\|\\u005[cC]|/"), lambda one: escaped.sub("/", one)
    assert folded(text) == folded(new)
    reported = [entry.name for entry in collect_references(workflow, "w", TABLE)]
    for old, changed in differences(json.loads(text), json.loads(new)):
        assert any(name in old for name in reported)
        assert len(old) == len(changed)
    again = rewrite_workflow(result.data, sep, TABLE)
    assert isinstance(again, Rewritten)
    assert result.data == again.data


@given(json_values, st.booleans(), st.sampled_from([None, 2]))
@settings(deadline=None, max_examples=100)
def test_every_string_knows_where_it_stands(document, ascii_only, indent):
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    placed = place_strings(text, json.loads(text))
    waiting = [placed]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            assert isinstance(one, PlacedText)
            assert json.JSONDecoder().raw_decode(text, one.start)[0] == one
            assert text == edited(text, {one.start: one})
        elif isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one


def test_an_edit_of_another_length_is_refused():
    with pytest.raises(WorkflowInvalidError):
        edited('["ab"]', {1: "abc"})


@pytest.mark.parametrize(
    "package", ["comfyui-workflow-templates-json", "comfyui-subgraph-blueprints"]
)
def test_the_other_systems_separator_and_back_give_the_same_bytes(package):
    """Of every fifth real workflow, with all of its models moved into a folder."""
    names = 0
    for path in files(package)[::5]:
        data, moved = in_a_folder(path.read_bytes())
        there = rewrite_workflow(data, SLASH, TABLE)
        if not moved or isinstance(there, NotAWorkflow):
            continue
        back = rewrite_workflow(there.data, BACKSLASH, TABLE)
        assert isinstance(back, Rewritten)
        assert data == back.data, path.name
        assert moved == {old for old, _ in there.names}, path.name
        names += len(moved)
    assert names > 30


def in_a_folder(data: bytes) -> tuple[bytes, set[str]]:
    """A workflow whose models all lie in a folder, as Windows writes it, and their names."""
    workflow = parse_document(parse_json(data))
    if isinstance(workflow, NotAWorkflow):
        return data, set()
    found = collect_references(workflow, "w", TABLE)
    names = {one.name for one in found if (one.kind, one.found) == ("file", "node")}
    for name in names:
        data = data.replace(json.dumps(name).encode(), json.dumps(f"a\\b\\{name}").encode())
    return data, {f"a\\b\\{name}" for name in names}


# --------------------------------------------------------------------------- the command


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run the real command line in a folder; return its exit code, stdout and stderr."""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "comfylock", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(root)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


posix_only = pytest.mark.skipif(os.sep != "/", reason="the expected names are POSIX's")


@posix_only
class TestCommand:
    TEXT = json.dumps(ui(node(1, "VAELoader", "XL\\a.pt")), indent=3)

    def project(self, tmp_path):
        folder = tmp_path / "w"
        folder.mkdir()
        (folder / "a.json").write_text(self.TEXT, "utf-8")
        (folder / "b.json").write_text(json.dumps(ui(node(1, "VAELoader", "b.pt"))), "utf-8")
        return folder / "a.json"

    def test_files_are_rewritten_once(self, tmp_path):
        path = self.project(tmp_path)
        path.chmod(0o640)
        code, out, err = run(tmp_path, "fix-paths", "w")
        assert (code, out) == (0, "w/a.json\n  XL\\a.pt -> XL/a.pt\n")
        assert "Rewrote 1 name in 1 of 2 workflows" in err
        assert self.TEXT.replace("XL\\\\a", "XL/a") == path.read_text("utf-8")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        before = path.stat()
        code, _, err = run(tmp_path, "fix-paths", "w")
        assert (code, err) == (0, "Nothing to rewrite in 2 workflows\n")
        assert (before.st_ino, before.st_mtime_ns) == (path.stat().st_ino, path.stat().st_mtime_ns)
        assert sorted(entry.name for entry in path.parent.iterdir()) == ["a.json", "b.json"]

    def test_check_and_dry_run_write_nothing(self, tmp_path):
        path = self.project(tmp_path)
        assert run(tmp_path, "fix-paths", "w", "--check")[0] == 1
        assert run(tmp_path, "fix-paths", "w", "--dry-run")[0] == 0
        assert path.read_text("utf-8") == self.TEXT
        assert run(tmp_path, "fix-paths", "w/b.json", "--check")[0] == 0

    def test_json(self, tmp_path):
        self.project(tmp_path)
        document = json.loads(run(tmp_path, "fix-paths", "w", "--json")[1])
        assert document["ok"]
        assert document["files"] == [
            {"path": "w/a.json", "names": [{"from": "XL\\a.pt", "to": "XL/a.pt"}], "places": 1}
        ]
        assert document["summary"] == {
            "workflows": 2, "files": 1, "names": 1, "places": 1, "written": True
        }  # fmt: skip

    def test_media_and_broken_files_are_told_and_the_rest_goes_on(self, tmp_path):
        path = self.project(tmp_path)
        (tmp_path / "w" / "bad.json").write_text('{"nodes": [', "utf-8")
        (tmp_path / "w" / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        code, _, err = run(tmp_path, "-v", "fix-paths", "w", "w/image.png")
        assert code == 1
        assert "error[workflow-invalid]" in err
        assert "passed over w/image.png: only .json files can be rewritten" in err
        assert "XL/a.pt" in path.read_text("utf-8")

    def test_a_picture_with_names_to_change_is_told_and_refused_if_it_is_named(self, tmp_path):
        folder = tmp_path / "w"
        folder.mkdir()
        data = png(text_chunk("workflow", self.TEXT))
        (folder / "image.png").write_bytes(data)
        code, _, err = run(tmp_path, "fix-paths", "w")
        assert code == 0
        assert "warning: w/image.png stays: only .json files can be rewritten" in err
        code, _, err = run(tmp_path, "fix-paths", "w/image.png")
        assert code == 1
        assert "error[workflow-invalid]: w/image.png was left as it is: only .json files" in err
        assert "save the workflow as .json" in err
        assert (folder / "image.png").read_bytes() == data

    @pytest.mark.skipif(
        getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away"
    )
    def test_a_file_stays_its_owners(self, tmp_path):
        path = self.project(tmp_path)
        os.chown(path, 1234, 4321)
        assert run(tmp_path, "fix-paths", "w")[0] == 0
        assert "XL/a.pt" in path.read_text("utf-8")
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)

    def test_a_link_stays_a_link(self, tmp_path):
        path = self.project(tmp_path)
        (tmp_path / "link.json").symlink_to(path)
        assert run(tmp_path, "fix-paths", "link.json")[0] == 0
        assert (tmp_path / "link.json").is_symlink()
        assert "XL/a.pt" in path.read_text("utf-8")

    def test_scan_warns_in_one_line_with_the_cure(self, tmp_path):
        self.project(tmp_path)
        code, _, err = run(tmp_path, "scan", "w")
        assert code == 0
        (line,) = [line for line in err.splitlines() if line.startswith("warning: ")]
        assert "1 model name is spelled with \\ in 1 workflow" in line
        assert "`comfylock fix-paths`" in line
        document = json.loads(run(tmp_path, "scan", "w", "--json")[1])
        assert [line.removeprefix("warning: ")] == document["warnings"]
        run(tmp_path, "fix-paths", "w")
        assert json.loads(run(tmp_path, "scan", "w", "--json")[1])["warnings"] == []

    def test_lock_warns_likewise(self, tmp_path):
        self.project(tmp_path)
        _, out, err = run(tmp_path, "lock", "w", "--offline", "--no-hash-local", "--json")
        assert [warning[:28] for warning in json.loads(out)["warnings"]] == [
            "1 model name is spelled with"
        ]
        assert "warning: 1 model name" in err


def test_a_file_that_another_program_changes_meanwhile_is_left_to_it(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"new")
    with pytest.raises(BusyError):
        replace_text(path, b"old", b"mine")
    assert path.read_bytes() == b"new"


def test_references_of_a_rewritten_file_have_the_same_keys():
    document = ui(node(1, "VAELoader", "XL\\a.pt"), node(2, "LoraLoader", "b\\c.pt", 1, 1))
    assert [one.key for one in references(document)] == [
        one.key for one in references(rewritten(document))
    ]
