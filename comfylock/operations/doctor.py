"""`doctor`: settings, folders, disks, keys and workflows of this machine -> findings, with fixes.

Each examination yields findings and leaves nothing changed; an error that ends one is a finding
itself. The hubs are asked only online.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from comfylock.config import CONFIG_FILE, config_dir
from comfylock.errors import (
    AnswerIsNoError,
    CannotWorkError,
    FetchError,
    PlaceError,
    UsageError,
)
from comfylock.names import shown
from comfylock.operations.doctor_disk import examine_disk, examine_folders, examine_leftovers
from comfylock.operations.doctor_hubs import (
    examine_hubs,
    examine_keys,
    examine_proxy,
    examine_versions,
)
from comfylock.operations.findings import Examined, Finding, Health, Setting
from comfylock.operations.origins import settings_with_origins
from comfylock.operations.remarks import refused_spellings
from comfylock.places import PROJECT_FILE
from comfylock.session import Session


def doctor(session: Session, *, online: bool, models_flag: bool) -> Examined:
    """Look at everything that comfylock leans on.

    Args:
        session: opened, not yet used.
        online: also ask the hubs.
        models_flag: the models folder was named on the command line.
    """
    findings = [
        *_told("settings", lambda: _config_files(session)),
        *_told("folders", lambda: examine_folders(session)),
        *_told("folders", lambda: examine_disk(session)),
        *_told("folders", lambda: examine_leftovers(session)),
        *_told("lock", lambda: _lock(session)),
        *_told("workflows", lambda: _workflows(session)),
        *_told("keys", lambda: examine_keys(session)),
        *_told("network", lambda: examine_proxy(session.environment)),
        *(_told("network", lambda: examine_hubs(session)) if online else ()),
        *examine_versions(),
    ]
    settings: list[Setting] = []
    with suppress(CannotWorkError):  # told above
        for setting in settings_with_origins(session, models_flag=models_flag):
            settings.append(setting)  # noqa: PERF402 - what comes before an error counts
    return Examined(findings=_each_fault_once(findings), settings=tuple(settings))


def _told(area: str, examination: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what an examination finds; an error that ends it is a problem that it found."""
    try:
        yield from examination()
    except (CannotWorkError, AnswerIsNoError, FetchError, PlaceError) as error:
        yield Finding(
            area=area, health=Health.PROBLEM, message=shown(error.message), fix=error.hint
        )


def _each_fault_once(findings: list[Finding]) -> tuple[Finding, ...]:
    """Drop what another examination has told: a broken file stops several of them."""
    first = {finding.message: finding for finding in reversed(findings)}
    return tuple(finding for finding in findings if first[finding.message] is finding)


def _config_files(session: Session) -> Iterator[Finding]:
    user = config_dir(session.environment) / CONFIG_FILE
    project = session.base / PROJECT_FILE
    _ = session.project, session.user, session.settings
    for path in (project, user):
        state = "read" if path.is_file() else "not there, which is fine"
        yield Finding(area="settings", message=f"{shown(str(path))}: {state}")


def _lock(session: Session) -> Iterator[Finding]:
    lock, notes = session.old_lock()
    where = shown(str(session.lock_path))
    if lock is None:
        yield Finding(area="lock", message=f"{where} is not there yet")
        return
    count = "1 model" if len(lock.models) == 1 else f"{len(lock.models)} models"
    yield Finding(area="lock", message=f"{where}: {count}")
    for warning in (*notes, *lock.warnings):
        yield Finding(area="lock", health=Health.WARNING, message=shown(warning))


def _workflows(session: Session) -> Iterator[Finding]:
    lock, _ = session.old_lock()
    try:
        inputs = session.lock_inputs((), lock).read
    except UsageError:
        yield Finding(area="workflows", message="none are named yet")
        return
    reading = session.read_workflows(inputs)
    number = len(reading.references)
    count = "1 workflow" if number == 1 else f"{number} workflows"
    yield Finding(area="workflows", message=f"{count} read")
    for problem in reading.broken:
        yield Finding(
            area="workflows",
            health=Health.WARNING,
            message=shown(problem.message),
            fix=problem.hint,
        )
    for warning in refused_spellings(session, reading.all_references, lock):
        yield Finding(
            area="workflows",
            health=Health.WARNING,
            message=warning.partition(";")[0],
            fix="Run `comfylock fix-paths`",
        )
