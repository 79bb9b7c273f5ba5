"""From what the workflows need and what the old lock says to the new lock.

Rules:
    - A reference whose pin is in the lock keeps it, whatever has happened at the hubs since.
    - A reference that the lock records as unresolved (for want of a file, or because several fit)
      is not asked for again by itself.
    - A reference whose look-up failed (network, server) is left out of the lock: the lock stays
      stale for it, so that the next run asks again.
    - A workflow that cannot be read keeps what the lock knew of it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from comfylock.artifacts import Candidate
from comfylock.candidates import follows, hinted_digests
from comfylock.config import ModelWish
from comfylock.errors import (
    AuthRequiredError,
    EarlyAccessError,
    FetchError,
    ForbiddenError,
    Problem,
)
from comfylock.events import Reporter, Stepped
from comfylock.lockfile.changes import Wanted, matches
from comfylock.lockfile.model import Evidence, Lock, Pin, WorkflowEntry
from comfylock.names import (
    NO_FOLDER,
    basename,
    collision_form,
    extension,
    quoted,
    shown,
    split_key,
    unsafe_reason,
)
from comfylock.references import Requirement
from comfylock.resolve import Ambiguous, Catalogs, LocalMatch, Resolved, Unresolved, resolve
from comfylock.workers import side_by_side

#: More than there are requests at once: a thread may wait for what another one is asking.
_LOOK_UPS_AT_ONCE = 24


_REFUSALS = frozenset({AuthRequiredError.slug, ForbiddenError.slug, EarlyAccessError.slug})


@dataclass(frozen=True, kw_only=True, slots=True)
class Division:
    """What the old lock settles and what is left to resolve.

    Attributes:
        settled: pins of the old lock by the key that was asked for.
        remembered: requirements that the lock records as unresolved.
        open: requirements that must be resolved.
    """

    settled: Mapping[str, Pin]
    remembered: tuple[Requirement, ...]
    open: tuple[Requirement, ...]

    def reopened(self) -> "Division":
        """Return the same, with what the lock records as unresolved to be asked for again."""
        return replace(self, remembered=(), open=(*self.open, *self.remembered))


def divide(
    requirements: Iterable[Requirement],
    old: Lock | None,
    wishes: Mapping[str, ModelWish],
    has_local_file: Callable[[str], bool],
) -> Division:
    """Sort requirements by whether the old lock answers them.

    Args:
        requirements: what the workflows need now.
        old: the lock before, ``None`` to resolve everything anew.
        wishes: what comfylock.toml says, by key.
        has_local_file: whether a file lies where a key belongs: new evidence for one that the
            lock records as unresolved.
    """
    known_unresolved = _recorded_unresolved(old)
    settled: dict[str, Pin] = {}
    remembered: list[Requirement] = []
    left: list[Requirement] = []
    for requirement in requirements:
        pin = recorded_pin(requirement.key, old)
        wish = wishes.get(requirement.key)
        if pin is not None and _fulfils(pin, wish):
            settled[requirement.key] = replace(pin, aliases=requirement.aliases)
        elif (
            pin is None
            and wish is None
            and shown(requirement.key) in known_unresolved
            and not has_local_file(requirement.key)
        ):
            remembered.append(requirement)
        else:
            left.append(requirement)
    return Division(settled=settled, remembered=tuple(remembered), open=tuple(left))


def recorded_pin(asked: str, old: Lock | None) -> Pin | None:
    """Return the old lock's pin for a key as workflows ask for it."""
    if old is None:
        return None
    if asked in old.models:
        return old.models[asked]
    if extension(asked):
        return None
    return next((old.models[key] for key in sorted(old.models) if matches(asked, key)), None)


def _fulfils(pin: Pin, wish: ModelWish | None) -> bool:
    """Say whether a pin is still what comfylock.toml asks for."""
    if wish is None or (wish.pin is None and not wish.local):
        return pin.evidence is not Evidence.PINNED
    if wish.local:
        return pin.evidence is Evidence.LOCAL and wish.sha256 in {None, pin.digests.sha256}
    return follows(pin, wish)


