"""The settings that A1111 and its kin write into pictures: models, with short hashes.

They are no graph. What they name is given as one synthetic node, so that it is collected as
references like everything else: names lack their extension (`stem`), and hashes become
declarations. `Model hash` is the first 10 hex digits of the SHA-256 (AutoV2), or 8 of an older
kind. Of LoRAs, 10 digits are AutoV2 too, and 12 are of the tensors alone (AutoV3); of embeddings,
12 are of the SHA-256.

Sources: AUTOMATIC1111/stable-diffusion-webui 1.10, modules/infotext_utils.py,
extensions-builtin/Lora/network.py, modules/textual_inversion; civitai/sd_civitai_extension
(`Hashes`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from comfylock.workflows.model import Declaration, Node, Workflow
from comfylock.workflows.shapes import Json, as_object

#: The class of the synthetic node, as the table of nodes knows it.
NODE_TYPE = "A1111 parameters"

_MAX_CHARACTERS = 1024 * 1024
_MAX_OPTIONS_CHARACTERS = 32 * 1024
_MAX_FAILURES = 4
_MAX_RESOURCES = 1000
_MAX_TAG_CHARACTERS = 1000
_HASH = re.compile(r"[0-9a-f]{8}|[0-9a-f]{10}|[0-9a-f]{12}|[0-9a-f]{64}")
_HASH_TYPES = {8: "AutoV1", 10: "AutoV2", 12: "AutoV3", 64: "SHA256"}
_NO_NAMES = frozenset({"", "none", "automatic", "auto"})
_CHECKPOINTS = ("model", "refiner", "hires checkpoint")
_HASHED_KINDS = {"lora": "loras", "lyco": "loras", "embed": "embeddings"}
_INPUTS = {"checkpoints": "model", "vae": "vae", "loras": "lora", "embeddings": "embedding"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One model that the settings name.

    Attributes:
        folder: ComfyUI's folder for it.
        name: as written, mostly without an extension.
        hashes: (kind, lower-case hex digits), sorted.
    """

    folder: str
    name: str
    hashes: tuple[tuple[str, str], ...]


def parse_parameters(text: str) -> tuple[Resource, ...]:
    """Return the models that settings name, in order; none if it is another text."""
    text = f"\n{text[:_MAX_CHARACTERS]}"
    prompt, found, settings = text.rpartition("\nSteps:")
    if not found:
        return ()
    options = _options(f"Steps:{settings[:_MAX_OPTIONS_CHARACTERS]}")
    hashes = {key.lower(): value for key, value in as_object(options.get("hashes")).items()}
    resources: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for folder, name, digest in _named(prompt, options, hashes):
        if name.lower() not in _NO_NAMES:
            resources.setdefault((folder, name), set()).update(_digests(folder, digest))
    return tuple(
        Resource(folder=folder, name=name, hashes=tuple(sorted(digests)))
        for (folder, name), digests in islice(resources.items(), _MAX_RESOURCES)
    )


def _named(
    prompt: str, options: Mapping[str, Json], hashes: Mapping[str, Json]
) -> Iterator[tuple[str, str, Json]]:
    """Yield folder, name and a digest, which may be nothing, of all that is named."""
    for key in _CHECKPOINTS:
        name, _, short = str(options.get(key, "")).partition(" [")  # as in `refiner [7440042bbd]`
        yield "checkpoints", name.strip(), short.rstrip("] ") or options.get(f"{key} hash")
        yield "checkpoints", name.strip(), hashes.get(key)
    for of_vae in (options.get("vae hash"), hashes.get("vae")):
        yield "vae", str(options.get("vae", "")).strip(), of_vae
    for name in _lora_tags(prompt):
        yield "loras", name, None
    for folder, key in (("loras", "lora hashes"), ("embeddings", "ti hashes")):
        for pair in str(options.get(key, "")).split(","):
            name, _, short = pair.rpartition(":")
            yield folder, name.strip(), short
    for key, value in as_object(options.get("hashes")).items():
        kind, _, name = key.partition(":")
        if kind.lower() in _HASHED_KINDS:
            yield _HASHED_KINDS[kind.lower()], name.strip(), value


def _digests(folder: str, value: Json) -> Iterator[tuple[str, str]]:
    digest = value.strip().lower() if isinstance(value, str) else ""
    if not _HASH.fullmatch(digest):
        return
    if folder == "embeddings" and len(digest) == 12:
        digest = digest[:10]
    yield _HASH_TYPES[len(digest)], digest


def _lora_tags(prompt: str) -> Iterator[str]:
    """Yield the names in ``<lora:name:weight>``."""
    for part in prompt.split("<lora:")[1:]:
        tag, closed, _ = part[:_MAX_TAG_CHARACTERS].partition(">")
        if closed and "\n" not in tag:
            yield tag.partition(":")[0].strip()


def _options(text: str) -> dict[str, Json]:
    """Return settings by lower-case key; values may be JSON, else they end at a comma."""
    found: dict[str, Json] = {}
    at = failures = 0
    while (colon := text.find(":", at)) >= 0:
        key = text[at:colon].rpartition(",")[2].strip().lower()
        start = colon + 1 + (text[colon + 1 : colon + 2] == " ")
        value: Json = None
        at = -1
        if text[start : start + 1] in {'"', "{", "["} and failures < _MAX_FAILURES:
            try:
                value, at = json.JSONDecoder().raw_decode(text, start)
            except (ValueError, RecursionError):
                failures += 1
        if at < 0:
            ends = [end for end in (text.find(",", start), text.find("\n", start)) if end >= 0]
            at = min(ends, default=len(text))
            value = text[start:at].strip().strip('"')
        found.setdefault(key, value)
    return found


def workflow_of(resources: tuple[Resource, ...]) -> Workflow:
    """Return a workflow of one node that names the models."""
    named: dict[str, Json] = {
        f"{_INPUTS[resource.folder]} {number}": resource.name
        for number, resource in enumerate(resources, start=1)
    }
    declared = tuple(
        Declaration(
            name=resource.name, url="", directory=resource.folder, hash=digest, hash_type=kind
        )
        for resource in resources
        for kind, digest in resource.hashes
    )
    node = Node(
        id="parameters",
        type=NODE_TYPE,
        active=True,
        named=named,
        linked={},
        promoted={},
        declared=declared,
    )
    return Workflow(nodes=(node,))
