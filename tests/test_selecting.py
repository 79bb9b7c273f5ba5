"""REF: a key, a glob, or as much of its end as is needed."""

import pytest

from comfylock.errors import AmbiguousError, UnresolvedError
from comfylock.selecting import matching_refs, matching_workflows, one_ref

KEYS = (
    "checkpoints/XL/base.safetensors",
    "diffusion_models/base.safetensors",
    "loras/ink[1].safetensors",
    "loras/style/ink.safetensors",
    "loras/style/wash.safetensors",
    "embeddings/Hands",
)


@pytest.mark.parametrize(
    ("ref", "meant"),
    [
        ("loras/style/ink.safetensors", "loras/style/ink.safetensors"),
        ("style/ink.safetensors", "loras/style/ink.safetensors"),
        ("style\\ink.safetensors", "loras/style/ink.safetensors"),
        ("ink.safetensors", "loras/style/ink.safetensors"),
        ("INK.safetensors", "loras/style/ink.safetensors"),
        ("ink", "loras/style/ink.safetensors"),
        ("XL/base", "checkpoints/XL/base.safetensors"),
        ("unet/base.safetensors", "diffusion_models/base.safetensors"),
        ("loras/ink[1].safetensors", "loras/ink[1].safetensors"),
        ("ink[1].safetensors", "loras/ink[1].safetensors"),
        ("hands", "embeddings/Hands"),
        ("*wash*", "loras/style/wash.safetensors"),
    ],
)
def test_a_reference_is_found_by_the_end_of_its_key(ref, meant):
    assert one_ref(ref, KEYS) == meant


def test_a_glob_means_all_that_it_matches():
    assert matching_refs("loras/style/*", KEYS) == KEYS[3:5]
    with pytest.raises(AmbiguousError):
        one_ref("loras/style/*", KEYS)


def test_an_end_that_several_share_means_none_of_them():
    with pytest.raises(AmbiguousError) as caught:
        one_ref("base.safetensors", KEYS)
    assert "checkpoints/XL/base.safetensors" in caught.value.message


@pytest.mark.parametrize("ref", ["nothing", "safetensors", "nk.safetensors", "loras", "x/*"])
def test_what_is_no_end_of_a_key_means_nothing(ref):
    with pytest.raises(UnresolvedError):
        one_ref(ref, KEYS)


def test_what_means_nothing_is_answered_with_what_is_near():
    for ref in ("style/washh", "was"):
        with pytest.raises(UnresolvedError) as caught:
            one_ref(ref, KEYS)
        assert "\n  loras/style/wash.safetensors" in caught.value.message
    with pytest.raises(UnresolvedError) as caught:
        one_ref("nothing of the kind", KEYS)
    assert caught.value.message == "no reference is called nothing of the kind"


def test_a_workflow_is_found_by_the_end_of_its_path():
    paths = ("workflows/clip/a.json", "workflows/b.json")
    assert matching_workflows("clip/a.json", paths) == ("workflows/clip/a.json",)
    assert matching_workflows("./workflows/b.json", paths) == ("workflows/b.json",)
    with pytest.raises(UnresolvedError):
        matching_workflows("c.json", paths)
