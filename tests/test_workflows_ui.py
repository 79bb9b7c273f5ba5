import pytest

from comfylock.errors import WorkflowInvalidError
from comfylock.workflows.file import parse_document
from comfylock.workflows.shapes import JsonObject
from comfylock.workflows.ui_json import MAX_NODES
from tests.workflows import found, inner_link, keys, link, node, slot, subgraph, ui

LORA = "LoraLoaderModelOnly"


def test_a_loader_names_the_file_in_its_widget():
    assert found(ui(node(1, LORA, "a.safetensors", 1.0))) == [
        ("1", "lora_name", "loras/a.safetensors", True)
    ]


def test_several_inputs_are_told_apart_by_position():
    clips = node(3, "DualCLIPLoader", "clip_l.safetensors", "t5.safetensors", "flux")
    assert found(ui(clips)) == [
        ("3", "clip_name1", "text_encoders/clip_l.safetensors", True),
        ("3", "clip_name2", "text_encoders/t5.safetensors", True),
    ]


def test_schema_1_with_links_as_objects_is_read():
    document = ui(
        node(1, "PrimitiveNode", "new.safetensors"),
        node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 7)]),
        links=[inner_link(7, 1, 0, 2, 0)],
        state={},
    )
    assert keys({**document, "version": 1}) == ["loras/new.safetensors"]


def test_values_by_name_are_read():
    document = ui({"id": 1, "type": LORA, "widgets_values": {"lora_name": "a.safetensors"}})
    assert keys(document) == ["loras/a.safetensors"]


def test_position_wins_where_the_named_values_disagree():
    loader = node(
        1, "UNETLoader", "right.safetensors", "default",
        widgets_values_named={"unet_name": "wrong.safetensors", "weight_dtype": "default"},
    )  # fmt: skip
    assert keys(ui(loader)) == ["diffusion_models/right.safetensors"]


def test_named_values_tell_where_an_input_lies():
    """The table's position is of another version of the node; the file's names are of this one."""
    loader = node(
        1, LORA, 1.0, "a.safetensors",
        widgets_values_named={"strength_model": 1.0, "lora_name": "a.safetensors"},
    )  # fmt: skip
    assert found(ui(loader)) == [("1", "lora_name", "loras/a.safetensors", True)]


def test_a_layout_moved_by_one_widget_is_recognised():
    old = node(1, "ReActorFaceSwap", "inswapper_128.onnx", "retinaface_resnet50", "none", 1)
    assert found(ui(old)) == [
        ("1", "swap_model", "insightface/inswapper_128.onnx", True),
        ("1", "facedetection", "retinaface_resnet50", True),
    ]


def test_the_inputs_of_newer_files_name_widgets_though_a_seeds_control_has_no_input():
    old = node(
        1, "MyLoader", "stale.safetensors", 7, "randomize", "b.safetensors",
        inputs=[slot("one", 5), slot("seed", None, "INT"), slot("two")],
    )  # fmt: skip
    document = ui(node(2, "PrimitiveNode", "a.safetensors"), old, links=[link(5, 2, 0, 1, 0)])
    assert found(document) == [
        ("1", "two", "b.safetensors", True),
        ("1", "one", "a.safetensors", True),
    ]


def test_two_nodes_with_one_id_are_both_read():
    document = ui(node(1, LORA, "a.safetensors", 1), node(1, LORA, "b.safetensors", 1))
    assert keys(document) == ["loras/a.safetensors", "loras/b.safetensors"]


@pytest.mark.parametrize("mode", [2, 4])
def test_muted_and_bypassed_nodes_are_inactive(mode):
    assert found(ui(node(1, LORA, "a.safetensors", 1, mode=mode))) == [
        ("1", "lora_name", "loras/a.safetensors", False)
    ]


