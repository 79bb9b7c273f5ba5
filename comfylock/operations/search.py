"""`search`: a person's words -> files on Civitai."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from comfylock.artifacts import Artifact
from comfylock.candidates import same_name, stem
from comfylock.errors import FetchError, Problem, UsageError
from comfylock.matching import name_words
from comfylock.names import extension, shown
from comfylock.session import Session

_MOST_ECHOED = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        text: what was searched for.
        types: the model types that were kept, as they were typed; none for all.
        candidates: files of exactly that name or hash first, then in the order of the answers.
        left_out: how many more there are.
        fault: why nobody could be asked.
    """

    text: str
    candidates: tuple[Artifact, ...]
    types: tuple[str, ...] = ()
    left_out: int = 0
    fault: Problem | None = None


def search(session: Session, text: str, types: Sequence[str], limit: int) -> Found:
    """Return the files that a name, hash, address or AIR means, or that words describe.

    Args:
        session: whom to ask.
        text: what a person typed.
        types: Civitai's model types to keep, whatever their case; none for all.
        limit: the most candidates to return.

    Raises:
        UsageError: the text is empty.
    """
    text = text.strip()
    if not text:
        raise UsageError("there is nothing to search for", hint="Name a file, hash or address")
    wanted = {one.casefold() for one in types}
    try:
        for words in _texts(text):
            found = [
                one
                for one in dict.fromkeys(session.catalog.search_text(words))
                if not wanted or one.model_type.casefold() in wanted
            ]
            if found:
                first = sorted(found, key=lambda one: not _is_exact(one, text))
                meant = _of_hash(first, text) or first
                return Found(
                    text=text, candidates=tuple(meant[:limit]), left_out=len(meant[limit:])
                )
    except FetchError as error:
        return Found(text=text, candidates=(), fault=error.problem())
    return Found(text=text, candidates=(), types=tuple(types))


def _texts(text: str) -> Iterator[str]:
    """Yield what to ask for, until something is found.

    File names are not indexed: a name is taken apart into the words of the model's name.
    """
    plain = text.removeprefix("sha256:").removeprefix("blake3:")
    if not extension(text):
        yield plain
    if "://" in text or ":" in text or " " in text:
        return
    named = stem(text)
    for part in dict.fromkeys((named, named.strip("_").partition("_")[0])):
        words = name_words(part)
        for some in dict.fromkeys((words, words[:2])):
            if some and " ".join(some) != plain:
                yield " ".join(some)


def _is_exact(one: Artifact, text: str) -> bool:
    return same_name(
        text if extension(text) else f"{text}{extension(one.file_name)}", one.file_name
    )


def _of_hash(found: Sequence[Artifact], text: str) -> list[Artifact]:
    """Return the files that have a hash; an answer shows all files of the version."""
    digest = text.rpartition(":")[2].lower()
    return [
        one
        for one in found
        if digest in {one.digests.sha256, one.digests.blake3}
        or (len(digest) == 10 and (one.digests.sha256 or "").startswith(digest))
    ]


def nothing_found(found: Found) -> Problem:
    """Return the answer "no" of a search."""
    of_type = f" of type {shown(' or '.join(found.types))}" if found.types else ""
    words = "Search by words of the model's name, by a hash, or give the address of its page"
    return Problem(
        slug="unresolved",
        message=f"Civitai shows nothing{of_type} for {shown(found.text[:_MOST_ECHOED])}",
        hint=f"{words}; or leave out --type" if found.types else words,
    )
