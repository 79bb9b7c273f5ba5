"""What a running ComfyUI says about its nodes becomes rows for inputs that nobody else knows."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from comfylock.errors import UsageError
from comfylock.folders import load_node_table
from comfylock.objectinfo import learned, parse_object_info, with_object_info
from comfylock.references import Found, collect_references
from comfylock.workflows.file import parse_document
from comfylock.workflows.model import Workflow
from tests.test_fix_paths import run
from tests.workflows import node, ui

LORAS = ["None", "a.safetensors", "XL/b.safetensors"]
VAES = ["c.safetensors", "pixel_space"]


def info(**classes) -> Any:
    """An answer of a server that has some loras and one VAE; `classes` are required inputs."""
    known = {
        "LoraLoader": {
            "model": ["MODEL"],
            "lora_name": [["a.safetensors", "XL/b.safetensors"], {"tooltip": "x"}],
            "strength_model": ["FLOAT", {"default": 1.0}],
        },
        "VAELoader": {"vae_name": [VAES]},
    }
    return {
        name: {"input": {"required": inputs}, "name": name}
        for name, inputs in (known | classes).items()
    }


def rows(document, node_type="MyLoader", folders=None):
    table = with_object_info(load_node_table(folders or {}), document)
    return [(row.input, row.index, row.folder) for row in table.rows(node_type)]


class TestShapes:
    def test_a_list_of_choices(self):
        assert rows(info(MyLoader={"file": [LORAS]})) == [("file", 0, "loras")]

    def test_a_combo_with_options(self):
        spec = ["COMBO", {"multiselect": False, "options": LORAS}]
        assert rows(info(MyLoader={"file": spec})) == [("file", 0, "loras")]

    def test_optional_inputs_count_after_required_ones(self):
        document = info(MyLoader={"mode": [["x", "y"]]})
        document["MyLoader"]["input"]["optional"] = {"file": [LORAS]}
        assert rows(document) == [("file", 1, "loras")]

    def test_the_order_of_inputs_is_the_one_that_is_told(self):
        document = info(MyLoader={"file": [LORAS], "n": ["INT", {}]})
        document["MyLoader"]["input_order"] = {"required": ["n", "file"]}
        assert rows(document) == [("file", 1, "loras")]

    def test_sockets_take_no_place_and_seeds_and_uploads_take_two(self):
        inputs = {
            "model": ["MODEL"],
            "forced": ["INT", {"forceInput": True}],
            "seed": ["INT", {"control_after_generate": None}],
            "image": [["x.png"], {"image_upload": True}],
            "noise_seed": ["INT", {"control_after_generate": False}],
            "file": ["COMBO", {"options": LORAS}],
        }
        assert rows(info(MyLoader=inputs)) == [("file", 5, "loras")]

    def test_behind_an_input_of_many_widgets_no_position_is_sure(self):
        inputs = {"dynamic": ["COMFY_DYNAMICCOMBO_V3", {"options": []}], "file": [LORAS]}
        assert rows(info(MyLoader=inputs)) == [("file", None, "loras")]

    def test_combos_without_model_files_are_none_of_ours(self):
        assert rows(info(MyLoader={"sampler": [["euler", "dpmpp_2m"]], "image": [["a.png"]]})) == []

    @pytest.mark.parametrize(
        "described",
        [None, 3, [], {"input": None}, {"input": {"required": []}},
         {"input": {"required": {"a": 1}}},
         {"input": {"required": {"a": []}, "optional": {"b": [[1, None, {}]]}}, "input_order": 7}],
    )  # fmt: skip
    def test_odd_shapes_are_passed_over(self, described):
        assert rows({**info(), "MyLoader": described}) == []

    @pytest.mark.parametrize("document", [None, [], {}, {"nodes": []}, {"a": {"b": 1}}])
    def test_what_is_no_answer_is_refused(self, document):
        with pytest.raises(UsageError, match="no answer of ComfyUI"):
            with_object_info(load_node_table(), document)

    @pytest.mark.parametrize("data", [b"", b"<html>", b"{", b"\xff"])
    def test_what_is_no_json_is_refused_by_its_name(self, data):
        with pytest.raises(UsageError, match=r"info\.json cannot be read"):
            parse_object_info(data, "info.json")


class TestFolder:
    def test_the_same_files_as_one_known_loader(self):
        assert rows(info(MyLoader={"file": [["c.safetensors"]]})) == [("file", 0, "vae")]

    @pytest.mark.parametrize("files", [["a.safetensors"], [*LORAS, "mine.pt"]])
    def test_some_of_one_loaders_files_or_those_and_more(self, files):
        assert rows(info(MyLoader={"file": [files]})) == [("file", 0, "loras")]

    @pytest.mark.parametrize("files", [["new.pt"], [*LORAS, *VAES], ["a.safetensors", "new.pt"]])
    def test_files_of_none_or_of_several_loaders_tell_no_folder(self, files):
        assert rows(info(MyLoader={"file": [files]})) == [("file", 0, None)]

    def test_two_folders_with_the_same_files_tell_nothing(self):
        document = info(
            UNETLoader={"unet_name": [["x.safetensors"]]},
            CheckpointLoaderSimple={"ckpt_name": [["x.safetensors"]]},
            MyLoader={"file": [["x.safetensors"]]},
        )
        assert rows(document) == [("file", 0, None)]


class TestPrecedence:
    def test_the_user_comes_first_then_the_tables(self):
        document = info(MyLoader={"file": [LORAS]}, VAELoader={"vae_name": [LORAS]})
        assert rows(document, folders={"MyLoader.file": "vae"}) == [("file", None, "vae")]
        assert rows(document, "VAELoader") == [("vae_name", 0, "vae")]

    def test_a_reference_is_found_by_its_node(self):
        table = with_object_info(load_node_table(), info(MyLoader={"n": ["INT"], "file": [LORAS]}))
        workflow = parse_document(ui(node(1, "MyLoader", 3, "XL\\b.safetensors")))
        assert isinstance(workflow, Workflow)
        (reference,) = collect_references(workflow, "w", table)
        assert (reference.key, reference.found) == ("loras/XL/b.safetensors", Found.NODE)
        assert learned(table, [("MyLoader", "file"), ("X", "y")]) == {"MyLoader.file": "loras"}


@contextmanager
def comfyui(document):
    """A server that answers /object_info."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            body = json.dumps(document).encode()
            self.send_response(200 if self.path == "/object_info" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code="-", size="-"):
            del code, size

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


