"""Pins, candidates and what could not be pinned, as lines and as JSON."""

from collections.abc import Iterable, Sequence

from comfylock.artifacts import Artifact, Candidate
from comfylock.lockfile.changes import Change, ChangeKind
from comfylock.lockfile.model import Evidence, Pin
from comfylock.locking import Missed
from comfylock.names import quoted, shown
from comfylock.progress import size_text
from comfylock.settings import Formats
from comfylock.upgrading import Undecided, Unmoved

_SIGNS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.UPDATED: "*"}
_MOST_CANDIDATES = 5
#: Evidence that tied the reference to an older version, where a pin has moved to a newer one.
_MOVING = frozenset({Evidence.HASH, Evidence.EMBEDDED, Evidence.FILENAME})

EVIDENCE_WORDS = {
    Evidence.HASH: "hash",
    Evidence.EMBEDDED: "what the workflow embeds",
    Evidence.PINNED: "comfylock.toml",
    Evidence.KNOWN: "the table of known files",
    Evidence.FILENAME: "exact file name",
    Evidence.LOCAL: "local file alone",
}


def pin_of(change: Change) -> Pin:
    """Return the pin after a change, or what was removed."""
    pin = change.new or change.old
    assert pin is not None, "a change has a pin on one side at least"
    return pin


def change_line(change: Change, formats: Formats) -> str:
    """Return one changed pin as a line; what the user allows is not remarked on."""
    pin = pin_of(change)
    parts = [f"{_SIGNS[change.change]} {shown(change.ref)}"]
    if change.change is not ChangeKind.REMOVED:
        parts += [name] if (name := _name(change)) else []
        parts += [size_text(pin.size)] if pin.size else []
        moved = change.old is not None and change.old.sources != pin.sources
        parts += [] if moved and pin.evidence in _MOVING else [f"by {EVIDENCE_WORDS[pin.evidence]}"]
        if formats is not Formats.ALLOW and pin.may_run_code:
            parts.append("pickle format: may run code when loaded")
    return "  ".join(parts)


def _name(change: Change) -> str:
    new = shown(pin_of(change).name or "")
    if change.old is None or change.new is None or change.old.sources == change.new.sources:
        return new
    return f"{shown(change.old.name or 'unnamed')} -> {new or 'unnamed'}"


def change_fields(change: Change) -> dict[str, object]:
    """Return one changed pin as JSON tells it."""
    return {
        "ref": change.ref,
        "change": str(change.change),
        "evidence": str(pin_of(change).evidence),
        "old_name": change.old.name if change.old is not None else None,
        "name": change.new.name if change.new is not None else None,
    }


def candidate_lines(ref: str, candidates: Sequence[Candidate]) -> list[str]:
    """Return each candidate for a reference: what it is, and the command that pins it.

    The command has its own line, without a comment: not every shell knows those at its prompt.
    """
    lines = [
        line
        for one in candidates[:_MOST_CANDIDATES]
        for line in (
            f"    {_description(one)}",
            f"      comfylock pin {quoted(ref)} {quoted(one.spec)}",
        )
    ]
    more = len(candidates) - _MOST_CANDIDATES
    return lines + ([f"    … and {more} more"] if more > 0 else [])


def _description(one: Candidate) -> str:
    size = size_text(one.size_hint) if one.size_hint else "size unknown"
    base = f", {shown(one.base_model)}" if isinstance(one, Artifact) and one.base_model else ""
    return f"{shown(one.title)}: {shown(one.file_name)} ({size}{base})"


def candidate_fields(candidate: Candidate) -> dict[str, object]:
    """Return a candidate as JSON tells it; ids are those of Civitai, null for other files."""
    on_civitai = candidate if isinstance(candidate, Artifact) else None
    return {
        "spec": candidate.spec,
        "model": on_civitai.source.model if on_civitai else None,
        "version": on_civitai.source.version if on_civitai else None,
        "file": on_civitai.source.file if on_civitai else None,
        "name": candidate.title,
        "file_name": candidate.file_name,
        "type": on_civitai.model_type if on_civitai else None,
        "base_model": on_civitai.base_model if on_civitai else None,
        "size": candidate.size_hint,
        "sha256": candidate.digests.sha256,
        "blake3": candidate.digests.blake3,
    }


def missed_lines(missed: Missed) -> list[str]:
    """Return a reference that was not pinned, and what it may be."""
    ref = missed.requirement.key
    return [f"? {shown(ref)}  {missed.problem.slug}", *candidate_lines(ref, missed.candidates)]


def missed_fields(missed: Missed) -> dict[str, object]:
    """Return a reference that was not pinned as JSON tells it."""
    return {
        "ref": missed.requirement.key,
        "workflows": list(missed.requirement.workflows),
        "slug": missed.problem.slug,
        "candidates": [candidate_fields(candidate) for candidate in missed.candidates],
    }


def held_lines(held: Undecided) -> list[str]:
    """Return a pin that stays until the user decides, and what it may move to."""
    ref = held.old.key
    return [f"? {shown(ref)}  {held.problem.slug}", *candidate_lines(ref, held.candidates)]


def held_fields(held: Undecided, workflows: Iterable[str]) -> dict[str, object]:
    """Return a pin that stays until the user decides as JSON tells it."""
    return {
        "ref": held.old.key,
        "workflows": sorted(workflows),
        "slug": held.problem.slug,
        "candidates": [candidate_fields(one) for one in held.candidates],
    }


def unmoved_lines(unmoved: Iterable[Unmoved]) -> list[str]:
    """Return why pins do not move by themselves, a line for each reason."""
    refs_of: dict[str, list[str]] = {}
    for one in unmoved:
        refs_of.setdefault(one.reason, []).append(shown(one.old.key))
    return [
        f"{refs[0] if len(refs) == 1 else f'{len(refs)} models'} not moved: {shown(reason)}"
        for reason, refs in refs_of.items()
    ]
