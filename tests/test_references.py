import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfylock.errors import WorkflowInvalidError
from comfylock.folders import load_node_table
from comfylock.references import (
    Found,
    Hint,
    HintKind,
    InactivePolicy,
    Reference,
    ReferenceKind,
    collect_references,
    group,
)
from comfylock.workflows.file import parse_document
from comfylock.workflows.model import Workflow
from tests.workflows import found, keys, link, node, references, slot, ui

SHA = "0123456789abcdef" * 4


def only(document, folders=None):
    (reference,) = references(document, folders)
    return reference


class TestKinds:
    @pytest.mark.parametrize(
        ("type_", "value", "kind"),
        [
            ("LoraLoader", "SDXL\\a.safetensors", "file"),
            ("LoraLoader", "830832655739266347", "hosted"),
            ("CheckpointLoaderSimple", "DreamShaper XL_Turbo SDE", "hosted"),
            ("CheckpointLoaderSimple", "urn:air:sdxl:checkpoint:civitai:1@2", "hosted"),
            ("LoraLoader", "https://example.org/a.safetensors", "url"),
            ("BrushNetLoader", "Brushnet\\segmentation_mask_brushnet_ckpt\\", "directory"),
            ("NunchakuFluxDiTLoader", "svdq-int4-flux.1-dev", "directory"),
            ("NunchakuFluxDiTLoader", "svdq-int4.safetensors", "file"),
            ("LTXVGemmaCLIPModelLoader", "g/model-00001-of-00005.safetensors", "directory"),
            ("DiffusersLoader", "stable-diffusion-v1-5", "directory"),
            ("DownloadAndLoadFlorence2Model", "microsoft/Florence-2-base", "repository"),
            ("DownloadAndLoadSomethingNew", "weights.safetensors", "download"),
            ("DWPreprocessor", "enable", None),
            ("IPAdapterUnifiedLoader", "PLUS (high strength)", "preset"),
        ],
    )
    def test_the_value_of_a_known_input_tells_the_kind(self, type_, value, kind):
        document = ui(node(1, type_, value))
        assert [entry.kind for entry in references(document)] == ([kind] if kind else [])

    def test_only_files_embeddings_and_stems_have_a_key(self):
        document = ui(
            node(1, "NunchakuFluxDiTLoader", "svdq-int4-flux.1-dev"),
            node(2, "LoraLoader", "a.pt"),
        )
        assert [entry.key for entry in references(document)] == [None, "loras/a.pt"]

    @pytest.mark.parametrize("value", ["None", "none", "", "Baked VAE", "pixel_space", None, 7])
    def test_words_for_none_are_no_references(self, value):
        assert found(ui(node(1, "VAELoader", value))) == []

    def test_the_vae_loaders_small_decoders_are_files_in_vae_approx(self):
        assert keys(ui(node(1, "VAELoader", "taesdxl"))) == [
            "vae_approx/taesdxl_encoder",
            "vae_approx/taesdxl_decoder",
        ]
        assert keys(ui(node(1, "VAELoader", "taehv"))) == ["vae_approx/taehv"]

    def test_a_folder_within_the_name_belongs_to_the_name(self):
        detector = node(1, "UltralyticsDetectorProvider", "bbox/face_yolov8m.pt")
        assert keys(ui(detector)) == ["ultralytics/bbox/face_yolov8m.pt"]

    def test_a_folder_within_a_folder_belongs_to_the_key(self):
        reference = only(ui(node(1, "FluxLoraLoader", "a.safetensors", 1.0)))
        assert reference.key == "xlabs/loras/a.safetensors"
        (requirement,) = group([reference], inactive=InactivePolicy.LEAVE_OUT)
        assert (requirement.folder, requirement.name) == ("xlabs", "loras/a.safetensors")

    @pytest.mark.parametrize(
        "type_",
        ["UnetLoaderGGUF", "UnetLoaderGGUFDisTorchMultiGPU", "UNETLoaderMultiGPU",
         "UnetLoaderGGUFDisTorch2MultiGPU"],
    )  # fmt: skip
    def test_variants_for_several_gpus_have_their_base_classs_inputs(self, type_):
        assert keys(ui(node(1, type_, "a.gguf", "cuda:0"))) == ["diffusion_models/a.gguf"]

    @pytest.mark.parametrize(
        ("type_", "values", "wanted"),
        [
            (
                "SDParameterGenerator",
                ["a.ckpt", "b.pt", "SDXL"],
                ["checkpoints/a.ckpt", "vae/b.pt"],
            ),
            ("SDParameterGenerator", ["a.ckpt", "baked VAE"], ["checkpoints/a.ckpt"]),
            ("LorasForFluxParams+", ["Flux\\a.safetensors", "1.0"], ["loras/Flux/a.safetensors"]),
            ("LoraLoaderAdvanced", [{"content": "a.pt", "image": ""}, 1, 1], ["loras/a.pt"]),
            ("CivitAI_Lora_Loader", ["133005@357609", "a.pt", 1, 1], ["loras/a.pt"]),
            ("CivitAI_Checkpoint_Loader", ["133005", "none"], []),
            ("NunchakuQwenImageLoraStack", [1, "auto", "a.pt", 1, "None", 1], ["loras/a.pt"]),
            ("TripoSRModelLoader_Zho", ["a.ckpt", 8192], ["checkpoints/a.ckpt"]),
            ("Wav2VecModelLoader", ["a.safetensors", "fp16"], ["wav2vec2/a.safetensors"]),
            ("AV_IPAdapter", ["a.bin", "b.pt"], ["ipadapter/a.bin", "clip_vision/b.pt"]),
        ],
    )
    def test_loaders_of_common_packages_are_known(self, type_, values, wanted):
        assert keys(ui(node(1, type_, *values))) == wanted

    def test_a_content_object_holds_the_name(self):
        value = {"content": "a.safetensors", "image": None}
        assert keys(ui(node(1, "LoraLoader|pysssss", value, 1, 1))) == ["loras/a.safetensors"]


