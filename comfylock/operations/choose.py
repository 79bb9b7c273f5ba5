"""`pin`, `unpin`, `ignore`: the user's word -> comfylock.toml -> that one reference of comfy.lock.

A word that leads to no file is never written. Of the lock, only the entry of the reference
changes, and the word is written first: were the second write to fail, `lock` would make it good.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from comfylock.addresses import CivitaiAddress, HuggingFacePage, parse_address, parse_page
from comfylock.artifacts import Artifact, Candidate, ModelVersion, UrlSource
from comfylock.candidates import (
    belongs,
    contents,
    hash_changed,
    named_in,
    oldest_first,
    same_name,
)
from comfylock.config import ModelWish
from comfylock.errors import (
    FetchError,
    ModelsDirMissingError,
    Problem,
    UnresolvedError,
    UsageError,
)
from comfylock.hubs import may_fetch
from comfylock.lockfile.changes import Change, diff_locks
from comfylock.lockfile.model import Lock, Pin
from comfylock.locking import Answers, Missed, resolve_all
from comfylock.names import shown, split_key
from comfylock.operations.subject import Subject, Subjects
from comfylock.places import PROJECT_FILE
from comfylock.projectfile import (
    read_project_text,
    with_ignored,
    with_wish,
    without_wish,
    write_project_text,
)
from comfylock.relocking import with_pin, without_pin, without_reference
from comfylock.rungs.case import LocalMatch
from comfylock.selecting import is_glob, matching_refs
from comfylock.session import Session
from comfylock.specs import (
    UNDERSTOOD,
    SpecKind,
    kind_of,
    spec_at,
    told,
    url_wish,
    wish_of,
)

_MOST_LISTED = 5  # of a repository's files: each costs a question


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """What became of the user's word.

    Attributes:
        said: what comfylock.toml says now that it did not say before, one line each.
        changes: pins of the lock that differ now.
        misses: references that nothing pins; of `pin`, then nothing was written.
        notes: what the user should be told besides.
        has_lock: whether there is a lock to be kept in step.
        updated: the lock was written; its pins may be the same.
    """

    said: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    misses: tuple[Missed, ...] = ()
    notes: tuple[str, ...] = ()
    has_lock: bool = True
    updated: bool = False


def pin(session: Session, ref: str, spec: str, sha256: str | None) -> Chosen:
    """Pin a reference to the file that a SPEC means.

    Raises:
        UnresolvedError, AmbiguousError: the REF means no reference, or several, or the SPEC is
            nothing that is understood.
        UsageError: ``--sha256`` goes not with this SPEC, or is none.
        ConfigInvalidError: comfylock.toml cannot be edited.
    """
    subjects = Subjects(session)
    subject = subjects.one(ref)
    if kind_of(spec) is SpecKind.PATH and sha256 is None:
        wish, at_hand = _of_path(session, subject, spec)
        return _pin(session, subjects.lock, subject, wish, at_hand)
    asked = _asked(session, subject, spec, sha256)
    if isinstance(asked, Missed):
        return Chosen(said=(), misses=(asked,))
    return _pin(session, subjects.lock, subject, asked)


def choose(session: Session, missed: Missed, artifact: Candidate) -> Chosen:
    """Pin a reference that was ambiguous to the candidate that the user chose."""
    subjects = Subjects(session)
    subject = subjects.named(missed.requirement.key)
    return _pin(session, subjects.lock, subject, ModelWish(pin=artifact.spec))


def _pin(
    session: Session,
    lock: Lock | None,
    subject: Subject,
    asked: ModelWish,
    at_hand: LocalMatch | None = None,
) -> Chosen:
    """Resolve a wish for a reference; if it leads to a file, write it and lock it."""
    answer = _resolved(session, subject, asked, at_hand)
    if isinstance(answer, Missed):
        return Chosen(said=(), misses=(answer,))
    wish = wish_of(answer, asked)
    _edit(session, lambda text: with_wish(text, subject.key, wish))
    new = with_pin(lock, subject.key, answer, subject.workflows) if lock is not None else None
    changed = hash_changed(subject.pin, answer) if subject.pin is not None else None
    notes = (*_of_bytes(changed), *_of_host(answer, frozenset(session.user.allow_hosts)))
    return replace(
        _written(session, lock, new),
        said=(f"{shown(subject.key)} = {_told(wish)}",),
        notes=tuple(f"warning: {note}" for note in notes),
    )


def _of_bytes(changed: Problem | None) -> tuple[str, ...]:
    return () if changed is None else (changed.message,)


def _of_host(pin: Pin, allowed: frozenset[str]) -> tuple[str, ...]:
    """Return what keeps `install` from fetching what is pinned now."""
    urls = [source.url for source in pin.sources if isinstance(source, UrlSource)]
    if not urls or len(urls) < len(pin.sources) or any(may_fetch(url, allowed) for url in urls):
        return ()
    host = shown(urlsplit(urls[0]).hostname or "")
    allowing = f'allow-hosts = ["{host}"]'
    return (f"install fetches nothing from {host} until your own config.toml says {allowing}",)


def unpin(session: Session, ref: str) -> Chosen:
    """Take the user's word for references back, and resolve them by evidence.

    Raises:
        UnresolvedError: comfylock.toml says nothing of it.
        AmbiguousError: the REF means several and is no glob.
    """
    wishes = session.project.models
    keys = _wished(ref, wishes)
    subjects = Subjects(session)
    _edit(session, lambda text: _without(text, keys))
    rest = {key: wish for key, wish in wishes.items() if key not in keys}
    meant = [subjects.named(key) for key in keys if key in subjects.keys]
    new, misses = subjects.lock, list[Missed]()
    for subject in meant:
        answer = _anew(session, subject, rest)
        if isinstance(answer, Pin):
            new = new and with_pin(new, subject.key, answer, subject.workflows)
            continue
        misses.append(answer)
        if answer.answered:
            new = new and without_pin(new, subject.key, subject.workflows)
    done = _written(session, subjects.lock, new)
    return replace(
        done, said=tuple(f"{shown(key)} is no longer pinned" for key in keys), misses=tuple(misses)
    )


def ignore(session: Session, ref: str) -> Chosen:
    """Say that references are nobody's business, and drop them from the lock.

    Raises:
        UnresolvedError: the REF means no reference.
        AmbiguousError: it means several and is no glob.
    """
    subjects = Subjects(session)
    if ignored := subjects.ignored(ref):
        return Chosen(said=(), notes=tuple(f"{shown(key)} is ignored already" for key in ignored))
    meant = [subject.key for subject in subjects.all(ref)]
    by_glob = is_glob(ref) and all(fnmatchcase(key, ref) for key in meant)
    refs = (ref,) if by_glob else tuple(meant)
    _edit(session, lambda text: with_ignored(text, refs))
    new = subjects.lock
    for key in meant:
        new = new and without_reference(new, key)
    done = _written(session, subjects.lock, new)
    return replace(done, said=tuple(f"{shown(key)} is ignored" for key in meant))


def _edit(session: Session, edit: Callable[[str], str]) -> None:
    path = session.base / PROJECT_FILE
    write_project_text(path, edit(read_project_text(path)))


def _without(text: str, keys: Iterable[str]) -> str:
    for key in keys:
        text = without_wish(text, key)
    return text


def _written(session: Session, old: Lock | None, new: Lock | None) -> Chosen:
    """Write the lock, if there is one to be kept in step, and say what changed in it."""
    if new is None:
        return Chosen(said=(), has_lock=False)
    return Chosen(said=(), changes=diff_locks(old, new), updated=session.write_lock(new))


# ------------------------------------------------------------------------- what is meant


def _asked(session: Session, subject: Subject, spec: str, sha256: str | None) -> ModelWish | Missed:
    kind = kind_of(spec)
    if sha256 is not None and kind is not SpecKind.URL:
        raise UsageError("--sha256 goes with a plain https address only")
    match kind:
        case SpecKind.ADDRESS:
            return ModelWish(pin=spec)
        case SpecKind.URL:
            return url_wish(spec, sha256)
        case SpecKind.PAGE:
            return _of_page(session, subject, spec)
        case SpecKind.REPOSITORY:
            return _of_repository(session, subject, spec)
        case SpecKind.PATH:
            return _of_path(session, subject, spec)[0]


def _of_page(session: Session, subject: Subject, spec: str) -> ModelWish | Missed:
    """Return the file of a model that has the wanted name, or is the only one it can be."""
    address = parse_address(spec)
    assert isinstance(address, CivitaiAddress), "a page is an address"
    assert address.model is not None, "it names the model"
    try:
        versions = session.catalog.versions_of(address.model)
    except FetchError as error:
        return _missed(subject, error.problem(subject.key), answered=False)
    fitting = _fitting(versions, subject, address)
    if len(contents(fitting)) == 1:
        return ModelWish(pin=fitting[0].spec)
    problem = Problem(
        slug="ambiguous" if fitting else "unresolved",
        ref=subject.key,
        message=f"{told(spec)} has {len(fitting)} files that {shown(subject.key)} may be"
        if fitting
        else f"{told(spec)} has no file that {shown(subject.key)} may be",
        hint="Say which one" if fitting else "Look for it with `comfylock search`",
    )
    return _missed(subject, problem, candidates=fitting)


def _fitting(
    versions: Iterable[ModelVersion], subject: Subject, address: CivitaiAddress
) -> tuple[Artifact, ...]:
    folder, name = split_key(subject.key)
    files = [
        one
        for version in versions
        for one in version.files
        if belongs(one, folder) and address.file in {None, one.source.file}
    ]
    named = [one for one in files if same_name(name, one.file_name)]
    return oldest_first(named or files)


def _of_repository(session: Session, subject: Subject, spec: str) -> ModelWish | Missed:
    """Return the file of a repository that has the wanted name, or is the only one it can be."""
    page = parse_page(spec)
    assert page is not None, "the kind of the SPEC says so"
    try:
        files = session.repositories.files_at(page)
        fitting = named_in(split_key(subject.key)[1], files or ())
        if len(fitting) == 1:
            return ModelWish(pin=spec_at(fitting[0]))
        found = [session.repositories.file_at(one) for one in fitting[:_MOST_LISTED]]
    except FetchError as error:
        return _missed(subject, error.problem(subject.key), answered=False)
    problem = _not_one_of(page, subject, None if files is None else len(fitting))
    return _missed(subject, problem, candidates=tuple(one for one in found if one is not None))


def _not_one_of(page: HuggingFacePage, subject: Subject, count: int | None) -> Problem:
    """Return why a repository's page names no single file; without a count it is not to be seen."""
    place = shown(f"{page.repo}@{page.revision}" + f" in {page.folder}" * bool(page.folder))
    ref = shown(subject.key)
    message, hint = f"{count} files that {ref} may be", "Say which one as hf:REPO@REVISION:PATH"
    if count is None:
        return Problem(
            slug="unresolved",
            ref=subject.key,
            message=f"huggingface {place} is not there, or not to be seen without a key",
            hint="Look at the repository's page; if it is private, set HF_TOKEN",
        )
    if not count:
        message = f"no file that {ref} may be"
    return Problem(
        slug="ambiguous" if count else "unresolved",
        ref=subject.key,
        message=f"huggingface {place} has {message}",
        hint=hint,
    )