def _recorded_unresolved(old: Lock | None) -> frozenset[str]:
    if old is None:
        return frozenset()
    return frozenset(key for entry in old.workflows.values() for key in entry.unresolved)


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What is known of each asked key when the lock is put together.

    Attributes:
        pins: by the key that was asked for.
        unanswered: keys whose look-up failed; they are left out of the lock.
    """

    pins: Mapping[str, Pin]
    unanswered: frozenset[str]


def refused_keys(requirements: Sequence[Requirement]) -> dict[str, str]:
    """Return why some keys can be no place in a models folder, by key.

    A name that leads outside, or that is one file with another name on a disk that ignores case,
    is not pinned.
    """
    refused: dict[str, str] = {}
    taken: dict[str, str] = {}
    for requirement in requirements:
        key = requirement.key
        # An embedding or stem may come without an extension; it gets the found file's.
        reason = unsafe_reason(key if extension(key) else f"{key}.safetensors")
        other = taken.setdefault(collision_form(key), key)
        if reason is not None:
            refused[key] = reason
        elif other != key:
            refused[key] = f"it differs from {other} only in upper and lower case or accents"
    return refused


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """Where answers come from.

    Attributes:
        catalog: the hubs; ``None`` when there are none to ask.
        local: by key, the files that lie where models belong.
        wishes: what comfylock.toml says, by key.
        rungs: names of the evidence that may pin.
        reporter: told how far it has come.
        again: what to do when a question has failed.
    """

    catalog: Catalogs | None
    local: Mapping[str, LocalMatch]
    wishes: Mapping[str, ModelWish]
    rungs: tuple[str, ...]
    reporter: Reporter
    again: str = "run `comfylock lock` again, which asks for what is left"


def digests_to_look_up(
    requirements: Iterable[Requirement],
    local: Mapping[str, LocalMatch],
    wishes: Mapping[str, ModelWish],
    rungs: Collection[str],
) -> tuple[str, ...]:
    """Return the SHA-256 digests that the ladder will want to know of, sorted.

    Those of the user's own files and those that workflows state; of what the user has a word on
    none is looked up.
    """
    found: set[str] = set()
    for requirement in requirements:
        match = local.get(requirement.key)
        if requirement.key in wishes:
            continue
        if match is not None and match.digests.sha256 and "hash" in rungs:
            found.add(match.digests.sha256)
        if "embedded" in rungs:
            found |= hinted_digests(requirement)
    return tuple(sorted(found))


@dataclass(frozen=True, kw_only=True, slots=True)
class Missed:
    """A requirement that was not pinned.

    Attributes:
        requirement: what the workflows ask for.
        problem: why, with the next step.
        candidates: files that it may mean; for an ambiguous one each fits, else they are only
            similar.
        answered: the question was answered; if not, the next run asks again.
    """

    requirement: Requirement
    problem: Problem
    candidates: tuple[Candidate, ...] = ()
    answered: bool = True

    @property
    def is_ambiguous(self) -> bool:
        """Say whether several files fit equally well."""
        return self.problem.slug == "ambiguous"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What became of the open requirements.

    Attributes:
        pins: by the key that was asked for.
        misses: what was not pinned, sorted by key.
        unanswered: keys whose look-up failed.
    """

    pins: Mapping[str, Pin]
    misses: tuple[Missed, ...]

    @property
    def nobody_answered(self) -> bool:
        """Say whether there was something to ask, and no hub was in reach or order.

        A refusal is a word of somebody: a gated repository wants a key, and the lock goes on.
        """
        silent = [
            missed
            for missed in self.misses
            if not missed.answered and missed.problem.slug not in _REFUSALS
        ]
        return bool(silent) and not self.pins and len(silent) == len(self.misses)

    @property
    def unanswered(self) -> frozenset[str]:
        """Keys whose look-up failed."""
        return frozenset(missed.requirement.key for missed in self.misses if not missed.answered)


def resolve_all(requirements: Sequence[Requirement], old: Lock | None, asking: Asking) -> Answers:
    """Resolve each requirement once, several at a time; the order of answers has no influence."""
    refused = refused_keys(requirements)
    pins: dict[str, Pin] = {}
    misses: list[Missed] = []
    askable = [each for each in requirements if each.key not in refused]
    ask = partial(_resolve_one, old=old, asking=asking)
    answers = side_by_side(ask, askable, workers=_LOOK_UPS_AT_ONCE)
    for count, answer in enumerate(answers, start=1):
        asking.reporter.on(Stepped(what="Looked up", done=count, total=len(askable)))
        if isinstance(answer, Missed):
            misses.append(answer)
        else:
            pins[answer[0]] = answer[1]
    misses += [
        Missed(requirement=each, problem=_refusal(each.key, refused[each.key]))
        for each in requirements
        if each.key in refused
    ]
    return Answers(
        pins=pins, misses=tuple(sorted(misses, key=lambda missed: missed.requirement.key))
    )


