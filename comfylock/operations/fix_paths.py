"""`fix-paths`: workflow files -> the same files with this system's separators in model names."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from comfylock.disk.rewrite import read_beginning, replace_text
from comfylock.errors import ComfylockError, Problem, WorkflowInvalidError
from comfylock.folders import NodeTable
from comfylock.names import shown
from comfylock.reading import Skipped, path_below, read_references
from comfylock.session import Session
from comfylock.spelling import Rewritten, Separator, is_misspelled, rewrite_workflow
from comfylock.workflows.file import MAX_FILE_BYTES
from comfylock.workflows.find import find_workflow_files
from comfylock.workflows.model import NotAWorkflow


class FixMode(StrEnum):
    """Whether files are written."""

    WRITE = "write"
    LOOK = "look"


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedFile:
    """A workflow in which names change.

    Attributes:
        path: as comfy.lock names it.
        names: each name and what it becomes.
        places: how many strings of the file change.
    """

    path: str
    names: tuple[tuple[str, str], ...]
    places: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Fixed:
    """What `fix-paths` did, or would do.

    Attributes:
        files: the workflows in which names change.
        looked_at: how many workflows were read.
        passed_over: files that are no workflows, or hold one in a form that is not rewritten.
        stuck: those of them that hold names which should change.
        broken: workflows that cannot be read, shown to be right, or written.
        has_lock: there is a comfy.lock, which records the old spellings.
    """

    files: tuple[FixedFile, ...]
    looked_at: int
    passed_over: tuple[Skipped, ...]
    stuck: tuple[Skipped, ...]
    broken: tuple[Problem, ...]
    has_lock: bool


def fix_paths(session: Session, paths: Sequence[str], separator: Separator, mode: FixMode) -> Fixed:
    """Rewrite the names in the workflows that `paths`, or the lock's inputs, lead to.

    Raises:
        PathMissingError: an input leads nowhere.
    """
    recorded = None if paths else session.old_lock()[0]
    inputs = session.scan_inputs(paths, recorded)
    files: list[FixedFile] = []
    passed_over: list[Skipped] = []
    stuck: list[Skipped] = []
    broken: list[Problem] = []
    looked_at = 0
    named = {(session.base / item).absolute() for item in inputs} if paths else set[Path]()
    for path in find_workflow_files(inputs, session.base, session.project.exclude):
        name = path_below(path, session.base)
        if path.suffix.lower() != ".json":
            count = _names_in(path, separator, session.node_table)
            if count and path.absolute() in named:
                broken.append(_not_rewritten(name, count))
            else:
                left = stuck if count else passed_over
                left.append(Skipped(path=name, reason=_only_json(count)))
            continue
        try:
            result = fix_file(path, separator, session.node_table, mode)
        except ComfylockError as error:
            broken.append(error.problem(name))
            continue
        if isinstance(result, NotAWorkflow):
            passed_over.append(Skipped(path=name, reason=result.reason))
            continue
        looked_at += 1
        if result.names:
            files.append(FixedFile(path=name, names=result.names, places=result.places))
    return Fixed(
        files=tuple(files),
        looked_at=looked_at,
        passed_over=tuple(passed_over),
        stuck=tuple(stuck),
        broken=tuple(broken),
        has_lock=session.lock_path.exists(),
    )


def _names_in(path: Path, separator: Separator, table: NodeTable) -> int:
    """Return how many names in a media file should change, none if it cannot be read."""
    try:
        found = read_references(path, "", table)
    except ComfylockError:
        return 0
    if isinstance(found, NotAWorkflow):
        return 0
    return len({one.name for one in found if is_misspelled(one, separator)})


def _only_json(names: int) -> str:
    reason = "only .json files can be rewritten"
    return f"{reason} (names in it that should change: {names})" if names else reason


def _not_rewritten(path: str, names: int) -> Problem:
    return Problem(
        slug="workflow-invalid",
        ref=path,
        message=f"{shown(path)} was left as it is: {_only_json(names)}",
        hint="Open it in ComfyUI, save the workflow as .json and rewrite that",
    )


def fix_file(
    path: Path, separator: Separator, table: NodeTable, mode: FixMode
) -> Rewritten | NotAWorkflow:
    """Rewrite one file, or only look at what would change.

    Raises:
        WorkflowInvalidError: it cannot be understood, or not be shown to be right.
        PlaceError, BusyError: it cannot be read or written; it is as it was.
    """
    data = read_beginning(path, MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise WorkflowInvalidError(f"{shown(str(path))} is larger than any workflow")
    try:
        result = rewrite_workflow(data, separator, table)
    except WorkflowInvalidError as error:
        raise WorkflowInvalidError(
            f"{shown(str(path))} was left as it is: {error.message}", hint=error.hint
        ) from error
    except MemoryError as error:
        raise WorkflowInvalidError(
            f"{shown(str(path))} was left as it is: it needs too much memory"
        ) from error
    if mode is FixMode.WRITE and isinstance(result, Rewritten) and result.data != data:
        replace_text(path, data, result.data)
    return result
