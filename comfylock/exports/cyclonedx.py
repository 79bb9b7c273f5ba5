"""A lock as a CycloneDX 1.6 bill of materials, in JSON.

Models are components of type ``machine-learning-model``, workflows of type ``file``; who needs
what stands under ``dependencies``. Equal locks give equal bytes: there is no time in it, and the
serial number is derived from the content.

Source: CycloneDX 1.6 JSON schema (bom-1.6.schema.json).
"""

import json
from collections.abc import Iterator
from uuid import UUID, uuid5

from comfylock.exports.links import download_address, page_address
from comfylock.hubs import Hub
from comfylock.lockfile.model import Lock, Pin
from comfylock.names import basename

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
#: The name space of our serial numbers; drawn once, at random.
_SPACE = UUID("0d4b8a86-3f0c-4a55-9a0c-6d6a1f4f3a52")
_ROOT = "project"


def bill_of_materials(lock: Lock, hub: Hub, *, project: str, tool_version: str) -> str:
    """Return the document; `project` is what the whole is called."""
    components = [*_models(lock, hub), *_workflows(lock)]
    dependencies = list(_dependencies(lock))
    content = json.dumps([project, components, dependencies], sort_keys=True)
    document: dict[str, object] = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(_SPACE, content)}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "name": "comfylock", "version": tool_version}
                ]
            },
            "component": {"type": "application", "bom-ref": _ROOT, "name": project},
        },
        "components": components,
        "dependencies": dependencies,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _models(lock: Lock, hub: Hub) -> Iterator[dict[str, object]]:
    for key in sorted(lock.models):
        yield _model(lock.models[key], hub)


def _model(pin: Pin, hub: Hub) -> dict[str, object]:
    component: dict[str, object] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{pin.key}",
        "name": basename(pin.key),
        "hashes": _hashes(pin),
        "properties": [
            {"name": f"comfylock:{name}", "value": value} for name, value in _properties(pin)
        ],
    }
    if pin.name:
        component["description"] = pin.name
    references = list(_references(pin, hub))
    return component | ({"externalReferences": references} if references else {})


def _hashes(pin: Pin) -> list[dict[str, str]]:
    named = (("SHA-256", pin.digests.sha256), ("BLAKE3", pin.digests.blake3))
    return [{"alg": name, "content": digest} for name, digest in named if digest is not None]


def _properties(pin: Pin) -> Iterator[tuple[str, str]]:
    yield "key", pin.key
    yield "evidence", str(pin.evidence)
    yield "format", pin.format
    if pin.size is not None:
        yield "size", str(pin.size)
    if pin.base_model:
        yield "base-model", pin.base_model


def _references(pin: Pin, hub: Hub) -> Iterator[dict[str, str]]:
    for source in pin.sources:
        yield {"type": "distribution", "url": download_address(source, hub)}
        page = page_address(source)
        if page is not None:
            yield {"type": "website", "url": page}


def _workflows(lock: Lock) -> Iterator[dict[str, object]]:
    for path in sorted(lock.workflows):
        yield {"type": "file", "bom-ref": f"workflow:{path}", "name": path}


def _dependencies(lock: Lock) -> Iterator[dict[str, object]]:
    yield {"ref": _ROOT, "dependsOn": [f"workflow:{path}" for path in sorted(lock.workflows)]}
    for path, entry in sorted(lock.workflows.items()):
        yield {"ref": f"workflow:{path}", "dependsOn": [f"model:{key}" for key in entry.models]}
