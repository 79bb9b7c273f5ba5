"""Answers of the API in the shapes that were recorded, and in any other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.civitai.payloads import (
    parse_model,
    parse_search,
    parse_version,
    parse_versions,
    slimmed,
)

SHA = "96A7FB4ABC026B628EC2C28FB91086A5F5557AA14244EC329581B27CB53096CD"
BLAKE = "D4BB12C33C43866BAA1FB085A51CB3ED575972AEA5DED46FD3541F568F7FFC80"


def file(**changes: object) -> dict[str, object]:
    return {
        "id": 21,
        "sizeKB": 223231.3515625,
        "name": "Ink_Wash.safetensors",
        "type": "Model",
        "pickleScanResult": "Success",
        "virusScanResult": "Success",
        "hashes": {"AutoV2": SHA[:10], "SHA256": SHA, "BLAKE3": BLAKE},
        "downloadUrl": "https://civitai.com/api/download/models/11",
        **changes,
    }


def version(**changes: object) -> dict[str, object]:
    return {
        "id": 11,
        "modelId": 1,
        "name": "v1",
        "baseModel": "SDXL 1.0",
        "publishedAt": "2026-08-11T21:25:04.626Z",
        "stats": {"downloadCount": 2},
        "model": {"name": "Ink Wash", "type": "LORA"},
        "files": [file()],
        **changes,
    }


def only(**changes: object):
    parsed = parse_version(version(files=[file(**changes)]))
    assert parsed is not None
    return parsed.files[0]


def test_version_object_is_read():
    parsed = parse_version(version())
    assert parsed is not None
    assert (parsed.model, parsed.version, parsed.name, parsed.model_name) == (
        1,
        11,
        "v1",
        "Ink Wash",
    )
    [one] = parsed.files
    assert (one.source.model, one.source.version, one.source.file) == (1, 11, 21)
    assert one.digests.sha256 == SHA.lower()
    assert one.digests.blake3 == BLAKE.lower()
    assert one.size_hint == 228588904
    assert (one.model_type, one.file_type, one.base_model) == ("LORA", "Model", "SDXL 1.0")
    assert (one.downloads, one.unsafe) == (2, False)


def test_list_item_hands_the_model_down():
    bare = {key: value for key, value in version().items() if key not in {"modelId", "model"}}
    item = {"id": 7, "name": "Ink Wash", "type": "LORA", "modelVersions": [bare, None, 3]}
    [parsed] = parse_model(item)
    assert (parsed.model, parsed.model_name) == (7, "Ink Wash")
    assert parsed.files[0].model_type == "LORA"


@pytest.mark.parametrize("cursor", ["20", 20])
def test_cursor_is_a_text_or_a_number(cursor: object):
    assert parse_search({"items": [], "metadata": {"nextCursor": cursor}}).cursor == "20"


@pytest.mark.parametrize("metadata", [{}, None, {"nextCursor": None}, {"nextCursor": ""}])
def test_last_page_has_no_cursor(metadata: object):
    assert parse_search({"items": [], "metadata": metadata}).cursor is None


def test_batch_may_hold_nulls_and_repetitions():
    assert len(parse_versions([None, version(), version(), {}, "x"])) == 2


def test_files_and_everything_else_may_be_missing():
    """The answer for one model drops null values and empty lists."""
    parsed = parse_version({"id": 11, "modelId": 1})
    assert parsed is not None
    assert parsed.files == ()
    bare = parse_version({"id": 11, "modelId": 1, "files": [{"id": 2}]})
    assert bare is not None
    assert (bare.files[0].size_hint, bool(bare.files[0].digests)) == (None, False)


@pytest.mark.parametrize(
    "hashes", [{}, None, [], {"SHA256": None}, {"SHA256": SHA[:10]}, {"AutoV2": SHA[:10]}]
)
def test_short_and_missing_hashes_identify_nothing(hashes: object):
    assert not only(hashes=hashes).digests


@pytest.mark.parametrize(
    ("kib", "size"),
    [
        (6775732.4609375, 6938350040),
        (2, 2048),
        (2034.56, None),
        (0, None),
        (-1, None),
        (True, None),
        ("12", None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
        (10**400, None),
    ],
)
def test_size_counts_only_where_it_is_a_whole_number_of_bytes(kib: object, size: int | None):
    assert only(sizeKB=kib).size_hint == size


@pytest.mark.parametrize("scan", ["pickleScanResult", "virusScanResult"])
@pytest.mark.parametrize(
    ("result", "unsafe"), [("Danger", True), ("Pending", False), (None, False)]
)
def test_danger_of_either_scan_counts(scan: str, result: object, unsafe: bool):
    assert only(**{scan: result}).unsafe is unsafe


@pytest.mark.parametrize("number", [None, True, 0, -1, 1.5, "x", "", 2**60, [], {}])
def test_entries_without_an_id_are_left_out(number: object):
    assert parse_version(version(id=number)) is None
    parsed = parse_version(version(files=[file(id=number), file()]))
    assert parsed is not None
    assert len(parsed.files) == 1


def test_numbers_as_text_and_text_as_numbers_are_understood():
    assert only(id="21").source.file == 21
    assert only(name=42).file_name == "42"


def test_vae_of_another_version_is_not_offered():
    """Its id cannot be fetched under this version."""
    linked = file(type="VAE", downloadUrl="https://civitai.com/api/download/models/11?type=VAE")
    own = file(id=22, type="VAE", downloadUrl="https://x/api/download/models/11?fileId=22")
    checkpoint = {"name": "M", "type": "Checkpoint"}
    parsed = parse_version(version(model=checkpoint, files=[linked, own]))
    assert parsed is not None
    assert [one.source.file for one in parsed.files] == [22]
    [listed] = parse_model(
        {"id": 1, "type": "Checkpoint", "modelVersions": [version(files=[linked], vaeId=None)]}
    )
    assert len(listed.files) == 1


def test_addresses_in_the_answer_are_never_used():
    before, after = (
        only(),
        only(downloadUrl="https://undefined/api/download/models/11", primary=True),
    )
    assert before == after


def test_slimmed_answer_reads_the_same():
    answer = {
        "items": [
            {"id": 1, "name": "M", "description": "<p>", "images": [1],
             "modelVersions": [version(images=[{"url": "x"}], description="long")]},
        ],
        "metadata": {"nextCursor": "2"},
    }  # fmt: skip
    slim = slimmed(answer)
    assert "images" not in str(slim)
    assert "long" not in str(slim)
    assert parse_search(slim) == parse_search(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "modelId", "model", "files", "hashes", "SHA256", "sizeKB", "name", "stats",
                 "type", "items", "metadata", "nextCursor", "modelVersions", "downloadUrl"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)  # fmt: skip


@given(JSON)
def test_no_json_makes_the_parser_raise(answer: object):
    parse_version(answer)
    parse_versions(answer)
    parse_model(answer)
    parse_search(answer)
    assert parse_search(slimmed(answer)) == parse_search(answer)


@given(JSON, JSON)
def test_odd_values_within_a_sound_frame_do_no_harm(odd: object, other: object):
    parsed = parse_version(version(files=[file(hashes=odd, sizeKB=other, name=odd, type=other)]))
    assert parsed is not None
    assert len(parsed.files) == 1
