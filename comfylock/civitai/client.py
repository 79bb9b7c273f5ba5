"""Civitai as a catalogue: files by hash, by version id, and by exact name.

Every question goes through the cache: fresh answers need no request; when the API fails, or must
not be asked, an old answer serves and the user is told its age. A "not found" is an answer; a
fault is an error, never a "not found".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, cast

from comfylock.addresses import CivitaiAddress, parse_address, parse_pin
from comfylock.artifacts import Artifact, ModelId, ModelVersion, VersionId
from comfylock.candidates import belongs, oldest_first, same_name, selected
from comfylock.civitai.cache import Kept, ResponseCache
from comfylock.civitai.payloads import (
    SearchPage,
    parse_model,
    parse_search,
    parse_version,
    parse_versions,
    slimmed,
)
from comfylock.civitai.queries import (
    Query,
    is_covered,
    must_be_asked,
    plan_alike,
    plan_queries,
    plan_text,
)
from comfylock.errors import FetchError, GoneError, ServerError
from comfylock.events import Reporter, Warned
from comfylock.workers import Turns

BATCH = 100
_PAGES_AT_HAND = 32  # of about half a megabyte each
_SHORT_HASHES = (8, 10, 12, 64)


class Api(Protocol):
    """What the client needs of a transport."""

    def get_json(self, url: str, params: Sequence[tuple[str, str]] = ()) -> object:
        """Return the JSON of an answer; a `GoneError` is a true "not found"."""
        ...

    def post_json(self, url: str, content: object) -> object:
        """Return the JSON of the answer to a JSON body."""
        ...


class CivitaiClient:
    """Answers questions about files on Civitai. Safe for threads.

    Args:
        api: carries the requests.
        cache: keeps the answers.
        base_url: address of the site, with or without a trailing slash.
        reporter: told when an old answer has to serve.
    """

    def __init__(
        self, *, api: Api, cache: ResponseCache, base_url: str, reporter: Reporter
    ) -> None:
        self._api = api
        self._cache = cache
        self._base = f"{base_url.rstrip('/')}/api/v1"
        self._reporter = reporter
        self._warned: set[str] = set()
        self._turns = Turns()
        self._at_hand: dict[str, SearchPage] = {}

    def by_hashes(self, sha256: Sequence[str]) -> Mapping[str, tuple[ModelVersion, ...]]:
        """Return the versions that hold files of these contents, by lower-case digest.

        A version may be one whose list no longer shows the matching file. A digest that is not in
        the answer is on no public page.

        Raises:
            FetchError: the API failed and nothing old is known.
        """
        wanted = sorted(set(sha256))
        kept = {digest: self._cache.get(self._hash_key(digest)) for digest in wanted}
        old = [digest for digest, one in kept.items() if one is None or not one.is_fresh]
        answers = {digest: one.answer for digest, one in kept.items() if one and one.is_fresh}
        for first in range(0, len(old), BATCH):
            answers |= self._asked_by_hashes(old[first : first + BATCH], kept)
        found = {digest: parse_versions(answer) for digest, answer in answers.items()}
        return {digest: versions for digest, versions in found.items() if versions}

    def by_version(self, version: VersionId) -> ModelVersion | None:
        """Return a version, ``None`` when there is none (any more).

        Raises:
            FetchError: the API failed and nothing old is known.
        """
        answer = self._answer(f"{self._base}/model-versions/{version}")
        return parse_version(answer) if answer is not None else None

    def version_now(self, version: VersionId) -> ModelVersion | None:
        """Return a version as it is at this moment, whatever was kept of it.

        Raises:
            FetchError: the API failed.
        """
        url = f"{self._base}/model-versions/{version}"
        try:
            answer: object | None = _sound(slimmed(self._api.get_json(url)), url)
        except GoneError:
            answer = None
        self._cache.put(_request_key(url, ()), answer)
        return parse_version(answer) if answer is not None else None

    def versions_of(self, model: ModelId) -> tuple[ModelVersion, ...]:
        """Return the published versions of a model, in no order that means anything.

        The model's page may be lost for days, or come without versions, while the list still
        has them; and the list hides in either browsing mode what the other shows.

        Raises:
            FetchError: the API failed and nothing old is known.
        """
        versions = parse_model(self._answer(f"{self._base}/models/{model}"))
        for mode in (("nsfw", "true"),), ():
            if not versions:
                answer = self._answer(f"{self._base}/models", [("ids", str(model)), *mode])
                versions = parse_search(answer).versions
        return versions

    def search_name(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        """Return every file of exactly this name (case aside) that belongs into the folder.

        Oldest first. Of the planned questions those are asked that must be, and further ones
        until one has found something.

        Raises:
            FetchError: the API failed and nothing old is known; a partial search is no answer.
        """
        found: list[Artifact] = []
        complete: list[Query] = []
        for query in plan_queries(file_name, folder):
            if not must_be_asked(query, folder) and (
                found or any(is_covered(query, by) for by in complete)
            ):
                continue
            pages = self._pages(query)
            if pages[-1].cursor is None:
                complete.append(query)
            found += [
                one
                for one in _files_on(pages)
                if same_name(file_name, one.file_name) and belongs(one, folder)
            ]
        return oldest_first(found)

    def search_alike(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        """Return files that may have names like this one; none of them is meant for certain.

        Raises:
            FetchError: the API failed and nothing old is known.
        """
        found: list[Artifact] = []
        for wide, sharp in plan_alike(file_name, folder):
            pages = self._pages(wide)
            if pages[-1].cursor is not None and sharp.words != wide.words:
                pages = self._pages(sharp)
            found += _files_on(pages)
        return oldest_first(found)

    def search_text(self, text: str) -> tuple[Artifact, ...]:
        """Return the files that a person's words name: a hash, an address, an AIR, or free words.

        Raises:
            FetchError: the API failed and nothing old is known.
        """
        text = text.strip()
        address = parse_pin(text) or parse_address(text)
        if isinstance(address, CivitaiAddress):
            return self._at(address)
        if len(text) in _SHORT_HASHES and all(c in "0123456789abcdefABCDEF" for c in text):
            answer = self._answer(f"{self._base}/model-versions/by-hash/{text.upper()}")
            return oldest_first(_files_of([answer])) if answer is not None else ()
        return tuple(
            artifact for query in plan_text(text) for artifact in _files_on(self._pages(query))
        )

    def _at(self, address: CivitaiAddress) -> tuple[Artifact, ...]:
        if address.version is not None:
            version = self.by_version(address.version)
            files = version.files if version is not None else ()
            return tuple(
                one for one in selected(address, files) if address.file in {None, one.source.file}
            )
        assert address.model is not None, "an address names a model or a version"
        versions = self.versions_of(address.model)
        return tuple(file for version in versions for file in version.files)

    def _pages(self, query: Query) -> list[SearchPage]:
        """Return pages up to the query's limit; an empty page is not the end, a lost cursor is.

        The last one has no cursor if the answer came to its end.
        """
        pages: list[SearchPage] = []
        cursor: str | None = None
        while len(pages) < query.pages:
            page = self._page(query, cursor)
            pages.append(page)
            if page.cursor is None or page.cursor == cursor:
                break
            cursor = page.cursor
        return pages

    def _page(self, query: Query, cursor: str | None) -> SearchPage:
        """Return one page; many names have the same words, and it is read once for all of them."""
        url, params = f"{self._base}/models", query.params(cursor)
        request = _request_key(url, params)
        with self._turns.of(request):
            page = self._at_hand.get(request)
            if page is None:
                page = parse_search(self._answer(url, params))
                self._keep_at_hand(request, page)
        return page

    def _keep_at_hand(self, request: str, page: SearchPage) -> None:
        if len(self._at_hand) >= _PAGES_AT_HAND:
            self._at_hand.pop(next(iter(self._at_hand)), None)
        self._at_hand[request] = page

    def _asked_by_hashes(
        self, digests: Sequence[str], kept: Mapping[str, Kept | None]
    ) -> dict[str, object]:
        """Return a list of version objects for each digest, and keep each list."""
        try:
            url = f"{self._base}/model-versions/by-hash"
            answer: object = slimmed(self._api.post_json(url, list(digests)))
            if not isinstance(answer, list):
                raise _senseless(url)
            answers = self._sorted_out(digests, cast("object", answer))
        except FetchError as error:
            return {digest: self._old(kept[digest], error) for digest in digests}
        for digest, versions in answers.items():
            self._cache.put(self._hash_key(digest), versions or None)
        return answers

    def _sorted_out(self, digests: Sequence[str], answer: object) -> dict[str, object]:
        """Give each object of a batch answer to the digest that it was meant for.

        The answer has no order and does not repeat the question. Where an object shows no file
        of a wanted hash (it was replaced or hidden since), the digests that are left are asked
        one by one.
        """
        elements: list[object] = list(answer) if isinstance(answer, list) else []  # pyright: ignore[reportUnknownArgumentType]
        shown = [(one, _digests_of(one)) for one in elements]
        answers: dict[str, object] = {
            digest: _once(one for one, held in shown if digest in held) for digest in digests
        }
        if any(not held & set(digests) for _, held in shown):
            for digest in [digest for digest, found in answers.items() if not found]:
                answers[digest] = self._asked_singly(digest)
        return answers

    def _asked_singly(self, digest: str) -> object:
        try:
            return [slimmed(self._api.get_json(f"{self._base}/model-versions/by-hash/{digest}"))]
        except GoneError:
            return []

    def _answer(self, url: str, params: Sequence[tuple[str, str]] = ()) -> object | None:
        """Return an answer, from the cache where it is fresh; ``None`` for "not found".

        What several threads want to know at once is asked once.
        """
        request = _request_key(url, params)
        with self._turns.of(request):
            kept = self._cache.get(request)
            if kept is not None and kept.is_fresh:
                return kept.answer
            try:
                answer: object | None = _sound(slimmed(self._api.get_json(url, params)), url)
            except GoneError:
                answer = None
            except FetchError as error:
                return self._old(kept, error)
            self._cache.put(request, answer)
            return answer

    def _old(self, kept: Kept | None, error: FetchError) -> object | None:
        """Return an old answer with a warning, or raise what kept us from a new one.

        An old "not found" is no answer: what was not there then may be there now.
        """
        if kept is None or kept.answer is None:
            raise error
        message = f"{error.message}; using an answer that is {age_in_words(kept.age_s)}"
        if message not in self._warned:
            self._warned.add(message)
            self._reporter.on(Warned(message=message))
        return kept.answer

    def _hash_key(self, digest: str) -> str:
        return f"SHA256 {self._base} {digest}"


def _sound(answer: object, url: str) -> object:
    """Return an answer of the shape that its address promises.

    Raises:
        ServerError: it is something else; taken for "not found" it would be kept for a day.
    """
    if not isinstance(answer, dict):
        raise _senseless(url)
    if url.endswith("/models") and not isinstance(answer.get("items"), list):  # pyright: ignore[reportUnknownMemberType]
        raise _senseless(url)
    return answer  # pyright: ignore[reportUnknownVariableType]


def _senseless(url: str) -> ServerError:
    return ServerError(
        f"{url.partition('?')[0]} answered with something that is no answer to the question",
        hint="Try again later; if it stays so, the site has changed its API",
    )


def age_in_words(seconds: float) -> str:
    """Return an age as people say it: ``3 hours old``."""
    units: Iterable[tuple[str, int]] = (("day", 86400), ("hour", 3600), ("minute", 60))
    for unit, length in units:
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} old"
    return "less than a minute old" if seconds >= 0 else "of unknown age"


def _files_on(pages: Iterable[SearchPage]) -> Iterator[Artifact]:
    for page in pages:
        for version in page.versions:
            yield from version.files


def _request_key(url: str, params: Sequence[tuple[str, str]]) -> str:
    return " ".join(["GET", url, *(f"{name}={value}" for name, value in sorted(params))])


def _digests_of(answer: object) -> frozenset[str]:
    return frozenset(
        digest for digest in (one.digests.sha256 for one in _files_of([answer])) if digest
    )


def _files_of(answers: Sequence[object]) -> tuple[Artifact, ...]:
    versions = (parse_version(one) for one in answers)
    return tuple(file for version in versions if version is not None for file in version.files)


def _once(answers: Iterable[object]) -> list[object]:
    """Return version objects, each version once, in the order of their ids."""
    by_id: dict[int, object] = {}
    for one in answers:
        version = parse_version(one)
        if version is not None:
            by_id.setdefault(version.version, one)
    return [by_id[number] for number in sorted(by_id)]
