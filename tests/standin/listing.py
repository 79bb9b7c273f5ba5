"""``GET /models``: its parameters, filters, order and pages.

Two roads: with ``query`` a slice of the search hits is taken first and filtered afterwards, so a
page may be short or empty while more follow; without it the models are filtered, sorted, and paged
by the sort key of the next one.
Source: civitai/civitai, src/pages/api/v1/models/index.ts, src/server/services/model.service.ts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from tests.standin.catalogue import Catalogue, CatalogueModel, CatalogueVersion
from tests.standin.messages import Answer, Request, json_answer
from tests.standin.parameters import Filters, ParameterError, parse_filters
from tests.standin.parts import nsfw_level
from tests.standin.search import hits
from tests.standin.shapes import Shapes

# Shown without nsfw=true only: the addon rules of the unrestricted mode hide minor-flagged models
# and those with certain tags. The real list of tags is not public; this one stands for it.
EXCLUDED_TAGS: Final = frozenset({"hidden with nsfw"})
# Some of the base models whose licence forbids adult content; versions with such a rating are cut.
RESTRICTED_BASE_MODELS: Final = frozenset({"SD 3", "SD 3.5", "SDXL Turbo", "SVD", "Stable Cascade"})
_ADULT: Final = 4 | 8 | 16
_PAGE_CAP: Final = 1000

SortKey = Callable[[CatalogueModel], tuple[int, ...]]
_SORTS: Final[dict[str, SortKey]] = {
    "Highest Rated": lambda one: (one.stats.thumbs_up, one.stats.downloads, one.id),
    "Most Downloaded": lambda one: (one.stats.downloads, one.stats.thumbs_up, one.id),
    "Most Liked": lambda one: (one.stats.thumbs_up, one.stats.downloads, one.id),
    "Most Discussed": lambda one: (one.stats.comments, one.stats.thumbs_up, one.id),
    "Most Collected": lambda one: (0, one.stats.thumbs_up, one.id),
    "Most Images": lambda one: (0, one.stats.thumbs_up, one.id),
    "Newest": lambda one: (latest(one), one.id),
    "Oldest": lambda one: (-latest(one), one.id),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The models of one page, and where the next one starts."""

    models: tuple[CatalogueModel, ...]
    next_cursor: str | None


class CursorError(ValueError):
    """A cursor with the wrong number of values."""


def list_models(request: Request, catalogue: Catalogue, *, known: bool, now_s: float) -> Answer:
    """Answer a list request; ``known`` says that the client sent a good key."""
    if not known and ({"favorites", "hidden"} & set(request.params)):
        return json_answer(401, {"error": "Unauthorized"})
    try:
        filters = parse_filters(request)
    except ParameterError as error:
        return json_answer(400, {"error": {"name": "ZodError", "message": str(error)}})
    refusal = _refusal(filters, catalogue)
    if refusal is not None:
        return refusal
    try:
        page = _page(filters, catalogue, now_s)
    except CursorError as error:
        return json_answer(400, {"message": str(error)})
    return json_answer(200, _document(request, filters, page, catalogue))


def _refusal(filters: Filters, catalogue: Catalogue) -> Answer | None:
    if filters.query and filters.page is not None:
        text = "Cannot use page param with query search. Use cursor-based pagination."
        return json_answer(400, {"error": text})
    if (
        filters.page is not None
        and filters.cursor is None
        and filters.page * filters.limit > _PAGE_CAP
    ):
        text = "You've requested too many pages, please use cursors instead"
        return json_answer(429, {"error": text})
    if filters.username is not None and not any(
        str(one.creator).lower() == filters.username.lower() for one in catalogue.models
    ):
        return json_answer(404, {"message": f"User not found: {filters.username}"})
    return None


def _page(filters: Filters, catalogue: Catalogue, now_s: float) -> Page:
    if filters.query:
        return _searched(filters, catalogue, now_s)
    return _sorted(filters, catalogue, now_s)


def _searched(filters: Filters, catalogue: Catalogue, now_s: float) -> Page:
    """Cut the slice first, filter it after: that is why pages come up short."""
    try:
        offset = int(filters.cursor or 0)
    except ValueError:
        offset = 0
    found = [
        one
        for one in hits(filters.query, catalogue.models)
        if one.nsfw_level & filters.levels and (not filters.types or one.type in filters.types)
    ]
    window = found[offset : offset + filters.limit + 1]
    more = len(window) > filters.limit
    return Page(
        models=tuple(one for one in window[: filters.limit] if _listed(one, filters, now_s)),
        next_cursor=str(offset + filters.limit) if more else None,
    )


