"""What a text query finds, and in which order: the site's Meilisearch index, in small.

Indexed are the model's name, its creator, hashes (not AutoV1) and trigger words; file names and
version names are NOT. Words are dropped from the end until something matches, so the first word
must. Source: civitai/civitai, src/server/search-index/models.search-index.ts; meilisearch/milli,
src/search/new. camelCase is not split.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.standin.catalogue import CatalogueModel

_MAX_WORDS: Final = 10
_MAX_JOINED: Final = 3
_ONE_TYPO: Final = 12
_TWO_TYPOS: Final = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """The indexed words of a model, by attribute: name, creator, hashes, trigger words."""

    model: CatalogueModel
    attributes: tuple[tuple[str, ...], ...]


def words_of(text: str) -> tuple[str, ...]:
    """Split at whatever is neither letter nor digit, in lower case."""
    return tuple(re.findall(r"[^\W_]+", text.lower()))


def document_of(model: CatalogueModel) -> Document | None:
    """Return what is indexed of a model; None when it is not in the index at all."""
    shown = [
        one
        for one in model.versions
        if one.status == "Published" and one.availability not in {"Unsearchable", "Private"}
    ]
    if model.status != "Published" or model.availability != "Public" or not shown or model.stale:
        return None
    hashes = [
        digest
        for version in shown
        for file in version.files
        if file.visibility == "Public" and not file.replaced
        for kind, digest in file.recorded_hashes.items()
        if kind != "AutoV1"
    ]
    triggers = " ".join(word for version in shown for word in version.trained_words)
    return Document(
        model=model,
        attributes=(
            words_of(model.name),
            words_of(str(model.creator or "")),
            tuple(digest.lower() for digest in hashes),
            words_of(triggers),
        ),
    )


def hits(query: str, models: Sequence[CatalogueModel]) -> Sequence[CatalogueModel]:
    """Return the matching models: most words first, then best attribute, then most thumbs-up."""
    asked = words_of(query)[:_MAX_WORDS]
    kept = _HITS.get((id(models), asked))
    if kept is None or kept[0] is not models:
        if len(_HITS) >= _MOST_HITS_KEPT:
            _HITS.clear()
        kept = _HITS[id(models), asked] = (models, _ranked(asked, models))
    return kept[1]


def _ranked(asked: tuple[str, ...], models: Iterable[CatalogueModel]) -> list[CatalogueModel]:
    ranked: list[tuple[tuple[int, int, int, int], CatalogueModel]] = []
    for document in filter(None, map(_indexed, models)):
        matched, cost = match(asked, document)
        if matched:
            model = document.model
            ranked.append(((-matched, cost, -model.stats.thumbs_up, model.id), model))
    return [model for _, model in sorted(ranked, key=lambda pair: pair[0])]


#: Every question comes in both browsing modes; catalogues never change.
_HITS: Final[
    dict[tuple[int, tuple[str, ...]], tuple[Sequence[CatalogueModel], Sequence[CatalogueModel]]]
] = {}
_MOST_HITS_KEPT: Final = 256

#: By identity: models never change, and hashing one would cost more than this saves.
_INDEX: Final[dict[int, tuple[CatalogueModel, Document | None]]] = {}


def _indexed(model: CatalogueModel) -> Document | None:
    """Return what is indexed of a model, worked out once."""
    kept = _INDEX.get(id(model))
    if kept is None or kept[0] is not model:
        kept = _INDEX[id(model)] = (model, document_of(model))
    return kept[1]


def match(asked: Sequence[str], document: Document) -> tuple[int, int]:
    """Return how many words from the front match, and the sum of the attributes they match in.

    Two or three neighbours may match as one word, and one word as two neighbours.
    """
    cheapest: list[int | None] = [0] + [None] * len(asked)
    for start in range(len(asked)):
        so_far = cheapest[start]
        if so_far is None:
            continue
        for count in range(1, min(_MAX_JOINED, len(asked) - start) + 1):
            stop = start + count
            word = "".join(asked[start:stop])
            found = _attribute_with(word, document, prefix=stop == len(asked), derived=count == 1)
            known = cheapest[stop]
            if found is not None and (known is None or so_far + found < known):
                cheapest[stop] = so_far + found
    reached = max(place for place, cost in enumerate(cheapest) if cost is not None)
    return reached, cheapest[reached] or 0


def _attribute_with(word: str, document: Document, *, prefix: bool, derived: bool) -> int | None:
    """Return the first attribute that has the word; derived allows typos and a split in two."""
    for place, words in enumerate(document.attributes):
        if word in words or (prefix and any(one.startswith(word) for one in words)):
            return place
        if derived and (_has_typo_of(word, words) or _has_split_of(word, words)):
            return place
    return None


def _has_split_of(word: str, words: Sequence[str]) -> bool:
    return any(left + right == word for left, right in pairwise(words))


def _has_typo_of(word: str, words: Iterable[str]) -> bool:
    allowed = 2 if len(word) >= _TWO_TYPOS else 1 if len(word) >= _ONE_TYPO else 0
    return allowed > 0 and any(
        abs(len(one) - len(word)) <= allowed and distance(word, one) <= allowed for one in words
    )


def distance(left: str, right: str) -> int:
    """Return the number of letters to insert, drop, change or swap with a neighbour."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for number, letter in enumerate(left, 1):
        row = [number]
        for place, other in enumerate(right, 1):
            change = above[place - 1] + (letter != other)
            best = min(above[place] + 1, row[-1] + 1, change)
            if number > 1 and place > 1 and (left[number - 2], letter) == (other, right[place - 2]):
                best = min(best, before[place - 2] + 1)
            row.append(best)
        before, above = above, row
    return above[-1]