def _of_path(session: Session, subject: Subject, spec: str) -> tuple[ModelWish, LocalMatch | None]:
    """Return the wish for a private file, and that file where ComfyUI does not find it.

    One that lies where the reference looks for it is what lies there, whatever that will be. Any
    other is meant by its hash: `install` recognises it once it is below a models folder.

    Raises:
        UnresolvedError: it is not there.
        PlaceError: it cannot be read.
    """
    from comfylock.localfiles import match_at

    path = session.path_of(spec)
    if not path.is_file():
        raise UnresolvedError(
            f"there is no file {told(spec)}",
            hint=f"Check the path; {UNDERSTOOD[0].lower()}{UNDERSTOOD[1:]}",
        )
    if any(place.exists() and place.samefile(path) for place in _places(session, subject.key)):
        return ModelWish(local=True), None
    found = match_at(path, subject.key)
    return ModelWish(local=True, sha256=found.digests.sha256, size=found.size), found


def _places(session: Session, key: str) -> list[Path]:
    """Return where ComfyUI looks for a reference, on this machine."""
    folder, name = split_key(key)
    try:
        return [Path(directory) / name for directory in session.directories.directories(folder)]
    except ModelsDirMissingError:
        return []


def _wished(ref: str, wishes: Mapping[str, ModelWish]) -> tuple[str, ...]:
    if not wishes:
        raise UnresolvedError(
            f"{PROJECT_FILE} pins nothing", hint="Pin a model with `comfylock pin REF SPEC`"
        )
    return matching_refs(ref, wishes)


