"""The pieces that the JSON shapes are put together from: heads, stats, files, addresses."""

from typing import Any, Final
from urllib.parse import quote, urlencode

from tests.standin.catalogue import (
    CatalogueFile,
    CatalogueModel,
    CatalogueVersion,
    PaidAccess,
    Stats,
)
from tests.standin.filenames import download_filename, primary_file

Json = dict[str, Any]

_ECOSYSTEMS: Final = {
    "SD 1.5": "sd1",
    "SDXL 1.0": "sdxl",
    "SDXL Lightning": "sdxl",
    "SDXL Turbo": "sdxl",
    "Pony": "sdxl",
    "Illustrious": "sdxl",
    "Flux.1 D": "flux1",
    "Anima": "anima",
    "Krea 2": "krea2",
}
_AIR_TYPES: Final = {
    "Checkpoint": "checkpoint",
    "TextualInversion": "embedding",
    "Hypernetwork": "hypernet",
    "AestheticGradient": "ag",
    "LORA": "lora",
    "LoCon": "lycoris",
    "DoRA": "dora",
    "Controlnet": "controlnet",
    "Upscaler": "upscaler",
    "VAE": "vae",
    "MotionModule": "motion",
}


def air(model: CatalogueModel, version: CatalogueVersion) -> str:
    """Return the version's urn; file types decide over the model's type."""
    winner = primary_file(version.files)
    kind = _AIR_TYPES.get(model.type, "unknown")
    if winner is not None and winner.type in {"Diffusion Model", "UNet"}:
        kind = winner.type.replace(" ", "").lower()
    ecosystem = _ECOSYSTEMS.get(version.base_model, "other")
    return f"urn:air:{ecosystem}:{kind}:civitai:{model.id}@{version.id}"


def model_head(model: CatalogueModel) -> Json:
    head: Json = {
        "id": model.id,
        "name": model.name,
        "description": model.description,
        "allowNoCredit": True,
        "allowCommercialUse": ["Image", "RentCivit"],
        "allowDerivatives": True,
        "allowDifferentLicense": True,
        "type": model.type,
        "minor": model.minor,
        "sfwOnly": model.sfw_only,
        "poi": model.poi,
        "nsfw": model.nsfw,
        "nsfwLevel": model.nsfw_level,
        "availability": model.availability,
        "userId": model.user_id,
        "baseModels": list(dict.fromkeys(one.base_model for one in model.ordered_versions)),
        "cosmetic": None,
        "supportsGeneration": True,
        "stats": _model_stats(model),
        "tags": list(model.tags),
    }
    if model.creator is not None:
        head["creator"] = {"username": model.creator, "image": None}
    if model.mode is not None:
        head["mode"] = model.mode
    return head


def _model_stats(model: CatalogueModel) -> Json:
    stats = model.stats
    return {
        "downloadCount": None if model.hidden_stats else stats.downloads,
        "thumbsUpCount": stats.thumbs_up,
        "thumbsDownCount": stats.thumbs_down,
        "commentCount": stats.comments,
        "tippedAmountCount": None if model.hidden_stats else stats.tipped,
    }


def version_body(model: CatalogueModel, version: CatalogueVersion) -> Json:
    """Return what a version shows in a list item and on the model's page alike."""
    return {
        "id": version.id,
        "index": model.ordered_versions.index(version),
        "name": version.name,
        "baseModel": version.base_model,
        "baseModelType": version.base_model_type,
        "publishedAt": version.published_at,
        "flags": 0,
        "availability": version.availability,
        "nsfwLevel": nsfw_level(model, version),
        "description": version.description,
        "trainedWords": list(version.trained_words),
        "vaeId": version.vae_id,
        "paidAccess": _paid(version.paid_access),
        "stats": _version_stats(version.stats),
    }


def _paid(access: PaidAccess | None) -> Json | None:
    return None if access is None else {"permanent": access.permanent, "endsAt": access.ends_at}


def _version_stats(stats: Stats) -> Json:
    return {
        "downloadCount": stats.downloads,
        "thumbsUpCount": stats.thumbs_up,
        "thumbsDownCount": stats.thumbs_down,
    }