class TestLinks:
    def test_a_linked_widget_takes_the_primitives_value_never_its_own(self):
        document = ui(
            node(1, "PrimitiveNode", "new.safetensors", "fixed"),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 7)]),
            links=[link(7, 1, 0, 2, 0)],
        )
        assert found(document) == [("2", "lora_name", "loras/new.safetensors", True)]

    def test_reroutes_are_followed(self):
        document = ui(
            node(1, "PrimitiveNode", "new.safetensors"),
            node(3, "Reroute", inputs=[{"name": "", "type": "*", "link": 7}]),
            node(4, "Reroute (rgthree)", inputs=[{"name": "", "type": "*", "link": 8}]),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 9)]),
            links=[link(7, 1, 0, 3, 0), link(8, 3, 0, 4, 0), link(9, 4, 0, 2, 0)],
        )
        assert keys(document) == ["loras/new.safetensors"]

    def test_set_and_get_nodes_are_followed(self):
        document = ui(
            node(1, "PrimitiveNode", "new.safetensors"),
            node(3, "SetNode", "the lora", inputs=[{"name": "COMBO", "type": "*", "link": 7}]),
            node(4, "GetNode", "the lora"),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 9)]),
            links=[link(7, 1, 0, 3, 0), link(9, 4, 0, 2, 0)],
        )
        assert keys(document) == ["loras/new.safetensors"]

    def test_a_set_node_takes_nothing_itself_whatever_its_slots_type(self):
        document = ui(
            node(1, "PrimitiveNode", "new.safetensors"),
            node(3, "SetNode", "the lora", inputs=[{"name": "COMBO", "type": "COMBO", "link": 7}]),
            node(4, "GetNode", "the lora"),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 9)]),
            links=[link(7, 1, 0, 3, 0), link(9, 4, 0, 2, 0)],
        )
        assert found(document) == [("2", "lora_name", "loras/new.safetensors", True)]

    def test_a_get_node_in_a_subgraph_finds_what_is_set_around_it(self):
        definition = subgraph(
            "sub",
            [
                node(4, "GetNode", "the lora"),
                node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 9)]),
            ],
            links=[inner_link(9, 4, 0, 2, 0)],
        )
        document = ui(
            node(1, "PrimitiveNode", "new.safetensors"),
            node(3, "SetNode", "the lora", inputs=[{"name": "COMBO", "type": "*", "link": 7}]),
            node(57, "sub"),
            links=[link(7, 1, 0, 3, 0)],
            subgraphs=[definition],
        )
        assert found(document) == [("57:2", "lora_name", "loras/new.safetensors", True)]

    def test_a_switch_hands_on_its_first_input_that_is_on(self):
        document = ui(
            node(1, "Checkpoint Selector", "off.safetensors", mode=2),
            node(5, "PrimitiveNode", "new.safetensors"),
            node(
                3, "Any Switch (rgthree)",
                inputs=[{"name": "any_01", "type": "*", "link": 6},
                        {"name": "any_02", "type": "*", "link": 7}],
            ),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 9)]),
            links=[link(6, 1, 0, 3, 0), link(7, 5, 0, 3, 1), link(9, 3, 0, 2, 0)],
        )  # fmt: skip
        assert keys(document) == ["loras/new.safetensors"]

    def test_a_selector_that_takes_a_link_itself_is_followed(self):
        document = ui(
            node(1, "PrimitiveNode", "new.safetensors"),
            node(3, "easy loraNames", "old.safetensors", inputs=[slot("lora_name", 7)]),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 9)]),
            links=[link(7, 1, 0, 3, 0), link(9, 3, 0, 2, 0)],
        )
        assert keys(document) == ["loras/new.safetensors"] * 2

    def test_a_primitive_whose_taker_is_not_understood_is_found_by_scanning(self):
        document = ui(
            node(1, "PrimitiveNode", "a.safetensors", "fixed"),
            node(2, "Pick By Number", inputs=[{"name": "in1", "type": "*", "link": 7}]),
            links=[link(7, 1, 0, 2, 0)],
        )
        assert found(document) == [("1", "widgets_values[0]", "a.safetensors", True)]

    def test_a_selector_of_an_unknown_class_gives_its_one_model_name(self):
        document = ui(
            node(1, "ETN_Parameter", "Model", "choice", "new.safetensors", 0, 0),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 7)]),
            links=[link(7, 1, 0, 2, 0)],
        )
        assert found(document) == [("2", "lora_name", "loras/new.safetensors", True)]

    def test_a_value_that_only_running_tells_is_no_reference(self):
        document = ui(
            node(1, "StringJoin", "new", ".safetensors-part"),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 7)]),
            links=[link(7, 1, 0, 2, 0)],
        )
        assert found(document) == []

    def test_one_of_several_names_is_not_guessed(self):
        document = ui(
            node(1, "PickOne", "a.safetensors", "b.safetensors", 2),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 7)]),
            links=[link(7, 1, 0, 2, 0)],
        )
        assert [entry[0] for entry in found(document)] == ["1", "1"]

    def test_a_link_that_is_not_there_leaves_the_widget_in_force(self):
        document = ui(node(2, LORA, "own.safetensors", 1, inputs=[slot("lora_name", 99)]))
        assert keys(document) == ["loras/own.safetensors"]

    def test_a_circle_of_reroutes_ends(self):
        document = ui(
            node(3, "Reroute", inputs=[{"name": "", "type": "*", "link": 8}]),
            node(4, "Reroute", inputs=[{"name": "", "type": "*", "link": 7}]),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 9)]),
            links=[link(7, 3, 0, 4, 0), link(8, 4, 0, 3, 0), link(9, 4, 0, 2, 0)],
        )
        assert found(document) == []

    def test_a_primitive_without_a_taker_is_no_reference(self):
        assert found(ui(node(1, "PrimitiveNode", "a.safetensors", "fixed"))) == []

    def test_an_unknown_node_takes_the_linked_value_and_not_the_stale_one(self):
        document = ui(
            node(1, "PrimitiveNode", "new.safetensors"),
            node(2, "MyLoader", "stale.safetensors", 1, inputs=[slot("lora_file", 7)]),
            links=[link(7, 1, 0, 2, 0)],
        )
        assert found(document) == [("2", "lora_file", "new.safetensors", True)]