# ------------------------------------------------------------------------- what comes of it


def _resolved(
    session: Session, subject: Subject, wish: ModelWish, at_hand: LocalMatch | None
) -> Pin | Missed:
    """Return the file that a wish means.

    The lock's own entry has no say: the user's word also accepts other bytes than were locked.
    """
    asking = replace(
        session.asking([subject.requirement]), wishes={subject.key: wish}, again="pin it again"
    )
    if at_hand is not None:
        asking = replace(asking, local={subject.key: at_hand})
    return _only(resolve_all([subject.requirement], None, asking), subject)


def _anew(session: Session, subject: Subject, wishes: Mapping[str, ModelWish]) -> Pin | Missed:
    asking = replace(session.asking([subject.requirement]), wishes=wishes)
    answer = _only(resolve_all([subject.requirement], None, asking), subject)
    old = subject.pin
    changed = hash_changed(old, answer) if old is not None and isinstance(answer, Pin) else None
    return answer if changed is None else _missed(subject, changed, answered=False)


def _only(answers: Answers, subject: Subject) -> Pin | Missed:
    found = answers.pins.get(subject.key)
    return found if found is not None else answers.misses[0]


def _missed(
    subject: Subject,
    problem: Problem,
    *,
    candidates: tuple[Candidate, ...] = (),
    answered: bool = True,
) -> Missed:
    return Missed(
        requirement=subject.requirement, problem=problem, candidates=candidates, answered=answered
    )


def _told(wish: ModelWish) -> str:
    return "local" if wish.local else shown(wish.pin or "")
