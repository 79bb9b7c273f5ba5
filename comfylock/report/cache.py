"""The reports of `cache`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from comfylock.disk.kept import KeptFile, Kind
from comfylock.names import shown
from comfylock.operations.cache import Cleared, Kept
from comfylock.progress import size_text
from comfylock.report.page import Page
from comfylock.report.sentences import counted

_TITLES = {
    Kind.ANSWERS: "API answers and receipts",
    Kind.PARTIAL: "partial downloads",
    Kind.REPLACED: "replaced files",
}


def cache_dir_page(kept: Kept) -> Page:
    """Show where things are kept."""
    return Page(
        out=(shown(str(kept.cache)), *(shown(str(state)) for state in kept.states)),
        document={
            "cache": str(kept.cache),
            "states": [str(state) for state in kept.states],
            "summary": {"states": len(kept.states)},
        },
    )


def cache_info_page(kept: Kept) -> Page:
    """Show what is kept, how much and where."""
    rows = [
        f"{_TITLES[kind]:<24}  {size_text(_size(files)):>8}  {counted(len(files), 'file')} in "
        f"{shown(str(folder))}"
        for kind, folder, files in _by_folder(kept.files)
    ]
    total = size_text(_size(kept.files))
    return Page(
        out=tuple(rows),
        err=(f"{total} in {counted(len(kept.files), 'file')}",),
        document={
            "cache": str(kept.cache),
            "states": [str(state) for state in kept.states],
            "files": [_fields(file) for file in kept.files],
            "summary": _summary(kept.files),
        },
    )


def cleared_page(done: Cleared, *, dry_run: bool) -> Page:
    """Show what was removed, or with a dry run would be."""
    rows = [
        f"- {shown(str(file.path))}  {size_text(file.size)}"
        for file in done.removed
        if file.kind is not Kind.ANSWERS or dry_run
    ]
    word = "Would remove" if dry_run else "Removed"
    sentence = f"{word} {counted(len(done.removed), 'file')}, {size_text(_size(done.removed))}"
    return Page(
        out=tuple(rows),
        err=(sentence if done.removed else "Nothing to remove",),
        problems=done.problems,
        document={
            "removed": [_fields(file) for file in done.removed],
            "summary": _summary(done.removed),
        },
        exit_code=1 if done.problems else 0,
    )


def _by_folder(files: Iterable[KeptFile]) -> list[tuple[Kind, Path, list[KeptFile]]]:
    groups: dict[tuple[Kind, Path], list[KeptFile]] = {}
    for file in files:
        groups.setdefault((file.kind, file.path.parent), []).append(file)
    return [(kind, folder, found) for (kind, folder), found in groups.items()]


def _size(files: Iterable[KeptFile]) -> int:
    return sum(file.size for file in files)


def _summary(files: Sequence[KeptFile]) -> dict[str, object]:
    by_kind = {str(kind): _size(file for file in files if file.kind is kind) for kind in Kind}
    return {"files": len(files), "bytes": _size(files), "by_kind": by_kind}


def _fields(file: KeptFile) -> dict[str, object]:
    return {
        "kind": str(file.kind),
        "path": str(file.path),
        "size": file.size,
        "in_use": not file.is_idle,
    }
