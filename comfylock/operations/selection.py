"""Which part of comfy.lock is meant."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from comfylock.errors import LockInvalidError, UsageError
from comfylock.lockfile.model import Lock, Pin, WorkflowEntry
from comfylock.names import quoted, shown, split_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which part of the lock is meant; nothing named means all of it.

    Attributes:
        workflows: only what these workflow files need.
        only: only keys that match one of these globs.
    """

    workflows: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


def select(locked: Lock, selection: Selection) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Return the pins and the unresolved references that a selection means, sorted by key.

    Raises:
        UsageError: a named workflow is not in the lock, or a glob matches nothing.
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
    for path in workflows:
        if path not in locked.workflows:
            raise UsageError(
                f"{shown(path)} is not in comfy.lock",
                hint=f"Run `comfylock lock {quoted(path)}` first",
            )
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
