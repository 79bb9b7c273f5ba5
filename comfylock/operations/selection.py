"""Which part of comfy.lock is meant."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from comfylock.errors import AmbiguousError, LockInvalidError, UnresolvedError, UsageError
from comfylock.inputs import relative_input
from comfylock.lockfile.model import Lock, Pin, WorkflowEntry
from comfylock.names import shown, split_key
from comfylock.selecting import matching_workflows
from comfylock.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which part of the lock is meant; nothing named means all of it.

    Attributes:
        workflows: only what these workflow files need.
        only: only keys that match one of these globs.
    """

    workflows: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


def below(session: Session, text: str) -> str | None:
    """Return a path as the lock spells it, ``None`` where it leads out of the lock's folder."""
    with suppress(UsageError):
        return relative_input(str(session.path_of(text)), session.base, session.base)
    return None


def with_workflows(session: Session, locked: Lock, selection: Selection) -> Selection:
    """Return a selection with the workflows that it means, as the lock spells them.

    Raises:
        UsageError: one of them is not in the lock, or may be several.
    """
    try:
        meant = [
            matching_workflows(name, locked.workflows, below(session, name))
            for name in selection.workflows
        ]
    except (UnresolvedError, AmbiguousError) as error:
        raise UsageError(error.message, hint=error.hint) from error
    return replace(selection, workflows=tuple(path for paths in meant for path in paths))


def select(locked: Lock, selection: Selection) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Return the pins and the unresolved references that a selection means, sorted by key.

    Args:
        locked: the lock.
        selection: its workflows are spelled as the lock does.

    Raises:
        UsageError: a glob matches nothing.
    """
    entries = _selected_entries(locked, selection.workflows)
    keys = {key for entry in entries for key in entry.models}
    if not selection.workflows:
        keys |= set(locked.models)
    unresolved = {ref for entry in entries for ref in entry.unresolved}
    for glob in selection.only:
        if not any(fnmatchcase(key, glob) for key in keys | unresolved):
            raise UsageError(
                f"--only {shown(glob)} matches no model of comfy.lock",
                hint="A glob is compared with the whole key, as in 'loras/*'",
            )
    chosen = sorted(key for key in keys if _is_selected(key, selection))
    open_refs = sorted(ref for ref in unresolved if _is_selected(ref, selection))
    return tuple(locked.models[key] for key in chosen), tuple(open_refs)


def _is_selected(key: str, selection: Selection) -> bool:
    return not selection.only or any(fnmatchcase(key, glob) for glob in selection.only)


def _selected_entries(locked: Lock, workflows: Sequence[str]) -> list[WorkflowEntry]:
    chosen = sorted(set(workflows)) if workflows else sorted(locked.workflows)
    return [locked.workflows[path] for path in chosen]


def refuse_unknown_folders(locked: Lock, known: Collection[str]) -> None:
    """Refuse a lock that would place files where nothing loads models from.

    Args:
        locked: the lock.
        known: ComfyUI's folders, those of known nodes, and those that the user's files name.

    Raises:
        LockInvalidError: naming the path inside the file.
    """
    for key in sorted(locked.models):
        folder = split_key(key)[0]
        if folder not in known:
            raise LockInvalidError(
                f'comfy.lock: model."{key}": {folder} is no folder that ComfyUI, or a node that '
                "comfylock knows, loads models from",
                hint="If a node of yours does, say so in comfylock.toml below [folders]: "
                f'"NodeClass.input" = "{folder}"',
            )
