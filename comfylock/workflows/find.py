"""Which workflow files the user means: files, folders and globs -> sorted paths.

Folders are searched to the bottom. Hidden folders are left out, and those that never hold a
user's workflows. Links to folders are followed, each real folder is entered once.
"""

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from comfylock.errors import PathMissingError, PermissionDeniedError
from comfylock.names import shown
from comfylock.workflows.media.kinds import MEDIA_SUFFIXES

#: Suffixes of files that may hold a workflow, in lower case.
WORKFLOW_SUFFIXES = frozenset({".json"}) | MEDIA_SUFFIXES

_LEFT_OUT = frozenset({".comfylock", ".git", "__pycache__", "node_modules"})
_MAGIC = re.compile(r"[*?\[]")


def find_workflow_files(
    inputs: Sequence[str], base: Path, exclude: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Return the workflow files that inputs name, without repetition, sorted by POSIX path.

    A file that is named itself is taken whatever its suffix, and no `exclude` hides it. A name
    that exists is never read as a glob, so that brackets in names do no harm.

    Args:
        inputs: files, folders, and globs (``*``, ``?``, ``[…]``, ``**``), relative to `base`.
        base: paths are returned with it in front, unless an input is absolute.
        exclude: globs relative to `base`; what matches is not looked into.

    Raises:
        PathMissingError: an input names nothing.
        PermissionDeniedError: a folder cannot be listed.
    """
    found: dict[Path, None] = {}
    for name in inputs:
        files = list(_named(name, base, tuple(exclude)))
        found |= dict.fromkeys(files)
    return tuple(sorted(found, key=lambda path: path.as_posix()))


def leads_somewhere(name: str, base: Path, exclude: Sequence[str] = ()) -> bool:
    """Say whether an input names a file, a folder, or a glob that matches something."""
    try:
        next(_named(name, base, tuple(exclude)), None)
    except PathMissingError:
        return False
    return True


def _named(name: str, base: Path, exclude: tuple[str, ...]) -> Iterator[Path]:
    path = Path(os.path.normpath(base / name))
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path's, it says no of a name that is too long
        yield from _below(path, base, exclude)
    elif os.path.exists(path):  # noqa: PTH110 - likewise
        yield path
    elif _MAGIC.search(name):
        yield from _globbed(name, base, exclude)
    else:
        raise _missing(
            name, "Check the path, or run comfylock in the folder that it is relative to"
        )


def _missing(name: str, hint: str) -> PathMissingError:
    return PathMissingError(f"there is no file or folder {shown(name)}", hint=hint, ref=name)


def _globbed(name: str, base: Path, exclude: tuple[str, ...]) -> Iterator[Path]:
    parts = Path(name).parts
    fixed = next(at for at, part in enumerate(parts) if _MAGIC.search(part))
    root = Path(os.path.normpath(base.joinpath(*parts[:fixed])))
    wanted = glob_pattern("/".join(parts[fixed:]))
    if not root.is_dir():
        raise _missing(name, "Check the part of the glob before its first wildcard")
    files = [
        path
        for path in _below(root, base, exclude)
        if wanted.fullmatch(path.relative_to(root).as_posix())
    ]
    folders = _matching_folders(root, base, exclude, wanted)
    inside = [path for folder in folders for path in _below(folder, base, exclude)]
    if not files and not folders:
        raise _missing(
            name,
            "Quote the glob and check it; comfylock looks for .json, pictures, videos and sound",
        )
    yield from (*files, *inside)


def _matching_folders(
    root: Path, base: Path, exclude: tuple[str, ...], wanted: re.Pattern[str]
) -> list[Path]:
    return [
        folder
        for folder, _ in _walk(root, base, exclude)
        if folder != root and wanted.fullmatch(folder.relative_to(root).as_posix())
    ]


def _below(folder: Path, base: Path, exclude: tuple[str, ...]) -> Iterator[Path]:
    for parent, names in _walk(folder, base, exclude):
        for name in names:
            path = parent / name
            if path.suffix.lower() in WORKFLOW_SUFFIXES and not _is_excluded(path, base, exclude):
                yield path


def _walk(
    top: Path, base: Path, exclude: tuple[str, ...]
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield each folder that is looked into, with the names of its files."""
    entered: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                inside = sorted((entry.name, entry.is_dir()) for entry in entries)
        except OSError as error:
            raise PermissionDeniedError(
                f"cannot list the folder {shown(str(folder))}: {error.strerror}",
                hint="Make it readable, or leave it out with `exclude` in comfylock.toml",
                ref=str(folder),
            ) from error
        yield folder, tuple(name for name, is_folder in inside if not is_folder)
        folders = [folder / name for name, is_folder in inside if is_folder and _is_open(name)]
        waiting.extend(path for path in folders if not _is_excluded(path, base, exclude))


def _is_open(name: str) -> bool:
    return not name.startswith(".") and name not in _LEFT_OUT


def _is_excluded(path: Path, base: Path, exclude: tuple[str, ...]) -> bool:
    """Say whether a glob matches the path; ``scratch/**`` matches the folder scratch too."""
    if not exclude or not path.is_relative_to(base):
        return False
    relative = path.relative_to(base).as_posix()
    return any(
        glob_pattern(glob).fullmatch(relative) or glob_pattern(glob).fullmatch(f"{relative}/")
        for glob in exclude
    )


@cache
def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return a POSIX glob as a pattern: ``**`` passes any number of folders, ``*`` none."""
    glob = glob.replace("\\", "/").removeprefix("./")
    pattern, at = "", 0
    while at < len(glob):
        part, at = _translated(glob, at)
        pattern += part
    return re.compile(pattern, re.DOTALL)


def _translated(glob: str, at: int) -> tuple[str, int]:
    """Return the pattern of the sign at a position, and where the next one begins."""
    starts_part = at == 0 or glob[at - 1] == "/"
    if starts_part and glob.startswith("**/", at):
        return "(?:[^/]+/)*", at + 3
    if starts_part and glob[at:] == "**":
        return ".*", at + 2
    if glob[at] == "*":
        return "[^/]*", at + 1
    if glob[at] == "?":
        return "[^/]", at + 1
    end = glob.find("]", at + 2)
    if glob[at] == "[" and end > 0 and "/" not in glob[at:end]:
        return _character_set(glob[at + 1 : end]), end + 1
    return re.escape(glob[at]), at + 1


def _character_set(inside: str) -> str:
    """Return ``[…]`` of a glob as a pattern; a range that runs backwards matches nothing."""
    negated = inside[:1] in ("!", "^")
    letters = inside[1:] if negated else inside
    escaped = letters.replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
    pattern = f"[{'^/' if negated else ''}{escaped}]"
    try:
        re.compile(pattern)
    except re.error:
        return "(?!)"
    return pattern