def _loader_inside(*, links=(), inputs=("lora_name",)):
    """A subgraph of one LoRA loader whose widget is its first input."""
    return subgraph(
        "sub",
        [node(3, LORA, "inner.safetensors", 1, inputs=[slot("lora_name", 1)])],
        links=[inner_link(1, -10, 0, 3, 0), *links],
        inputs=inputs,
    )


class TestSubgraphs:
    def test_the_inside_is_named_by_the_path_through_its_instances(self):
        inner = subgraph("inner", [node(3, LORA, "a.safetensors", 1)])
        outer = subgraph("outer", [node(20, "inner")])
        document = ui(node(57, "outer"), subgraphs=[outer, inner])
        assert found(document) == [("57:20:3", "lora_name", "loras/a.safetensors", True)]

    def test_definitions_within_definitions_are_known(self):
        inner = subgraph("inner", [node(3, LORA, "a.safetensors", 1)])
        outer = subgraph("outer", [node(20, "inner")], definitions={"subgraphs": [inner]})
        assert keys(ui(node(57, "outer"), subgraphs=[outer])) == ["loras/a.safetensors"]

    def test_a_definition_without_an_instance_is_no_reference(self):
        assert found(ui(node(1, "KSampler"), subgraphs=[_loader_inside()])) == []

    def test_without_values_on_the_instance_the_inner_ones_hold(self):
        assert keys(ui(node(57, "sub"), subgraphs=[_loader_inside()])) == [
            "loras/inner.safetensors"
        ]

    def test_an_instance_overrides_by_the_inputs_that_feed_widgets(self):
        """`image` feeds no widget, so it has no value in the instance's list."""
        definition = subgraph(
            "sub",
            [
                node(
                    3, LORA, "inner.safetensors", 1,
                    inputs=[{"name": "model", "type": "MODEL", "link": 1}, slot("lora_name", 2)],
                )
            ],
            links=[inner_link(1, -10, 0, 3, 0), inner_link(2, -10, 1, 3, 1)],
            inputs=["image", "lora_name_1"],
        )  # fmt: skip
        document = ui(node(57, "sub", "mine.safetensors"), subgraphs=[definition])
        assert found(document) == [("57:3", "lora_name", "loras/mine.safetensors", True)]

    def test_an_instance_overrides_by_proxy_widgets(self):
        instance = node(
            57, "sub", None, "mine.safetensors",
            properties={"proxyWidgets": [["3", "strength_model"], ["3", "lora_name"]]},
        )  # fmt: skip
        assert keys(ui(instance, subgraphs=[_loader_inside()])) == ["loras/mine.safetensors"]

    def test_a_proxy_of_node_minus_one_means_the_subgraph_input(self):
        instance = node(
            57, "sub", "mine.safetensors",
            properties={"proxyWidgets": [["-1", "lora_name"]]},
        )  # fmt: skip
        assert keys(ui(instance, subgraphs=[_loader_inside()])) == ["loras/mine.safetensors"]

    def test_proxy_widgets_without_values_leave_the_inner_ones(self):
        instance = node(57, "sub", properties={"proxyWidgets": [["3", "lora_name"]]})
        assert keys(ui(instance, subgraphs=[_loader_inside()])) == ["loras/inner.safetensors"]

    def test_a_link_into_the_instance_comes_before_its_own_value(self):
        document = ui(
            node(1, "PrimitiveNode", "outside.safetensors"),
            node(57, "sub", "mine.safetensors", inputs=[slot("lora_name", 7)]),
            links=[link(7, 1, 0, 57, 0)],
            subgraphs=[_loader_inside()],
        )
        assert found(document) == [("57:3", "lora_name", "loras/outside.safetensors", True)]

    def test_the_outermost_instance_has_the_last_word(self):
        outer = subgraph(
            "outer",
            [node(20, "sub", "middle.safetensors", inputs=[slot("lora_name", 5)])],
            links=[inner_link(5, -10, 0, 20, 0)],
            inputs=["lora"],
        )
        definitions = [outer, _loader_inside()]
        assert keys(ui(node(57, "outer", "mine.safetensors"), subgraphs=definitions)) == [
            "loras/mine.safetensors"
        ]
        assert keys(ui(node(57, "outer"), subgraphs=definitions)) == ["loras/middle.safetensors"]

    def test_a_wrongly_wired_number_does_not_replace_a_name(self):
        assert keys(ui(node(57, "sub", 720), subgraphs=[_loader_inside()])) == [
            "loras/inner.safetensors"
        ]

    def test_a_name_may_come_out_of_a_subgraph(self):
        chooser = subgraph(
            "chooser",
            [node(9, "PrimitiveString", "chosen.safetensors")],
            links=[inner_link(1, 9, 0, -20, 0)],
            outputs=["name"],
        )
        document = ui(
            node(57, "chooser"),
            node(2, LORA, "stale.safetensors", 1, inputs=[slot("lora_name", 7)]),
            links=[link(7, 57, 0, 2, 0)],
            subgraphs=[chooser],
        )
        assert found(document) == [("2", "lora_name", "loras/chosen.safetensors", True)]

    def test_two_instances_are_two_references(self):
        document = ui(node(57, "sub"), node(58, "sub", mode=4), subgraphs=[_loader_inside()])
        assert found(document) == [
            ("57:3", "lora_name", "loras/inner.safetensors", True),
            ("58:3", "lora_name", "loras/inner.safetensors", False),
        ]

    def test_a_muted_instance_mutes_everything_below_it(self):
        outer = subgraph("outer", [node(20, "sub")])
        document = ui(node(57, "outer", mode=2), subgraphs=[outer, _loader_inside()])
        assert found(document) == [
            ("57:20:3", "lora_name", "loras/inner.safetensors", False)
        ]  # fmt: skip

    def test_a_definition_inside_itself_ends(self):
        definition = subgraph("sub", [node(3, LORA, "a.safetensors", 1), node(4, "sub")])
        assert keys(ui(node(57, "sub"), subgraphs=[definition])) == ["loras/a.safetensors"]

    def test_definitions_that_unfold_into_millions_are_refused(self):
        levels = [
            subgraph(f"s{level}", [node(1, f"s{level + 1}"), node(2, f"s{level + 1}")])
            for level in range(40)
        ]
        with pytest.raises(WorkflowInvalidError, match=f"more than {MAX_NODES} nodes"):
            parse_document(ui(node(1, "s0"), subgraphs=levels))


