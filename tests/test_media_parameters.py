"""A1111's settings: the models that they name, and what their short hashes are."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.folders import load_node_table
from comfylock.references import collect_references
from comfylock.workflows.media.parameters import Resource, parse_parameters, workflow_of

FULL = (
    "a cat <lora:paint_v2:0.8>, <lora:add detail:1:0.5>, easynegative\n"
    "Negative prompt: bad, easynegative\n"
    "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 512x768, "
    "Model hash: 6CE0161689, Model: v1-5-pruned-emaonly, VAE hash: 735e4c3a44, "
    "VAE: vae-ft-mse-840000-ema-pruned.ckpt, Refiner: xl_refiner [7440042bbd], "
    'ControlNet 0: "Module: none, Model: control_x [d14c016b], Weight: 1", '
    'Lora hashes: "paint_v2: aabbccddeeff, add detail: 0123456789ab", '
    'TI hashes: "easynegative: c74b4e810b03", '
    'Hashes: {"model": "6ce0161689", "lora:paint_v2": "0123456789", "embed:easynegative": '
    '"c74b4e810b"}, Version: v1.9.4'
)


def named(text):
    return [(one.folder, one.name, one.hashes) for one in parse_parameters(text)]


def test_all_models_are_named_with_their_hashes():
    assert named(FULL) == [
        ("checkpoints", "v1-5-pruned-emaonly", (("AutoV2", "6ce0161689"),)),
        ("checkpoints", "xl_refiner", (("AutoV2", "7440042bbd"),)),
        ("vae", "vae-ft-mse-840000-ema-pruned.ckpt", (("AutoV2", "735e4c3a44"),)),
        ("loras", "paint_v2", (("AutoV2", "0123456789"), ("AutoV3", "aabbccddeeff"))),
        ("loras", "add detail", (("AutoV3", "0123456789ab"),)),
        ("embeddings", "easynegative", (("AutoV2", "c74b4e810b"),)),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a photo of Steps: and stairs", []),
        ("Steps: 20, Model: toon", [("checkpoints", "toon", ())]),
        ("x\nSteps: 20, Model: toon, Model hash: 7f96a1a9", [
            ("checkpoints", "toon", (("AutoV1", "7f96a1a9"),)),
        ]),
        ("x\nSteps: 20, Model hash: 6ce0161689", []),
        ("x\nSteps: 20, VAE: Automatic, Model: None", []),
        ("x\nSteps: 20, Model: toon, Model hash: none of your business", [
            ("checkpoints", "toon", ()),
        ]),
        ("x\nSteps: 20, Hashes: {broken, Model: toon", [("checkpoints", "toon", ())]),
        ('x\nSteps: 20, Lora hashes: "a: 0123456789, b, : c"', [
            ("loras", "a", (("AutoV2", "0123456789"),)),
        ]),
        ("Steps: no\nSteps: 20, Model: toon\nTemplate: Model: x", [("checkpoints", "toon", ())]),
        ("<lora:>, <lora:open, <lora:two\nlines:1>\nSteps: 1", []),
    ],
)  # fmt: skip
def test_strange_settings_are_read_as_far_as_they_go(text, expected):
    assert named(text) == expected


def test_settings_become_references_with_hints():
    """Names lack their extension and their folder below `loras`: they are stems."""
    found = collect_references(workflow_of(parse_parameters(FULL)), "x.png", load_node_table())
    assert [(one.key, str(one.kind)) for one in found] == [
        ("checkpoints/v1-5-pruned-emaonly", "stem"),
        ("checkpoints/xl_refiner", "stem"),
        ("vae/vae-ft-mse-840000-ema-pruned.ckpt", "file"),
        ("loras/paint_v2", "stem"),
        ("loras/add detail", "stem"),
        ("embeddings/easynegative", "stem"),
    ]
    assert [[(str(hint.kind), hint.value) for hint in one.hints] for one in found] == [
        [("autov2", "6ce0161689")],
        [("autov2", "7440042bbd")],
        [("autov2", "735e4c3a44")],
        [("autov2", "0123456789")],
        [],
        [("autov2", "c74b4e810b")],
    ]
    assert all(one.active and one.node == "parameters" for one in found)


@pytest.mark.parametrize(
    "text",
    [
        "\nSteps:" * 100_000,
        "<lora:" * 200_000 + "\nSteps: 1",
        "\nSteps: 1, " + 'x: {"a": 1, "x": ' * 100_000,
        "\nSteps: 1, " + 'x: "' * 100_000,
        "\nSteps: 1, " + "[" * 100_000,
        "\nSteps: 1, x: " + "[" * 100_000,
        "\nSteps: 1, " + ":" * 100_000,
        "\nSteps: 1, Hashes: " + json.dumps({f"lora:{n}": "0" * 10 for n in range(1000)}),
        "".join(f"<lora:{n}:1>" for n in range(100_000)) + "\nSteps: 1",
    ],
)
def test_hostile_settings_are_read_in_no_time(text):
    start = time.process_time()
    assert len(parse_parameters(text)) <= 1000
    assert time.process_time() - start < 0.5


@given(st.text(alphabet=' \n,:"{}[]<>lora:StepsModelhash0123456789', max_size=300))
def test_any_text_gives_resources_or_none(text):
    for one in parse_parameters(f"{text}\nSteps: 1, Model: a{text}"):
        assert isinstance(one, Resource)
        assert one.name