class TestRows:
    def test_power_lora_rows_count_if_on_and_with_strength(self):
        loader = node(
            5, "Power Lora Loader (rgthree)", {}, {"type": "PowerLoraLoaderHeaderWidget"},
            {"on": True, "lora": "a.safetensors", "strength": 1, "strengthTwo": None},
            {"on": False, "lora": "b.safetensors", "strength": 1},
            {"on": True, "lora": "c.safetensors", "strength": 0, "strengthTwo": 0},
            {"on": True, "lora": "d.safetensors", "strength": 0, "strengthTwo": 0.5},
            {"on": True, "lora": "None", "strength": 1}, "",
        )  # fmt: skip
        assert found(ui(loader)) == [
            ("5", "lora_1", "loras/a.safetensors", True),
            ("5", "lora_2", "loras/b.safetensors", False),
            ("5", "lora_3", "loras/c.safetensors", False),
            ("5", "lora_4", "loras/d.safetensors", True),
        ]

    def test_lora_manager_lists_stems(self):
        rows = [
            {"name": "detail", "strength": "0.8", "active": True},
            {"name": "off", "strength": 1, "active": False},
            {"name": "nil", "strength": "0.00", "active": True},
        ]
        loader = node(1, "Lora Loader (LoraManager)", "<lora:detail:0.8>", rows)
        assert found(ui(loader)) == [
            ("1", "loras", "loras/detail", True),
            ("1", "loras", "loras/off", False),
            ("1", "loras", "loras/nil", False),
        ]
        assert {entry.kind for entry in references(ui(loader))} == {ReferenceKind.STEM}

    def test_rows_beyond_the_count_are_inactive(self):
        stacker = node(
            1, "LoRA Stacker", "simple", 2,
            "a.pt", 1, 1, 1, "b.pt", 1, 1, 1, "c.pt", 1, 1, 1, "None", 1, 1, 1,
        )  # fmt: skip
        assert found(ui(stacker)) == [
            ("1", "lora_name_1", "loras/a.pt", True),
            ("1", "lora_name_2", "loras/b.pt", True),
            ("1", "lora_name_3", "loras/c.pt", False),
        ]

    def test_numbered_rows_in_the_api_format(self):
        inputs = {"lora_count": 1, "lora_name_1": "a.pt", "lora_name_2": "b.pt"}
        assert found({"1": {"class_type": "LoRA Stacker", "inputs": inputs}}) == [
            ("1", "lora_name_1", "loras/a.pt", True),
            ("1", "lora_name_2", "loras/b.pt", False),
        ]

    def test_cores_lora_stack_counts_rows_with_strength(self):
        inputs = {
            "loras.0.lora_name": "a.pt", "loras.0.strength": 1.0,
            "loras.1.lora_name": "b.pt", "loras.1.strength": 0,
        }  # fmt: skip
        assert found({"1": {"class_type": "LoadLoraModel", "inputs": inputs}}) == [
            ("1", "loras.0.lora_name", "loras/a.pt", True),
            ("1", "loras.1.lora_name", "loras/b.pt", False),
        ]
        assert keys(ui(node(1, "LoadLoraModel", "a.pt", 1.0))) == ["loras/a.pt"]

    def test_a_combo_that_a_sibling_switches_off_must_exist_all_the_same(self):
        stack = node(1, "CR LoRA Stack", "Off", "a.pt", 1, 1, "Off", "None", 1, 1)
        assert found(ui(stack)) == [("1", "lora_name_1", "loras/a.pt", True)]


