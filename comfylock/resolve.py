"""Requirement to pin, by a ladder of evidence; the first rung that knows decides.

The ladder: the user's word, the lock's own entry, the hash of a local file, what the workflow
embeds, the table of well-known files, one exact file name on the hub, the local file alone.

Rules:

- Nothing is guessed. Several contents for one name are `Ambiguous`; likeness only proposes.
- A fault of a hub ends the ladder: a lower rung might pin another file than the one that
  the rung in trouble would have found, and the lock would depend on the weather. But for a
  well-known file whose hub is out of reach, one exact file name on Civitai still counts.
- What the user or the workflow knows by hash is never overruled by a name.

Pure but for the questions to its `Catalogs`.
"""

from collections.abc import Callable
from dataclasses import replace

from comfylock.artifacts import Artifact, Candidate, HostedFile
from comfylock.candidates import (
    belongs,
    contents,
    in_order,
    locked_among,
    most_alike_first,
    oldest_first,
    stem,
)
from comfylock.config import ModelWish
from comfylock.errors import FetchError
from comfylock.lockfile.model import Evidence, Pin
from comfylock.names import extension, is_pickle, quoted, shown
from comfylock.references import Requirement
from comfylock.rungs.case import (
    Ambiguous,
    Case,
    Catalog,
    Catalogs,
    Found,
    LocalMatch,
    Miss,
    Repositories,
    Resolution,
    Resolved,
    Step,
    Unresolved,
    ambiguous,
    format_of,
    pinned,
    refused,
    unresolved,
)
from comfylock.rungs.embedded import from_embedded
from comfylock.rungs.filename import from_file_name
from comfylock.rungs.known import from_known
from comfylock.rungs.local import from_local_alone, from_local_hash, from_lock
from comfylock.rungs.wish import from_wish

__all__ = [
    "Ambiguous",
    "Catalog",
    "Catalogs",
    "LocalMatch",
    "Miss",
    "Repositories",
    "Resolution",
    "Resolved",
    "Unresolved",
    "format_of",
    "resolve",
]

_LADDER: tuple[tuple[str, Callable[[Case], Step | None]], ...] = (
    ("pinned", from_wish),
    ("lock", from_lock),
    ("hash", from_local_hash),
    ("embedded", from_embedded),
    ("known", from_known),
    ("filename", from_file_name),
    ("local", from_local_alone),
)
_OPTIONAL = frozenset({"hash", "embedded", "known", "filename"})
#: What may still pin when the hub of a well-known file cannot be reached: one exact file name of
#: one content elsewhere is evidence of its own, and generic names are in no table.
_AFTER_A_FAULT = frozenset({"filename"})


def resolve(
    requirement: Requirement,
    *,
    old: Pin | None,
    wish: ModelWish | None,
    local: LocalMatch | None,
    catalog: Catalogs | None,
    rungs: tuple[str, ...],
) -> Resolution:
    """Return what a requirement is pinned to, or why it is not.

    Args:
        requirement: the wanted file.
        old: the lock's entry for it, kept as it is unless the user's word says otherwise.
            ``None`` to resolve anew.
        wish: what comfylock.toml says of it.
        local: the file of that name in a models folder, hashed.
        catalog: whom to ask; ``None`` when nobody can be asked.
        rungs: names of the evidence that may pin without asking. The user's own word and the
            user's own file need no leave.
    """
    case = Case(
        requirement=requirement,
        old=old,
        wish=wish or ModelWish(),
        local=local,
        catalogs=catalog or Catalogs(),
    )
    misses: list[Miss] = []
    fault: Unresolved | None = None
    for name, rung in _LADDER:
        if (name in _OPTIONAL and name not in rungs) or (fault and name not in _AFTER_A_FAULT):
            continue
        ended = _stepped(case, rung)
        if isinstance(ended, Miss):
            misses.append(ended)
        elif name == "known" and isinstance(ended, Unresolved) and ended.is_fault:
            fault = ended
        elif ended is not None:
            return replace(ended, misses=tuple(misses))
    if fault is not None:
        return replace(fault, misses=tuple(misses))
    return _given_up(case, tuple(misses), may_propose="filename" in rungs)


