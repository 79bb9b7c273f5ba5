"""Overviews by value, for tests of how a report looks: no disk holds seven gigabytes for a test."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from comfylock.artifacts import (
    CivitaiSource,
    FileId,
    HuggingFaceSource,
    ModelId,
    Source,
    UrlSource,
    VersionId,
)
from comfylock.errors import Problem
from comfylock.hashes import Digests
from comfylock.lockfile.model import Evidence, Lock, Pin, WorkflowEntry
from comfylock.lockfile.review import content_bytes
from comfylock.names import split_key
from comfylock.operations.freshness import LockState
from comfylock.operations.report import FolderUse, Overview
from comfylock.operations.status import ModelState, Standing, State


def civitai(number: int) -> CivitaiSource:
    return CivitaiSource(
        model=ModelId(number), version=VersionId(number * 10), file=FileId(number * 100)
    )


def hosted(repo: str, file: str) -> HuggingFaceSource:
    return HuggingFaceSource(repo=repo, revision="1f0e2d3c" * 5, file=file)


def pinned(
    key: str,
    size: int | None,
    *sources: Source,
    evidence: Evidence = Evidence.HASH,
    name: str | None = None,
    base_model: str | None = None,
    content: str | None = None,
) -> Pin:
    """Return a pin whose digests follow from its key, or from `content` where that is given."""
    seed = (content or key).encode()
    return Pin(
        key=key,
        size=size,
        digests=Digests(
            sha256=hashlib.sha256(seed).hexdigest(),
            blake3=hashlib.sha256(seed[::-1]).hexdigest(),
        ),
        evidence=evidence,
        name=name,
        base_model=base_model,
        sources=sources,
    )


def lock_of(
    pins: Sequence[Pin],
    workflows: Mapping[str, Sequence[str]],
    unresolved: Mapping[str, Sequence[str]] | None = None,
) -> Lock:
    entries = {
        path: WorkflowEntry(
            path=path, models=tuple(keys), unresolved=tuple((unresolved or {}).get(path, ()))
        )
        for path, keys in workflows.items()
    }
    return Lock(inputs=("workflows",), workflows=entries, models={pin.key: pin for pin in pins})


def overview_of(
    lock: Lock,
    states: Mapping[str, State | Problem] | None,
    *,
    title: str = "atelier",
    stale: bool = False,
) -> Overview:
    """Return an overview; what `states` does not name is present, a problem blocks its model."""
    folders = sorted({split_key(key)[0] for key in lock.models})
    models = [] if states is None else _models(lock, states)
    here = {one.ref for one in models if one.state is State.PRESENT}
    uses = [
        FolderUse(
            folder=folder,
            models=sum(1 for key in lock.models if split_key(key)[0] == folder),
            bytes_locked=content_bytes(_in(lock, folder)),
            bytes_here=None
            if states is None
            else content_bytes(pin for pin in _in(lock, folder) if pin.key in here),
        )
        for folder in folders
    ]
    missing = sum(one.size or 0 for one in models if one.state is State.MISSING)
    standing = Standing(
        models=tuple(models),
        lock=LockState.STALE if stale else LockState.FRESH,
        differences=(),
        bytes_to_fetch=missing,
        links=0,
    )
    return Overview(
        title=title,
        lock=lock,
        standing=None if states is None else standing,
        folders=tuple(sorted(uses, key=lambda use: (-use.bytes_locked, use.folder))),
        bytes_locked=content_bytes(lock.models.values()),
    )


def _in(lock: Lock, folder: str) -> list[Pin]:
    return [pin for key, pin in lock.models.items() if split_key(key)[0] == folder]


def _models(lock: Lock, states: Mapping[str, State | Problem]) -> list[ModelState]:
    models = [
        _standing(pin, states.get(key, State.PRESENT)) for key, pin in sorted(lock.models.items())
    ]
    refs = sorted({ref for entry in lock.workflows.values() for ref in entry.unresolved})
    return models + [
        ModelState(ref=ref, state=State.UNRESOLVED, path=None, size=None) for ref in refs
    ]


def _standing(pin: Pin, state: State | Problem) -> ModelState:
    problem = state if isinstance(state, Problem) else None
    return ModelState(
        ref=pin.key,
        state=State.BLOCKED if isinstance(state, Problem) else state,
        path=Path("/models") / pin.key,
        size=pin.size,
        problem=problem,
    )


def atelier() -> Overview:
    """An ordinary project of several workflows, with one of each kind of trouble."""
    pins = _atelier_pins()
    keys = [pin.key for pin in pins]
    sdxl, flux, video = keys[0:1], keys[1:5], keys[5:8]
    workflows = {
        "workflows/portrait.json": [*sdxl, keys[8], keys[9], keys[12]],
        "workflows/market-scene-at-dawn.json": [*flux, keys[10]],
        "workflows/village-sd15-api.json": [keys[11], keys[12], keys[8]],
        "workflows/film/opening-shot.png": [*video, keys[12]],
        "workflows/film/walk cycle (final).json": [*video, keys[13]],
        "workflows/upscale.json": [keys[12], keys[14]],
    }
    unresolved = {"workflows/portrait.json": ["loras/add_detail_old.safetensors"]}
    private = Problem(
        slug="no-source",
        message="it is pinned by hash alone",
        hint="Put the file anywhere below a models folder and run `comfylock install` again: it "
        "is recognised by its hash",
    )
    states: dict[str, State | Problem] = {
        keys[2]: State.MISSING,
        keys[5]: State.MISSING,
        keys[10]: State.MISSING,
        keys[9]: private,
        keys[12]: State.DIFFERENT,
    }
    return overview_of(lock_of(pins, workflows, unresolved), states)


def studio(workflows: int = 60, models: int = 150) -> Overview:
    """A project as large as they get, with long, wide and strange names, and much that is open."""
    folders = ("loras", "loras", "checkpoints", "vae", "diffusion_models", "upscale_models")
    names = (
        "meadow_v{}",
        "日本語のモデル_{}",
        "a b & <c> [d] {}",
        f"{'long_' * 30}{{}}",
        "x" * 150 + "{}",
    )
    pins = [
        pinned(
            f"{folders[number % 6]}/{names[number % 5].format(number)}.safetensors",
            None if number == 7 else (number + 1) * 31_415_926,
            *([] if number % 9 == 0 else [civitai(number + 1)]),
            evidence=list(Evidence)[number % 6],
            name=f"<b>Model</b> {number} / v1",
            base_model="SDXL 1.0",
        )
        for number in range(models)
    ]
    keys = [pin.key for pin in pins]
    paths = [
        f"workflows/{'a very ' * (number % 7)}long name {number}.json"
        for number in range(workflows)
    ]
    needs = {path: keys[place * 2 % models :][:5] for place, path in enumerate(paths)}
    lost = {path: [f"loras/lost_{place % 12}.safetensors"] for place, path in enumerate(paths)}
    private = Problem(slug="no-source", message="it is pinned by hash alone", hint="Copy it")
    states: dict[str, State | Problem] = dict.fromkeys(keys[::2], State.MISSING)
    states |= {pin.key: private for pin in pins if not pin.sources}
    return overview_of(lock_of(pins, needs, lost), states, title="studio")


def _atelier_pins() -> list[Pin]:
    black = "black-forest-labs/FLUX.1-dev"
    wan = "Comfy-Org/Wan_2.1_ComfyUI_repackaged"
    return [
        pinned(
            "checkpoints/SDXL/juggernautXL_v9Rdphoto2Lightning.safetensors",
            7_105_348_592,
            civitai(133005),
            name="Juggernaut XL / V9 + RDPhoto 2_Lightning_4S",
            base_model="SDXL Lightning",
        ),
        pinned(
            "diffusion_models/flux1-dev.safetensors",
            23_802_932_552,
            hosted(black, "flux1-dev.safetensors"),
            evidence=Evidence.KNOWN,
        ),
        pinned(
            "text_encoders/t5xxl_fp16.safetensors",
            9_787_841_024,
            hosted("comfyanonymous/flux_text_encoders", "t5xxl_fp16.safetensors"),
            evidence=Evidence.KNOWN,
        ),
        pinned(
            "text_encoders/clip_l.safetensors",
            246_144_152,
            hosted("comfyanonymous/flux_text_encoders", "clip_l.safetensors"),
            evidence=Evidence.KNOWN,
        ),
        pinned(
            "vae/ae.safetensors",
            335_304_388,
            hosted(black, "ae.safetensors"),
            evidence=Evidence.EMBEDDED,
        ),
        pinned(
            "diffusion_models/wan2.1_i2v_480p_14B_fp8_scaled.safetensors",
            16_401_356_938,
            hosted(wan, "split_files/wan2.1_i2v_480p_14B_fp8_scaled.safetensors"),
            evidence=Evidence.EMBEDDED,
        ),
        pinned(
            "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors",
            6_735_906_897,
            hosted(wan, "split_files/text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors"),
        ),
        pinned(
            "clip_vision/clip_vision_h.safetensors",
            1_264_219_396,
            hosted(wan, "split_files/clip_vision/clip_vision_h.safetensors"),
        ),
        pinned(
            "loras/style/ink-wash.safetensors",
            456_491_116,
            civitai(1180233),
            evidence=Evidence.PINNED,
            name="Ink Wash / v2.1",
            base_model="SDXL 1.0",
        ),
        pinned("loras/my-face-v3.safetensors", 228_456_192, evidence=Evidence.LOCAL),
        pinned(
            "loras/market_light.safetensors",
            171_969_416,
            civitai(84211),
            evidence=Evidence.FILENAME,
            name="Market Light / flux",
            base_model="Flux.1 D",
        ),
        pinned(
            "checkpoints/dreamshaper_8.safetensors",
            2_132_625_894,
            civitai(4384),
            name="DreamShaper / 8",
            base_model="SD 1.5",
        ),
        pinned(
            "upscale_models/4x-UltraSharp.pth",
            66_961_958,
            hosted("lokCX/4x-Ultrasharp", "4x-UltraSharp.pth"),
            UrlSource(url="https://objects.example.org/4x-UltraSharp.pth"),
            evidence=Evidence.KNOWN,
        ),
        pinned(
            "controlnet/control_v11p_sd15_openpose_fp16.safetensors",
            722_601_100,
            hosted(
                "comfyanonymous/ControlNet-v1-1_fp16_safetensors",
                "control_v11p_sd15_openpose_fp16.safetensors",
            ),
        ),
        pinned(
            "embeddings/easynegative.safetensors",
            24_655,
            civitai(7808),
            name="EasyNegative / v1",
            base_model="SD 1.5",
        ),
    ]