class TestText:
    def test_embeddings_count_in_any_text(self):
        text = "a cat, (embedding:bad-hands-5:1.2), embedding:sub\\Easy.pt, embedding:neg"
        assert keys(ui(node(1, "Text Multiline", text))) == [
            "embeddings/bad-hands-5",
            "embeddings/sub/Easy.pt",
            "embeddings/neg",
        ]
        assert {entry.found for entry in references(ui(node(1, "Any", text)))} == {Found.TEXT}

    def test_escaped_brackets_belong_to_an_embeddings_name(self):
        text = r"(embedding:style\(v2\):1.1), embedding:sub\ink\(a\), \( embedding:neg\)"
        assert keys(ui(node(1, "CLIPTextEncode", text))) == [
            "embeddings/style(v2)",
            "embeddings/sub/ink(a)",
            "embeddings/neg",
        ]

    def test_a_text_without_end_names_no_embedding(self):
        assert found(ui(node(1, "CLIPTextEncode", "embedding:" + "a" * 2000))) == []

    def test_embeddings_in_notes_do_not_count(self):
        for type_ in ("Note", "MarkdownNote", "ShowText|pysssss"):
            assert found(ui(node(1, type_, "try embedding:neg"))) == []

    def test_a_text_that_a_link_replaces_does_not_count(self):
        document = ui(
            node(1, "PrimitiveStringMultiline", "embedding:new"),
            node(2, "CLIPTextEncode", "embedding:old", inputs=[slot("text", 7, "STRING")]),
            links=[link(7, 1, 0, 2, 0)],
        )
        assert keys(document) == ["embeddings/new"]

    def test_lora_tags_count_only_where_the_node_acts_on_them(self):
        text = "a cat <lora:style/ink wash:0.8:0.5:LBW=x> <lora:b.safetensors>"
        acting = ui(node(1, "ImpactWildcardEncode", text))
        assert keys(acting) == ["loras/style/ink wash", "loras/b.safetensors"]
        assert found(ui(node(1, "CLIPTextEncode", text))) == []

    @pytest.mark.parametrize("taker", ["widget", "socket"])
    def test_tags_count_where_they_arrive_through_a_link(self, taker):
        inlet = slot("lora_syntax", 7, "STRING")
        if taker == "socket":
            del inlet["widget"]
        document = ui(
            node(1, "Text Multiline", "a cat <lora:ink:0.8>", 3),
            node(2, "LoRA Text Loader (LoraManager)", inputs=[inlet]),
            links=[link(7, 1, 0, 2, 0)],
        )
        assert found(document) == [("2", "lora_syntax", "loras/ink", True)]
        prompt = {
            "1": {"class_type": "Text Multiline", "inputs": {"text": "a cat <lora:ink:0.8>"}},
            "2": {"class_type": "LoRA Text Loader (LoraManager)",
                  "inputs": {"lora_syntax": ["1", 0]}},
        }  # fmt: skip
        assert found(prompt) == [("2", "lora_syntax", "loras/ink", True)]

    def test_helpers_that_paste_text_load_nothing(self):
        encode = node(
            1, "ImpactWildcardEncode", "text", "text", "populate", "a.safetensors", "", 1
        )  # fmt: skip
        assert found(ui(encode)) == []


