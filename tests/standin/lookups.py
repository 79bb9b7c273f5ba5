"""Finding versions by hash: one hash, many hashes, and ids alone.

A hash of any recorded type finds a version in the single form; the batch forms know SHA256 only.
The same bytes may lie under several models: the single form names the one published first.
Source: civitai/civitai, src/pages/api/v1/model-versions/by-hash/*.ts.
"""

import hashlib
import json
from typing import Any, Final

from tests.standin.catalogue import Catalogue, Shelf
from tests.standin.messages import Answer, Headers, Request, json_answer
from tests.standin.parts import Json
from tests.standin.shapes import Shapes

BY_HASH_CACHE: Final[Headers] = (
    ("Cache-Control", "public, s-maxage=3600, stale-while-revalidate=1800"),
)
_MAX_BATCH: Final = 100
_MAX_IDS: Final = 10_000
_SHA256_LETTERS: Final = 64


def by_hash(request: Request, digest: str, catalogue: Catalogue) -> Answer:
    """Answer with the version that was published first of those with this hash."""
    wanted = digest.upper()
    found = [
        one
        for one in _published(catalogue)
        if wanted in {value.upper() for value in one.file.recorded_hashes.values()}
    ]
    if not found:
        return json_answer(404, {"error": "Model not found"}, BY_HASH_CACHE)
    first = min(found, key=lambda one: (one.version.published_at, one.version.id))
    shapes = Shapes(catalogue=catalogue, origin=request.origin)
    shown = shapes.version_object(first.model, first.version, by_hash=True)
    if shown is None:
        return json_answer(404, {"error": "Missing model file"}, BY_HASH_CACHE)
    return json_answer(200, shown, BY_HASH_CACHE)


def batch(request: Request, catalogue: Catalogue, *, host: str | None = None) -> Answer:
    """Answer with one element for each matching file, in no useful order.

    An element is null where the version has no file to show; ``host`` is put into the addresses
    in place of the request's, for the time when the site wrote ``https://undefined``.
    """
    digests = _hashes_in(request.body, _MAX_BATCH)
    if isinstance(digests, str):
        text = f"Request must include an array of SHA256 Hashes. {digests}"
        return json_answer(400, {"error": text})
    shapes = Shapes(catalogue=catalogue, origin=request.origin)
    elements: list[Json | None] = [
        shapes.version_object(one.model, one.version, by_hash=True, host=host)
        for one in sorted(_with_sha256(catalogue, digests), key=_shuffled)
    ]
    return json_answer(200, elements)


def ids(request: Request, catalogue: Catalogue) -> Answer:
    """Answer with version and model ids of each matching file."""
    digests = _hashes_in(request.body, _MAX_IDS)
    if isinstance(digests, str):
        return json_answer(400, {"error": digests})
    return json_answer(
        200,
        [
            {
                "modelVersionId": one.version.id,
                "modelId": one.model.id,
                "hash": one.file.recorded_hashes["SHA256"],
            }
            for one in sorted(_with_sha256(catalogue, digests), key=_shuffled)
        ],
    )


def _published(catalogue: Catalogue) -> list[Shelf]:
    return [
        one
        for one in catalogue.shelves()
        if one.model.status == "Published" and one.version.status == "Published"
    ]


def _with_sha256(catalogue: Catalogue, digests: frozenset[str]) -> list[Shelf]:
    return [
        one for one in _published(catalogue) if one.file.recorded_hashes.get("SHA256") in digests
    ]


def _shuffled(shelf: Shelf) -> str:
    """Order by a digest: always the same, and never the order that was asked for."""
    return hashlib.sha256(f"{shelf.version.id} {shelf.file.id}".encode()).hexdigest()


def _hashes_in(body: bytes, most: int) -> frozenset[str] | str:
    """Return the hashes in upper case, or the validator's issues as JSON."""
    try:
        document: Any = json.loads(body or b"null")
    except ValueError:
        document = None
    if not isinstance(document, list):
        return _issues("invalid_type", [], "Invalid input: expected array")
    if len(document) > most:
        return _issues("too_big", [], f"Too big: expected array to have <={most} items")
    for place, one in enumerate(document):
        if not isinstance(one, str) or len(one) != _SHA256_LETTERS:
            return _issues("custom", [place], "Invalid hash")
    return frozenset(one.upper() for one in document)


def _issues(code: str, path: list[int], message: str) -> str:
    return json.dumps([{"code": code, "path": path, "message": message}], indent=2)
