import json
from pathlib import Path

import pytest

import comfylock.folders
from comfylock.errors import ConfigInvalidError
from comfylock.folders import (
    KNOWN_FOLDERS,
    InputKind,
    is_known_folder,
    is_none_value,
    load_node_table,
    suggested_folder,
)
from comfylock.names import LEGACY_FOLDERS, unsafe_reason

TABLE = load_node_table()
ROWS = [(name, row) for name in TABLE.built_in for row in TABLE.rows(name)]


def test_core_loaders_are_known():
    (row,) = TABLE.rows("CheckpointLoaderSimple")
    assert (row.input, row.index, row.folder) == ("ckpt_name", 0, "checkpoints")


def test_unknown_classes_have_no_rows():
    assert TABLE.rows("KSampler") == ()


def test_every_folder_of_the_tables_may_begin_a_key():
    for name, row in ROWS:
        for folder in (row.folder, *row.also):
            if folder is not None:
                assert is_known_folder(folder), name
                assert unsafe_reason(f"{folder}/x.safetensors") is None, name


def test_the_tables_use_present_folder_names():
    used = {folder for _, row in ROWS for folder in (row.folder, *row.also)}
    assert used.isdisjoint(LEGACY_FOLDERS)
    assert KNOWN_FOLDERS.isdisjoint({*LEGACY_FOLDERS, "custom_nodes"})


def test_no_two_rows_of_a_class_claim_one_position():
    for name in TABLE.built_in:
        known = [
            row.index
            for row in TABLE.rows(name)
            if row.index is not None and row.kind is not InputKind.INDEXED
        ]
        assert len(known) == len(set(known)), name


def test_the_tables_name_their_source():
    for path in (Path(comfylock.folders.__file__).parent / "tables").glob("*.json"):
        assert json.loads(path.read_text("utf-8"))["source"], path.name


def test_the_users_folders_are_known_folders():
    extra = {"MyLoader.model": "my_models"}
    assert not is_known_folder("my_models")
    assert is_known_folder("my_models", extra)
    assert is_known_folder("clip")
    assert is_known_folder("xlabs/loras")
    assert not is_known_folder("custom_nodes")


def test_old_names_in_the_users_folders_are_made_new():
    table = load_node_table({"MyLoader.model": "unet"})
    assert [row.folder for row in table.rows("MyLoader")] == ["diffusion_models"]


def test_a_class_name_may_hold_dots():
    table = load_node_table({"Wan2.1 Loader.lora.*.name": "loras"})
    (row,) = table.rows("Wan2.1 Loader")
    assert row.matches("lora.3.name")
    assert not row.matches("vae.3.name")


@pytest.mark.parametrize(
    ("name", "folder"),
    [("MyLoader", "loras"), (".x", "loras"), ("A.b", "../up"), ("A.b", ""), ("A.b", "C:")],
)
def test_entries_that_make_no_sense_are_told(name, folder):
    with pytest.raises(ConfigInvalidError, match=r"\[folders\]"):
        load_node_table({name: folder})


def test_words_for_none_are_known_in_any_case():
    for value in ("None", " none ", "BAKED VAE", ""):
        assert is_none_value(value)
    assert not is_none_value("nonesuch.pt")


def test_names_of_inputs_suggest_folders():
    assert suggested_folder("my_LoRA_3") == "loras"
    assert suggested_folder("control_net_name") == "controlnet"
    assert suggested_folder("file") is None
