"""Edits of comfylock.toml: the text says the new word, and nothing else has changed."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.config import ModelWish
from comfylock.errors import ConfigInvalidError
from comfylock.projectfile import with_ignored, with_wish, without_wish

PIN = ModelWish(pin="civitai:1/2")

TEXTS = [
    "",
    "# only a comment\n",
    "workflows = ['a']",
    "\n\n[lock]\nformats = 'warn'\n",
    '[models."loras/a.pt"]\npin = "civitai:7"\n',
    '[models."loras/a.pt"]  # head\npin = "civitai:7"  # old\n# tail\n\n# of lock\n[lock]\n',
    '[models]\n"loras/a.pt" = { pin = "civitai:7" }\n"loras/b.pt".pin = "civitai:8"\n',
    "models = {}\n",
    'models.x.pin = "civitai:2"\n',
    '[models."loras/a.pt"]\npin = "7"\n[ignore]\nrefs = []\n[models."loras/b.pt"]\nlocal = true\n',
    '[ignore]\nrefs = ["loras/None"]  # none\n\n[folders]\n"A.b" = "loras"\n',
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_wish_comes_and_goes_and_leaves_the_text_as_it_was(text):
    """Up to blank lines at the end: the comments, their places and all values are the same."""
    before = tomllib.loads(text)
    changed = with_wish(text, "vae/new file.safetensors", PIN)
    after = tomllib.loads(changed)
    assert after["models"].pop("vae/new file.safetensors") == {"pin": "civitai:1/2"}
    assert {**after, "models": after["models"] or None} == {
        **before,
        "models": before.get("models") or None,
    }
    left = without_wish(changed, "vae/new file.safetensors")
    comments = [line for line in text.splitlines() if "#" in line]
    assert [line for line in left.splitlines() if "#" in line] == comments
    assert with_wish(changed, "vae/new file.safetensors", PIN) == changed


@pytest.mark.parametrize("text", TEXTS)
def test_more_is_ignored_once(text):
    changed = with_ignored(text, ("loras/x", "loras/wip/*"))
    refs = tomllib.loads(changed)["ignore"]["refs"]
    assert refs[-2:] == ["loras/x", "loras/wip/*"]
    assert with_ignored(changed, ("loras/x",)) == changed


def test_an_older_word_is_replaced_where_it_stands():
    text = '[models."unet/a.gguf"]\npin = "https://x.org/a.gguf"\nsha256 = "ab"\n\n[lock]\n'
    changed = with_wish(text, "diffusion_models/a.gguf", PIN)
    assert changed == '[models."unet/a.gguf"]\npin = "civitai:1/2"\n\n[lock]\n'
    local = with_wish(changed, "diffusion_models/a.gguf", ModelWish(local=True))
    assert tomllib.loads(local)["models"] == {"unet/a.gguf": {"local": True}}


def test_the_ends_of_lines_stay_as_they_are():
    changed = with_wish("# a\r\nworkflows = ['a']\r\n", "loras/a.pt", PIN)
    assert "\n" not in changed.replace("\r\n", "")


@pytest.mark.parametrize("text", ["models = 3\n", "ignore = 3\nmodels = []\n", "a = [\n"])
def test_a_text_of_another_shape_is_refused(text):
    with pytest.raises(ConfigInvalidError):
        with_wish(text, "loras/a.pt", PIN)


@given(name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_every_name_can_be_said(name):
    key = f"loras/{name}"
    changed = with_wish('# top\n[lock]\nformats = "warn"\n', key, PIN)
    found = tomllib.loads(changed)["models"]
    assert list(found.values()) == [{"pin": "civitai:1/2"}]
    assert list(found) == [key]
