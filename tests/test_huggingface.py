"""Files from Hugging Face, from the workflow to the models folder, with both hubs at hand."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.standin.server import Standin
from tests.standin_hf.repositories import Shelves, hub_file, repository
from tests.standin_hf.server import Fault, HuggingFaceStandin, keys_seen
from tests.workflows import node, ui, write
from tests.world import INK, SHELVES, Ran, World, bytes_of

CANARY = "hf-canary-51c09a"
VAE = hub_file("ae.safetensors", size=40_000)
DIT = hub_file("dit.safetensors", size=90_000)
SMALL = hub_file("small.pt", size=700, lfs=False)
SHARP = hub_file("4x-UltraSharp.pth", size=5_000)
LOCKED = hub_file("licensed.safetensors", size=20_000)


def shelves() -> Shelves:
    return Shelves.of(
        repository("Org/vae", {"split/ae.safetensors": VAE, "small.pt": SMALL}),
        repository("Copy/vae", {"ae.safetensors": VAE}),
        repository("Org/dit", {"dit.safetensors": DIT}),
        repository("Kim2091/UltraSharp", {"4x-UltraSharp.pth": SHARP}),
        repository("Org/licensed", {"licensed.safetensors": LOCKED}, gated=True, granted=(CANARY,)),
        repository(
            "Org/closed",
            {"licensed.safetensors": LOCKED},
            gated=True,
            metadata_gated=True,
            granted=(CANARY,),
        ),
        repository("Org/hidden", {"licensed.safetensors": LOCKED}, private=True, granted=(CANARY,)),
        renamed={"Old/dit": "Org/dit"},
    )


def declared(name: str, directory: str, *urls: str, **more: str) -> list[dict[str, str]]:
    return [{"name": name, "directory": directory, "url": url} | more for url in urls]


def at(repo: str, file: str, revision: str = "main") -> str:
    return f"https://huggingface.co/{repo}/resolve/{revision}/{file}"


def loads(type_: str, name: str, models: list[dict[str, str]]) -> dict[str, Any]:
    loader: dict[str, Any] = node(len(name), type_, name, properties={"models": models})
    return loader


VAE_NODE = loads(
    "VAELoader",
    "ae.safetensors",
    declared(
        "ae.safetensors",
        "vae",
        at("Org/vae", "split/ae.safetensors"),
        at("Copy/vae", "ae.safetensors") + "?download=true",
    ),
)
SMALL_NODE = loads(
    "UpscaleModelLoader",
    "small.pt",
    declared("small.pt", "upscale_models", at("Org/vae", "small.pt")),
)
LICENSED_NODE = loads(
    "UNETLoader",
    "licensed.safetensors",
    declared(
        "licensed.safetensors",
        "diffusion_models",
        at("Org/licensed", "licensed.safetensors"),
    ),
)


class Both:
    """A project with both hubs."""

    def __init__(self, world: World, hub: HuggingFaceStandin) -> None:
        self.world = world
        self.hub = hub

    def flow(self, *nodes: dict[str, Any]) -> None:
        write(self.world.project / "w.json", json.dumps(ui(*nodes)))

    def run(self, *arguments: str, **variables: str) -> Ran:
        return self.world.here(*arguments, HF_ENDPOINT=self.hub.url, **variables)

    def locked(self, **variables: str) -> dict[str, Any]:
        ran = self.run("lock", "w.json", **variables)
        assert ran.code == 0, ran.text
        return self.models()

    def models(self) -> dict[str, Any]:
        models: dict[str, Any] = tomllib.loads(self.world.lock_path.read_text("utf-8"))["model"]
        return models

    def bytes_at(self, key: str) -> bytes:
        return self.world.spot(key).read_bytes()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    with (
        Standin(SHELVES) as civitai,
        HuggingFaceStandin(shelves(), keys=(CANARY, "other-key")) as hub,
    ):
        yield Both(World(tmp_path, civitai), hub)


def test_workflow_with_files_of_both_hubs_is_locked_and_installed(both: Both):
    lora = node(1, "LoraLoaderModelOnly", "ink.safetensors", 1.0)
    upscaler = node(2, "UpscaleModelLoader", "4x-UltraSharp.pth")
    both.flow(VAE_NODE, SMALL_NODE, upscaler, lora)
    models = both.locked()
    head, copy = both.hub["Org/vae"].head, both.hub["Copy/vae"].head
    assert models["vae/ae.safetensors"] == {
        "size": 40_000,
        "sha256": VAE.sha256,
        "evidence": "embedded",
        "sources": [
            {"type": "huggingface", "repo": "Copy/vae", "revision": copy, "file": "ae.safetensors"},
            {"type": "huggingface", "repo": "Org/vae", "revision": head,
             "file": "split/ae.safetensors"},
        ],
    }  # fmt: skip
    assert models["upscale_models/4x-UltraSharp.pth"]["evidence"] == "known"
    assert models["upscale_models/small.pt"]["size"] == 700
    assert models["loras/ink.safetensors"]["evidence"] == "filename"
    ran = both.run("install")
    assert ran.code == 0, ran.text
    assert both.bytes_at("vae/ae.safetensors") == VAE.payload.read()
    assert both.bytes_at("upscale_models/small.pt") == SMALL.payload.read()
    assert both.bytes_at("upscale_models/4x-UltraSharp.pth") == SHARP.payload.read()
    assert both.bytes_at("loras/ink.safetensors") == bytes_of(INK)


def test_second_lock_and_install_ask_nobody_and_change_nothing(both: Both):
    both.flow(VAE_NODE, SMALL_NODE)
    both.locked()
    both.run("install")
    text = both.world.lock_path.read_bytes()
    both.hub.clear_requests()
    assert both.run("lock").code == 0
    assert both.run("install").code == 0
    assert both.hub.requests == ()
    assert both.world.lock_path.read_bytes() == text


def test_branch_that_moves_after_the_lock_changes_neither_lock_nor_files(both: Both):
    both.flow(VAE_NODE)
    both.locked()
    text = both.world.lock_path.read_bytes()
    for repo, file in (("Org/vae", "split/ae.safetensors"), ("Copy/vae", "ae.safetensors")):
        both.hub.push(repo, {file: hub_file("ae.safetensors", seed="moved")})
    assert both.run("lock").code == 0
    assert both.world.lock_path.read_bytes() == text
    assert both.run("install").code == 0
    assert both.bytes_at("vae/ae.safetensors") == VAE.payload.read()


def test_copies_that_differ_are_ambiguous_with_a_word_for_each(both: Both):
    both.hub.push("Copy/vae", {"ae.safetensors": hub_file("ae.safetensors", seed="other")})
    both.flow(VAE_NODE)
    ran = both.run("lock", "w.json", "--json")
    assert ran.code == 1
    [entry] = ran.document["ambiguous"]
    assert entry["ref"] == "vae/ae.safetensors"
    assert "hf:Copy/vae@" in ran.document["errors"][0]["hint"]


def test_declared_hash_that_the_hub_contradicts_pins_nothing(both: Both):
    url = at("Org/vae", "split/ae.safetensors")
    models = declared("ae.safetensors", "vae", url, hash="a" * 64, hash_type="SHA256")
    both.flow(loads("VAELoader", "ae.safetensors", models))
    ran = both.run("lock", "w.json", "--json")
    assert ran.code == 1
    [error] = ran.document["errors"]
    assert error["slug"] == "unresolved"
    assert VAE.sha256 in error["message"]
    assert "a" * 64 in error["message"]


def test_gated_file_is_locked_without_a_key_and_installed_with_one(both: Both):
    both.flow(LICENSED_NODE)
    models = both.locked()
    assert models["diffusion_models/licensed.safetensors"]["sha256"] == LOCKED.sha256
    refused = both.run("install", "--json")
    assert refused.code == 1
    [error] = refused.document["errors"]
    assert error["slug"] == "auth-required"
    assert "https://huggingface.co/Org/licensed, then set HF_TOKEN" in error["hint"]
    other = both.run("install", "--json", HF_TOKEN="other-key")
    assert other.document["errors"][0]["slug"] == "forbidden"
    assert both.run("install", HF_TOKEN=CANARY).code == 0
    assert both.bytes_at("diffusion_models/licensed.safetensors") == LOCKED.payload.read()


def licensed(*urls: str) -> dict[str, Any]:
    models = declared("licensed.safetensors", "diffusion_models", *urls)
    return loads("UNETLoader", "licensed.safetensors", models)


LICENSED = "diffusion_models/licensed.safetensors"


@pytest.mark.parametrize(
    ("key", "slug", "hint"),
    [
        (None, "auth-required", "https://huggingface.co/Org/closed, then set HF_TOKEN"),
        ("other-key", "forbidden", "with the account that HF_TOKEN belongs to"),
        ("no-such-key", "auth-required", "Make a new key"),
    ],
)
def test_a_refusal_is_told_and_costs_no_other_reference(
    both: Both, key: str | None, slug: str, hint: str
):
    """Somebody has answered: the rest is locked, and the next run asks again."""
    lora = node(1, "LoraLoaderModelOnly", "ink.safetensors", 1.0)
    both.flow(licensed(at("Org/closed", "licensed.safetensors")), lora)
    variables = {"HF_TOKEN": key} if key else {}
    ran = both.run("lock", "w.json", "--json", **variables)
    assert ran.code == 1
    [error] = ran.document["errors"]
    assert (error["slug"], error["ref"]) == (slug, LICENSED)
    assert hint in error["hint"]
    assert list(both.models()) == ["loras/ink.safetensors"]
    both.flow(licensed(at("Org/closed", "licensed.safetensors")))
    alone = both.run("lock", "--json", **variables)
    assert (alone.code, alone.document["errors"][0]["slug"]) == (1, slug)
    assert both.locked(HF_TOKEN=CANARY)[LICENSED]["sha256"] == LOCKED.sha256


@pytest.mark.parametrize(
    ("repo", "revision", "file"),
    [
        ("Org/hidden", "main", "licensed.safetensors"),
        ("Org/nowhere", "main", "licensed.safetensors"),
        ("Org/licensed", "gone", "licensed.safetensors"),
        ("Org/licensed", "a" * 40, "licensed.safetensors"),
        ("Org/dit", "main", "moved/licensed.safetensors"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_with_what_to_do(
    both: Both, repo: str, revision: str, file: str
):
    both.flow(licensed(at(repo, file, revision)))
    ran = both.run("lock", "w.json", "--json")
    assert ran.code == 1
    [error] = ran.document["errors"]
    assert error["slug"] == "unresolved"
    assert (
        f"huggingface {repo}@{revision} is not there, or does not have the file"
        in (error["message"])
    )
    assert "set HF_TOKEN if it is private" in error["hint"]
    assert f"comfylock pin {LICENSED} SPEC" in error["hint"]


def test_a_private_repository_is_pinned_once_there_is_a_key_and_it_is_asked_for_again(both: Both):
    both.flow(licensed(at("Org/hidden", "licensed.safetensors")))
    assert both.run("lock", "w.json").code == 1
    assert both.run("lock", HF_TOKEN=CANARY).code == 1, "what is open is not asked for by itself"
    assert both.run("lock", "--refresh", HF_TOKEN=CANARY).code == 0
    assert both.models()[LICENSED]["sha256"] == LOCKED.sha256
    assert both.run("install", HF_TOKEN=CANARY).code == 0
    assert both.bytes_at(LICENSED) == LOCKED.payload.read()


def test_a_renamed_repository_is_locked_and_installed_by_the_name_that_was_asked_for(both: Both):
    models = declared("dit.safetensors", "diffusion_models", at("Old/dit", "dit.safetensors"))
    both.flow(loads("UNETLoader", "dit.safetensors", models))
    [source] = both.locked()["diffusion_models/dit.safetensors"]["sources"]
    assert (source["repo"], source["revision"]) == ("Old/dit", both.hub["Org/dit"].head)
    assert both.run("install").code == 0
    assert both.bytes_at("diffusion_models/dit.safetensors") == DIT.payload.read()


def test_key_goes_to_the_hub_and_nowhere_else(both: Both):
    both.flow(LICENSED_NODE, VAE_NODE, SMALL_NODE)
    texts = [both.run("-v", "lock", "w.json", HF_TOKEN=CANARY).text]
    texts.append(both.run("-v", "install", HF_TOKEN=CANARY).text)
    seen = keys_seen(both.hub.requests)
    assert seen == {"api": {f"Bearer {CANARY}"}, "storage": {None}}
    assert all(CANARY not in str(entry.headers) for entry in both.world.hub.requests)
    assert all(CANARY not in entry.query for entry in both.hub.requests)
    assert not [text for text in texts if CANARY in text]
    left = [path for path in both.world.root.rglob("*") if path.is_file()]
    assert not [path for path in left if CANARY.encode() in path.read_bytes()]


def test_offline_lock_knows_what_was_asked_before(both: Both):
    both.flow(VAE_NODE)
    both.locked()
    text = both.world.lock_path.read_bytes()
    both.world.lock_path.unlink()
    both.hub.clear_requests()
    ran = both.run("--offline", "lock", "w.json")
    assert ran.code == 0, ran.text
    assert both.world.lock_path.read_bytes() == text
    assert both.hub.requests == ()


def test_hub_that_is_down_is_asked_again_by_the_next_lock(both: Both):
    both.flow(VAE_NODE)
    both.hub.fault(Fault(kind="html", origin="api", times=None))
    ran = both.run("lock", "w.json", "--json")
    assert ran.code != 0
    assert ran.document["errors"][0]["slug"] == "server-error"
    both.hub.clear_faults()
    assert both.locked()["vae/ae.safetensors"]["sha256"] == VAE.sha256


def test_one_source_that_is_gone_leaves_the_other(both: Both):
    both.flow(VAE_NODE)
    both.locked()
    both.hub.remove("Copy/vae")
    ran = both.run("install")
    assert ran.code == 0, ran.text
    assert both.bytes_at("vae/ae.safetensors") == VAE.payload.read()


def test_expired_address_of_the_storage_is_replaced_by_a_fresh_one(both: Both):
    both.flow(VAE_NODE)
    both.locked()
    both.hub.fault(Fault(kind="expire", origin="storage", times=1))
    assert both.run("install").code == 0
    assert both.bytes_at("vae/ae.safetensors") == VAE.payload.read()


def test_word_of_the_project_file_may_name_a_repository(both: Both):
    both.flow(node(1, "UNETLoader", "mine.safetensors", "default"))
    write(
        both.world.project / "comfylock.toml",
        '[models."diffusion_models/mine.safetensors"]\npin = "hf:Org/dit@main:dit.safetensors"\n',
    )
    entry = both.locked()["diffusion_models/mine.safetensors"]
    assert (entry["evidence"], entry["sha256"]) == ("pinned", DIT.sha256)
    both.hub.push("Org/dit", {"dit.safetensors": hub_file("dit.safetensors", seed="moved")})
    both.hub.clear_requests()
    assert both.locked()["diffusion_models/mine.safetensors"] == entry
    assert both.hub.requests == ()
    assert both.run("install").code == 0
    assert both.bytes_at("diffusion_models/mine.safetensors") == DIT.payload.read()


def test_plain_address_of_the_project_file_is_installed_from_a_host_that_the_user_allows(
    both: Both,
):
    # The other stand-in's storage does not serve plain addresses; the hub's own page does.
    head = both.hub["Org/vae"].head
    url = f"{both.hub.url}/api/resolve-cache/models/Org/vae/{head}/small.pt"
    both.flow(node(1, "UpscaleModelLoader", "mine.pt"))
    sha256 = SMALL.sha256
    write(
        both.world.project / "comfylock.toml",
        f'[models."upscale_models/mine.pt"]\npin = "{url}"\nsha256 = "{sha256}"\n',
    )
    assert both.locked()["upscale_models/mine.pt"]["sources"] == [{"type": "url", "url": url}]
    refused = both.run("install", "--json")
    assert refused.document["errors"][0]["slug"] == "host-not-allowed"
    assert "allow-hosts" in refused.document["errors"][0]["hint"]
    write(both.world.root / "config" / "config.toml", 'allow-hosts = ["127.0.0.1"]\n')
    assert both.run("install").code == 0
    assert both.bytes_at("upscale_models/mine.pt") == SMALL.payload.read()


def test_content_of_civitai_declared_by_hash_has_both_sources(both: Both):
    sha256 = SHELVES.file(INK).sha256
    both.hub.push("Org/dit", {"ink.safetensors": hub_file("x")})
    models = declared(
        "ink.safetensors", "loras", at("Org/none", "ink.safetensors"), hash=sha256,
        hash_type="SHA256",
    )  # fmt: skip
    both.flow(loads("LoraLoaderModelOnly", "ink.safetensors", models))
    entry = both.locked()["loras/ink.safetensors"]
    assert [source["type"] for source in entry["sources"]] == ["civitai"]
    assert both.run("install").code == 0
    assert both.bytes_at("loras/ink.safetensors") == bytes_of(INK)
