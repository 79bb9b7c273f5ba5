"""Small workflows of every form: where mutations and fuzzers start."""

import json

from tests.workflows import inner_link, link, node, slot, subgraph, ui

_INNER = node(3, "VAELoader", "XL\\a.pt", inputs=[slot("vae_name", 9)])
_DECLARED = [{"name": "XL\\a.pt", "url": "https://x.test/a", "directory": "vae", "hash": "0" * 64}]

DOCUMENTS = (
    ui(node(1, "CheckpointLoaderSimple", "XL\\a.safetensors"), node(2, "KSampler", 1, "fixed", 20)),
    ui(
        node(57, "S", "XL\\a.pt", properties={"proxyWidgets": [["3", "vae_name"], ["-1", "x"]]}),
        subgraphs=[
            subgraph("S", [_INNER], links=[inner_link(9, -10, 0, 3, 0)], inputs=["vae_name"])
        ],
    ),
    ui(
        node(1, "workflow>G", "XL\\a.pt", 1.0, mode=4),
        groups={"G": {"nodes": [node(0, "LoraLoader", "XL\\a.pt", 1.0)], "links": [[0, 0, 0, 0]]}},
    ),
    ui(
        node(1, "PrimitiveNode", "XL\\a.pt", "fixed"),
        node(2, "VAELoader", "b.pt", inputs=[slot("vae_name", 7)]),
        node(3, "Reroute", inputs=[slot("", 7)]),
        links=[link(7, 1, 0, 2, 0), link(8, 3, 0, 2, 0)],
    ),
    ui(
        node(1, "Power Lora Loader (rgthree)", {}, {"on": True, "lora": "a\\b.pt", "strength": 1}),
        node(2, "LoraManagerLoader", "", [{"name": "x", "active": True, "strength": "1"}]),
        node(3, "LoRA Stacker", "simple", 2, "a.pt", 1, 1, 1, "b.pt", 1, 1, 1),
    ),
    ui(
        node(1, "ImpactWildcardEncode", "<lora:a\\b:1> embedding:x\\y.pt,", "\\(z\\)"),
        node(2, "My", "a.gguf", {"a": ["b", {"c": "d\\e.pt"}]}, properties={"models": _DECLARED}),
        models=_DECLARED,
    ),
    {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "XL\\a.pt"}},
     "2": {"class_type": "LoraLoader", "inputs": {"lora_name": ["1", 0], "x": {"__value__": [1]}}}},
    {"workflow": json.dumps(ui(node(1, "VAELoader", "XL\\a.pt"))), "prompt": {}},
    {"id": {"prompt": [0, "id", {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "a.pt"}}},
                       {"extra_pnginfo": {"workflow": ui(node(1, "VAELoader", "a.pt"))}}]}},
)  # fmt: skip