def version_head(model: CatalogueModel, version: CatalogueVersion) -> Json:
    about: Json = {"name": model.name, "type": model.type, "nsfw": model.nsfw, "poi": model.poi}
    if model.mode is not None:
        about["mode"] = model.mode
    return {
        "id": version.id,
        "modelId": model.id,
        "name": version.name,
        "nsfwLevel": nsfw_level(model, version),
        "createdAt": version.published_at,
        "updatedAt": version.published_at,
        "status": version.status,
        "publishedAt": version.published_at,
        "trainedWords": list(version.trained_words),
        "trainingStatus": None,
        "trainingDetails": None,
        "baseModel": version.base_model,
        "baseModelType": version.base_model_type,
        "description": version.description,
        "uploadType": "Created",
        "usageControl": version.usage_control,
        "licensingFee": None,
        "paidAccess": _paid(version.paid_access),
        "air": air(model, version),
        "stats": {
            "downloadCount": None if model.hidden_stats else version.stats.downloads,
            "thumbsUpCount": version.stats.thumbs_up,
        },
        "model": about,
    }


def _file_body(
    model: CatalogueModel, version: CatalogueVersion, file: CatalogueFile, *, override: bool
) -> Json:
    return {
        "id": file.id,
        "sizeKB": size_kb(file),
        "name": download_filename(model, version, file, with_override=override),
        "type": file.type,
        "pickleScanResult": file.pickle_scan,
        "pickleScanMessage": None,
        "virusScanResult": file.virus_scan,
        "virusScanMessage": None,
        "scannedAt": file.scanned_at,
        "hashes": file.recorded_hashes,
    }


def model_file(model: CatalogueModel, version: CatalogueVersion, file: CatalogueFile) -> Json:
    """Return a file of a list item or model page: metadata without the keys that are not set."""
    metadata = {
        "format": file.format,
        "size": file.variant,
        "fp": file.fp,
        "quantType": file.quant_type,
    }
    body = _file_body(model, version, file, override=True)
    return body | {
        "overrideName": file.override_name,
        "metadata": {key: value for key, value in metadata.items() if value is not None},
    }


def version_file(
    model: CatalogueModel, version: CatalogueVersion, file: CatalogueFile, *, override: bool
) -> Json:
    """Return a file of a version object: metadata of three keys, each of which may be null."""
    body = _file_body(model, version, file, override=override)
    return body | {
        "metadata": {"format": file.format, "size": file.variant, "fp": file.fp},
    }


def size_kb(file: CatalogueFile) -> float:
    return file.size / 1024 if file.size_kb is None else file.size_kb


def images(model: CatalogueModel, version: CatalogueVersion) -> list[Json]:
    """Return small image records; a taken-down model shows none."""
    if model.mode == "TakenDown":
        return []
    return [
        {
            "id": version.id * 10 + number,
            "url": f"https://image.civitai.com/standin/{version.id}-{number}.jpeg",
            "nsfwLevel": 1,
            "width": 832,
            "height": 1216,
            "hash": "UAG*TdOr0m",
            "type": "image",
            "minor": False,
            "poi": False,
            "hasMeta": False,
        }
        for number in range(version.images)
    ]


def of_mode(model: CatalogueModel, version: Json) -> Json:
    """An archived model offers nothing to download."""
    if model.mode != "Archived":
        return version
    return {key: value for key, value in version.items() if key != "downloadUrl"} | {"files": []}


def nsfw_level(model: CatalogueModel, version: CatalogueVersion) -> int:
    """Return the version's own rating, or the model's."""
    return model.nsfw_level if version.nsfw_level is None else version.nsfw_level


def without_empty(version: Json) -> Json:
    return {key: value for key, value in version.items() if value is not None and value != []}


def version_path(version: CatalogueVersion) -> str:
    return f"/api/download/models/{version.id}"


def selectors(file: CatalogueFile) -> str:
    """Return the query that named a file before file ids did; several files may answer to it."""
    pairs = {
        "type": file.type,
        "format": file.format,
        "size": file.variant,
        "fp": file.fp,
        "quantType": file.quant_type,
    }
    return urlencode(
        {key: value for key, value in pairs.items() if value is not None}, quote_via=quote
    )
