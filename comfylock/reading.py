"""The workflows that inputs lead to, read into references; bad files are set aside, not fatal.

A path here is the text under which a workflow is known in comfy.lock and in reports: relative to
the base folder, with ``/``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from comfylock.errors import ComfylockError, Problem, UsageError
from comfylock.folders import NodeTable
from comfylock.lockfile.changes import Wanted
from comfylock.lockfile.model import unsafe_path_reason
from comfylock.names import NO_FOLDER, basename, extension, normalised_name, shown
from comfylock.references import (
    InactivePolicy,
    Reference,
    ReferenceKind,
    Requirement,
    collect_references,
    group,
)
from comfylock.workflows.file import faults_named, read_workflow
from comfylock.workflows.find import find_workflow_files
from comfylock.workflows.model import NotAWorkflow


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A file that holds no workflow, or none that can be read."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the workflows say.

    Attributes:
        references: by workflow path, in document order; a workflow without any has an empty entry.
        passed_over: files found in folders that are no workflows.
        broken: files that are workflows and cannot be read, or that were named and are none.
    """

    references: Mapping[str, tuple[Reference, ...]]
    passed_over: tuple[Skipped, ...]
    broken: tuple[Problem, ...]

    @property
    def all_references(self) -> tuple[Reference, ...]:
        """Every reference of every workflow, sorted by workflow."""
        return tuple(found for path in sorted(self.references) for found in self.references[path])


def read_inputs(
    inputs: Sequence[str], base: Path, exclude: Sequence[str], table: NodeTable
) -> Reading:
    """Read every workflow that the inputs lead to.

    Args:
        inputs: files, folders and globs, relative to `base`.
        base: the folder that workflow paths are relative to.
        exclude: globs of what to leave out.
        table: which node inputs name models.

    Raises:
        PathMissingError: an input leads nowhere.
    """
    references: dict[str, tuple[Reference, ...]] = {}
    passed_over: list[Skipped] = []
    broken: list[Problem] = []
    named = {(base / item).absolute() for item in inputs}
    for path in find_workflow_files(inputs, base, exclude):
        shown_path = path_below(path, base)
        complaint = unsafe_path_reason(shown_path)
        if complaint is not None:
            broken.append(_unnameable(shown_path, complaint))
            continue
        try:
            found = read_references(path, shown_path, table)
        except ComfylockError as error:
            broken.append(replace(error.problem(), ref=shown_path))
            continue
        if not isinstance(found, NotAWorkflow):
            references[shown_path] = found
        elif path.absolute() in named:
            broken.append(_no_workflow(shown_path, found.reason))
        else:
            passed_over.append(Skipped(path=shown_path, reason=found.reason))
    return Reading(references=references, passed_over=tuple(passed_over), broken=tuple(broken))


def read_references(
    path: Path, shown_path: str, table: NodeTable
) -> tuple[Reference, ...] | NotAWorkflow:
    """Return the references of one file, which name it as `shown_path`.

    Raises:
        PathMissingError: there is no such file.
        WorkflowInvalidError: the file cannot be read or understood; the message names it.
    """
    workflow = read_workflow(path)
    if isinstance(workflow, NotAWorkflow):
        return workflow
    with faults_named(path):
        return collect_references(workflow, shown_path, table)


def _unnameable(path: str, complaint: str) -> Problem:
    return Problem(
        slug="workflow-invalid",
        ref=path,
        message=f"{shown(path)} cannot be named in comfy.lock: {complaint}",
        hint="Rename the file",
    )


def _no_workflow(path: str, reason: str) -> Problem:
    return Problem(
        slug="workflow-invalid",
        ref=path,
        message=f"{shown(path)} is not a ComfyUI workflow: {reason}",
        hint="Name a file that ComfyUI saved (Save, or Export (API))",
    )


def path_below(path: Path, base: Path) -> str:
    """Return a path as locks and reports show it.

    Raises:
        UsageError: it does not lie below `base`.
    """
    try:
        return PurePosixPath(*path.absolute().relative_to(base.absolute()).parts).as_posix()
    except ValueError as error:
        raise UsageError(
            f"{shown(str(path))} does not lie below {shown(str(base))}, the folder of comfy.lock",
            hint="Keep the workflows in that folder, or name another with -C or --lockfile",
        ) from error


def is_ignored(key: str, ignored: Sequence[str]) -> bool:
    """Say whether comfylock.toml's ``[ignore] refs`` names a key, exactly or by a glob."""
    from fnmatch import fnmatchcase

    return any(key == pattern or fnmatchcase(key, pattern) for pattern in ignored)


def requirements_of(
    references: Sequence[Reference], inactive: InactivePolicy, ignored: Sequence[str]
) -> tuple[Requirement, ...]:
    """Return what the references need, without what the user ignores."""
    placed = group(references, inactive=inactive)
    return tuple(
        requirement
        for requirement in (*placed, *_homeless(references, placed, inactive))
        if not is_ignored(requirement.key, ignored)
    )


def _homeless(
    references: Sequence[Reference], placed: Sequence[Requirement], inactive: InactivePolicy
) -> tuple[Requirement, ...]:
    """Return the files whose folder nothing tells, under the folder ``?``.

    They cannot be pinned, and must not be lost: the user can say where they belong. A file of
    the same name that has a folder is taken for the same one.
    """
    known = {basename(requirement.name).casefold() for requirement in placed}
    users: dict[str, set[str]] = {}
    for reference in references:
        name = normalised_name(reference.name)
        if reference.folder is not None or reference.kind is not ReferenceKind.FILE:
            continue
        if (reference.active or inactive is InactivePolicy.INCLUDE) and extension(name):
            users.setdefault(name, set()).add(reference.workflow)
    return tuple(
        Requirement(
            key=f"{NO_FOLDER}/{name}",
            folder=NO_FOLDER,
            name=name,
            kind=ReferenceKind.FILE,
            aliases=(),
            workflows=tuple(sorted(users[name])),
            hints=(),
            active=True,
        )
        for name in sorted(users)
        if basename(name).casefold() not in known
    )


def wanted_of(requirements: Sequence[Requirement]) -> Wanted:
    """Return what one workflow asks for, in the form that a lock is compared with."""
    return Wanted(
        keys=frozenset(requirement.key for requirement in requirements),
        aliases={
            requirement.key: requirement.aliases
            for requirement in requirements
            if requirement.aliases
        },
    )
