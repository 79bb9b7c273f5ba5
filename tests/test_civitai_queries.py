"""What the search is asked for names that workflows really hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.candidates import stem
from comfylock.civitai.queries import Mode, Stage, plan_queries, plan_text, search_words
from comfylock.matching import most_alike, name_words, split_words


@pytest.mark.parametrize(
    ("name", "folder", "words"),
    [
        ("juggernautXL_v9Rdphoto2Lightning.safetensors", "checkpoints", "juggernaut XL"),
        ("waiIllustriousSDXL_v160.safetensors", "checkpoints", "wai Illustrious SDXL"),
        ("animagineXL40_v4Opt.safetensors", "checkpoints", "animagine XL"),
        ("dreamshaper_8.safetensors", "checkpoints", "dreamshaper"),
        ("flux_dev.safetensors", "checkpoints", "flux"),
        ("ponyDiffusionV6XL_v6StartWithThisOne.safetensors", "checkpoints", "pony Diffusion XL"),
        ("cyberrealisticZImage_v80.safetensors", "checkpoints", "cyberrealistic Z Image"),
        ("waiANIMA_v10Base10.safetensors", "diffusion_models", "wai ANIMA"),
        ("realvisxlV50_v50LightningBakedvae.safetensors", "checkpoints", "realvisxl"),
        ("v1-5-pruned-emaonly.safetensors", "checkpoints", "v"),
        ("sd_xl_base_1.0.safetensors", "checkpoints", "sd"),
        ("_leading_x.safetensors", "checkpoints", "leading"),
        ("add_detail.safetensors", "loras", "add detail"),
        ("my-face-v3.safetensors", "loras", "my face"),
        ("SDXL\\lcm-lora-sdxl.safetensors", "loras", "lcm lora sdxl"),
        ("more_details.safetensors", "loras", "more details"),
        ("Pocahontas_Krea2_byKonan.safetensors", "loras", "Pocahontas Krea by Konan"),
        ("epiNoiseoffset_v2.safetensors", "loras", "epi Noiseoffset"),
        ("EasyNegative", "embeddings", "Easy Negative"),
        ("4x-UltraSharp.pth", "upscale_models", "4 x Ultra Sharp"),
        ("clip_l.safetensors", "text_encoders", "clip l"),
        ("水墨_ink.safetensors", "loras", "水墨 ink"),
    ],
)
def test_words_of_real_names(name: str, folder: str, words: str):
    assert search_words(name, folder) == words


def test_checkpoint_is_asked_in_both_modes_then_with_fewer_words_then_without_types():
    plan = plan_queries("ponyDiffusionV6XL_v6.safetensors", "checkpoints")
    asked = [(one.text, one.types, one.mode, one.stage) for one in plan]
    both = [Mode.ALL_RATINGS, Mode.GENERAL]
    assert asked == [
        *[("pony Diffusion XL", ("Checkpoint",), mode, Stage.MAIN) for mode in both],
        *[("pony Diffusion", ("Checkpoint",), mode, Stage.MORE) for mode in both],
        *[("pony", ("Checkpoint",), mode, Stage.MORE) for mode in both],
        *[("pony Diffusion XL", (), mode, Stage.LAST) for mode in both],
    ]


def test_names_of_uploaders_are_asked_by_their_later_words_too():
    """The first word is never dropped by the search, and it may be missing in the model's name."""
    texts = {one.text for one in plan_queries("zzz_ink_wash.safetensors", "loras")}
    assert texts == {"zzz ink wash", "zzz ink", "zzz", "ink wash"}


def test_unknown_folder_is_asked_without_types():
    plan = plan_queries("x_y.safetensors", "ipadapter")
    assert {one.types for one in plan} == {()}


def test_types_are_repeated_and_only_one_mode_says_nsfw():
    plan = plan_queries("add_detail.safetensors", "loras")
    assert plan[0].params() == [
        ("query", "add detail"),
        ("types", "LORA"),
        ("types", "LoCon"),
        ("types", "DoRA"),
        ("nsfw", "true"),
        ("limit", "100"),
    ]
    assert "nsfw" not in dict(plan[1].params())
    assert dict(plan[1].params("20"))["cursor"] == "20"


def test_free_text_is_asked_as_it_is():
    assert [one.text for one in plan_text("  Ink   Wash ")] == ["Ink Wash", "Ink Wash"]
    assert plan_text(" ") == ()


@given(st.text(max_size=80))
def test_first_word_is_kept_and_the_plan_is_bounded(name: str):
    words = split_words(name)
    assert name_words(name)[:1] == words[:1]
    plan = plan_queries(name, "checkpoints")
    assert len(plan) <= 10
    for query in plan:
        assert 0 < len(query.text.split()) <= 10


@given(st.text(max_size=60))
def test_words_are_parts_of_the_name_in_order(name: str):
    place = 0
    for word in split_words(name):
        found = name.find(word, place)
        assert found >= 0
        place = found + len(word)


def test_stem_drops_model_extensions_only():
    assert stem("a\\b/v1.5") == "v1.5"
    assert stem("a/B.SafeTensors") == "B"


def test_like_names_are_proposed_best_first():
    names = ["something else", "detail_add", "add_detail_v2", "add_details"]
    proposed = [names[place] for place in most_alike("add_detail", names)]
    assert proposed[0] == "add_details"
    assert "something else" not in proposed
