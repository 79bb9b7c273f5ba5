"""The parameters of ``GET /models``, checked as the site's validator checks them.

Unknown parameters are dropped, numbers given as strings are refused where the schema says number,
and a list with a comma in it is one (wrong) value.
Source: civitai/civitai, src/server/schema/model.schema.ts, src/utils/zod-helpers.ts.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from tests.standin.messages import Request

MODEL_TYPES: Final = (
    "Checkpoint",
    "TextualInversion",
    "Hypernetwork",
    "AestheticGradient",
    "LORA",
    "LoCon",
    "DoRA",
    "Controlnet",
    "Upscaler",
    "MotionModule",
    "VAE",
    "Poses",
    "Wildcards",
    "Workflows",
    "Detection",
    "Other",
)
SORTS: Final = (
    "Highest Rated",
    "Most Downloaded",
    "Most Liked",
    "Most Discussed",
    "Most Collected",
    "Most Images",
    "Newest",
    "Oldest",
)
_ALL_LEVELS: Final = 31
_TRUE: Final = frozenset({"true", "1", "yes", "on", "y", "enabled"})
_FALSE: Final = frozenset({"false", "0", "no", "off", "n", "disabled"})
_PERIODS: Final = {"AllTime": None, "Year": 365, "Month": 30, "Week": 7, "Day": 1}
_MAX_LIMIT: Final = 100
_NUMBERS: Final = ("browsingLevel", "collectionId")


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """The parameters of a list request, checked."""

    limit: int
    page: int | None
    cursor: str | None
    query: str
    ids: frozenset[int]
    version_ids: frozenset[int]
    types: frozenset[str]
    base_models: frozenset[str]
    tag: str | None
    username: str | None
    sort: str
    period_days: int | None
    nsfw: bool
    primary_only: bool
    archived: bool

    @property
    def levels(self) -> int:
        """The bits of nsfwLevel that may be shown."""
        return _ALL_LEVELS if self.nsfw else 1


class ParameterError(ValueError):
    """Parameters that the site refuses; ``issues`` is what its validator says."""

    def __init__(self, issues: list[dict[str, Any]]) -> None:
        super().__init__(json.dumps(issues, indent=2))
        self.issues = issues


def parse_filters(request: Request) -> Filters:
    """Check the parameters as the site's validator does; unknown ones are dropped.

    Raises:
        ParameterError: with one issue for each parameter that is refused.
    """
    reader = _Reader(request.params)
    filters = Filters(
        limit=reader.integer("limit", default=_MAX_LIMIT, low=0, high=_MAX_LIMIT),
        page=reader.integer("page", default=0, low=1, high=None) or None,
        cursor=reader.text("cursor"),
        query=reader.text("query") or "",
        ids=reader.integers("ids"),
        version_ids=reader.integers("modelVersionIds"),
        types=frozenset(reader.choices("types", MODEL_TYPES)),
        base_models=frozenset(request.params.get("baseModels", [])),
        tag=reader.text("tag") or None,
        username=reader.text("username") or None,
        sort=reader.choice("sort", SORTS) or "Highest Rated",
        period_days=_PERIODS[reader.choice("period", tuple(_PERIODS)) or "AllTime"],
        nsfw=reader.boolean("nsfw"),
        primary_only=reader.boolean("primaryFileOnly"),
        archived=bool(reader.text("archived")),
    )
    reader.refuse_strings_for(_NUMBERS)
    reader.refuse_single("fileFormats")
    if reader.issues:
        raise ParameterError(reader.issues)
    return filters


class _Reader:
    """Reads parameters and collects what is wrong with them."""

    def __init__(self, params: dict[str, list[str]]) -> None:
        self.params = params
        self.issues: list[dict[str, Any]] = []

    def text(self, name: str) -> str | None:
        values = self.params.get(name)
        return values[0] if values else None

    def integer(self, name: str, *, default: int, low: int, high: int | None) -> int:
        text = self.text(name)
        if text is None:
            return default
        number = int(text) if text.lstrip("-").isdigit() else None
        if number is None:
            self._issue("invalid_type", name, "Invalid input: expected number, received NaN")
        elif number < low:
            self._issue("too_small", name, f"Too small: expected number to be >={low}")
        elif high is not None and number > high:
            self._issue("too_big", name, f"Too big: expected number to be <={high}")
        return default if number is None else number

    def integers(self, name: str) -> frozenset[int]:
        parts = [part for value in self.params.get(name, []) for part in value.split(",")]
        if not all(part.strip().isdigit() for part in parts):
            self._issue("invalid_type", name, "Invalid input: expected number, received NaN")
            return frozenset()
        return frozenset(int(part) for part in parts)

    def choices(self, name: str, allowed: tuple[str, ...]) -> list[str]:
        values = self.params.get(name, [])
        if any(value not in allowed for value in values):
            self._issue("invalid_union", name, "Invalid input", errors=[list(allowed)])
        return values

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            self._issue("invalid_value", name, "Invalid option", values=list(allowed))
            return None
        return value

    def boolean(self, name: str) -> bool:
        value = (self.text(name) or "false").lower()
        if value not in _TRUE | _FALSE:
            self._issue("invalid_value", name, "Invalid input: expected boolean")
        return value in _TRUE

    def refuse_strings_for(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name in self.params:
                self._issue("invalid_type", name, "Invalid input: expected number, received string")

    def refuse_single(self, name: str) -> None:
        if len(self.params.get(name, [])) == 1:
            self._issue("invalid_type", name, "Invalid input: expected array, received string")

    def _issue(self, code: str, name: str, message: str, **more: Any) -> None:
        self.issues.append({"code": code, **more, "path": [name], "message": message})
