"""Hugging Face as a catalogue: a file of a revision to its commit, exact size and hashes.

Nothing is downloaded: two questions tell all, the commit that a branch is at now and the file's
LFS entry in that commit, whose ``oid`` is the SHA-256 of the bytes. Only of a file so small that
git itself holds it (the hub asks for LFS above 10 MB) no such hash is known; that one is fetched
and hashed, and compared with git's own.

A commit never changes, so what is known of one is never asked for again; what a branch points at
is asked for again after a day. When the hub fails, or must not be asked, an old answer serves and
the user is told its age. Repositories go by the name that was asked for, also where the hub leads
on to a new one: the lock can then be compared with what the workflow or the user says.

The hub's own library is not used: huggingface_hub 2.4 brings some 25 MB and nine packages (measured
2026-11; hf_xet alone 11 MB), takes 127 ms to import, and has an HTTP client, a retry rule and a
cache of its own beside ours. What comfylock asks are the two routes below.

Sources: huggingface_hub ``hf_api.py`` (``/api/models/{repo}/revision/{revision}`` with ``expand``,
``paths-info`` by POST), ``utils/_http.py`` (``X-Error-Code``: ``RepoNotFound``, ``GatedRepo``,
``RevisionNotFound``, ``EntryNotFound``; 401 also for what is not there), both at 2026-08.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol
from urllib.parse import quote

from comfylock.addresses import HuggingFaceAddress, HuggingFacePage
from comfylock.artifacts import HostedFile, HuggingFaceSource
from comfylock.errors import FetchError, GoneError, ServerError
from comfylock.events import Reporter, Warned
from comfylock.hashes import Hasher
from comfylock.huggingface.payloads import (
    Entry,
    entry_from_dict,
    entry_to_dict,
    parse_commit,
    parse_entry,
    parse_head,
    parse_paths,
)
from comfylock.names import basename, shown
from comfylock.web.faults import PassingError
from comfylock.web.hubfaults import AbsentError, UnseenError
from comfylock.workers import Turns

_LARGEST_SMALL_FILE = 32 * 1024 * 1024


class Api(Protocol):
    """What the client needs of a transport."""

    def get_json(self, url: str, params: Sequence[tuple[str, str]] = ()) -> object:
        """Return the JSON of an answer; a `GoneError` is a true "not found"."""
        ...

    def post_json(self, url: str, content: object) -> object:
        """Return the JSON of the answer to a JSON body."""
        ...

    def head(self, url: str) -> Mapping[str, str]:
        """Return the headers that are answered first, also those of a redirect."""
        ...


class Body(Protocol):
    """The bytes of a file."""

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes once."""
        ...


class Files(Protocol):
    """Opens the files that sources name."""

    def open(
        self, source: HuggingFaceSource, *, start: int, validator: str | None
    ) -> AbstractContextManager[Body]:
        """Open a file."""
        ...


class Kept(Protocol):
    """A kept answer."""

    @property
    def answer(self) -> object | None:
        """The JSON, ``None`` for a "not found"."""
        ...

    @property
    def age_s(self) -> float:
        """Seconds since it was kept."""
        ...

    @property
    def is_fresh(self) -> bool:
        """Whether it may be used without asking again."""
        ...


class Answers(Protocol):
    """Keeps answers; safe for threads."""

    def get(self, request: str) -> Kept | None:
        """Return what is kept for a request, however old."""
        ...

    def put(self, request: str, answer: object | None) -> None:
        """Keep an answer, ``None`` for a "not found"."""
        ...


