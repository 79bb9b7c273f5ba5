"""The table of well-known files: its rules hold for every row, and it never speaks out of place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock import known
from comfylock.addresses import CivitaiAddress, HuggingFaceAddress, PlainAddress
from comfylock.known import KnownFiles, load_known_files
from comfylock.names import basename, canonical_folder, extension, unsafe_reason
from tests.tools.known_models import GENERIC, Fact, table, template_facts

TABLE = load_known_files()
ROWS = [(folder, name) for folder, row in TABLE.rows.items() for name in row]
FILE = Path(known.__file__).parent / "tables" / "known_models.json"


def test_every_row_names_a_place_for_a_name_that_could_be_locked():
    assert len(ROWS) > 700
    for folder, name in ROWS:
        entry = TABLE.get(folder, name)
        assert entry is not None
        assert entry.places, (folder, name)
        assert unsafe_reason(f"{folder}/{name}") is None
        assert (name, folder) == (basename(name).lower(), canonical_folder(folder))
        assert extension(name)
        assert not GENERIC.fullmatch(name)


def test_every_place_is_understood_and_exact_enough():
    for folder, name in ROWS:
        row = TABLE.rows[folder][name]
        words = [row] if isinstance(row, str) else row
        entry = TABLE.get(folder, name)
        assert entry is not None
        assert len(entry.places) + (entry.sha256 is not None) == len(words), (folder, name)
        for place in entry.places:
            match place:
                case HuggingFaceAddress(file=file):
                    assert extension(file) == extension(name)
                case CivitaiAddress(version=version):
                    assert version is not None
                case PlainAddress(url=url):
                    assert url.startswith("https://")


def test_table_is_dated_and_small():
    assert TABLE.date >= "2026-09"
    assert FILE.stat().st_size < 250_000


def test_well_known_names_are_there():
    for key in (
        "vae/ae.safetensors",
        "upscale_models/4x-UltraSharp.pth",
        "text_encoders/t5xxl_fp16.safetensors",
        "text_encoders/clip_l.safetensors",
        "clip_vision/clip_vision_h.safetensors",
        "sams/sam_vit_b_01ec64.pth",
        "ultralytics/bbox/face_yolov8m.pt",
    ):
        folder, _, name = key.partition("/")
        assert TABLE.get(folder, basename(name)) is not None, key


@given(st.sampled_from(ROWS), st.sampled_from(sorted(TABLE.rows)))
def test_name_is_never_known_in_a_folder_that_the_table_does_not_put_it_in(
    row: tuple[str, str], folder: str
):
    _, name = row
    assert (TABLE.get(folder, name.upper()) is not None) == ((folder, name) in set(ROWS))


@given(st.sampled_from(ROWS), st.text(max_size=3), st.text(max_size=3))
def test_only_the_whole_name_is_known(row: tuple[str, str], before: str, behind: str):
    folder, name = row
    changed = f"{before}{name}{behind}"
    if changed.lower() not in TABLE.rows[folder]:
        assert TABLE.get(folder, changed) is None


def test_templates_of_today_are_all_in_the_table_but_for_generic_names():
    """What ComfyUI's own templates declare is there, so the table was made from these packages."""
    named = {(one.folder, one.name) for one in template_facts()}
    assert len(named) > 340
    assert named <= set(ROWS)


def fact(name: str = "a.pth", place: str = "hf:a/b:a.pth", sha256: str | None = None) -> Fact:
    return Fact(folder="vae", name=name, place=place, sha256=sha256)


def test_word_of_the_templates_comes_before_the_other_list():
    assert table([fact()], [fact(place="hf:c/d:a.pth")]) == {"vae": {"a.pth": "hf:a/b:a.pth"}}


def test_names_that_only_the_other_list_knows_need_one_place():
    two = [fact(), fact(place="hf:c/d:a.pth")]
    assert table([], two) == {}
    assert table(two, []) == {"vae": {"a.pth": ["hf:a/b:a.pth", "hf:c/d:a.pth"]}}


def test_name_with_two_hashes_is_left_out():
    assert table([fact(sha256="a" * 64), fact(sha256="b" * 64)], []) == {}


@pytest.mark.parametrize(
    "name",
    [
        "diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.fp16.safetensors",
        "model-00001-of-00005.safetensors",
        "pytorch_model.bin",
        "decoder.pt",
    ],
)
def test_generic_names_are_recognised(name: str):
    assert GENERIC.fullmatch(name)
    assert KnownFiles().get("vae", name) is None
