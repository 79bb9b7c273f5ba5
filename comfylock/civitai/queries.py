"""What to ask Civitai's search for a file name. Pure.

File names are not indexed; model names are. A checkpoint's file name is computed by the site from
model and version name (``juggernautXL_v9Rdphoto2Lightning``), so the part before the first ``_``
gives the model's words. LoRAs and embeddings keep the uploader's name, so all their words count,
and a name may share only its later words with the model.

The search drops words from the end until something matches and never drops the first, does not
split camelCase, and takes at most ten words. One browsing mode hides what the other shows, so
every question is put in both.

Source: civitai/civitai models.search-index.ts, model-search.service.ts (2026-08); Meilisearch,
matching strategy ``last``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from comfylock.candidates import FOLDER_MODEL_TYPES, stem
from comfylock.matching import name_words

PAGE_SIZE = 100
_MAX_WORDS = 10
_LONGEST_WORD = 100
_MAIN_PAGES = 3
_FALLBACK_PAGES = 1
_SHORTEST_WORD = 3  # a later word stands for the name only if it says something

#: Folders whose files keep the name that the uploader gave them.
_RAW_NAME_FOLDERS = frozenset({"loras", "embeddings", "hypernetworks", "vae", "upscale_models"})


class Mode(Enum):
    """Which models are shown; neither mode shows all."""

    ALL_RATINGS = "all ratings"  # hides what is flagged as minor or has excluded tags
    GENERAL = "general"  # hides what is rated above PG


class Stage(Enum):
    """When a question is asked."""

    MAIN = "main"
    # When nothing has been found. The search drops words from the end by itself, so that fewer
    # words find little that all of them did not.
    MORE = "more"
    # Without the first word, which the search never drops: where names are the uploaders' own,
    # a second file of the name may be behind it, so there it is always asked.
    OTHER = "other"
    LAST = "last"  # when nothing has been found, of any type


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """One question to the search.

    Attributes:
        text: its words.
        types: Civitai model types that it is limited to; none for no limit.
        mode: which models are shown.
        pages: how many pages are read at most. A page may be short or empty and not the last.
        stage: when it is asked.
    """

    text: str
    types: tuple[str, ...]
    mode: Mode
    pages: int
    stage: Stage

    @property
    def words(self) -> tuple[str, ...]:
        """The words as the index compares them."""
        return tuple(self.text.lower().split())

    def params(self, cursor: str | None = None) -> list[tuple[str, str]]:
        """Return the query parameters; `types` is repeated, a comma is not understood.

        The index knows no case: ``Wan`` and ``wan`` are one question, asked once.
        """
        params = [("query", self.text.lower()), *(("types", one) for one in self.types)]
        if self.mode is Mode.ALL_RATINGS:
            params.append(("nsfw", "true"))
        params.append(("limit", str(PAGE_SIZE)))
        return params + ([("cursor", cursor)] if cursor is not None else [])


def keeps_raw_names(folder: str) -> bool:
    """Say whether files of a folder go by names of their uploaders' choice."""
    return folder in _RAW_NAME_FOLDERS or folder not in FOLDER_MODEL_TYPES


def plan_queries(file_name: str, folder: str) -> tuple[Query, ...]:
    """Return the questions for a file name, in the order in which they are asked."""
    texts = _texts(stem(file_name), folder)
    types = FOLDER_MODEL_TYPES.get(folder, ())
    plan = [
        query
        for text, stage in zip(texts, _stages(texts), strict=True)
        for query in _both_modes(text, types, stage)
    ]
    if types and texts:
        plan += _both_modes(texts[0], (), Stage.LAST)
    return tuple(plan)


def must_be_asked(query: Query, folder: str) -> bool:
    """Say whether a question is asked although a file of the name has been found already.

    A name pins only if one content has it, so what could show another content may not be left
    out: neither the second browsing mode, which is the only one that shows some models, nor further
    pages, as an override gives any model's file any name, nor, where uploaders choose the names,
    the models whose name lacks the first word. Fewer words and no types are asked where nothing
    has been found: they look farther away, and nothing limits how far one could look.
    """
    return query.stage is Stage.MAIN or (query.stage is Stage.OTHER and keeps_raw_names(folder))


def is_covered(query: Query, by: Query) -> bool:
    """Say whether a complete answer to `by` holds all that a narrower question could show.

    The search drops words from the end until the first is left, so an answer that came to its end
    holds every model with the first word. Two things a question of two words finds besides: its
    last word also matches as a beginning, and two words also match as one. That is little enough
    for a question that is only asked in the hope of more, and none that `must_be_asked` is spared.
    """
    return (
        query.mode is by.mode
        and len(query.words) > 1
        and query.words[0] == by.words[0]
        and (not by.types or set(query.types) == set(by.types))
    )


def plan_alike(file_name: str, folder: str) -> tuple[tuple[Query, Query], ...]:
    """Return the questions for files with like names, by browsing mode: a wide and a sharp one.

    The wide one is the last that was asked for the name itself; the sharp one, all words of the
    name, puts the likes of it first where there are more than a page holds.
    """
    wide = next(iter(_texts(stem(file_name), folder)), "")
    sharp = " ".join(name_words(stem(file_name))[:_MAX_WORDS])
    if not wide or not sharp:
        return ()
    pairs = zip(_both_modes(wide, (), Stage.LAST), _both_modes(sharp, (), Stage.LAST), strict=True)
    return tuple(pairs)


def _stages(texts: Sequence[str]) -> Iterator[Stage]:
    """Yield when each text is asked: the first always, one that begins with another word apart."""
    for number, text in enumerate(texts):
        begins_alike = text.partition(" ")[0] == texts[0].partition(" ")[0]
        yield Stage.MAIN if number == 0 else Stage.MORE if begins_alike else Stage.OTHER


def plan_text(text: str) -> tuple[Query, ...]:
    """Return the questions for a person's own words: as they are, any type."""
    words = " ".join(word[:_LONGEST_WORD] for word in text.split()[:_MAX_WORDS])
    return tuple(_both_modes(words, (), Stage.LAST)) if words else ()


def search_words(file_name: str, folder: str) -> str:
    """Return the main words of a file name, as the search is asked for them."""
    return next(iter(_texts(stem(file_name), folder)), "")


def _both_modes(text: str, types: tuple[str, ...], stage: Stage) -> Iterator[Query]:
    pages = _MAIN_PAGES if stage is Stage.MAIN else _FALLBACK_PAGES
    for mode in Mode:
        yield Query(text=text, types=types, mode=mode, pages=pages, stage=stage)


def _texts(file_stem: str, folder: str) -> tuple[str, ...]:
    """Return the texts to ask for, each once: all words, fewer words, later words."""
    raw = keeps_raw_names(folder)
    named = file_stem if raw else (file_stem.strip("_").partition("_")[0] or file_stem)
    words = name_words(named)[:_MAX_WORDS]
    fewer = [words[:2], words[:1]]
    later = [_from_a_telling_word(words[1:])] if raw else []
    chosen = [" ".join(some) for some in (words, *fewer, *later) if some]
    return tuple(dict.fromkeys(text for text in chosen if text))


def _from_a_telling_word(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words from the first that says something: the search insists on the first."""
    telling = (place for place, word in enumerate(words) if len(word) >= _SHORTEST_WORD)
    return words[next(telling, len(words)) :]
