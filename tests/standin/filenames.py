"""The file names that the site computes, and which file of a version it calls primary.

Source: civitai/civitai, src/utils/string-helpers.ts (filenamize), src/server/services/
file.service.ts (getDownloadFilename), src/server/utils/model-helpers.ts (getPrimaryFile).
The rules were checked against recorded names; what no recording shows is said at the place.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from tests.standin.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion

FILE_TYPES: Final = (
    "Model",
    "Text Encoder",
    "Vision Encoder",
    "Pruned Model",
    "Negative",
    "Training Data",
    "VAE",
    "Config",
    "Archive",
    "UNet",
    "Diffusion Model",
    "CLIPVision",
    "ControlNet",
    "Workflow",
    "Upscaler",
    "Enhancement LoRA",
    "Other",
)
_MAIN_TYPES: Final = frozenset({"Model", "Pruned Model", "Diffusion Model", "UNet"})
_KEPT_RAW: Final = frozenset({"LORA", "LoCon"})
_WORDS_LENGTH: Final = 20


def filenamize(text: str) -> str:
    """Return a name as the site writes it into file names: camelCase, about 20 characters."""
    plain = re.sub(r"[^A-Za-z0-9]", "_", text.replace("'", ""))
    limit = _WORDS_LENGTH + plain.count("_")
    if len(plain) > limit:
        border = plain.rfind("_", 0, limit + 1)
        plain = plain[: border if border > 0 else limit]
    words = [word for word in plain.split("_") if word]
    return "".join(words[:1]).lower() + "".join(_capitalised(word) for word in words[1:])


def _capitalised(word: str) -> str:
    return word if word == word.upper() else word[0].upper() + word[1:].lower()


def download_filename(
    model: CatalogueModel,
    version: CatalogueVersion,
    file: CatalogueFile,
    *,
    with_override: bool = True,
) -> str:
    """Return ``files[].name``, which is also the name in Content-Disposition.

    Several files of one version may get one name. ``/model-versions/:id`` does not select the
    uploader's override, hence the switch.
    """
    if with_override and file.override_name is not None:
        return unquote(file.override_name)
    return unquote(_computed_name(model, version, file))


def _computed_name(model: CatalogueModel, version: CatalogueVersion, file: CatalogueFile) -> str:
    model_part = filenamize(model.name)
    if not model_part or model.type in _KEPT_RAW or file.type not in FILE_TYPES:
        return file.name
    version_part = filenamize(_without(version.name, model_part))
    extension = file.name.rpartition(".")[2]
    if file.type == "Training Data":
        return f"{model_part}_{version_part}_trainingData.zip"
    if model.type == "TextualInversion":
        word = next(iter(version.trained_words), None)
        negative = "-neg" if file.type == "Negative" else ""
        return file.name if word is None else f"{word}{negative}.{extension}"
    if file.type == "VAE":
        return file.name
    return f"{model_part}_{version_part}{_suffix(file)}.{extension}"


def _without(text: str, part: str) -> str:
    """Cut the model's name out of the version's name, whatever its case."""
    return re.sub(re.escape(part), "", text, count=1, flags=re.IGNORECASE)


def _suffix(file: CatalogueFile) -> str:
    if "-inpainting" in file.name:
        return "-inpainting"
    if ".instruct-pix2pix" in file.name:
        return ".instruct-pix2pix"
    return "_txt" if file.type == "Text Encoder" else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selectors:
    """What a download asks for by metadata; None leaves the choice to the site."""

    format: str | None = None
    variant: str | None = None
    fp: str | None = None
    quant_type: str | None = None

    def agree_with(self, file: CatalogueFile) -> bool:
        """Whether the file has every value that is asked for."""
        return all(
            wanted in {None, actual}
            for wanted, actual in zip(_values(self), _values(file), strict=True)
        )


_DEFAULTS: Final = ("SafeTensor", "pruned", "fp16", "Q4_K_M")
_WEIGHTS: Final = (100.0, 10.0, 1.0, 0.5)


def primary_file(
    files: Iterable[CatalogueFile], selectors: Selectors | None = None
) -> CatalogueFile | None:
    """Return the file that scores highest; the first one wins a draw.

    Looks at all files, non-public ones and those of a linked VAE too, as the site does.
    """
    asked = _values(selectors or Selectors())
    wanted = tuple(one or default for one, default in zip(asked, _DEFAULTS, strict=True))
    return max(files, key=lambda file: _score(file, wanted), default=None)


def _score(file: CatalogueFile, wanted: tuple[str, ...]) -> float:
    score = 2000.0 if file.type in _MAIN_TYPES else 1000.0
    for actual, value, weight in zip(_values(file), wanted, _WEIGHTS, strict=True):
        if actual is not None:
            score += weight if actual == value else -weight
    return score


def _values(one: Selectors | CatalogueFile) -> tuple[str | None, ...]:
    return (one.format, one.variant, one.fp, one.quant_type)