class HuggingFaceClient:
    """Answers what a file of a repository is. Safe for threads.

    Args:
        api: carries the requests.
        files: opens the small files that only their bytes can tell of.
        answers: keeps what the hub said.
        base_url: address of the hub, with or without a trailing slash.
        reporter: told when an old answer has to serve.
    """

    def __init__(
        self, *, api: Api, files: Files, answers: Answers, base_url: str, reporter: Reporter
    ) -> None:
        self._api = api
        self._files = files
        self._answers = answers
        self._root = base_url.rstrip("/")
        self._base = f"{self._root}/api/models"
        self._reporter = reporter
        self._warned: set[str] = set()
        self._turns = Turns()
        self._unseen: set[str] = set()

    def file_at(self, address: HuggingFaceAddress) -> HostedFile | None:
        """Return a file as the commit holds it that its revision is at now.

        ``None`` when the repository, revision or file is not there, or not to be seen without a
        key: the hub does not say which.

        Raises:
            FetchError: the hub failed, or refuses, and nothing old is known.
        """
        commit = address.revision if address.is_exact else self._commit(address)
        entry = self._entry(address, commit) if commit is not None else None
        if commit is None or entry is None:
            return None
        return HostedFile(
            source=_source(address, commit),
            file_name=basename(address.file),
            digests=entry.digests,
            size_hint=entry.size,
            unsafe=entry.unsafe,
        )

    def files_at(self, page: HuggingFacePage) -> tuple[HuggingFaceAddress, ...] | None:
        """Return the files that a page shows, at the commit that its revision is at now.

        ``None`` as of `file_at`. Sorted by path; nothing is kept of the list.

        Raises:
            FetchError: the hub failed, or refuses.
        """
        url = f"{self._base}/{page.repo}/revision/{quote(page.revision, safe='')}"
        try:
            answer = self._api.get_json(url, [("expand", "sha"), ("expand", "siblings")])
        except GoneError:
            return None
        commit = parse_commit(answer)
        if commit is None:
            raise _without_commit(url)
        below = f"{page.folder}/" if page.folder else ""
        paths = [path for path in parse_paths(answer) if path.startswith(below)]
        return tuple(
            HuggingFaceAddress(repo=page.repo, revision=commit, file=path) for path in sorted(paths)
        )

    def _commit(self, address: HuggingFaceAddress) -> str | None:
        url = f"{self._base}/{address.repo}/revision/{quote(address.revision, safe='')}"
        with self._turns.of(url):
            if url in self._unseen:
                return None
            kept = self._answers.get(f"GET {url}")
            if kept is not None and kept.is_fresh:
                return parse_commit(kept.answer)
            commit = None
            try:
                commit = self._head(url, address)
            except UnseenError:
                # Kept for this run only: with a key it may be there a minute later.
                self._unseen.add(url)
                return None
            except GoneError:
                pass
            except FetchError as error:
                return parse_commit(self._old(kept, error))
            self._answers.put(f"GET {url}", {"sha": commit} if commit is not None else None)
            return commit

    def _head(self, url: str, address: HuggingFaceAddress) -> str:
        try:
            commit = parse_commit(self._api.get_json(url, [("expand", "sha")]))
        except (GoneError, ServerError) as error:
            commit, _ = self._own_headers(address, error)
        if commit is None:
            raise _without_commit(url)
        return commit

    def _entry(self, address: HuggingFaceAddress, commit: str) -> Entry | None:
        url = f"{self._base}/{address.repo}/paths-info/{commit}"
        request = f"POST {url} {address.file}"
        kept = self._answers.get(request)
        if kept is not None:
            return entry_from_dict(kept.answer)
        try:
            answer = self._api.post_json(url, {"paths": [address.file], "expand": True})
            entry = parse_entry(answer, address.file)
        except AbsentError:
            return None
        except (GoneError, ServerError) as error:
            _, entry = self._own_headers(replace(address, revision=commit), error)
        if entry is not None and not entry.digests:
            entry = self._read(_source(address, commit), entry)
        self._answers.put(request, entry_to_dict(entry) if entry is not None else {})
        return entry

    def _own_headers(
        self, address: HuggingFaceAddress, error: FetchError
    ) -> tuple[str | None, Entry | None]:
        """Return what the file's own address tells, where a mirror has not that route of the API.

        The hub itself says by a mark of its own that something is not there, and a hub in trouble
        passes: neither is asked again in this way. What a mirror does not tell either stays as the
        API has it.
        """
        if isinstance(error, AbsentError | PassingError):
            raise error
        place = f"{address.repo}/resolve/{quote(address.revision, safe='')}/{quote(address.file)}"
        try:
            return parse_head(self._api.head(f"{self._root}/{place}"))
        except (GoneError, ServerError):
            raise error from None

    def _read(self, source: HuggingFaceSource, entry: Entry) -> Entry:
        """Return the entry of a small file with the hashes of its bytes."""
        if entry.size > _LARGEST_SMALL_FILE:
            raise ServerError(f"the hub tells no hash of {shown(str(source))}")
        # Git's hash names the file and protects nothing: it only shows a broken transfer.
        blob = hashlib.sha1(f"blob {entry.size}\0".encode(), usedforsecurity=False)
        hasher, size = Hasher(("sha256", "blake3")), 0
        with self._files.open(source, start=0, validator=None) as body:
            for chunk in body.chunks():
                size += len(chunk)
                if size > entry.size:
                    break
                hasher.update(chunk)
                blob.update(chunk)
        if size != entry.size or entry.blob not in {"", blob.hexdigest()}:
            raise ServerError(
                f"the bytes of {shown(str(source))} are not those that its commit holds",
                hint="Try again later",
            )
        return Entry(size=size, digests=hasher.digests(), blob=entry.blob, unsafe=entry.unsafe)

    def _old(self, kept: Kept | None, error: FetchError) -> object | None:
        """Return an old answer with a warning, or raise what kept us from a new one."""
        if kept is None or kept.answer is None:
            raise error
        message = f"{error.message}; using an answer that is {_age(kept.age_s)} old"
        if message not in self._warned:
            self._warned.add(message)
            self._reporter.on(Warned(message=message))
        return kept.answer


def _without_commit(url: str) -> ServerError:
    return ServerError(f"{url} was answered without a commit", hint="Try again later")


def _source(address: HuggingFaceAddress, commit: str) -> HuggingFaceSource:
    return HuggingFaceSource(repo=address.repo, revision=commit, file=address.file)


def _age(seconds: float) -> str:
    hours = int(seconds // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
