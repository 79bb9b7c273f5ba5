"""Files of repositories and plain addresses, as far as rungs share the way to them."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from comfylock.addresses import HuggingFaceAddress
from comfylock.artifacts import HostedFile, UrlSource
from comfylock.errors import AuthRequiredError, FetchError, ForbiddenError
from comfylock.hashes import Digests
from comfylock.hubs import may_fetch
from comfylock.lockfile.sources import url_complaint
from comfylock.names import basename, quoted
from comfylock.rungs.case import Case


def hosted_files(
    case: Case, addresses: Iterable[HuggingFaceAddress]
) -> tuple[tuple[HostedFile, ...], FetchError | None]:
    """Return the files that are there, and the first refusal of one that may not be seen.

    Raises:
        FetchError: the hub failed: what it would have said might decide otherwise.
    """
    found: list[HostedFile] = []
    refusals: list[FetchError] = []
    for address in addresses:
        try:
            file = case.catalogs.huggingface.file_at(address)
        except (AuthRequiredError, ForbiddenError) as error:
            refusals.append(error)
            continue
        if file is not None:
            found.append(file)
    return tuple(found), refusals[0] if refusals else None


def linked_file(url: str, sha256: str) -> HostedFile:
    """Return the file at a plain address, of which nothing but a hash is known."""
    return HostedFile(
        source=UrlSource(url=url),
        file_name=basename(urlsplit(url).path),
        digests=Digests(sha256=sha256),
        size_hint=None,
    )


def why_no_link(case: Case, url: str, sha256: str | None) -> tuple[str, str] | None:
    """Return why a workflow's plain address pins nothing, and the next step; ``None`` if it may.

    A workflow comes from anywhere: the hosts that it names are taken only where the user allows.
    """
    host = _host(url)
    if url_complaint(url) is None and sha256 and not may_fetch(url, case.catalogs.allowed_hosts):
        return (
            f"{host} is not among the hosts that files may come from",
            f'Add allow-hosts = ["{host}"] to your own config.toml if you trust it',
        )
    return why_no_word(case, url, sha256)


def why_no_word(case: Case, url: str, sha256: str | None) -> tuple[str, str] | None:
    """Return why a plain address that the user names pins nothing; ``None`` when it may.

    Whether a machine fetches from there is decided where it is fetched, by that machine's user.
    """
    complaint = url_complaint(url)
    if complaint is not None:
        return complaint, "Give an https address without a key in it"
    if sha256 is None:
        return f"nobody states the hash of what {_host(url)} has there", _say_the_hash(case, url)
    return None


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _say_the_hash(case: Case, url: str) -> str:
    address = url.partition("?")[0]
    return (
        f"Say it with `comfylock pin {quoted(case.key)} {quoted(address)} --sha256 HEX`, or "
        "download it once and lock again"
    )
