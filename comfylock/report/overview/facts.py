"""What every form of the report tells: the models in order, their states, what helps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from comfylock.artifacts import CivitaiSource, HuggingFaceSource, Source, UrlSource
from comfylock.errors import Problem
from comfylock.lockfile.model import Evidence, Pin
from comfylock.names import quoted, split_key
from comfylock.operations.freshness import LockState
from comfylock.operations.report import Overview
from comfylock.operations.status import ModelState, State
from comfylock.progress import size_text
from comfylock.report.alike import without_name
from comfylock.report.sentences import counted

#: What a kind of evidence means, for people who have never heard of it.
EVIDENCE_MEANINGS = {
    Evidence.HASH: "a file on a maker's disk has exactly these bytes",
    Evidence.EMBEDDED: "the workflow itself names this file by hash, id or address",
    Evidence.PINNED: "somebody chose this file by hand, in comfylock.toml",
    Evidence.KNOWN: "a file that everyone uses, from comfylock's own table",
    Evidence.FILENAME: "the only file of exactly this name that was found: worth a look",
    Evidence.LOCAL: "known by its bytes alone, found on no hub",
}

#: The same in a word or two.
EVIDENCE_LABELS = {
    Evidence.HASH: "by hash",
    Evidence.EMBEDDED: "by the workflow",
    Evidence.PINNED: "by hand",
    Evidence.KNOWN: "well known",
    Evidence.FILENAME: "by file name",
    Evidence.LOCAL: "local file",
}

STATE_WORDS = {
    State.PRESENT: "here",
    State.MISSING: "missing",
    State.DIFFERENT: "different",
    State.BLOCKED: "blocked",
    State.UNRESOLVED: "not pinned",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One model of the report.

    Attributes:
        ref: its key, or the reference as asked for when it has no pin.
        pin: the lock's entry, ``None`` when unresolved.
        standing: how it stands here, ``None`` when nobody knows.
        workflows: who needs it, sorted.
    """

    ref: str
    pin: Pin | None
    standing: ModelState | None
    workflows: tuple[str, ...]

    @property
    def state(self) -> State | None:
        """How it stands; what has no pin is unresolved wherever one looks."""
        if self.pin is None:
            return State.UNRESOLVED
        return None if self.standing is None else self.standing.state

    @property
    def size(self) -> int | None:
        """Bytes, ``None`` when not known."""
        return None if self.pin is None else self.pin.size

    @property
    def folder(self) -> str:
        """The folder that it belongs to."""
        return split_key(self.ref)[0]


def rows_of(overview: Overview) -> tuple[Row, ...]:
    """Return every model: the largest folder and file first, what has no pin at the end."""
    needed = _needed(overview)
    folders = [use.folder for use in overview.folders]
    pinned = [
        Row(ref=key, pin=pin, standing=overview.states.get(key), workflows=needed.get(key, ()))
        for key, pin in overview.lock.models.items()
    ]
    pinned.sort(key=lambda row: (folders.index(row.folder), -(row.size or 0), row.ref))
    unresolved = [
        Row(ref=ref, pin=None, standing=overview.states.get(ref), workflows=workflows)
        for ref, workflows in overview.unresolved.items()
    ]
    return (*pinned, *unresolved)


