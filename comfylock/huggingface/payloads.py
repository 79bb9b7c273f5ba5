"""Hugging Face's JSON to values. Pure, and lenient: a field that is missing or odd is "not known".

Nothing here raises on any JSON.

Sources: huggingface/huggingface_hub ``hf_api.py`` and huggingface/huggingface.js
``packages/hub/src/lib/paths-info.ts`` with its live tests (both 2026-08): an entry of
``paths-info`` has ``path``, ``type``, ``oid`` (the git blob's SHA-1), ``size`` and, for a file in
LFS or Xet, ``lfs`` with ``oid`` (SHA-256 of the bytes), ``size``, ``pointerSize``. A path that is
not there is left out of the list. The headers are those that ``file_download.py`` reads
(``get_hf_file_metadata``): ``X-Repo-Commit``, ``X-Linked-Etag``, ``X-Linked-Size``, else ``ETag``
and ``Content-Length``. ``securityFileStatus`` comes with ``expand``; its ``avScan`` has
a ``status`` (``unsafe`` for a virus), before 2025 ``virusFound``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from comfylock.hashes import Digests, is_digest

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LARGEST_FILE = 2**50

Table = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file of one commit.

    Attributes:
        size: exact bytes.
        digests: of its bytes; none for a small file that git itself holds.
        blob: git's own SHA-1 of the file, over a head and its bytes; empty when not said.
        unsafe: a virus was found in it.
    """

    size: int
    digests: Digests
    blob: str
    unsafe: bool


def parse_commit(answer: object) -> str | None:
    """Return the commit that a repository's answer names: the head of the asked revision."""
    commit = _table(answer).get("sha")
    return commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None


def parse_head(headers: Mapping[str, str]) -> tuple[str | None, Entry | None]:
    """Return the commit and the file that the headers of a file's own address tell of.

    Args:
        headers: by name, of any case if the mapping does not mind.
    """
    commit = headers.get("x-repo-commit", "")
    mark = (headers.get("x-linked-etag") or headers.get("etag") or "").removeprefix("W/").strip('"')
    length = headers.get("x-linked-size") or headers.get("content-length") or ""
    size = _size(int(length)) if length.isascii() and length.isdigit() else None
    digests = Digests(sha256=mark.lower() if is_digest(mark.lower()) else None)
    entry = None
    if size is not None:
        blob = mark if _COMMIT.fullmatch(mark) else ""
        entry = Entry(size=size, digests=digests, blob=blob, unsafe=False)
    return commit if _COMMIT.fullmatch(commit) else None, entry


def parse_paths(answer: object) -> tuple[str, ...]:
    """Return the paths of a repository's files, in the order of the answer."""
    siblings = _table(answer).get("siblings")
    entries = cast("list[object]", siblings) if isinstance(siblings, list) else []
    paths = (_text(_table(entry).get("rfilename")) for entry in entries)
    return tuple(path for path in paths if path)


def parse_entry(answer: object, path: str) -> Entry | None:
    """Return the file at a path, ``None`` when it is not there or is a folder."""
    entries = cast("list[object]", answer) if isinstance(answer, list) else []
    for entry in map(_table, entries):
        if entry.get("path") == path and entry.get("type") == "file":
            return _entry(entry)
    return None


def _entry(entry: Table) -> Entry | None:
    lfs = _table(entry.get("lfs"))
    size = _size(lfs.get("size")) if lfs else _size(entry.get("size"))
    sha256, blob = _text(lfs.get("oid")).removeprefix("sha256:"), _text(entry.get("oid"))
    if size is None:
        return None
    return Entry(
        size=size,
        digests=Digests(sha256=sha256 if is_digest(sha256) else None),
        blob=blob if _COMMIT.fullmatch(blob) and not lfs else "",
        unsafe=_has_virus(_table(_table(entry.get("securityFileStatus")).get("avScan"))),
    )


def entry_to_dict(entry: Entry) -> dict[str, object]:
    """Return what is kept of an entry."""
    return {
        "size": entry.size,
        "sha256": entry.digests.sha256,
        "blake3": entry.digests.blake3,
        "unsafe": entry.unsafe,
    }


def entry_from_dict(kept: object) -> Entry | None:
    """Return a kept entry, ``None`` for the mark that there is none."""
    table = _table(kept)
    size, sha256, blake3 = _size(table.get("size")), table.get("sha256"), table.get("blake3")
    digests = Digests(
        sha256=sha256 if isinstance(sha256, str) and is_digest(sha256) else None,
        blake3=blake3 if isinstance(blake3, str) and is_digest(blake3) else None,
    )
    if size is None or not digests:
        return None
    return Entry(size=size, digests=digests, blob="", unsafe=table.get("unsafe") is True)


def _has_virus(scan: Table) -> bool:
    return scan.get("status") == "unsafe" or scan.get("virusFound") is True


def _size(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _LARGEST_FILE else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _table(value: object) -> Table:
    return cast("Table", value) if isinstance(value, dict) else {}