GROUP: JsonObject = {
    "Loras": {
        "nodes": [
            {"type": LORA, "index": 0, "widgets_values": ["old1.safetensors", 0.5]},
            {"type": LORA, "index": 1, "widgets_values": ["old2.safetensors", 0.5]},
        ],
        "links": [[0, 0, 1, 0, 13, "MODEL"]],
    }
}


class TestGroupNodes:
    @pytest.mark.parametrize("sign", [">", "/"])
    def test_values_are_the_instances(self, sign):
        instance = node(7, f"workflow{sign}Loras", "a.safetensors", 1, "b.safetensors", 1)
        assert found(ui(instance, groups=GROUP)) == [
            ("7:0", "lora_name", "loras/a.safetensors", True),
            ("7:1", "lora_name", "loras/b.safetensors", True),
        ]

    def test_a_muted_group_mutes_its_nodes(self):
        instance = node(7, "workflow>Loras", "a.safetensors", 1, "b.safetensors", 1, mode=4)
        assert {entry[3] for entry in found(ui(instance, groups=GROUP))} == {False}

    def test_names_are_dealt_by_order_where_widgets_are_hidden(self):
        instance = node(7, "workflow>Loras", "a.safetensors", "b.safetensors", 1)
        assert keys(ui(instance, groups=GROUP)) == [
            "loras/a.safetensors",
            "loras/b.safetensors",
        ]

    def test_a_library_of_groups_is_no_reference(self):
        assert found(ui(node(1, "KSampler"), groups=GROUP)) == []

    def test_a_link_into_a_group_comes_before_its_value(self):
        document = ui(
            node(1, "PrimitiveNode", "outside.safetensors"),
            node(
                7, "workflow>Loras", "a.safetensors", 1, "b.safetensors", 1,
                inputs=[slot(f"{LORA} lora_name", 3)],
            ),
            links=[link(3, 1, 0, 7, 0)],
            groups=GROUP,
        )  # fmt: skip
        assert keys(document) == ["loras/a.safetensors", "loras/outside.safetensors"]

    def test_a_link_into_a_group_is_one_nodes_and_not_everybodys(self):
        group = {
            "nodes": [
                {"type": "CheckpointLoaderSimple", "widgets_values": ["old.safetensors"]},
                {"type": LORA, "widgets_values": ["l.safetensors", 1]},
                {"type": "KSampler", "widgets_values": [5, "fixed", 20]},
            ],
            "links": [],
        }
        document = ui(
            node(1, "PrimitiveNode", "new.safetensors"),
            node(
                7, "workflow>G", "stale.safetensors", "l.safetensors", 1, 5, "fixed", 20,
                inputs=[slot("ckpt_name", 3)],
            ),
            links=[link(3, 1, 0, 7, 0)],
            groups={"G": group},
        )  # fmt: skip
        assert found(document) == [
            ("7:0", "ckpt_name", "checkpoints/new.safetensors", True),
            ("7:1", "lora_name", "loras/l.safetensors", True),
        ]

    def test_links_inside_a_group_are_followed(self):
        group = {
            "nodes": [
                {"type": "PrimitiveNode", "widgets_values": ["x.safetensors"]},
                {"type": LORA, "inputs": [slot("lora_name")], "widgets_values": ["y.pt", 1]},
            ],
            "links": [[0, 0, 1, 0, 5, "COMBO"]],
        }
        instance = node(7, "workflow>G", "a.safetensors", "stale.safetensors", 1)
        assert found(ui(instance, groups={"G": group})) == [
            ("7:1", "lora_name", "loras/a.safetensors", True)
        ]

    def test_a_group_inside_itself_ends(self):
        group = {"nodes": [{"type": "workflow>G", "widgets_values": []}], "links": []}
        assert found(ui(node(7, "workflow>G"), groups={"G": group})) == []


def test_a_2023_component_loads_the_checkpoint_in_its_first_widget():
    component = node(18, "## make-basic_pipe [2c8c61]", "a.safetensors", "a prompt", "another")
    assert found(ui(component, components={"x": {"nodes": [node(1, LORA, "no.pt")]}})) == [
        ("18", "ckpt_name", "checkpoints/a.safetensors", True)
    ]
