"""Make ``comfylock/tables/known_models.json`` from public lists.

    pip download --no-deps comfyui-manager==4.3
    python -m tests.tools.known_models comfyui_manager-4.3-py3-none-any.whl --date 2026-09

Two sources, of which only facts are taken (file name, folder, address, hash): what ComfyUI's own
templates and blueprints declare (MIT, installed with the test packages), and the model list of
ComfyUI-Manager (GPL-3.0; the wheel on PyPI). Where the templates know a name, their word counts
alone: they are kept in step with ComfyUI. Several addresses in the templates are copies of one
file, which `lock` checks by the hubs' hashes; of names that the Manager's list alone knows, those
with several addresses are left out.

Left out are also names that many files go by, addresses that name a repository or a data set, and
what no model folder would hold.
"""

import argparse
import importlib.metadata
import json
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from comfylock import known
from comfylock.addresses import CivitaiAddress, HuggingFaceAddress, parse_address
from comfylock.hashes import is_digest
from comfylock.lockfile.sources import url_complaint
from comfylock.names import basename, canonical_folder, extension, normalised_name, unsafe_reason

PACKAGES: Final = ("comfyui-workflow-templates-json", "comfyui-subgraph-blueprints")
LIST: Final = "comfyui_manager/model-list.json"
TARGET: Final = Path(known.__file__).parent / "tables" / "known_models.json"

#: Names that say what part of a model a file is, and not of which model.
GENERIC: Final = re.compile(
    r"(diffusion_pytorch_model|pytorch_model|pytorch_lora_weights|adapter_model|model|unet|vae|clip"
    r"|text_encoder|encoder|decoder|transformer|last|best|checkpoint|lora|ip[-_]adapter|config"
    r"|image_encoder|controlnet|motion_module|prior|refiner|upscaler|embeddings?)"
    r"([-._](fp16|fp32|bf16|fp8|non_ema|ema|\d{5}-of-\d{5}|\d))*\.\w+"
)

#: Folders of the Manager's entries that leave the choice to the type.
FOLDER_OF_TYPE: Final = {
    "upscale": "upscale_models",
    "clip": "text_encoders",
    "vae": "vae",
    "diffusion_model": "diffusion_models",
    "checkpoint": "checkpoints",
    "controlnet": "controlnet",
    "lora": "loras",
}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One list's word on one file."""

    folder: str
    name: str
    place: str
    sha256: str | None = None


def template_facts() -> Iterator[Fact]:
    """Yield what the installed templates and blueprints declare."""
    for package in PACKAGES:
        for entry in importlib.metadata.files(package) or ():
            if entry.suffix == ".json":
                document = json.loads(Path(str(entry.locate())).read_bytes())
                yield from (fact for one in _declared(document) if (fact := _of_template(one)))


def _declared(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for entry in value.get("models") or () if isinstance(value.get("models"), list) else ():
            if isinstance(entry, dict) and {"name", "url", "directory"} <= set(entry):
                yield entry
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _declared(one)


def _of_template(entry: dict[str, Any]) -> Fact | None:
    digest = str(entry.get("hash") or "").lower()
    stated = digest if entry.get("hash_type") == "SHA256" and is_digest(digest) else None
    return _fact(str(entry["directory"]), str(entry["name"]), str(entry["url"]), stated)


def manager_facts(wheel: Path) -> Iterator[Fact]:
    """Yield what ComfyUI-Manager's list says."""
    with zipfile.ZipFile(wheel) as packed:
        models = json.loads(packed.read(LIST))["models"]
    for entry in models:
        folder = entry["save_path"]
        if folder == "default":
            folder = FOLDER_OF_TYPE.get(entry["type"].lower(), "")
        fact = _fact(folder, entry["filename"], entry["url"], None)
        if fact is not None:
            yield fact


def _fact(directory: str, name: str, url: str, sha256: str | None) -> Fact | None:
    folder = canonical_folder(directory.replace("\\", "/").partition("/")[0])
    base = basename(normalised_name(name)).lower()
    place = _place(url)
    if place is None or not extension(base) or GENERIC.fullmatch(base):
        return None
    if unsafe_reason(f"{folder}/{base}") is not None:
        return None
    return Fact(folder=folder, name=base, place=place, sha256=sha256)


def _place(url: str) -> str | None:
    """Return how the table writes an address, ``None`` for what leads to no one file."""
    address = parse_address(url)
    if isinstance(address, HuggingFaceAddress):
        revision = "" if address.revision == "main" else f"@{address.revision}"
        return f"hf:{address.repo}{revision}:{address.file}"
    if isinstance(address, CivitaiAddress):
        return f"civitai:{address.version}" if address.version is not None else None
    if url.startswith("https://huggingface.co/") or url_complaint(url) is not None:
        return None
    return url


def table(templates: Iterable[Fact], manager: Iterable[Fact]) -> dict[str, Any]:
    """Return the rows, by folder and name."""
    first, second = _grouped(templates), _grouped(manager)
    alone = {
        key: facts for key, facts in second.items() if key not in first and len(_places(facts)) == 1
    }
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    for (folder, name), facts in sorted({**first, **alone}.items()):
        words = [*_places(facts), *sorted({f"sha256:{one.sha256}" for one in facts if one.sha256})]
        if sum(word.startswith("sha256:") for word in words) < 2:
            rows[folder][name] = words[0] if len(words) == 1 else words
    return dict(rows)


def _grouped(facts: Iterable[Fact]) -> dict[tuple[str, str], list[Fact]]:
    found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact.folder, fact.name].append(fact)
    return found


def _places(facts: Iterable[Fact]) -> list[str]:
    """Return the places, each once; where one bears the name itself, others do not count."""
    every = sorted({fact.place for fact in facts})
    named = {fact.name for fact in facts}
    exact = [one for one in every if basename(re.split(r"[:/]", one)[-1]).lower() in named]
    return exact or every


def rendered(rows: dict[str, Any], date: str, wheel: str) -> str:
    """Return the file: one line a folder would hide changes, so it is one line a name."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    head = {
        "about": "Well-known model files: folder, name in lower case, place or places, and "
        "SHA-256 where it is published.",
        "source": f"Facts out of {', '.join(versions)} (MIT) and the model list of {wheel} "
        "(ComfyUI-Manager, GPL-3.0); made by tests/tools/known_models.py.",
        "date": date,
        "files": rows,
    }
    return json.dumps(head, indent=0, ensure_ascii=False, separators=(",", ":")) + "\n"


def main() -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.known_models")
    parser.add_argument("wheel", type=Path, help="comfyui_manager-*.whl")
    parser.add_argument("--date", required=True, help="of the newest list, such as 2026-09")
    options = parser.parse_args()
    rows = table(template_facts(), manager_facts(options.wheel))
    name = "-".join(options.wheel.name.split("-")[:2]).replace("_", "-")
    TARGET.write_text(rendered(rows, options.date, name), encoding="utf-8")
    print(f"{sum(map(len, rows.values()))} names in {len(rows)} folders")
    return 0


if __name__ == "__main__":
    sys.exit(main())