def _resolve_one(
    requirement: Requirement, *, old: Lock | None, asking: Asking
) -> tuple[str, Pin] | Missed:
    try:
        answer = resolve(
            requirement,
            old=recorded_pin(requirement.key, old),
            wish=asking.wishes.get(requirement.key),
            local=asking.local.get(requirement.key),
            catalog=asking.catalog,
            rungs=asking.rungs,
        )
    except FetchError as error:
        return _unanswered(requirement, error.problem(requirement.key), asking.again)
    match answer:
        case Resolved():
            return requirement.key, answer.pin
        case Ambiguous():
            return Missed(
                requirement=requirement,
                problem=_ambiguity(requirement.key, answer.candidates, answer.reason),
                candidates=answer.candidates,
            )
        case Unresolved(is_fault=True):
            return _unanswered(requirement, answer.reason, asking.again)
        case Unresolved():
            return Missed(
                requirement=requirement, problem=answer.reason, candidates=answer.candidates
            )


def _unanswered(requirement: Requirement, problem: Problem, again: str) -> Missed:
    hint = f"{problem.hint or 'Check the connection'}; then {again}"
    return Missed(
        requirement=requirement,
        problem=replace(problem, hint=hint, ref=problem.ref or requirement.key),
        answered=False,
    )


def _ambiguity(key: str, candidates: Sequence[Candidate], reason: str) -> Problem:
    many = f"{len(candidates)} different files are called {shown(basename(key))}"
    return Problem(
        slug="ambiguous",
        ref=key,
        message=many if len(candidates) > 1 else reason,
        hint=f"Say which one, as in `comfylock pin {quoted(key)} {quoted(candidates[0].spec)}`",
    )


def _refusal(key: str, reason: str) -> Problem:
    if split_key(key)[0] == NO_FOLDER:
        return Problem(
            slug="unresolved",
            ref=key,
            message=f"nothing tells the folder of {shown(split_key(key)[1])}",
            hint="See its node with `comfylock scan`, and name its folder in comfylock.toml:\n\n"
            '  [folders]\n  "NodeClass.input" = "loras"\n\n'
            "or ignore it with [ignore] refs",
        )
    return Problem(
        slug="unsafe-path",
        ref=key,
        message=f"{shown(key)} cannot be a place in a models folder: {reason}",
        hint=f"Correct the name in the workflow, or `comfylock ignore {quoted(key)}`",
    )


def assemble(
    wanted: Mapping[str, Wanted],
    findings: Findings,
    old: Lock | None,
    *,
    inputs: Sequence[str],
    unreadable: Iterable[str],
) -> Lock:
    """Put the new lock together.

    Args:
        wanted: what each readable workflow asks for.
        findings: what is known of each key.
        old: the lock before, for what it knows of unreadable workflows and for unknown keys.
        inputs: what the lock is made from.
        unreadable: paths of workflows that are there and cannot be read.
    """
    kept = _kept_entries(old, unreadable, wanted)
    entries = {path: _entry(path, need, findings, old) for path, need in wanted.items()} | kept
    pins = {pin.key: pin for pin in findings.pins.values()}
    for key in {key for entry in kept.values() for key in entry.models if key in pins}:
        # Which spellings an unreadable workflow uses is not known: none is given up.
        aliases = old.models[key].aliases if old is not None and key in old.models else ()
        pins[key] = replace(pins[key], aliases=(*pins[key].aliases, *aliases))
    known: Mapping[str, Pin] = old.models if old is not None else {}
    needed = {key for entry in entries.values() for key in entry.models}
    return Lock(
        inputs=tuple(inputs),
        workflows=entries,
        models={key: pins.get(key) or known[key] for key in sorted(needed)},
        unknown=old.unknown if old is not None else (),
    )


def _kept_entries(
    old: Lock | None, unreadable: Iterable[str], wanted: Mapping[str, Wanted]
) -> dict[str, WorkflowEntry]:
    recorded: Mapping[str, WorkflowEntry] = old.workflows if old is not None else {}
    return {path: recorded[path] for path in unreadable if path in recorded and path not in wanted}


def _entry(path: str, wanted: Wanted, findings: Findings, old: Lock | None) -> WorkflowEntry:
    recorded = old.workflows.get(path) if old is not None else None
    return WorkflowEntry(
        path=path,
        models=tuple(findings.pins[key].key for key in wanted.keys if key in findings.pins),
        unresolved=tuple(
            key
            for key in wanted.keys
            if key not in findings.pins and key not in findings.unanswered
        ),
        unknown=recorded.unknown if recorded is not None else (),
    )
