"""Values on subgraph instances: which inner widgets they stand for."""

from tests.workflows import found, inner_link, keys, link, node, slot, subgraph, ui

LORA = "LoraLoaderModelOnly"
VAE = "VAELoader"


def proxies(*entries):
    return {"proxyWidgets": [list(entry) for entry in entries]}


def two_loaders_on_one_input():
    """A subgraph whose input feeds the widgets of two loaders."""
    return subgraph(
        "sub",
        [
            node(3, LORA, "inner.safetensors", 1, inputs=[slot("lora_name", 1)]),
            node(4, LORA, "inner.safetensors", 1, inputs=[slot("lora_name", 2)]),
        ],
        links=[inner_link(1, -10, 0, 3, 0), inner_link(2, -10, 0, 4, 0)],
        inputs=["lora_name"],
    )


def test_a_proxy_of_a_fed_widget_reaches_all_that_the_input_feeds():
    instance = node(57, "sub", "mine.safetensors", properties=proxies(("3", "lora_name")))
    assert found(ui(instance, subgraphs=[two_loaders_on_one_input()])) == [
        ("57:3", "lora_name", "loras/mine.safetensors", True),
        ("57:4", "lora_name", "loras/mine.safetensors", True),
    ]


def test_a_link_into_the_instance_comes_before_a_proxy():
    document = ui(
        node(1, "PrimitiveNode", "outside.safetensors"),
        node(
            57, "sub", "mine.safetensors",
            inputs=[slot("lora_name", 7)], properties=proxies(("3", "lora_name")),
        ),
        links=[link(7, 1, 0, 57, 0)],
        subgraphs=[two_loaders_on_one_input()],
    )  # fmt: skip
    assert keys(document) == ["loras/outside.safetensors"] * 2


def test_a_seeds_control_among_the_values_is_no_inputs_value():
    definition = subgraph(
        "sub",
        [
            node(2, "KSampler", 5, "fixed", 20, inputs=[slot("seed", 1, "INT")]),
            node(3, LORA, "inner.safetensors", 1, inputs=[slot("lora_name", 2)]),
        ],
        links=[inner_link(1, -10, 0, 2, 0), inner_link(2, -10, 1, 3, 0)],
        inputs=["seed", "lora_name"],
    )
    for values in ((7, "randomize", "mine.safetensors"), (7, "mine.safetensors")):
        assert keys(ui(node(57, "sub", *values), subgraphs=[definition])) == [
            "loras/mine.safetensors"
        ]


def test_the_link_and_not_the_slot_number_tells_which_widget_is_fed():
    """Nodes gain and lose inputs after a link was made, and its slot number stays."""
    definition = subgraph(
        "sub",
        [
            node(
                3, LORA, "inner.safetensors", 1,
                inputs=[slot("lora_name", 1), {"name": "model", "type": "MODEL"}],
            )
        ],
        links=[inner_link(1, -10, 0, 3, 1)],
        inputs=["lora_name"],
    )  # fmt: skip
    assert keys(ui(node(57, "sub", "mine.safetensors"), subgraphs=[definition])) == [
        "loras/mine.safetensors"
    ]


class TestNested:
    """Two VAELoaders whose widgets share a name, two instances below the one that holds values."""

    INNER = subgraph("inner", [node(1, VAE, "a.pt"), node(2, VAE, "b.pt")])

    def keys(self, *outer_proxies, values):
        outer = subgraph(
            "outer",
            [node(10, "inner", properties=proxies(("1", "vae_name"), ("2", "vae_name")))],
        )
        instance = node(30, "outer", *values, properties=proxies(*outer_proxies))
        return keys(ui(instance, subgraphs=[outer, self.INNER]))

    def test_a_third_item_tells_widgets_of_one_name_apart(self):
        both = (("10", "vae_name", "1"), ("10", "vae_name", "2"))
        assert self.keys(*both, values=("x.pt", "y.pt")) == ["vae/x.pt", "vae/y.pt"]
        assert self.keys(both[1], values=("y.pt",)) == ["vae/a.pt", "vae/y.pt"]

    def test_a_number_before_the_name_tells_them_apart_in_older_files(self):
        both = (("10", "1: vae_name"), ("10", "2: vae_name"))
        assert self.keys(*both, values=("x.pt", "y.pt")) == ["vae/x.pt", "vae/y.pt"]

    def test_values_pass_three_instances_of_which_each_may_hold_its_own(self):
        middle = subgraph(
            "middle", [node(10, "inner", "m.pt", properties=proxies(("1", "vae_name")))]
        )
        outer = subgraph(
            "outer", [node(20, "middle", "u.pt", properties=proxies(("10", "vae_name")))]
        )
        top = proxies(("20", "vae_name"))
        document = ui(
            node(30, "outer", "top.pt", properties=top),
            node(31, "outer", properties=top),
            subgraphs=[outer, middle, self.INNER],
        )
        assert keys(document) == ["vae/top.pt", "vae/b.pt", "vae/u.pt", "vae/b.pt"]


def test_a_promoted_text_replaces_the_inner_one_though_the_file_names_no_widget():
    definition = subgraph("sub", [node(1, "CLIPTextEncode", "embedding:stale")])
    instance = node(57, "sub", "embedding:new", properties=proxies(("1", "text")))
    assert keys(ui(instance, subgraphs=[definition])) == ["embeddings/new"]