class TestScan:
    def test_a_model_name_in_an_unknown_node_is_found_without_a_folder(self):
        reference = only(ui(node(1, "MyLoader", "x", "a.GGUF", 3)))
        assert (reference.found, reference.folder, reference.key) == (Found.SCAN, None, None)
        assert (reference.input, reference.name) == ("widgets_values[1]", "a.GGUF")

    def test_the_inputs_name_suggests_a_folder_and_no_more(self):
        document = {"1": {"class_type": "MyLoader", "inputs": {"my_lora": "a.pt"}}}
        reference = only(document)
        assert (reference.folder, reference.suggested_folder) == (None, "loras")

    @pytest.mark.parametrize(
        "value",
        [
            "https://huggingface.co/x/resolve/main/a.safetensors",
            "get a.safetensors\nand put it into b.safetensors",
            "a prompt with embedding:neg.pt",
            ["a.safetensors", "b.safetensors"],
            "model.glb", "a.safetensors.json", "ComfyUI/output", ".pt", "",
        ],
    )  # fmt: skip
    def test_what_is_no_choice_of_a_model_is_left_out(self, value):
        document = ui(node(1, "SomeNode", value))
        assert [entry for entry in references(document) if entry.found is Found.SCAN] == []

    @pytest.mark.parametrize("type_", ["Note", "ShowText|pysssss", "SaveLoraAs", "Image Saver"])
    def test_notes_displays_and_savers_are_not_scanned(self, type_):
        assert found(ui(node(1, type_, "a.safetensors"))) == []

    def test_rows_of_unknown_nodes_are_searched_with_their_switches(self):
        rows = [{"on": False, "file": "a.pt"}, {"on": True, "file": "b.pt"}]
        assert found(ui(node(1, "MyStack", rows))) == [
            ("1", "widgets_values[0]", "a.pt", False),
            ("1", "widgets_values[0]", "b.pt", True),
        ]

    def test_unlisted_widgets_of_known_nodes_are_searched_too(self):
        assert found(ui(node(1, "LoraLoader", "a.pt", 1, 1, "b.pt"))) == [
            ("1", "lora_name", "loras/a.pt", True),
            ("1", "widgets_values[3]", "b.pt", True),
        ]


class TestUsersFolders:
    def test_an_entry_gives_an_unknown_input_its_folder(self):
        document = {"1": {"class_type": "MyLoader", "inputs": {"lora_file": "a.pt"}}}
        assert keys(document, {"MyLoader.lora_file": "loras"}) == ["loras/a.pt"]
        assert keys(document, {"MyLoader.lora_*": "loras"}) == ["loras/a.pt"]
        assert keys(document, {"OtherLoader.lora_file": "loras"}) == [None]

    def test_it_works_where_the_file_tells_no_names(self):
        document = ui(node(1, "MyLoader", "x", "a.pt"))
        assert keys(document, {"MyLoader.lora_file": "loras"}) == ["loras/a.pt"]
        assert keys(document, {"MyLoader.1": "loras"}) == ["loras/a.pt"]

    def test_entries_of_several_folders_are_dealt_in_order_if_the_numbers_agree(self):
        folders = {"MyLoader.a_vae": "vae", "MyLoader.b_lora": "loras"}
        assert keys(ui(node(1, "MyLoader", "a.pt", "b.pt")), folders) == ["vae/a.pt", "loras/b.pt"]
        assert keys(ui(node(1, "MyLoader", "a.pt")), folders) == [None]

    def test_it_wins_over_the_table(self):
        document = ui(node(1, "LoraLoader", "a.pt", 1, 1))
        assert keys(document, {"LoraLoader.lora_name": "my_loras"}) == ["my_loras/a.pt"]


def declared(name, directory="loras", **more):
    return {"models": [{"name": name, "url": "https://x.org/f", "directory": directory, **more}]}