def _needed(overview: Overview) -> Mapping[str, tuple[str, ...]]:
    needed: dict[str, tuple[str, ...]] = {}
    for path, entry in sorted(overview.lock.workflows.items()):
        for key in entry.models:
            needed[key] = (*needed.get(key, ()), path)
    return needed


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What to do about models that are not as the lock says.

    Attributes:
        what: the state of affairs, as a sentence.
        rows: the models that it is about, the largest first.
        command: what to type, ``None`` where typing does not help; with REF for several models.
        more: what else there is to know.
    """

    what: str
    rows: tuple[Row, ...]
    command: str | None
    more: str = ""


def advice_of(overview: Overview) -> tuple[Advice, ...]:
    """Return what helps, models with the same cure together, the easy cures first."""
    troubles: dict[tuple[State | None, Problem | None], list[Row]] = {}
    for row in rows_of(overview):
        if row.state not in {None, State.PRESENT}:
            troubles.setdefault((row.state, _trouble(row)), []).append(row)
    advice = [
        _install(rows, overview) if state is State.MISSING else _about(rows)
        for (state, _), rows in sorted(troubles.items(), key=lambda one: _ORDER[one[0][0]])
    ]
    if overview.standing is not None and overview.standing.lock is LockState.STALE:
        stale = "comfy.lock does not say what the workflows need now"
        advice.insert(0, Advice(what=stale, rows=(), command="comfylock lock"))
    return tuple(advice)


_ORDER = {
    state: place
    for place, state in enumerate(
        (State.MISSING, State.DIFFERENT, State.BLOCKED, State.UNRESOLVED, State.PRESENT, None)
    )
}


def _trouble(row: Row) -> Problem | None:
    """Return what stands in the way of a model, as it is the same for others."""
    problem = row.standing.problem if row.standing is not None else None
    if problem is None or row.state is State.DIFFERENT:
        return None
    same = without_name(replace(problem, ref=row.ref))
    return Problem(slug=same.slug, message="", hint=same.hint)


def _install(missing: Sequence[Row], overview: Overview) -> Advice:
    standing = overview.standing
    fetch = standing.bytes_to_fetch if standing is not None else 0
    links = standing.links if standing is not None else 0
    linked = f", {links} of them from copies that are here" if links else ""
    return Advice(
        what=f"{counted(len(missing), 'model')} can be installed: {size_text(fetch)} to download"
        f"{linked}",
        rows=_largest_first(missing),
        command="comfylock install",
    )


def _about(rows: Sequence[Row]) -> Advice:
    row, alone = rows[0], len(rows) == 1
    if row.pin is None:
        return Advice(
            what=_told(rows, "nobody has said yet which file is meant"),
            rows=tuple(rows),
            command=f"comfylock pin {quoted(row.ref) if alone else 'REF'} SPEC",
            more="SPEC is a Civitai or Hugging Face address; `comfylock search` finds some",
        )
    if row.state is State.DIFFERENT:
        only = quoted(_glob(row.ref)) if alone else "REF"
        return Advice(
            what=_told(rows, "another file takes up the place"),
            rows=_largest_first(rows),
            command=f"comfylock install --replace --only {only}",
            more="The file that is there now is moved aside, not deleted",
        )
    return _blocked(rows)


_BLOCKED = {
    "no-source": "known by hash alone, without a known source",
    "host-not-allowed": "from a host that you have not allowed",
    "disk-full": "not enough room",
    "unsafe-format": "may run code when it is loaded, and the settings deny such formats",
}


def _blocked(rows: Sequence[Row]) -> Advice:
    standing, alone = rows[0].standing, len(rows) == 1
    problem = standing.problem if standing is not None else None
    hint = None if problem is None else problem.hint
    if problem is not None and not alone:
        hint = without_name(replace(problem, ref=rows[0].ref)).hint
    slug = problem.slug if problem is not None else "unknown"
    return Advice(
        what=_told(rows, _BLOCKED.get(slug, f"something is in the way ({slug})")),
        rows=_largest_first(rows),
        command=None,
        more=hint or "",
    )


def _told(rows: Sequence[Row], sentence: str) -> str:
    """Return a sentence about one model, or about each of several."""
    if len(rows) == 1:
        return sentence[0].upper() + sentence[1:]
    return f"{counted(len(rows), 'model')}: {sentence}"


def _largest_first(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: (-(row.size or 0), row.ref)))


def _glob(ref: str) -> str:
    """Return a glob that means one key alone."""
    return ref.replace("[", "[[]")


def verdict(overview: Overview) -> str:
    """Return the one sentence that matters most."""
    total = len(overview.lock.models) + len(overview.unresolved)
    if overview.standing is None:
        return (
            f"{counted(len(overview.lock.models), 'model')} locked, "
            f"{size_text(overview.bytes_locked)} in all"
        )
    present = count_in(overview.states.values(), State.PRESENT)
    if present == total:
        return f"All {counted(total, 'model')} are here" if total != 1 else "The model is here"
    fetch = overview.standing.bytes_to_fetch
    left = size_text(fetch) if fetch else "nothing"
    return f"{present} of {counted(total, 'model')} are here; {left} to download"


def count_in(states: Iterable[ModelState], state: State) -> int:
    """Return how many models stand so."""
    return sum(1 for one in states if one.state is state)


def workflow_bytes(overview: Overview, path: str) -> int:
    """Return the size of all that a workflow needs, each content counted once."""
    pins = [overview.lock.models[key] for key in overview.lock.workflows[path].models]
    return sum({pin.digests.label: pin.size or 0 for pin in pins}.values())


def open_count(overview: Overview, path: str) -> int:
    """Return how many models of a workflow are not here, or not pinned."""
    entry = overview.lock.workflows[path]
    states = overview.states
    lacking = [key for key in entry.models if key in states and _lacks(states[key])]
    return len(lacking) + len(entry.unresolved)


def _lacks(one: ModelState) -> bool:
    return one.state is not State.PRESENT


def place_name(source: Source) -> str:
    """Return where a source is, in few words: the file's name is told beside it."""
    match source:
        case CivitaiSource():
            return f"Civitai model {source.model}, version {source.version}"
        case HuggingFaceSource():
            return f"Hugging Face {source.repo}"
        case UrlSource():
            return str(source)
