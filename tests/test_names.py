"""Names from strangers: what may become a path, and how names are spelled and shown."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.names import (
    MAX_KEY_CHARACTERS,
    MAX_SEGMENT_BYTES,
    canonical_folder,
    collision_form,
    extension,
    is_pickle,
    normalised_name,
    shown,
    split_key,
    unsafe_reason,
)

HOSTILE = [
    "../x", "../../x", "a/../../x", "..\\x", "a\\..\\..\\x", "/etc/x", "//x", "$HOME/../x",
    "C:\\x", "C:x", "\\\\srv\\s\\x", "\\\\?\\C:\\x", "file:///x", "a:b", "a::$DATA", "CON/x",
    "con", "NUL", "COM1", "COM¹", "LPT9", "CONIN$", "CONOUT$", "AUX", "aux.v1", "a./x", "a /x",
    "./x", "a/..", "a//b", "a/./b", ".comfylock/x", ".COMFYLOCK/x", "a\0b", "a\nb", "a\rb", "a\tb",
    "a\x1b]0;t\x07", "a\x9b31m", "a\x7f", "a\u202egpj", "a\u200bb", "a\ufeff", "\ud800", "\udc80",
    "a*", "a?", "a|b", "a<b", 'a"b', "\u2028", "\ue000", "x" * MAX_KEY_CHARACTERS,
    "模" * (MAX_SEGMENT_BYTES // 3 + 1),
    "e\u0301",
]  # fmt: skip

HARMLESS = [
    "x", "SDXL/x", "a b", "a'b", "`id`", "$(id)", ";id", "&id", "!id", "#x", "[red]x[/red]",
    "-rf", "--help", "@file", "~root", "模型/水墨", "é", "x.y", "v1.5", "a..b", "COM10", "console",
    "put_models_here", "(1)", "con fused",
    "x" * (MAX_KEY_CHARACTERS - len("loras/.safetensors")),
    "模" * ((MAX_SEGMENT_BYTES - len(".safetensors")) // 3),
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(name: str) -> None:
    assert unsafe_reason(f"loras/{name}/x.safetensors") is not None
    assert unsafe_reason(f"loras/{name}") is not None


@pytest.mark.parametrize("name", HARMLESS)
def test_strange_but_harmless_names_are_taken(name: str) -> None:
    assert unsafe_reason(f"loras/{name}.safetensors") is None


@pytest.mark.parametrize(
    "key",
    [
        "", "loras", "loras/", "/x.safetensors", "../x.safetensors", "./x.safetensors",
        "lo ras/x.safetensors", "NUL/x.safetensors", "loras/x", "loras/x.sh",
        "loras/x.safetensors/", "loras/.safetensors", "loras/x.safetensors ",
        "loras/x.safetensors.", "loras/comfy.lock",
        "loras/x.py", ".git/x.safetensors", "loras/" + "a/" * 120 + "x.safetensors",
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(key: str) -> None:
    assert unsafe_reason(key) is not None


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_safe_key_stays_below_its_folder_by_the_rules_of_both_systems(
    folder: str, name: str
) -> None:
    key = f"{folder}/{name}.safetensors"
    if unsafe_reason(key) is not None:
        return
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind("/models", key) if kind is PurePosixPath else kind("C:/models", key)
        assert kind is PurePosixPath or path.drive == "C:"
        assert ".." not in path.parts
        assert path.parts[-1] == key.rpartition("/")[2]
        assert len(path.parts) == len(kind("/models").parts) + key.count("/") + 1
    assert key.encode()
    assert unicodedata.is_normalized("NFC", key)


@given(st.text(max_size=60))
def test_what_is_shown_cannot_move_the_cursor(text: str) -> None:
    printed = shown(text)
    assert all(unicodedata.category(one) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for one in printed)
    assert printed.encode("utf-8", "strict") is not None
    assert shown(printed) == printed


def test_spellings() -> None:
    assert normalised_name("SDXL\\e\u0301.safetensors") == "SDXL/é.safetensors"
    assert canonical_folder("unet") == "diffusion_models"
    assert canonical_folder("loras") == "loras"
    assert split_key("loras/a/b.pt") == ("loras", "a/b.pt")
    assert split_key("loras") == ("loras", "")
    assert shown("a\x1b[31m\u202e") == "a\\x1b[31m\\u202e"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.SafeTensors", ".safetensors"),
        ("v1.5", ""),
        (".pt", ""),
        ("a.b/c", ""),
        ("x.pt2", ".pt2"),
    ],
)
def test_only_a_model_extension_counts(name: str, found: str) -> None:
    assert extension(name) == found


def test_formats_that_run_code() -> None:
    assert [is_pickle(name) for name in ("a.PT", "a.ckpt", "a.safetensors", "a.gguf")] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("loras/Model.pt", "loras/model.pt"),
        ("loras/é.pt", "loras/e\u0301.pt"),
        ("loras/ß.pt", "loras/ss.pt"),
        ("loras/\u212a.pt", "loras/k.pt"),
        ("loras/\ufb01.pt", "loras/fi.pt"),
    ],
)
def test_names_that_are_one_file_on_some_disk(one: str, other: str) -> None:
    assert collision_form(one) == collision_form(other)