class TestDeclarations:
    URL = Hint(kind=HintKind.URL, value="https://x.org/f")

    def test_a_declaration_of_the_same_name_is_a_hint(self):
        properties = declared("a.pt", hash=SHA.upper(), hash_type="SHA256")
        reference = only(ui(node(1, "LoraLoader", "a.pt", 1, 1, properties=properties)))
        assert reference.hints == (Hint(kind=HintKind.SHA256, value=SHA), self.URL)

    def test_a_stale_declaration_is_none(self):
        document = ui(node(1, "LoraLoader", "b.pt", 1, 1, properties=declared("a.pt")))
        assert only(document).hints == ()

    def test_a_declaration_for_another_folder_is_none(self):
        document = ui(node(1, "LoraLoader", "a.pt", 1, 1, properties=declared("a.pt", "vae")))
        assert (only(document).folder, only(document).hints) == ("loras", ())

    def test_old_folder_names_are_understood(self):
        properties = declared("a.pt", "clip")
        assert only(ui(node(1, "CLIPLoader", "a.pt", properties=properties))).hints == (self.URL,)

    def test_declarations_of_the_whole_workflow_count(self):
        assert only(ui(node(1, "LoraLoader", "a.pt"), **declared("a.pt"))).hints == (self.URL,)

    def test_a_nodes_own_declaration_comes_before_others(self):
        own = {"models": [{"name": "a.pt", "url": "https://own.org/f", "directory": "loras"}]}
        document = ui(node(1, "LoraLoader", "a.pt", properties=own), **declared("a.pt"))
        assert [hint.value for hint in only(document).hints] == ["https://own.org/f"]

    def test_it_gives_a_scanned_name_its_folder(self):
        document = ui(node(1, "MyLoader", "a.pt", properties=declared("a.pt")))
        assert (only(document).key, only(document).found) == ("loras/a.pt", Found.SCAN)

    @pytest.mark.parametrize("directory", ["custom_nodes", "../../etc", "", "no_such_folder"])
    def test_a_folder_that_nobody_knows_is_not_taken_from_it(self, directory):
        document = ui(node(1, "MyLoader", "a.pt", properties=declared("a.pt", directory)))
        assert only(document).key is None

    @pytest.mark.parametrize("digest", ["", "xyz", SHA[:10], 7, None])
    def test_what_is_no_hash_is_left_out(self, digest):
        properties = declared("a.pt", hash=digest, hash_type="SHA256")
        document = ui(node(1, "LoraLoader", "a.pt", properties=properties))
        assert only(document).hints == (self.URL,)

    def test_addresses_and_airs_in_the_widget_are_hints(self):
        for value, kind in (
            ("https://x.org/a.pt", "url"),
            ("urn:air:sdxl:lora:civitai:1@2", "air"),
        ):
            reference = only(ui(node(1, "LoraLoader", value)))
            assert reference.hints == (Hint(kind=HintKind(kind), value=value),)


def reference(
    name,
    *,
    workflow="w",
    folder: str | None = "loras",
    active=True,
    kind=ReferenceKind.FILE,
    **more,
):
    return Reference(
        workflow=workflow, node="1", type="T", input="i", name=name, folder=folder, kind=kind,
        active=active, found=Found.NODE, **more,
    )  # fmt: skip


class TestGrouping:
    def test_spellings_of_one_name_are_one_requirement(self):
        (only_one,) = group(
            [
                reference("SDXL\\é.pt", workflow="b"),
                reference("SDXL/e\u0301.pt", workflow="a"),
                reference("SDXL\\e\u0301.pt", workflow="a", kind=ReferenceKind.STEM),
            ],
            inactive=InactivePolicy.LEAVE_OUT,
        )
        assert only_one.key == "loras/SDXL/é.pt"
        assert only_one.aliases == ("SDXL\\e\u0301.pt", "SDXL\\é.pt")
        assert only_one.workflows == ("a", "b")
        assert only_one.kind is ReferenceKind.FILE

    def test_hints_are_merged(self):
        first = Hint(kind=HintKind.URL, value="https://b.org")
        second = Hint(kind=HintKind.SHA256, value=SHA)
        (only_one,) = group(
            [reference("a.pt", hints=(first,)), reference("a.pt", hints=(second, first))],
            inactive=InactivePolicy.LEAVE_OUT,
        )
        assert only_one.hints == (second, first)

    def test_requirements_are_sorted_and_those_without_a_key_left_out(self):
        found_ = group(
            [reference("b.pt"), reference("a.pt"), reference("c.pt", folder=None),
             reference("d", kind=ReferenceKind.DIRECTORY)],
            inactive=InactivePolicy.LEAVE_OUT,
        )  # fmt: skip
        assert [entry.key for entry in found_] == ["loras/a.pt", "loras/b.pt"]

    def test_inactive_references_are_left_out_unless_asked_for(self):
        both = [reference("a.pt", active=False, workflow="x"), reference("a.pt", workflow="y")]
        off = [reference("b.pt", active=False)]
        left_out = group(both + off, inactive=InactivePolicy.LEAVE_OUT)
        included = group(both + off, inactive=InactivePolicy.INCLUDE)
        assert [(r.key, r.active, r.workflows) for r in left_out] == [("loras/a.pt", True, ("y",))]
        assert [(r.key, r.active, r.workflows) for r in included] == [
            ("loras/a.pt", True, ("x", "y")),
            ("loras/b.pt", False, ("w",)),
        ]


def test_one_name_in_one_input_counts_once_and_is_active_if_it_is_anywhere():
    rows = [{"name": "a", "active": False}, {"name": "a", "active": True}]
    assert found(ui(node(1, "Lora Loader (LoraManager)", rows))) == [
        ("1", "loras", "loras/a", True)
    ]


