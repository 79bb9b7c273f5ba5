"""Locks as a stranger's pull request may change them: each is refused, or shown in words.

What is refused is refused before the first request. What is well-formed cannot be refused, as it is
what a lock is for: then `diff` and `install --dry-run` say what is odd about it before anything is
fetched.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from comfylock.artifacts import UrlSource
from comfylock.hashes import Digests
from comfylock.lockfile.model import Evidence, Pin
from comfylock.lockfile.text import render_lock
from tests.world import BRUSH, FALSE, INK, PAPER, PICKLE, Ran, World, bytes_of, lock_of, pin_of

INK_PIN = pin_of(INK)
KEY, PAPER_KEY = "loras/ink.safetensors", "loras/paper.safetensors"
OTHER = Digests(sha256="1" * 64, blake3="2" * 64)
EVIL = UrlSource(url="https://evil.example/ink.safetensors")


def replaced(old: str, new: str) -> Callable[[str], str]:
    """Return an edit of the lock's text, one that must find its place."""

    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


@dataclass(frozen=True, kw_only=True)
class Tampered:
    """One tampered lock.

    Attributes:
        pin: the pin in place of that of ink.
        edit: an edit of the text besides.
        slug: what install refuses it with, ``None`` where it is for a person to see.
        shown: words by which `diff` shows it, if it can be read at all.
        planned: words by which the plan of an install shows it too.
        fetches: whether an install asks for the bytes before it refuses them.
    """

    pin: Pin = INK_PIN
    edit: Callable[[str], str] = lambda text: text
    slug: str | None = None
    shown: str = ""
    planned: str = ""
    fetches: bool = False


def key_of(text: str) -> Tampered:
    return Tampered(edit=replaced(f'[model."{KEY}"]', f'[model."{text}"]'), slug="lock-invalid")


LOCKS = {
    "other bytes under the same ids": Tampered(
        pin=pin_of(INK, digests=OTHER), slug="hash-mismatch", shown="OTHER BYTES", fetches=True
    ),
    "another host with a hash of its own": Tampered(
        pin=pin_of(INK, digests=OTHER, sources=(EVIL,)),
        slug="host-not-allowed",
        shown="host that no model came from before",
    ),
    "another host for the true bytes": Tampered(
        pin=pin_of(INK, sources=(EVIL,)),
        slug="host-not-allowed",
        shown="host that no model came from before",
    ),
    "another model's page": Tampered(
        pin=pin_of(211, KEY), slug="gone", shown="another model page", fetches=True
    ),
    "a pickle": Tampered(
        pin=pin_of(PICKLE, "upscale_models/upscaler.pth", format="pickle"), shown="may run code",
        planned="may run code",
    ),
    "a pickle in disguise": Tampered(
        pin=pin_of(FALSE, KEY), slug="unsafe-format", shown="source: civitai version 11",
        fetches=True,
    ),
    "a file that has grown": Tampered(
        pin=pin_of(BRUSH, KEY, size=10**12), shown="much larger than before"
    ),
    "no source any more": Tampered(
        pin=pin_of(INK, sources=()), slug="no-source", shown="has no source"
    ),
    "one hash less": Tampered(
        pin=pin_of(INK, digests=Digests(sha256=pin_of(INK).digests.sha256)),
        shown="a hash that the old lock had is gone",
    ),
    "a guess": Tampered(
        pin=pin_of(BRUSH, KEY, evidence=Evidence.FILENAME), shown="by its file name alone"
    ),
    "no hash": Tampered(
        edit=lambda text: "\n".join(
            line for line in text.splitlines() if not line.startswith(("sha256", "blake3"))
        ),
        slug="lock-invalid",
    ),
    "a weak hash": Tampered(
        edit=lambda text: "\n".join(
            'autov2 = "4aa2f7b9c1"' if line.startswith("sha256") else line
            for line in text.splitlines()
            if not line.startswith("blake3")
        ),
        slug="lock-invalid",
    ),
    "a size that is no number": Tampered(
        edit=replaced(f"size = {pin_of(INK).size}", "size = true"), slug="lock-invalid"
    ),
    "up and away": key_of("loras/../../x.safetensors"),
    "from the root": key_of("/etc/x.safetensors"),
    "the state folder": key_of("loras/.comfylock/x.safetensors"),
    "code": key_of("custom_nodes/x.py"),
    "code by extension": key_of("loras/x.py"),
    "a folder that nothing loads from": Tampered(
        edit=replaced(f'[model."{KEY}"]', '[model."custom_nodes/x.safetensors"]'),
        slug="lock-invalid", shown="+ custom_nodes/x.safetensors",
    ),
    "a drive": key_of("loras/C:/x.safetensors"),
    "a device": key_of("loras/con.safetensors"),
    "a name that prints as another": key_of("loras/x\\u202E.safetensors"),
    "a name twice in other letters": Tampered(
        edit=replaced(f'[model."{PAPER_KEY}"]', '[model."loras/INK.safetensors"]'),
        slug="lock-invalid",
    ),
    "an alias that leads away": Tampered(
        edit=replaced("sources = [", 'aliases = ["..\\\\..\\\\ink.safetensors"]\nsources = ['),
        slug="lock-invalid",
    ),
    "a plain address": Tampered(
        pin=pin_of(INK, sources=(EVIL,)), edit=replaced("https://evil", "http://evil"),
        slug="lock-invalid",
    ),
    "an address with a password": Tampered(
        pin=pin_of(INK, sources=(EVIL,)), edit=replaced("https://", "https://civitai.com@"),
        slug="lock-invalid",
    ),
    "a file address": Tampered(
        pin=pin_of(INK, sources=(EVIL,)), edit=replaced("https://evil.example", "file:///etc"),
        slug="lock-invalid",
    ),
    "inputs from the root": Tampered(
        edit=replaced("version = 1", 'version = 1\ninputs = ["/etc"]'), slug="lock-invalid"
    ),
    "a workflow above": Tampered(
        edit=lambda text: f'{text}\n[workflow."../../x.json"]\nmodels = []\n', slug="lock-invalid"
    ),
}  # fmt: skip


def tamper(world: World, case: Tampered) -> None:
    true = render_lock(lock_of(pin_of(INK), pin_of(PAPER)))
    (world.project / "true.lock").write_text(true, "utf-8")
    text = render_lock(lock_of(case.pin, pin_of(PAPER)))
    world.lock_path.write_text(case.edit(text), "utf-8")


def refused(ran: Ran, slug: str) -> None:
    assert ran.code == (2 if slug == "lock-invalid" else 1), ran.text
    assert f"error[{slug}]" in ran.err
    assert "hint:" in ran.err


@pytest.mark.parametrize("name", LOCKS)
def test_a_tampered_lock_is_refused_or_shown(world: World, name: str) -> None:
    case = LOCKS[name]
    tamper(world, case)
    changes = world.here("diff", "true.lock", "comfy.lock")
    plan = world.here("install", "--dry-run")
    assert world.hub.requests == ()
    if case.shown:
        assert case.shown in changes.out, changes.text
    else:
        refused(changes, "lock-invalid")
    assert case.planned in plan.err
    ran = world.here("install")
    assert bool(world.downloads()) is (case.slug != "lock-invalid"), ran.text
    if case.slug is not None:
        refused(ran, case.slug)
        assert bytes_of(INK) not in world.files().values()
        assert set(world.files()) <= {PAPER_KEY}
    # Without a fetch the refusal is in the plan already.
    if case.slug is not None and not case.fetches:
        refused(plan, case.slug)
    outside = [path for path in world.root.rglob("x.*") if "models" not in path.parts]
    assert outside == []
