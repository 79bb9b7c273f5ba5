"""A hub whose models have several versions and files, for tests of choosing among them."""

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from tests.standin.catalogue import Catalogue, file, model, version
from tests.world import World

#: By model: what a newer version can be, and what it must not be taken for.
SHOP = Catalogue.of(
    [
        model(
            1,
            "Ink Wash",
            "LORA",
            versions=[
                version(
                    11,
                    "v1",
                    published_at="2024-01-01T00:00:00.000Z",
                    files=[file(111, "ink.safetensors")],
                ),
                version(
                    12,
                    "v2",
                    published_at="2024-06-01T00:00:00.000Z",
                    files=[file(121, "ink_two.safetensors", size=5000)],
                ),
                version(
                    13,
                    "v3 Pony",
                    base_model="Pony",
                    published_at="2024-09-01T00:00:00.000Z",
                    files=[file(131, "ink_pony.safetensors")],
                ),
                version(
                    14,
                    "v4",
                    published_at="2024-10-01T00:00:00.000Z",
                    paid_access={"ends_at": "2099-01-01T00:00:00.000Z"},
                    files=[file(141, "ink_four.safetensors")],
                ),
            ],
        ),
        model(
            2,
            "Meadow",
            "Checkpoint",
            versions=[
                version(
                    21,
                    "v1",
                    published_at="2024-01-01T00:00:00.000Z",
                    files=[
                        file(211, "meadow.safetensors", variant="pruned", fp="fp16"),
                        file(212, "meadow_full.safetensors", variant="full", fp="fp32", size=9000),
                    ],
                ),
                version(
                    22,
                    "v2",
                    published_at="2024-06-01T00:00:00.000Z",
                    files=[
                        file(222, "x.safetensors", variant="full", fp="fp32", size=9100),
                        file(221, "y.safetensors", variant="pruned", fp="fp16", size=4200),
                    ],
                ),
                version(
                    23,
                    "v2 inpainting",
                    base_model_type="Inpainting",
                    published_at="2024-08-01T00:00:00.000Z",
                    files=[file(231, "z.safetensors", variant="pruned", fp="fp16")],
                ),
            ],
        ),
        model(
            3,
            "Fork",
            "LORA",
            versions=[
                version(
                    31,
                    "one",
                    published_at="2024-01-01T00:00:00.000Z",
                    files=[file(311, "fork.safetensors")],
                ),
                version(
                    32,
                    "two",
                    published_at="2024-06-01T00:00:00.000Z",
                    files=[
                        file(321, "fork_a.safetensors", size=5100),
                        file(322, "fork_b.safetensors", size=5200),
                    ],
                ),
            ],
        ),
        model(
            4, "Twin A", "LORA", versions=[version(41, "v1", files=[file(411, "twin.safetensors")])]
        ),
        model(
            5, "Twin B", "LORA", versions=[version(51, "v1", files=[file(511, "twin.safetensors")])]
        ),
    ]
)

MEADOW = "checkpoints/meadow_v1.safetensors"  # the site gives two files of one version this name
INK = "loras/ink.safetensors"
FORK = "loras/fork.safetensors"
TWIN = "loras/twin.safetensors"
LOST = "loras/lost.safetensors"


def put_workflow(world: World, *keys: str, name: str = "a.json") -> None:
    """Write a workflow that loads these models, and the reference twice where it is named twice."""
    nodes = {str(number): _loader(key) for number, key in enumerate(keys, start=1)}
    path = world.project / "workflows" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(nodes), "utf-8")


def _loader(key: str) -> dict[str, Any]:
    folder, _, name = key.partition("/")
    if folder == "checkpoints":
        return {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": name}}
    inputs = {"lora_name": name, "strength_model": 1.0, "strength_clip": 1.0}
    return {"class_type": "LoraLoader", "inputs": inputs}


def lock(world: World, *keys: str) -> None:
    """Lock a workflow that loads these models; the answer may be no."""
    put_workflow(world, *keys)
    world.here("lock", "workflows")


def locked(world: World) -> dict[str, dict[str, Any]]:
    """Return the models of the lock by key, read without any help of comfylock."""
    document = tomllib.loads(world.lock_path.read_text("utf-8"))
    models: dict[str, dict[str, Any]] = document.get("model", {})
    return models


def source(world: World, key: str) -> tuple[int, int]:
    """Return version and file of a locked model's first source."""
    first = locked(world)[key]["sources"][0]
    return first["version"], first["file"]


def unresolved(world: World, name: str = "a.json") -> Sequence[str]:
    """Return what the lock records as unresolved."""
    document = tomllib.loads(world.lock_path.read_text("utf-8"))
    found: list[str] = document["workflow"][f"workflows/{name}"].get("unresolved", [])
    return found


def project_file(world: World) -> str:
    """Return comfylock.toml's text, empty where there is none."""
    path = world.project / "comfylock.toml"
    return path.read_text("utf-8") if path.exists() else ""
