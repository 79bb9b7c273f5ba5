"""`comfylock search`: what a person types, and the ids that `pin` takes."""

import pytest

from comfylock.report.columns import aligned
from tests.shop import SHOP
from tests.standin.catalogue import file, model, version
from tests.standin.server import Standin


@pytest.fixture
def hub():
    with Standin(SHOP) as standin:
        yield standin


def found(world, *arguments):
    """The (version, file) of each candidate."""
    document = world.here("search", *arguments, "--json").document
    return [(one["version"], one["file"]) for one in document["candidates"]]


def test_words_find_files_and_each_line_begins_with_what_pin_takes(world):
    ran = world.here("search", "ink wash")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split()[0].startswith("civitai:1")
    assert any("ink_two.safetensors" in line and "SDXL 1.0" in line for line in lines)
    assert ran.err == "Found 4 files\n"


def test_columns_stay_aligned_beside_long_and_wide_names():
    rows = [("a", "x" * 60, "1"), ("日本", "y", "2"), ("e\u0301", "zz", "3")]
    assert aligned(rows) == [
        f"a     {'x' * 60}  1",
        "日本  y   2",
        "e\u0301     zz  3",
    ]


def test_the_json_has_the_promised_fields(world):
    document = world.here("search", "civitai:12", "--json").document
    shelf = SHOP.shelf(121)
    (one,) = document["candidates"]
    promised = {
        "model": 1,
        "version": 12,
        "file": 121,
        "name": "Ink Wash / v2",
        "file_name": "ink_two.safetensors",
        "type": "LORA",
        "base_model": "SDXL 1.0",
        "size": 5000,
        "sha256": shelf.file.sha256,
        "blake3": shelf.file.blake3,
    }
    assert {name: one[name] for name in promised} == promised
    assert document["command"] == "search"
    assert document["ok"] is True
    assert document["summary"] == {"candidates": 1, "left_out": 0}


@pytest.mark.parametrize(
    "text",
    [
        "civitai:12",
        "urn:air:sdxl:lora:civitai:1@12",
        "https://civitai.com/models/1/ink-wash?modelVersionId=12",
        "https://civitai.com/api/download/models/12",
    ],
)
def test_an_address_finds_the_files_of_its_version(world, text):
    assert found(world, text) == [(12, 121)]


def test_a_hash_of_any_kind_finds_its_file_only(world):
    """A version with two files answers with both; only one has the hash."""
    file = SHOP.file(212)
    for digest in (file.sha256, f"sha256:{file.sha256}", file.blake3, file.sha256[:10].upper()):
        assert found(world, digest) == [(21, 212)]


def test_a_file_name_is_taken_apart_and_the_exact_one_comes_first(world):
    assert found(world, "ink_two.safetensors")[0] == (12, 121)
    assert found(world, "meadow_v2")[0][0] == 22


def test_a_type_and_a_limit_narrow_the_answer(world):
    assert found(world, "ink wash", "--type", "checkpoint") == []
    assert len(found(world, "ink wash", "--type", "lora", "--limit", "2")) == 2
    assert "2 more with --limit" in world.here("search", "ink wash", "--limit", "2").err


def test_words_need_no_quotes(world):
    assert found(world, "ink", "wash") == found(world, "ink wash")


def test_nothing_found_is_a_no(world):
    ran = world.here("search", "nothing of that kind")
    assert ran.code == 1
    assert ran.err.startswith("error[unresolved]: Civitai shows nothing for nothing of that kind")
    document = world.here("search", "nothing of that kind", "--json").document
    assert document["candidates"] == []
    assert document["errors"][0]["slug"] == "unresolved"


def test_nothing_of_a_type_is_told_with_the_type(world):
    ran = world.here("search", "ink wash", "--type", "Lora!")
    assert ran.code == 1
    assert "Civitai shows nothing of type Lora! for ink wash" in ran.err
    assert "leave out --type" in ran.err


def test_an_absurdly_long_text_is_cut_in_the_question_and_in_the_answer(world):
    ran = world.here("search", "x" * 5000)
    assert ran.code == 1
    assert len(ran.err) < 600
    assert max(len(one.query) for one in world.hub.requests) < 300


def test_a_page_that_only_one_browsing_mode_lists_is_found_by_its_address(world):
    hidden = model(
        9, "Tagged", "LORA", tags=["hidden with nsfw"],
        versions=[version(91, "v1", files=[file(911, "tagged.safetensors")])],
    )  # fmt: skip
    world.hub.replace(SHOP.with_model(hidden))
    assert found(world, "https://civitai.com/models/9") == [(91, 911)]


def test_a_hub_that_cannot_be_asked_is_not_nothing_found(world):
    ran = world.here("search", "meadow", "--offline")
    assert ran.code == 2
    assert "error[offline]" in ran.err


def test_control_characters_of_a_name_are_shown_escaped(world):
    assert "\x1b" not in world.here("search", "\x1b[31mred").text
