"""Which names are pinned rightly among decoys, and what a lock costs in requests and seconds.

``python -m tests.bench.resolving [--workflows DIR]``: real model names, out of the template
workflows and a folder of your own, on a stand-in whose shelves hold the right file of each among
decoys. Prints tables; the exit code is 1 if any pin is wrong.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path
from typing import Any

from tests.standin.catalogue import Catalogue, CatalogueModel, file, model, version
from tests.standin.server import Standin
from tests.standin_hf.repositories import Shelves
from tests.standin_hf.server import HuggingFaceStandin

#: A loader of each folder, whose first widget is the name, and Civitai's type of such a model.
LOADERS = {
    "checkpoints": ("CheckpointLoaderSimple", "Checkpoint"),
    "loras": ("LoraLoader", "LORA"),
    "vae": ("VAELoader", "VAE"),
    "controlnet": ("ControlNetLoader", "Controlnet"),
    "diffusion_models": ("UNETLoader", "Checkpoint"),
    "upscale_models": ("UpscaleModelLoader", "Upscaler"),
}
WAYS = ("hash", "embedded", "name", "twin", "renamed")
FIRST = 9_600_000


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.resolving", description=__doc__)
    parser.add_argument("--workflows", type=Path, help="a folder of workflows, for more names")
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="comfylock-names-") as folder:
        keys = real_keys(Path(folder), options.workflows)[: options.count]
        wrong = among_decoys(Path(folder) / "decoys", keys)
        costs(Path(folder) / "named", keys[:120], found=True)
        costs(Path(folder) / "nowhere", keys[:120], found=False)
    return 1 if wrong else 0


def real_keys(folder: Path, own: Path | None) -> list[str]:
    """Return distinct keys of real workflows, in an order that does not follow the alphabet."""
    templates = folder / "templates"
    templates.mkdir()
    for number, entry in enumerate(files("comfyui-workflow-templates-json") or ()):
        if entry.suffix == ".json":
            (templates / f"{number}.json").write_bytes(Path(str(entry.locate())).read_bytes())
    found: set[str] = set()
    for place in [templates, *([own] if own else [])]:
        document = comfylock(place, {}, "scan", ".", "--json")
        found |= {
            each["key"]
            for each in document["references"]
            if each["kind"] == "file" and each["folder"] in LOADERS and "." in each["name"]
        }
    # One file of a name: two folders or subfolders of one basename would be each other's twins.
    by_name = {key.rpartition("/")[2].casefold(): key for key in sorted(found)}
    return sorted(by_name.values(), key=lambda key: hashlib.sha256(key.encode()).hexdigest())


def comfylock(folder: Path, variables: dict[str, str], *arguments: str) -> Any:
    """Run a command with `--json` in a folder and return its document."""
    done = subprocess.run(
        [sys.executable, "-m", "comfylock", "-C", str(folder), *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)


def words_of(key: str) -> str:
    """Return the words of a file name as a model page might spell them."""
    stem = key.rpartition("/")[2].rpartition(".")[0]
    return stem.replace("_", " ").replace("-", " ").replace(".", " ")


def shelf(number: int, key: str, way: str) -> list[CatalogueModel]:
    """Return the right model of a key and its decoys."""
    name, words = key.rpartition("/")[2], words_of(key)
    kind = LOADERS[key.partition("/")[0]][1]
    base = FIRST + number * 20
    title = f"Untitled {number}" if way == "renamed" else words
    right = model(
        base,
        title,
        kind,
        versions=[
            version(
                base + 1, "new", files=[file(base + 1, f"x-{name}", override_name=f"x-{name}")]
            ),
            version(base, "old", files=[file(base, name, override_name=name)]),
        ],
        stats={"thumbs_up": 5},
    )
    louder = model(
        base + 2,
        f"{words} ultimate",
        kind,
        versions=[version(base + 2, "v1", files=[file(base + 2, f"ultimate-{name}")])],
        stats={"thumbs_up": 90_000},
    )
    elsewhere = model(
        base + 3,
        words,
        "Workflows",
        versions=[version(base + 3, "v1", files=[file(base + 3, name, override_name=name)])],
        stats={"thumbs_up": 7_000},
    )
    twin = model(
        base + 4,
        f"{words} again",
        kind,
        versions=[version(base + 4, "v1", files=[file(base + 4, name, override_name=name)])],
        stats={"thumbs_up": 8_000},
    )
    with_twin = way in {"hash", "embedded", "twin"}
    return [right, louder, elsewhere, *([twin] if with_twin else [])]


def node(number: int, key: str, way: str, hub_url: str) -> dict[str, Any]:
    """Return a loader of a key; what the workflow embeds goes with it."""
    folder, _, name = key.partition("/")
    url = f"https://civitai.com/api/download/models/{FIRST + number * 20}"
    del hub_url
    declared = [{"name": name, "url": url, "directory": folder}] if way == "embedded" else []
    return {
        "id": number + 1,
        "type": LOADERS[folder][0],
        "mode": 0,
        "inputs": [],
        "widgets_values": [name],
        "properties": {"models": declared},
    }


def among_decoys(project: Path, keys: Sequence[str]) -> int:
    """Lock real names among decoys; print what became of each way of knowing, return wrong pins."""
    (project / "workflows").mkdir(parents=True)
    ways = {key: WAYS[number % len(WAYS)] for number, key in enumerate(keys)}
    catalogue = Catalogue.of(
        [each for number, key in enumerate(keys) for each in shelf(number, key, ways[key])]
    )
    with Standin(catalogue) as hub, HuggingFaceStandin(Shelves.of()) as other:
        nodes = [node(number, key, ways[key], hub.url) for number, key in enumerate(keys)]
        workflow = {"version": 0.4, "nodes": nodes, "links": []}
        (project / "workflows" / "all.json").write_text(json.dumps(workflow), "utf-8")
        true = {key: catalogue.file(FIRST + number * 20) for number, key in enumerate(keys)}
        for key, way in ways.items():
            if way == "hash":
                path = project / "models" / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(true[key].payload.read())
        variables = variables_of(project, hub.url, other.url)
        document = comfylock(project, variables, "lock", "workflows", "--json")
    pins = tomllib.loads((project / "comfy.lock").read_text("utf-8")).get("model", {})
    counts: Counter[tuple[str, str]] = Counter()
    wrong = 0
    ambiguous = {each["ref"] for each in document["ambiguous"]}
    for key, way in ways.items():
        pin = pins.get(key)
        if pin is None:
            counts[way, "ambiguous" if key in ambiguous else "unresolved"] += 1
        elif pin["sha256"] == true[key].sha256:
            counts[way, f"right by {pin['evidence']}"] += 1
        else:
            counts[way, "WRONG"] += 1
            wrong += 1
    print(f"\n{len(keys)} real names among decoys; wrong pins: {wrong}")
    meanings = {
        "hash": "the file is here, a twin is there",
        "embedded": "the workflow names the version, a twin is there",
        "name": "only the name is known, louder decoys are there",
        "twin": "only the name is known, and two files have it",
        "renamed": "only the name is known, its page is called otherwise",
    }
    for (way, what), count in sorted(counts.items()):
        print(f"  {meanings[way]:<55} {what:<20} {count:>4}")
    return wrong


def variables_of(project: Path, civitai: str, hugging_face: str) -> dict[str, str]:
    """Return the variables of a sealed world."""
    return {
        "COMFYLOCK_CIVITAI_URL": civitai,
        "HF_ENDPOINT": hugging_face,
        "COMFYLOCK_CACHE_DIR": str(project / "cache"),
        "COMFYLOCK_CONFIG_DIR": str(project / "config"),
        "COMFYLOCK_MODELS_DIR": str(project / "models"),
    }


def costs(project: Path, keys: Sequence[str], *, found: bool) -> None:
    """Lock 50 workflows of six references each: requests and seconds, cold, warm and unchanged."""
    (project / "workflows").mkdir(parents=True)
    (project / "models").mkdir()
    shelves = [each for number, key in enumerate(keys) for each in shelf(number, key, "name")]
    catalogue = Catalogue.of(shelves if found else [])
    for each in catalogue.models:  # the site has its hashes before anyone asks
        for one in (held for shown in each.versions for held in shown.files):
            assert one.sha256
    for number in range(50):
        picked = [keys[(number * 6 + offset) % len(keys)] for offset in range(6)]
        nodes = [node(index, key, "name", "") for index, key in enumerate(picked)]
        workflow = {"version": 0.4, "nodes": nodes, "links": []}
        (project / "workflows" / f"{number:02}.json").write_text(json.dumps(workflow), "utf-8")
    what = "by name alone" if found else "that are nowhere"
    print(f"\n50 workflows, 300 references, {len(keys)} models {what}, 100 ms a request")
    with Standin(catalogue) as hub, HuggingFaceStandin(Shelves.of()) as other:
        hub.configure(latency_s=0.1)
        variables = variables_of(project, hub.url, other.url)
        for title, arguments in (
            ("cold", ["lock", "workflows"]),
            ("warm cache, no lock", ["lock", "workflows", "--rebuild"]),
            ("unchanged", ["lock"]),
        ):
            if title.startswith("warm"):
                (project / "comfy.lock").unlink()
                arguments.remove("--rebuild")
            hub.clear_requests()
            began = time.perf_counter()
            document = comfylock(project, variables, *arguments, "--json")
            seconds = time.perf_counter() - began
            count, models = len(hub.requests), document["summary"]["models"]
            print(f"  {title:<22} {count:>5} requests {seconds:>7.2f} s   {models} models pinned")


if __name__ == "__main__":
    sys.exit(main())
