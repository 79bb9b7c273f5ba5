"""Words and likeness of file names. Pure strings; likeness proposes and never decides."""

import re
from collections.abc import Sequence

# Runs of one kind: capitals before a capitalised word ("SDXL|Render"), a capitalised or lower-case
# word, all capitals, digits, and letters of scripts without case.
_RUN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_A-Za-z]+", re.UNICODE)
# What says which release or precision a file is, and nothing about the model's name.
_RELEASE = re.compile(
    r"(?i)v\d*|\d+|[fb]p?\d+|fp|bf|int\d+|nf\d+|q\d+|e\d+m\d+(fn)?|ver|version|epoch|step|steps|"
    r"pruned|ema|emaonly|noema|full|final|scaled|gguf|safetensors|inpainting|baked|vae|novae"
)
_PROPOSALS = 5
_LEAST_LIKENESS = 70.0


def split_words(stem: str) -> tuple[str, ...]:
    """Return the words of a file name without its extension, in order.

    Borders are everything that is no letter or digit, the humps of camelCase, and those between
    letters and digits: ``juggernautXL_v9`` has the words juggernaut, XL, v, 9.
    """
    return tuple(_RUN.findall(stem))


def name_words(stem: str) -> tuple[str, ...]:
    """Return the words that may be part of a model's name: those that tell a release are dropped.

    The first word stays whatever it is: searches rest on it.
    """
    words = split_words(stem)
    return words[:1] + tuple(word for word in words[1:] if not _RELEASE.fullmatch(word))


def most_alike(name: str, choices: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of the choices that are most like a name, best first, at most five."""
    from rapidfuzz import fuzz, process

    wanted = " ".join(split_words(name)).lower()
    spoken = [" ".join(split_words(choice)).lower() for choice in choices]
    found = process.extract(
        wanted, spoken, scorer=fuzz.ratio, limit=_PROPOSALS, score_cutoff=_LEAST_LIKENESS
    )
    return tuple(position for _, _, position in found)
