"""The JSON shapes of the site: list item, model page, version object and mini.

Key sets differ between them on purpose, as recorded: ``primary`` is true or absent in the first
two and always there in the third, and a model page loses its nulls and empty lists.
Source: civitai/civitai, src/pages/api/v1/models/*.ts and model-versions/*.ts.
"""

from dataclasses import dataclass, replace

from tests.standin.catalogue import Catalogue, CatalogueFile, CatalogueModel, CatalogueVersion
from tests.standin.filenames import primary_file
from tests.standin.parts import (
    Json,
    air,
    images,
    model_file,
    model_head,
    of_mode,
    selectors,
    size_kb,
    version_body,
    version_file,
    version_head,
    version_path,
    without_empty,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shapes:
    """Writes values of one catalogue, with the host that the client called in every address."""

    catalogue: Catalogue
    origin: str

    def list_item(
        self,
        model: CatalogueModel,
        versions: tuple[CatalogueVersion, ...],
        *,
        primary_only: bool = False,
    ) -> Json:
        """Return an item of ``/models`` with these of its versions."""
        shown = [self._list_version(model, one) for one in versions]
        if primary_only:
            for one in shown:
                one["files"] = [each for each in one["files"] if each.get("primary")]
        return model_head(model) | {"modelVersions": shown}

    def model_page(self, model: CatalogueModel, versions: tuple[CatalogueVersion, ...]) -> Json:
        """Return ``/models/:id``: what is null or empty in a version is left out."""
        return model_head(model) | {
            "modelVersions": [without_empty(self._page_version(model, one)) for one in versions]
        }

    def version_object(
        self,
        model: CatalogueModel,
        version: CatalogueVersion,
        *,
        by_hash: bool = False,
        host: str | None = None,
    ) -> Json | None:
        """Return ``/model-versions/:id``, by-hash or a batch element; None without any file.

        By id the override of a name is not selected and replaced files are still listed; by hash
        it is the other way round, and the keys come in another order.
        """
        shapes = self if host is None else replace(self, origin=host)
        shown = [one for one in self._public_files(version) if not (by_hash and one.replaced)]
        if not shown:
            return None
        winner = self._primary(version)
        whole = version_head(model, version) | {
            "files": [
                version_file(model, version, one, override=by_hash)
                | {"primary": one == winner, "downloadUrl": shapes.file_address(version, one)}
                for one in shown
            ],
            "images": images(model, version),
            "downloadUrl": shapes.origin + version_path(version),
        }
        whole = of_mode(model, whole)
        return dict(sorted(whole.items())) if by_hash else whole

    def mini(self, model: CatalogueModel, version: CatalogueVersion, file: CatalogueFile) -> Json:
        """Return the mini shape of one file; its name is the raw one that was uploaded."""
        return {
            "air": air(model, version),
            "versionName": version.name,
            "modelName": model.name,
            "userId": model.user_id,
            "baseModel": version.base_model,
            "availability": version.availability,
            "publishedAt": version.published_at,
            "size": size_kb(file),
            "fileType": file.type,
            "fileName": file.name,
            "hashes": file.recorded_hashes,
            "downloadUrls": [self.file_address(version, file)],
            "format": file.format,
            "canGenerate": True,
            "isFeatured": False,
            "requireAuth": version.require_auth,
            "checkPermission": version.private,
            "earlyAccessEndsAt": version.paid_access.ends_at if version.paid_access else None,
            "freeTrialLimit": None,
            "additionalResourceCharge": False,
            "minor": model.minor,
            "sfwOnly": model.sfw_only,
            "fees": [],
            "payoutEnabled": False,
        }

    def file_address(self, version: CatalogueVersion, file: CatalogueFile) -> str:
        """Return the address by file id; a linked VAE has one by type instead."""
        path = self.origin + version_path(version)
        if file in version.files:
            return f"{path}?fileId={file.id}"
        return f"{path}?{selectors(file)}"

    def _list_version(self, model: CatalogueModel, version: CatalogueVersion) -> Json:
        shown = version_body(model, version) | {
            "supportsGeneration": True,
            "files": [
                model_file(model, version, one) | self._list_address(version, one)
                for one in self._public_files(version)
                if not one.replaced
            ],
            "images": images(model, version),
            "downloadUrl": self.origin + version_path(version),
        }
        return of_mode(model, shown)

    def _page_version(self, model: CatalogueModel, version: CatalogueVersion) -> Json:
        winner = self._primary(version)
        shown = version_body(model, version) | {
            "status": version.status,
            "createdAt": version.published_at,
            "covered": True,
            "files": [
                model_file(model, version, one)
                | {"downloadUrl": self.file_address(version, one)}
                | ({"primary": True} if one == winner else {})
                for one in self._public_files(version)
                if not one.replaced
            ],
            "images": images(model, version),
            "downloadUrl": self.origin + version_path(version),
        }
        return of_mode(model, shown)

    def _list_address(self, version: CatalogueVersion, file: CatalogueFile) -> Json:
        """Return the older address that lists still give: bare for the primary file."""
        path = self.origin + version_path(version)
        if file == self._primary(version):
            return {"downloadUrl": path, "primary": True}
        return {"downloadUrl": f"{path}?{selectors(file)}"}

    def _primary(self, version: CatalogueVersion) -> CatalogueFile | None:
        winner = primary_file(all_files(self.catalogue, version))
        return winner if winner is not None and winner.visibility == "Public" else None

    def _public_files(self, version: CatalogueVersion) -> list[CatalogueFile]:
        files = all_files(self.catalogue, version)
        return [one for one in files if one.visibility == "Public"]


def all_files(catalogue: Catalogue, version: CatalogueVersion) -> tuple[CatalogueFile, ...]:
    """Return the version's files and those of its linked VAE, which get the type VAE here."""
    linked = None if version.vae_id is None else catalogue.version(version.vae_id)
    if linked is None:
        return version.files
    return version.files + tuple(replace(one, type="VAE") for one in linked[1].files)
