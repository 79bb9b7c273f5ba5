"""``GET /api/download/models/:id``: the gates in their order, then the choice of the file.

Source: civitai/civitai, src/pages/api/download/models/[modelVersionId].ts and
src/server/services/file.service.ts; texts are the site's, word for word.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tests.standin.catalogue import Catalogue, CatalogueFile, CatalogueModel, CatalogueVersion
from tests.standin.filenames import FILE_TYPES, Selectors, download_filename, primary_file
from tests.standin.messages import Answer, Request, html_answer, json_answer
from tests.standin.shapes import all_files

NO_STORE: Final = (("Cache-Control", "no-store, max-age=0"),)
LOGIN_TEXT: Final = "The creator of this asset requires you to be logged in to download it"
DISABLED_TEXT: Final = "The creator of this asset has disabled downloads on this file"
EARLY_TEXT: Final = "This asset is in Early Access. You can use Buzz access it now!"
QUOTA_TEXT: Final = (
    "We've noticed an unusual amount of downloading from your account. "
    "Contact support@civitai.com or come back later."
)
_BROWSER_WORDS: Final = ("mozilla", "chrome", "safari", "firefox", "opera", "edge")
_FORMATS: Final = ("SafeTensor", "PickleTensor", "GGUF", "Diffusers", "Core ML", "ONNX", "Other")
_SIZES: Final = ("full", "pruned")


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """Who asks for a download, and when."""

    known: bool
    """A good key came with the request."""
    anonymous_downloads: bool
    blocked: bool
    over_quota: bool
    now_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a download is not given."""

    status: int
    error: str
    message: str | None = None
    deadline: str | None = None
    browser_goes_to: str | None = None
    """A browser is sent to this page instead."""


Wanted = tuple[CatalogueModel, CatalogueVersion, CatalogueFile]


def download(
    request: Request,
    version_id: str,
    catalogue: Catalogue,
    visitor: Visitor,
    *,
    address_of: Callable[[CatalogueModel, CatalogueFile, str], str],
) -> Answer:
    """Answer with 307 to the storage, or say why not.

    Args:
        address_of: signs the storage's address of a file, given the name to save it under.
    """
    outcome = _choose(request, version_id, catalogue, visitor)
    if isinstance(outcome, Refusal):
        return _refused(request, outcome)
    model, version, file = outcome
    location = address_of(model, file, download_filename(model, version, file))
    return Answer(status=307, headers=(("Location", location), *NO_STORE))


def _choose(
    request: Request, version_id: str, catalogue: Catalogue, visitor: Visitor
) -> Wanted | Refusal:
    if visitor.blocked:
        return Refusal(status=403, error="Forbidden")
    if visitor.over_quota:
        return Refusal(status=429, error=QUOTA_TEXT)
    wrong = _wrong_parameter(request, version_id)
    if wrong is not None:
        return Refusal(status=400, error=wrong)
    found = catalogue.version(int(version_id))
    if found is None or found[0].poi:
        return Refusal(status=404, error="Model not found")
    model, version = found
    refusal = _closed(model, version) or _forbidden(version, visitor)
    if refusal is not None:
        return refusal
    file = chosen_file(request, version, all_files(catalogue, version))
    return Refusal(status=404, error="File not found") if file is None else (model, version, file)


def _wrong_parameter(request: Request, version_id: str) -> str | None:
    if not version_id.isdigit():
        return "✖ Invalid input: expected number, received NaN\n  → at modelVersionId"
    for name, allowed in (("type", FILE_TYPES), ("format", _FORMATS), ("size", _SIZES)):
        value = request.param(name)
        if value is not None and value not in allowed:
            options = "|".join(f'"{one}"' for one in allowed)
            return f"✖ Invalid option: expected one of {options}\n  → at {name}"
    file_id = request.param("fileId")
    if file_id is not None and not file_id.isdigit():
        return "✖ Invalid input: expected number, received NaN\n  → at fileId"
    return None


def _closed(model: CatalogueModel, version: CatalogueVersion) -> Refusal | None:
    """Archived comes before deleted: an archived model that was deleted says 410."""
    if model.mode == "Archived":
        return Refusal(status=410, error="Model archived, not available for download")
    if model.status != "Published" or version.status != "Published":
        return Refusal(status=404, error="Model not found")
    return None


def _forbidden(version: CatalogueVersion, visitor: Visitor) -> Refusal | None:
    if version.usage_control != "Download":
        return Refusal(status=401, error="Unauthorized", message=DISABLED_TEXT)
    if not visitor.known and (version.require_auth or not visitor.anonymous_downloads):
        back = f"%2Fmodel-versions%2F{version.id}"
        return Refusal(
            status=401,
            error="Unauthorized",
            message=LOGIN_TEXT,
            browser_goes_to=f"/login?returnUrl={back}&reason=download-auth",
        )
    if _is_early(version, visitor.now_s):
        assert version.paid_access is not None
        return Refusal(
            status=403,
            error="Early Access",
            message=EARLY_TEXT,
            deadline=version.paid_access.ends_at,
            browser_goes_to=f"/model-versions/{version.id}",
        )
    if version.private:
        if visitor.known:
            return Refusal(status=403, error="You do not have access to download this file")
        return Refusal(status=401, error="Unauthorized", message=LOGIN_TEXT)
    return None


def _is_early(version: CatalogueVersion, now_s: float) -> bool:
    access = version.paid_access
    if access is None:
        return False
    if access.permanent or access.ends_at is None:
        return True
    return datetime.fromisoformat(access.ends_at).timestamp() > now_s


def chosen_file(
    request: Request, version: CatalogueVersion, files: tuple[CatalogueFile, ...]
) -> CatalogueFile | None:
    """Return the file that the selectors mean; None where the site says "File not found".

    ``fileId`` names a public file of this very version and switches the other selectors off.
    Without it the best score wins, and is thrown away if it contradicts a selector.
    """
    file_id = request.param("fileId")
    if file_id is not None:
        return next(
            (
                one
                for one in version.files
                if one.id == int(file_id) and one.visibility == "Public" and not one.replaced
            ),
            None,
        )
    return _by_selectors(request, [one for one in files if not one.replaced])


def _by_selectors(request: Request, files: list[CatalogueFile]) -> CatalogueFile | None:
    kind = request.param("type")
    selectors = Selectors(
        format=request.param("format"),
        variant=request.param("size"),
        fp=request.param("fp"),
        quant_type=request.param("quantType"),
    )
    winner = primary_file((one for one in files if kind in {None, one.type}), selectors)
    if winner is None or winner.visibility != "Public":
        return None
    return winner if selectors.agree_with(winner) else None


def is_browser(request: Request) -> bool:
    """Whether the User-Agent has a browser's word in it: such a client gets pages, not JSON."""
    agent = request.headers.get("user-agent", "").lower()
    return any(word in agent for word in _BROWSER_WORDS)


def _refused(request: Request, refusal: Refusal) -> Answer:
    if is_browser(request):
        if refusal.browser_goes_to is not None:
            location = (("Location", refusal.browser_goes_to), *NO_STORE)
            return Answer(status=307, headers=location)
        return html_answer(refusal.status, refusal.message or refusal.error, NO_STORE)
    body: dict[str, Any] = {"error": refusal.error}
    if refusal.deadline is not None:
        body["deadline"] = refusal.deadline
    if refusal.message is not None:
        body["message"] = refusal.message
    return json_answer(refusal.status, body, NO_STORE)