# Any JSON, with the words and shapes of a workflow in it so often that all paths are walked.
WORDS = st.sampled_from(
    [
        "a.safetensors", "b\\c.pt", "None", "taesd", "embedding:x", "<lora:y:1>", "\ud800.pt",
        "LoraLoader", "PrimitiveNode", "Reroute", "SetNode", "GetNode", "LoRA Stacker", "s1", "s2",
        "Power Lora Loader (rgthree)", "Lora Loader (LoraManager)", "workflow>g", "MyLoader",
        "ImpactWildcardEncode", "LoadLoraModel", "lora_name", "-1", "urn:air:x", "https://x/a.pt",
    ]
)  # fmt: skip
SMALL = st.integers(-20, 6)
SCALARS = st.one_of(WORDS, SMALL, st.booleans(), st.none(), st.floats(), st.text(max_size=3))
ANY = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.sampled_from(["lora", "name", "on", "active", "strength", "content"]),
                      st.text(max_size=3)),
            inner, max_size=4,
        ),
    ),
    max_leaves=6,
)  # fmt: skip


def nearly(strategy):
    return st.one_of(strategy, strategy, strategy, ANY)


def shaped(required, optional):
    return nearly(st.fixed_dictionaries(required, optional=optional))


SLOTS = nearly(
    st.lists(
        shaped(
            {"name": WORDS},
            {"link": nearly(SMALL), "type": nearly(st.just("COMBO")),
             "widget": shaped({"name": WORDS}, {})},
        ),
        max_size=3,
    )
)  # fmt: skip
MODELS = nearly(
    st.lists(shaped({"name": WORDS}, {"url": ANY, "directory": ANY, "hash": ANY}), max_size=2)
)
NODES = nearly(
    st.lists(
        shaped(
            {"id": nearly(SMALL), "type": nearly(WORDS)},
            {
                "mode": ANY,
                "inputs": SLOTS,
                "widgets_values": nearly(st.lists(ANY, max_size=5)),
                "widgets_values_named": ANY,
                "properties": shaped(
                    {}, {"models": MODELS, "proxyWidgets": nearly(st.lists(ANY, max_size=3))}
                ),
            },
        ),
        max_size=5,
    )
)
LINKS = nearly(
    st.lists(
        st.one_of(
            st.lists(SMALL, max_size=6),
            shaped(
                {},
                dict.fromkeys(
                    ["id", "origin_id", "origin_slot", "target_id", "target_slot"], nearly(SMALL)
                ),
            ),
        ),
        max_size=6,
    )
)
GRAPH = {"nodes": NODES, "links": LINKS}
SUBGRAPHS = shaped(
    {},
    {"subgraphs": nearly(st.lists(shaped({"id": WORDS, **GRAPH}, {"inputs": SLOTS}), max_size=2))},
)
DOCUMENTS = shaped(
    GRAPH,
    {
        "definitions": SUBGRAPHS,
        "models": MODELS,
        "extra": shaped({}, {"groupNodes": shaped({"g": shaped(GRAPH, {})}, {})}),
    },
)
PROMPTS = st.dictionaries(
    st.one_of(SMALL.map(str), st.text(max_size=2)),
    shaped(
        {"class_type": nearly(WORDS)},
        {"inputs": nearly(st.dictionaries(WORDS, st.one_of(ANY, st.tuples(SMALL, SMALL).map(list)),
                                          max_size=4))},
    ),
    max_size=4,
)  # fmt: skip

TABLE = load_node_table({"MyLoader.lora_*": "loras", "MyLoader.2": "vae"})


def collected(document):
    try:
        workflow = parse_document(document)
    except WorkflowInvalidError:
        return None
    if not isinstance(workflow, Workflow):
        return None
    return collect_references(workflow, "w.json", TABLE)


@settings(max_examples=500, deadline=None)
@given(st.one_of(DOCUMENTS, PROMPTS))
def test_any_json_is_read_without_a_crash_always_the_same_and_printable(document):
    first = collected(document)
    again = collected(json.loads(json.dumps(document)))
    assert repr(first) == repr(again)
    for entry in first or ():
        for text in (entry.node, entry.type, entry.input, entry.name, entry.key or ""):
            assert text.encode().decode() == text
    requirements = group(first or (), inactive=InactivePolicy.INCLUDE)
    assert [entry.key for entry in requirements] == sorted({entry.key for entry in requirements})
    assert requirements == group(reversed(first or ()), inactive=InactivePolicy.INCLUDE)
