"""Texts that name a Civitai or Hugging Face file: AIR, page and download addresses, pin specs.

Everything here is read from foreign text; what is not understood is ``None``, never an error.

Sources: Civitai's AIR grammar (``urn:air:{ecosystem}:{type}:{source}:{id}[@{version}][+{file}]``,
prefixes optional, ecosystem and type only informative), its page and download routes, Hugging
Face's ``/resolve/``, ``/blob/`` and ``/raw/`` routes (data sets and spaces have a word before the
repository and are not understood), and its mirror, whose paths are the same.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from comfylock.artifacts import FileId, ModelId, Traits, VersionId

_MAX_CHARACTERS = 2000
_LARGEST_ID = 2**31 - 1  # the site's ids; a larger one is refused there as nonsense
_CIVITAI_HOSTS = frozenset({"civitai.com", "www.civitai.com", "civitai.red", "civitai.green"})
_HUGGING_FACE_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co", "hf-mirror.com"})
_HUB_HOSTS = _CIVITAI_HOSTS | _HUGGING_FACE_HOSTS
_AIR = re.compile(
    r"(?:urn:)?(?:air:)?(?:[\w-]{1,64}:)?(?:[\w-]{1,64}:)?civitai:(\d{1,18})(?:@(\d{1,18}))?"
    r"(?:\+(\d{1,18}))?(?:\.\w{1,16})?",
    re.ASCII,
)
_PIN = re.compile(r"civitai:(\d{1,18})(?:/(\d{1,18}))?", re.ASCII)
_ROUTES = (
    re.compile(r"/api/download/models/(?P<version>\d{1,18})/?", re.ASCII),
    re.compile(r"/(?:api/v1/)?model-versions/(?P<version>\d{1,18})/?", re.ASCII),
    re.compile(r"/(?:api/v1/)?models/(?P<model>\d{1,18})(?:/[^/]*)?/?", re.ASCII),
)
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}"
_HUGGING_FACE_ROUTE = re.compile(
    rf"/(?!datasets/|spaces/|api/)(?P<repo>{_NAME}(?:/{_NAME})?)/(?:resolve|blob|raw)"
    r"/(?P<revision>[^/]+)/(?P<file>.+)",
    re.ASCII,
)
_HUGGING_FACE_PIN = re.compile(
    rf"hf:(?P<repo>{_NAME}(?:/{_NAME})?)(?:@(?P<revision>[^:\s]{{1,200}}))?:(?P<file>[^:]+)",
    re.ASCII,
)
_HUGGING_FACE_PAGE = re.compile(
    rf"/(?!datasets/|spaces/|api/)(?P<repo>{_NAME}/{_NAME})"
    r"(?:/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?)?/?",
    re.ASCII,
)
_HUGGING_FACE_REPOSITORY = re.compile(
    rf"hf:(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>[^:\s]{{1,200}}))?:?", re.ASCII
)
_DEFAULT_BRANCH = "main"
_UNSAID = Traits()


@dataclass(frozen=True, kw_only=True, slots=True)
class CivitaiAddress:
    """What a text says about a place on Civitai; at least the model or the version is known.

    Attributes:
        model: id of the model page.
        version: id of the model version; without it the text means "the latest", which moves.
        file: id of one file of the version.
        kind: Civitai's type of the file (``Model``, ``VAE``), where a download address says it.
        traits: which of the version's files it is, likewise; empty with a file id.
    """

    model: ModelId | None = None
    version: VersionId | None = None
    file: FileId | None = None
    kind: str = ""
    traits: Traits = _UNSAID


@dataclass(frozen=True, kw_only=True, slots=True)
class HuggingFaceAddress:
    """One file in a Hugging Face repository.

    Attributes:
        repo: ``owner/name``.
        revision: branch, tag or commit.
        file: path inside the repository.
    """

    repo: str
    revision: str
    file: str

    @property
    def is_exact(self) -> bool:
        """Whether the revision is a commit, which never moves."""
        return re.fullmatch(r"[0-9a-f]{40}", self.revision) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class HuggingFacePage:
    """A Hugging Face repository, or a folder of it: a page that shows several files.

    Attributes:
        repo: ``owner/name``.
        revision: branch, tag or commit.
        folder: path inside the repository, empty for all of it.
    """

    repo: str
    revision: str
    folder: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainAddress:
    """An address of a host that comfylock knows nothing about."""

    url: str


Address = CivitaiAddress | HuggingFaceAddress


def parse_spec(text: str) -> Address | PlainAddress | None:
    """Return what the user's word for a pin names.

    A repository's revision may be left out and is then ``main``. ``None`` when it names nothing
    that could be one file: a word, a path, the page of a repository.
    """
    text = text.strip()
    named = parse_pin(text) or _parse_hugging_face_pin(text) or parse_address(text)
    url = _web_address(text) if named is None else None
    if url is None or (url.hostname or "").lower() in _HUB_HOSTS:
        return named
    return PlainAddress(url=text)


def parse_page(text: str) -> HuggingFacePage | None:
    """Return the page of a repository that a text names, ``None`` when it names none."""
    text = text.strip()
    found = _HUGGING_FACE_REPOSITORY.fullmatch(text)
    if found is None:
        url = _web_address(_with_scheme(text)) if len(text) <= _MAX_CHARACTERS else None
        if url is None or (url.hostname or "").lower() not in _HUGGING_FACE_HOSTS:
            return None
        found = _HUGGING_FACE_PAGE.fullmatch(url.path)
    if found is None:
        return None
    named = found.groupdict()
    return HuggingFacePage(
        repo=found["repo"],
        revision=unquote(found["revision"] or _DEFAULT_BRANCH),
        folder=unquote(named.get("folder") or "").strip("/"),
    )


def parse_address(text: str) -> Address | None:
    """Return what an AIR or an address names, ``None`` when it names nothing that we know."""
    text = _with_scheme(text.strip())
    if len(text) > _MAX_CHARACTERS:
        return None
    return _parse_url(text) if "://" in text else _parse_air(text)


def _with_scheme(text: str) -> str:
    """Return an address of a hub as browsers show it, without its scheme, with one."""
    return f"https://{text}" if text.partition("/")[0].lower() in _HUB_HOSTS else text


def parse_pin(spec: str) -> CivitaiAddress | None:
    """Return what ``civitai:VERSION[/FILE]`` names: here the number is the version."""
    found = _PIN.fullmatch(spec.strip())
    if found is None or not _are_ids(found[1], found[2]):
        return None
    return CivitaiAddress(version=VersionId(int(found[1])), file=_file_id(found[2]))


def _parse_hugging_face_pin(text: str) -> HuggingFaceAddress | None:
    found = _HUGGING_FACE_PIN.fullmatch(text)
    if found is None:
        return None
    return _in_repository(found["repo"], found["revision"] or _DEFAULT_BRANCH, found["file"])


def _parse_air(text: str) -> CivitaiAddress | None:
    found = _AIR.fullmatch(text)
    if found is None or not _are_ids(*found.groups()):
        return None
    return CivitaiAddress(
        model=ModelId(int(found[1])), version=_version_id(found[2]), file=_file_id(found[3])
    )


def _parse_url(text: str) -> Address | None:
    url = _web_address(text)
    if url is None:
        return None
    host = (url.hostname or "").lower()
    if host in _CIVITAI_HOSTS:
        return _civitai_page(url)
    return _hugging_face_file(url) if host in _HUGGING_FACE_HOSTS else None


def _civitai_page(url: SplitResult) -> CivitaiAddress | None:
    query = parse_qs(url.query, max_num_fields=50) if url.query.count("&") < 50 else {}
    for route in _ROUTES:
        found = route.fullmatch(url.path)
        if found is not None:
            named = found.groupdict()
            model, file = named.get("model"), _number(query, "fileId")
            version = named.get("version") or _number(query, "modelVersionId")
            if not _are_ids(model, version, file):
                return None
            return CivitaiAddress(
                model=ModelId(int(model)) if model else None,
                version=_version_id(version),
                file=_file_id(file),
                kind="" if file else _first(query, "type"),
                traits=_UNSAID if file else _traits(query),
            )
    return None


def _traits(query: dict[str, list[str]]) -> Traits:
    """Return what a download address of the older form says of the file."""
    return Traits(
        format=_first(query, "format"),
        precision=_first(query, "fp"),
        variant=_first(query, "size"),
        quantization=_first(query, "quantType"),
    )


def _first(query: dict[str, list[str]], name: str) -> str:
    return query.get(name, [""])[0]


def _are_ids(*texts: str | None) -> bool:
    """Say whether each number that is there can be an id of the site's."""
    return all(0 < int(text) <= _LARGEST_ID for text in texts if text)


def _hugging_face_file(url: SplitResult) -> HuggingFaceAddress | None:
    found = _HUGGING_FACE_ROUTE.fullmatch(url.path)
    if found is None:
        return None
    return _in_repository(found["repo"], unquote(found["revision"]), unquote(found["file"]))


def _in_repository(repo: str, revision: str, file: str) -> HuggingFaceAddress | None:
    """Return an address if its path stays inside the repository and can be printed."""
    odd = ".." in repo or any(part in {"", ".", ".."} for part in file.split("/"))
    if odd or not (file.isprintable() and revision.isprintable()):
        return None
    return HuggingFaceAddress(repo=repo, revision=revision, file=file)


def _web_address(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        named = url.scheme in {"https", "http"} and bool(url.hostname)
    except ValueError:
        return None
    return url if named else None


def _number(query: dict[str, list[str]], name: str) -> str | None:
    text = _first(query, name)
    return text if re.fullmatch(r"\d{1,18}", text, re.ASCII) else None


def _version_id(text: str | None) -> VersionId | None:
    return VersionId(int(text)) if text else None


def _file_id(text: str | None) -> FileId | None:
    return FileId(int(text)) if text else None
