"""What the hub answers: `/api/models/…`, `/{repo}/resolve/…`, and its many ways to say no."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote

from tests.standin.messages import Answer, Headers, Request, Slice, Text, json_answer
from tests.standin_hf.repositories import HubFile, Repository, Shelves
from tests.standin_hf.storage import Signer, whole_or_part

_API: Final = re.compile(
    r"/api/models/(?P<repo>[^/]+(?:/[^/]+)?)(?P<rest>/revision/.+|/paths-info/.+)?"
)
_RESOLVE: Final = re.compile(
    r"/(?P<repo>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)"
)
_CACHED: Final = re.compile(
    r"/api/resolve-cache/models/(?P<repo>[^/]+/[^/]+)/(?P<revision>[0-9a-f]{40})/(?P<file>.+)"
)
_PLAIN: Final = "text/plain; charset=utf-8"
_BAD_KEY: Final = "Invalid credentials in Authorization header"


_Reply = Callable[[Request, re.Match[str], Repository], Answer]


@dataclass(frozen=True, kw_only=True)
class Hub:
    """The hub at one moment."""

    shelves: Shelves
    keys: tuple[str, ...]
    storage_origin: str
    signer: Signer

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        path = unquote(request.path)
        if path == "/api/whoami-v2":
            return self._whoami(request)
        for route, reply in (
            (_CACHED, self._cached),
            (_API, self._api),
            (_RESOLVE, self._resolved),
        ):
            found = route.fullmatch(path)
            if found is not None:
                return self._guarded(request, found, reply)
        return _refused(404, "", "Sorry, we can't find the page you are looking for.")

    def _whoami(self, request: Request) -> Answer:
        """Say whose key came; without one, or with a bad one, refuse."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in self.keys:
            return _refused(401, "", _BAD_KEY)
        return json_answer(
            200,
            {
                "type": "user",
                "id": "65c0e0a24913fc50b7ba14d2",
                "name": "standin",
                "fullname": "A Stand-in",
                "auth": {"type": "access_token", "accessToken": {"role": "read"}},
            },
        )

    def _guarded(self, request: Request, found: re.Match[str], reply: _Reply) -> Answer:
        """Lead on from an old name; hide, and refuse, as the key at hand demands."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key and key not in self.keys:
            return _refused(401, "", _BAD_KEY)
        name = found["repo"]
        new = self.shelves.renamed.get(name)
        if new is not None:
            query = f"?{request.query}" if request.query else ""
            location = request.path.replace(name, new, 1) + query
            return Answer(status=307, headers=(("Location", location),))
        repo = self.shelves.repositories.get(name)
        if repo is None or (repo.private and key not in repo.granted):
            return _no_repository(bool(key))
        is_file = reply != self._api
        if repo.gated and (is_file or repo.metadata_gated) and key not in repo.granted:
            return _gated(repo.name, key)
        return reply(request, found, repo)

    # ------------------------------------------------------------------------ the API

    def _api(self, request: Request, found: re.Match[str], repo: Repository) -> Answer:
        _, _, rest = (found["rest"] or "/revision/main").partition("/")
        kind, _, revision = rest.partition("/")
        commit = repo.commit(revision)
        if commit is None:
            return _refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if kind == "paths-info":
            return self._paths_info(request, repo, commit)
        return json_answer(200, _model(repo, commit, request.params.get("expand")))

    def _paths_info(self, request: Request, repo: Repository, commit: str) -> Answer:
        if request.method != "POST":
            return _refused(404, "", "Cannot GET paths-info")
        paths, expand = _asked(request)
        files = repo.commits[commit]
        rows = [_row(path, files[path], commit, expand=expand) for path in paths if path in files]
        return json_answer(200, rows)

    # ---------------------------------------------------------------------- the files

    def _resolved(self, request: Request, found: re.Match[str], repo: Repository) -> Answer:
        commit = repo.commit(found["revision"])
        if commit is None:
            return _refused(404, "RevisionNotFound", f"Invalid rev id: {found['revision']}")
        file = repo.commits[commit].get(found["file"])
        marks: Headers = (("X-Repo-Commit", commit),)
        if file is None:
            return _refused(404, "EntryNotFound", "Entry not found", marks)
        linked: Headers = (
            *marks,
            ("X-Linked-Size", str(file.size)),
            ("X-Linked-ETag", f'"{file.sha256 if file.lfs else file.oid}"'),
            ("Accept-Ranges", "bytes"),
        )
        if file.lfs:
            address = self.signer.path(repo.name, file, found["file"])
            location = f"{self.storage_origin}{address}"
            return Answer(status=302, headers=(*linked, ("Location", location)))
        place = f"/api/resolve-cache/models/{repo.name}/{commit}/{quote(found['file'])}"
        return Answer(
            status=307,
            headers=(*linked, ("Location", f"{place}?etag=%22{file.oid}%22")),
            body=Text(f"Temporary Redirect. Redirecting to {place}".encode()),
        )

    def _cached(self, request: Request, found: re.Match[str], repo: Repository) -> Answer:
        file = repo.commits.get(found["revision"], {}).get(found["file"])
        if file is None or file.lfs:
            return _refused(404, "EntryNotFound", "Entry not found")
        headers: Headers = (
            ("Content-Type", "application/octet-stream"),
            ("ETag", f'"{file.oid}"'),
            ("X-Repo-Commit", found["revision"]),
        )
        body = Slice(payload=file.payload, start=0, stop=file.size)
        return whole_or_part(request, Answer(status=200, headers=headers, body=body), file)


def _asked(request: Request) -> tuple[list[str], bool]:
    """Return the paths asked for; a form is as good as JSON."""
    if "json" in request.headers.get("content-type", ""):
        document = json.loads(request.body)
        paths = document["paths"]
        return [paths] if isinstance(paths, str) else list(paths), document.get("expand") is True
    form = parse_qs(request.body.decode())
    return form.get("paths", []), form.get("expand") == ["True"]


def _model(repo: Repository, commit: str, expand: list[str] | None) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "_id": "65c0e0a24913fc50b7ba14d2",
        "id": repo.name,
        "modelId": repo.name,
        "sha": commit,
        "private": repo.private,
        "gated": "auto" if repo.gated else False,
        "disabled": False,
        "downloads": 7,
        "tags": ["region:us"],
        "siblings": [{"rfilename": path} for path in sorted(repo.commits[commit])],
    }
    if expand is None:
        return whole
    return {key: value for key, value in whole.items() if key in {"_id", "id", *expand}}


def _row(path: str, file: HubFile, commit: str, *, expand: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    if file.lfs:
        row["lfs"] = {
            "oid": file.sha256,
            "size": file.size,
            "pointerSize": len(file.pointer),
        }
        row["xetHash"] = file.sha256[::-1]
    if expand:
        row["lastCommit"] = {"id": commit, "title": "Upload", "date": "2026-01-01T00:00:00.000Z"}
        row["securityFileStatus"] = {
            "status": file.av_status,
            "avScan": {"status": file.av_status},
            "pickleImportScan": {"status": "unscanned", "pickleImports": []},
        }
    return row


def _no_repository(has_key: bool) -> Answer:
    if has_key:
        return _refused(404, "RepoNotFound", "Repository not found")
    return _refused(
        401, "RepoNotFound", "Repository not found", body="Invalid username or password."
    )


def _gated(name: str, key: str) -> Answer:
    if key:
        said = f"Access to model {name} is restricted and you are not in the authorized list."
        said += f" Visit https://huggingface.co/{name} to ask for access."
        return _refused(403, "GatedRepo", said)
    said = f"Access to model {name} is restricted."
    said += " You must have access to it and be authenticated to access it. Please log in."
    return _refused(401, "GatedRepo", said)


def _refused(
    status: int, code: str, said: str, marks: Headers = (), *, body: str | None = None
) -> Answer:
    named: Headers = (("X-Error-Code", code),) if code else ()
    text = json.dumps({"error": body or said}) if status != 404 else (body or said)
    kind = "application/json; charset=utf-8" if status != 404 else _PLAIN
    return Answer(
        status=status,
        headers=(*marks, *named, ("X-Error-Message", said), ("Content-Type", kind)),
        body=Text(text.encode()),
    )