def _sorted(filters: Filters, catalogue: Catalogue, now_s: float) -> Page:
    key = _SORTS[filters.sort]
    found = [
        one
        for one in catalogue.models
        if one.nsfw_level & filters.levels
        and (not filters.types or one.type in filters.types)
        and _listed(one, filters, now_s)
    ]
    found.sort(key=key, reverse=True)
    if filters.cursor is not None:
        first = _cursor_key(filters.cursor, len(key(_NOBODY)))
        found = [one for one in found if key(one) <= first]
    rest = found[filters.limit : filters.limit + 1]
    return Page(
        models=tuple(found[: filters.limit]),
        next_cursor="|".join(map(str, key(rest[0]))) if rest and filters.limit else None,
    )


def _cursor_key(cursor: str, arity: int) -> tuple[int, ...]:
    values = cursor.split("|")
    if len(values) != arity:
        raise CursorError(
            f"Invalid cursor: expected {arity} value(s) for this sort, received {len(values)}"
        )
    try:
        return tuple(int(one) for one in values)
    except ValueError as error:
        raise CursorError("Invalid cursor: expected numbers") from error


_NOBODY: Final = CatalogueModel(id=0, name="", type="Other", versions=())


def _listed(model: CatalogueModel, filters: Filters, now_s: float) -> bool:
    """Whether the database shows this model for these parameters."""
    if model.status != "Published" or model.availability == "Private" or model.poi or model.stale:
        return False
    if model.mode == "Archived" and not filters.archived:
        return False
    if filters.nsfw and (model.minor or EXCLUDED_TAGS & set(model.tags)):
        return False
    if filters.ids and model.id not in filters.ids:
        return False
    if filters.tag is not None and filters.tag.lower() not in map(str.lower, model.tags):
        return False
    return _fits(model, filters, now_s)


def _fits(model: CatalogueModel, filters: Filters, now_s: float) -> bool:
    name = filters.username
    if name is not None and str(model.creator).lower() != name.lower():
        return False
    days = filters.period_days
    if days is not None and latest(model) < (now_s - days * 86_400) * 1000:
        return False
    return bool(shown_versions(model, filters))


def shown_versions(model: CatalogueModel, filters: Filters) -> tuple[CatalogueVersion, ...]:
    """Return the versions that an item of this list shows, in the creator's order."""
    hide_unlisted = bool(filters.version_ids) and not (
        filters.ids or filters.username or filters.query
    )
    return tuple(
        one
        for one in model.ordered_versions
        if one.status == "Published"
        and one.availability != "Private"
        and (not filters.version_ids or one.id in filters.version_ids)
        and (not filters.base_models or one.base_model in filters.base_models)
        and not (hide_unlisted and one.availability != "Public")
        and not (one.base_model in RESTRICTED_BASE_MODELS and nsfw_level(model, one) & _ADULT)
    )


def _document(
    request: Request, filters: Filters, page: Page, catalogue: Catalogue
) -> dict[str, Any]:
    shapes = Shapes(catalogue=catalogue, origin=request.origin)
    items = [
        shapes.list_item(one, shown_versions(one, filters), primary_only=filters.primary_only)
        for one in page.models
    ]
    metadata: dict[str, Any] = {}
    if page.next_cursor is not None:
        metadata["nextCursor"] = page.next_cursor
        metadata["nextPage"] = _next_page(request, page.next_cursor)
    if filters.page is not None:
        metadata |= {"currentPage": filters.page, "pageSize": filters.limit}
    return {"items": items, "metadata": metadata}


def _next_page(request: Request, cursor: str) -> str:
    """Repeat every parameter of the request, a token too: that is what the site does."""
    kept = [part for part in request.query.split("&") if part and not part.startswith("cursor=")]
    return f"{request.origin}{request.path}?{'&'.join([*kept, 'cursor=' + quote(cursor)])}"


def latest(model: CatalogueModel) -> int:
    """Return when the model's newest version was published, in milliseconds."""
    moments = (datetime.fromisoformat(one.published_at) for one in model.versions)
    return max((int(one.timestamp() * 1000) for one in moments), default=0)
