"""The hub's routes: a pure function from a request and the hub's state to an answer."""

import re
from dataclasses import dataclass
from typing import Final

from tests.standin import lookups
from tests.standin.catalogue import Catalogue, CatalogueFile, CatalogueModel, CatalogueVersion
from tests.standin.downloads import Visitor, download
from tests.standin.filenames import FILE_TYPES, primary_file
from tests.standin.listing import list_models
from tests.standin.messages import (
    Answer,
    Request,
    html_answer,
    json_answer,
    shuffled,
    with_headers,
)
from tests.standin.parameters import MODEL_TYPES
from tests.standin.parts import nsfw_level
from tests.standin.shapes import Shapes
from tests.standin.storage import Signer

CACHED: Final = "public, s-maxage=300, stale-while-revalidate=150"
BATCH_HOST_OF_OLD: Final = "https://undefined"
CLOUDFLARE_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>"
    "<body><h1>Sorry, you have been blocked</h1></body></html>"
)
_PAGE: Final = (
    '<!DOCTYPE html><html><head><title>Civitai</title></head><body><div id="__next">'
    "</div></body></html>"
)
_DEFAULT_AGENTS: Final = ("python-urllib", "python-requests", "python-httpx", "python/")
_MAX_ID: Final = 2_147_483_647
_ALL_LEVELS: Final = 31
_WRONG_NUMBER: Final = "✖ Invalid input: expected number, received NaN\n  → at id"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How the hub behaves; changed as a whole with ``Standin.configure``."""

    anonymous_downloads: bool = True
    keys: tuple[str, ...] = ("standin-key",)
    latency_s: float = 0.0
    throttle_per_connection: int | None = None
    """Bytes a second that the storage sends on one connection."""
    content_disposition: bool = True
    batch_host_undefined: bool = False
    download_quota: int | None = None
    """Downloads that are given before the quota answer."""
    blocked: bool = False
    """The client's address or account is on the site's block list for downloads."""
    shuffle: int | None = None
    """Puts lists whose order means nothing into another one, a different one for each number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    """The hub at one moment; ``answer`` is all that it does."""

    catalogue: Catalogue
    settings: Settings
    signer: Signer
    storage_origin: str
    now_s: float
    downloads_given: int = 0

    def answer(self, request: Request) -> Answer:
        """Answer a request as the site would, its edge included."""
        agent = request.headers.get("user-agent", "").lower()
        if agent.startswith(_DEFAULT_AGENTS):
            return cloudflare()
        answer = self._route(request)
        if not request.path.startswith("/api/v1/"):
            return answer
        defaults = {"Access-Control-Allow-Origin": "*"}
        if answer.header("cache-control") is None:
            defaults["Cache-Control"] = "private, no-cache" if self._known(request) else CACHED
        return Answer(
            status=answer.status,
            headers=with_headers(answer.headers, dict(defaults)),
            body=answer.body,
        )

    def _route(self, request: Request) -> Answer:
        found = re.fullmatch(r"/api/download/models/([^/]+)/?", request.path)
        if found is not None:
            return self._download(request, found[1])
        if not request.path.startswith("/api/"):
            return html_answer(200, _PAGE)
        return self._metadata(request, request.path.removeprefix("/api/v1").rstrip("/"))

    def _metadata(self, request: Request, path: str) -> Answer:
        answer = self._ordered(request, path)
        return answer if self.settings.shuffle is None else shuffled(answer, self.settings.shuffle)

    def _ordered(self, request: Request, path: str) -> Answer:
        match path.split("/")[1:]:
            case ["models", number]:
                return self._model(request, number)
            case ["model-versions", "by-hash"]:
                host = BATCH_HOST_OF_OLD if self.settings.batch_host_undefined else None
                return lookups.batch(request, self.catalogue, host=host)
            case ["model-versions", "by-hash", "ids"]:
                return lookups.ids(request, self.catalogue)
            case ["model-versions", "by-hash", digest]:
                return lookups.by_hash(request, digest, self.catalogue)
            case parts:
                return self._strict(request, parts)

    def _strict(self, request: Request, parts: list[str]) -> Answer:
        """Answer the routes that check the method; HEAD is refused there too."""
        if parts and parts[0] in {"models", "model-versions", "me"} and request.method != "GET":
            return json_answer(405, {"error": "Method not allowed"})
        match parts:
            case ["models"]:
                known = self._known(request)
                answer = list_models(request, self.catalogue, known=known, now_s=self.now_s)
            case ["model-versions", number]:
                answer = self._version(request, number)
            case ["model-versions", "mini", number]:
                answer = self._mini(request, number)
            case ["me"]:
                answer = self._me(request)
            case ["enums"]:
                answer = json_answer(200, _enums(self.catalogue))
            case _:
                answer = html_answer(404, _PAGE)
        return answer

    def _known(self, request: Request) -> bool:
        """Whether a good key came along; the header beats ``?token``, and a bad one is no error."""
        header = request.headers.get("authorization")
        if header is not None:
            return header.removeprefix("Bearer ") in self.settings.keys
        return request.param("token") in self.settings.keys

    def _download(self, request: Request, version_id: str) -> Answer:
        if request.method == "HEAD":
            # Reported for a good key as well (vast-ai/base-image, pull request 215).
            return json_answer(401, {"error": "Unauthorized"})
        quota = self.settings.download_quota
        visitor = Visitor(
            known=self._known(request),
            anonymous_downloads=self.settings.anonymous_downloads,
            blocked=self.settings.blocked,
            over_quota=quota is not None and self.downloads_given >= quota,
            now_s=self.now_s,
        )
        return download(
            request, version_id, self.catalogue, visitor, address_of=self._storage_address
        )

    def _storage_address(self, model: CatalogueModel, file: CatalogueFile, name: str) -> str:
        return self.storage_origin + self.signer.path(model, file, name, self.now_s)

    def _model(self, request: Request, number: str) -> Answer:
        if not number.isdigit() or not 1 <= int(number) <= _MAX_ID:
            return json_answer(400, {"error": _WRONG_NUMBER})
        model = self.catalogue.model(int(number))
        if model is None or not _has_page(model):
            return json_answer(404, {"error": f"No model with id {number}"})
        versions = tuple(
            one
            for one in model.ordered_versions
            if one.status == "Published" and one.files and not model.stale
        )
        shapes = Shapes(catalogue=self.catalogue, origin=request.origin)
        return json_answer(200, shapes.model_page(model, versions))

    def _version(self, request: Request, number: str) -> Answer:
        """Answer by id: only the version's own status counts here, not the model's."""
        if not number.isdigit():
            return json_answer(400, {"error": _WRONG_NUMBER})
        if number == "0":
            return json_answer(400, {"error": "Missing modelVersionId"})
        found = self.catalogue.version(int(number))
        if found is None or found[1].status != "Published" or not nsfw_level(*found):
            return json_answer(404, {"error": "Model not found"})
        shapes = Shapes(catalogue=self.catalogue, origin=request.origin)
        shown = shapes.version_object(*found)
        if shown is None:
            return json_answer(404, {"error": "Missing model file"})
        return json_answer(200, shown)

    def _mini(self, request: Request, number: str) -> Answer:
        if not number.isdigit():
            return json_answer(400, {"error": _WRONG_NUMBER})
        found = self.catalogue.version(int(number))
        if found is None or found[1].status != "Published":
            return json_answer(404, {"error": "Model not found"})
        model, version = found
        asked = request.param("modelFileId")
        file = primary_file(version.files) if asked is None else _file_of(version, asked)
        if file is None and asked is not None:
            text = f"Model file {asked} not found in version {number}"
            return json_answer(404, {"error": text})
        if file is None:
            return json_answer(404, {"error": "Missing model file"})
        shapes = Shapes(catalogue=self.catalogue, origin=request.origin)
        return json_answer(200, shapes.mini(model, version, file))

    def _me(self, request: Request) -> Answer:
        if not self._known(request):
            return json_answer(401, {"error": "Unauthorized"})
        return json_answer(
            200,
            {
                "id": 1,
                "username": "standin",
                "tier": "free",
                "status": "active",
                "isMember": False,
                "subscriptions": [],
            },
        )


def _has_page(model: CatalogueModel) -> bool:
    return (
        model.status == "Published"
        and not model.poi
        and model.availability != "Private"
        and bool(model.nsfw_level & _ALL_LEVELS)
    )


def _file_of(version: CatalogueVersion, number: str) -> CatalogueFile | None:
    return next((one for one in version.files if str(one.id) == number), None)


def _enums(catalogue: Catalogue) -> dict[str, list[str]]:
    bases = sorted({one.base_model for _, one in catalogue.versions()})
    return {
        "ModelType": list(MODEL_TYPES),
        "ModelFileType": list(FILE_TYPES),
        "ActiveBaseModel": bases,
        "BaseModel": bases,
        "BaseModelType": ["Standard", "Inpainting", "Refiner", "Pix2Pix"],
    }


def cloudflare() -> Answer:
    """Answer as the edge does when it blocks a client."""
    return html_answer(403, CLOUDFLARE_PAGE, (("Server", "cloudflare"),))