class TestCommand:
    def project(self, tmp_path):
        text = json.dumps(ui(node(1, "MyLoader", "XL/b.safetensors")))
        (tmp_path / "w.json").write_text(text, "utf-8")
        return info(MyLoader={"file": [LORAS]})

    def test_a_file(self, tmp_path):
        (tmp_path / "info.txt").write_text(json.dumps(self.project(tmp_path)), "utf-8")
        code, out, err = run(tmp_path, "scan", "w.json", "--object-info", "info.txt", "--json")
        document = json.loads(out)
        assert code == 0
        assert [one["key"] for one in document["references"]] == ["loras/XL/b.safetensors"]
        assert document["learned"] == {"MyLoader.file": "loras"}
        assert '  "MyLoader.file" = "loras"' in err.splitlines()

    @pytest.mark.parametrize("path", ["", "/", "/object_info"])
    def test_an_address_which_is_given_no_key(self, tmp_path, path):
        with comfyui(self.project(tmp_path)) as (address, asked):
            code, out, _ = run(
                tmp_path, "scan", "w.json", "--object-info", address + path, "--json",
                CIVITAI_TOKEN="canary", COMFYLOCK_CIVITAI_URL=address,
            )  # fmt: skip
        assert code == 0
        assert json.loads(out)["learned"] == {"MyLoader.file": "loras"}
        assert asked == [("/object_info", None)]

    def test_lock_takes_it_too(self, tmp_path):
        (tmp_path / "info.json").write_text(json.dumps(self.project(tmp_path)), "utf-8")
        code, out, _ = run(
            tmp_path, "lock", "w.json", "--object-info", "info.json", "--offline", "--json",
            "--no-hash-local",
        )  # fmt: skip
        assert code in {1, 2}
        assert [one["ref"] for one in json.loads(out)["unresolved"]] == ["loras/XL/b.safetensors"]
        assert json.loads(out)["learned"] == {"MyLoader.file": "loras"}

    @pytest.mark.parametrize(
        ("place", "slug"),
        [
            ("gone.json", "path-missing"),
            ("w.json", "usage"),
            ("http://192.0.2.1:8188", "host-not-allowed"),
            ("ftp://127.0.0.1/", "host-not-allowed"),
            ("https://user:canary@127.0.0.1/?token=canary", "host-not-allowed"),
            ("http://127.0.0.1:9", "network"),
        ],
    )
    def test_what_cannot_be_read_is_an_error_with_a_name(self, tmp_path, place, slug):
        self.project(tmp_path)
        code, out, err = run(tmp_path, "scan", "w.json", "--object-info", place, "--json")
        assert code == 2
        assert "canary" not in out + err
        (error,) = json.loads(out)["errors"]
        assert error["slug"] == slug
        assert "/object_info" in error["hint"] or slug == "path-missing"

    def test_a_server_that_knows_no_nodes_is_told_with_its_address(self, tmp_path):
        with comfyui(self.project(tmp_path)) as (address, _):
            code, out, _ = run(
                tmp_path, "scan", "w.json", "--object-info", f"{address}/elsewhere", "--json"
            )
        (error,) = json.loads(out)["errors"]
        assert code == 2
        assert f"{address}/elsewhere" in error["message"]
        assert "Start ComfyUI there" in error["hint"]