def _stepped(case: Case, rung: Callable[[Case], Step | None]) -> Miss | Resolution | None:
    try:
        step = rung(case)
        return _settled(case, step) if isinstance(step, Found) else step
    except FetchError as error:
        return Unresolved(key=case.key, reason=error.problem(case.key), is_fault=True)


def _settled(case: Case, found: Found) -> Resolution:
    """Pin what was found, if it is one content that may be pinned."""
    files = in_order(found.files)
    if len(contents(files)) > 1:
        return ambiguous(case, files, "several files of different content could be meant")
    first = files[0]
    if any(one.unsafe for one in files):
        hub = "Civitai" if isinstance(first, Artifact) else "Hugging Face"
        return refused(case, f"{hub}'s scan calls {shown(first.file_name)} dangerous")
    if not first.digests:
        return unresolved(
            case,
            f"Civitai has no full hash of {shown(first.file_name)}, so it cannot be pinned",
            "Lock again when it is scanned, or download it once and lock again",
        )
    if is_pickle(first.file_name) and extension(case.key) and not is_pickle(case.key):
        return refused(case, f"{shown(first.file_name)} is a pickle under another name")
    end = pinned(case, _pin_of(case, files, found.evidence))
    return replace(end, note=found.note) if isinstance(end, Resolved) else end


def _pin_of(case: Case, files: tuple[Candidate, ...], evidence: Evidence) -> Pin:
    """Return the pin of files of one content; of a local file, size, hashes and format are its own.

    One source on Civitai stands for all there, the one that the lock names already or else the
    oldest; the other hubs' sources follow it.
    """
    artifacts = [one for one in files if isinstance(one, Artifact)]
    hosted = [one for one in files if isinstance(one, HostedFile)]
    artifact = locked_among(case.old, artifacts) or next(iter(artifacts), None)
    chosen: Candidate = artifact if artifact is not None else hosted[0]
    measured = case.local if evidence is Evidence.HASH else None
    digests = chosen.digests
    for one in hosted:
        digests = digests.combined(one.digests)
    # A repository's size is exact, Civitai's the uploader's word.
    sizes = [one.size_hint for one in (*hosted, chosen) if one.size_hint is not None]
    return Pin(
        key=case.full_key(chosen.file_name),
        size=measured.size if measured else next(iter(sizes), None),
        digests=measured.digests.combined(digests) if measured else digests,
        evidence=evidence,
        format=measured.format if measured else format_of(chosen.file_name),
        aliases=case.requirement.aliases,
        name=shown(artifact.title) if artifact else None,
        base_model=shown(artifact.base_model) or None if artifact else None,
        sources=(*([artifact.source] if artifact else []), *(one.source for one in hosted)),
    )


def _given_up(case: Case, misses: tuple[Miss, ...], *, may_propose: bool) -> Unresolved:
    """Say that nobody knew, with the next step of the first rung that has one to offer.

    What a workflow says of a file and led to none is told as well: it is the first thing to mend.
    """
    offered = next((one for one in misses if one.hint is not None), None)
    led_astray = [one for one in misses if one.rung == "embedded" and case.requirement.hints]
    told = offered or next(iter(led_astray), None)
    because = f": {told.reason}" if told is not None else ""
    search = (
        f"Look for it with `comfylock search {quoted(stem(case.name))}`, then `comfylock pin` it"
    )
    return replace(
        unresolved(
            case,
            f"nothing says for certain which file it is{because}",
            offered.hint if offered is not None and offered.hint else search,
        ),
        misses=misses,
        candidates=_proposals(case) if may_propose else (),
    )


def _proposals(case: Case) -> tuple[Artifact, ...]:
    """Return files with like names; without an answer there are none to propose."""
    name, folder = case.requirement.name, case.requirement.folder
    try:
        found = oldest_first(case.catalogs.civitai.search_alike(name, folder))
    except FetchError:
        return ()
    return most_alike_first(name, [one for one in found if belongs(one, folder)])
