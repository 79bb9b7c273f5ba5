"""`fix-paths`: workflow files -> the same files with this system's separators in model names."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from comfylock.disk.rewrite import read_beginning, replace_text
from comfylock.errors import ComfylockError, Problem, WorkflowInvalidError
from comfylock.folders import NodeTable
from comfylock.names import shown
from comfylock.reading import Skipped, path_below
from comfylock.session import Session
from comfylock.spelling import Rewritten, Separator, rewrite_workflow
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
        broken: workflows that cannot be read, shown to be right, or written.
        has_lock: there is a comfy.lock, which records the old spellings.
    """

    files: tuple[FixedFile, ...]
    looked_at: int
    passed_over: tuple[Skipped, ...]
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
    broken: list[Problem] = []
    looked_at = 0
    for path in find_workflow_files(inputs, session.base, session.project.exclude):
        name = path_below(path, session.base)
        if path.suffix.lower() != ".json":
            passed_over.append(Skipped(path=name, reason="only .json files can be rewritten"))
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
        broken=tuple(broken),
        has_lock=session.lock_path.exists(),
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
