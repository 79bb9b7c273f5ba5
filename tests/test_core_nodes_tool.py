"""The program that reads ComfyUI's sources finds inputs in every way of writing them."""

import json

import pytest

from tests.tools.core_nodes import TABLE, compared, main, merged, rendered, rows_of_source

V1 = """
import folder_paths
MODES = ["a", "b"]

class Plain:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "optional": {"late": (folder_paths.get_filename_list("vae"),)},
            "required": {
                "model": ("MODEL",), "wide": (IO.CLIP, {}), "mode": (MODES,), "kind": (["x"], {}),
                "seed": ("INT", {"default": 0}), "forced": ("STRING", {"forceInput": True}),
                "text": (IO.STRING, {"multiline": True}),
                "image": (sorted(files), {"image_upload": True}),
                "unet": (["None"] + folder_paths.get_filename_list("unet"), {"tooltip": "x"}),
            },
        }

class ByVariable:
    choices = folder_paths.get_filename_list("loras")

    @classmethod
    def INPUT_TYPES(cls):
        names = [name for name in folder_paths.get_filename_list("clip") if name]
        inputs = {"required": {"clip": (names,)}}
        return inputs

class ByFunction:
    @staticmethod
    def listed():
        first = folder_paths.get_filename_list("vae")
        return first + folder_paths.get_filename_list("vae_approx") + ByFunction.listed()

    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"name": (s.listed(),)}}

class Heir(ByFunction):
    pass

class Unlisted:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"name": (folder_paths.get_filename_list("vae"),)}}

class Own:
    NodeId = "OwnName"
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"name": (folder_paths.get_filename_list("vae"),)}}

NODE_CLASS_MAPPINGS = {
    "Plain v2": Plain, "ByVariable": ByVariable, "ByFunction": ByFunction, "Heir": Heir,
}
"""

V3 = """
from comfy_api.latest import io

class Newer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        files = ["None"] + folder_paths.get_filename_list("checkpoints")
        return io.Schema(
            node_id="Newest",
            inputs=[
                io.Model.Input("model"),
                io.Int.Input("seed", default=0),
                io.Int.Input("noise_seed", control_after_generate=False),
                io.Float.Input("forced", force_input=True),
                io.Combo.Input("mode", options=["a"]),
                io.Combo.Input("ckpt", options=files, tooltip="x"),
                io.Combo.Input(
                    id="lora", options=folder_paths.get_filename_list("loras") + ["[None]"]
                ),
            ],
            outputs=[io.Model.Output()],
        )
"""


def test_nodes_with_input_types():
    assert rows_of_source(V1) == {
        "Plain v2": [["unet", 7, "diffusion_models"], ["late", 8, "vae"]],
        "ByVariable": [["clip", 0, "text_encoders"]],
        "ByFunction": [["name", 0, "vae", "file", {"also": ["vae_approx"]}]],
        "Heir": [["name", 0, "vae", "file", {"also": ["vae_approx"]}]],
        "OwnName": [["name", 0, "vae"]],
    }  # fmt: skip


def test_nodes_with_a_schema():
    assert rows_of_source(V3) == {"Newest": [["ckpt", 4, "checkpoints"], ["lora", 5, "loras"]]}


def test_hand_rows_and_nodes_that_are_gone_stay():
    table = {
        "by_hand": ["Hand"],
        "nodes": {"Hand": [["a", 0, None]], "Gone": [["b", 0, "vae"]], "Old": [["c", 0, "vae"]]},
    }
    rows = {"Hand": [["a", 0, "vae"]], "Old": [["c", 1, "vae"]], "New": [["d", 0, "loras"]]}
    assert merged(table, rows)["nodes"] == {
        "Gone": [["b", 0, "vae"]],
        "Hand": [["a", 0, None]],
        "New": [["d", 0, "loras"]],
        "Old": [["c", 1, "vae"]],
    }
    assert [line.split()[0] for line in compared(table, rows)] == ["new", "gone", "by", "changed"]


def test_the_table_is_written_as_it_stands():
    text = TABLE.read_text("utf-8")
    assert text == rendered(json.loads(text))


def test_the_hand_rows_are_in_the_table():
    table = json.loads(TABLE.read_text("utf-8"))
    assert set(table["by_hand"]) <= table["nodes"].keys()


def test_a_checkout_is_compared_and_written(tmp_path, capsys):
    (tmp_path / "comfy_extras").mkdir()
    (tmp_path / "nodes.py").write_text(V1, "utf-8")
    (tmp_path / "comfy_extras" / "nodes_new.py").write_text(V3, "utf-8")
    table = tmp_path / "table.json"
    table.write_text('{"by_hand": [], "nodes": {}}', "utf-8")
    assert main([str(tmp_path), "--table", str(table)]) == 0
    assert "new      Newest" in capsys.readouterr().out
    assert json.loads(table.read_text("utf-8"))["nodes"] == {}
    main([str(tmp_path), "--table", str(table), "--write"])
    assert "Newest" in json.loads(table.read_text("utf-8"))["nodes"]


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
