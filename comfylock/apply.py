"""A plan carried out: one outcome per action, and one model's failure never stops the others.

Actions of one content run one after another (a download, then the links that wait for it); all
else runs side by side. Each act is checked again just before it happens, against what the plan
saw. Three faults are of more than one model: a full disk and a used-up quota end the start of new
downloads, an interrupt ends everything, and what was not begun is reported as skipped.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from comfylock.disk.download import Receiving, receive
from comfylock.disk.hashcache import HashCache
from comfylock.disk.parts import Part, claim_part, remove_leftovers
from comfylock.disk.place import (
    Destination,
    link_file,
    move_aside,
    move_back,
    opened_partial,
    publish,
)
from comfylock.errors import (
    ComfylockError,
    DiskError,
    DiskFullError,
    Problem,
    QuotaError,
    StoppedError,
)
from comfylock.events import Finished, Started
from comfylock.hashes import Digests, needed_to_verify
from comfylock.inventory import FileStat, LocalFile
from comfylock.lockfile.model import Pin
from comfylock.plan import (
    Action,
    Blocked,
    Download,
    Keep,
    Link,
    Plan,
    Replace,
    bytes_of,
    name_of,
    target_of,
)
from comfylock.settings import LinkMode

Work = Link | Download | Replace


class Status(StrEnum):
    """How an action ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of one action.

    Attributes:
        ref: the model's key.
        action: the action's name.
        status: how it ended.
        path: where the file lies, or would lie.
        bytes: how many bytes the action was to fetch.
        problem: why it failed or was skipped.
        moved_aside: where the file that made way is now.
    """

    ref: str
    action: str
    status: Status
    path: Path
    bytes: int = 0
    problem: Problem | None = None
    moved_aside: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """What actions need of the world.

    Attributes:
        destination: the place of a key on the disk.
        cache: where hashes of placed files are recorded; used under `guard` only.
        guard: one thread at a time at the cache.
        receiving: where bytes come from, who is told, and the signal to stop.
        link_mode: how links are made.
    """

    destination: Callable[[str], Destination]
    cache: HashCache
    guard: threading.Lock
    receiving: Receiving
    link_mode: LinkMode


def apply_plan(plan: Plan, workplace: Workplace, jobs: int) -> tuple[Outcome, ...]:
    """Carry a plan out with at most `jobs` contents at work at once.

    Returns:
        One outcome per action, in the plan's order. After an interrupt (`Receiving.stop` is set)
        the actions that were not finished are skipped.
    """
    acts = [action for action in plan.actions if not isinstance(action, Keep | Blocked)]
    groups = _by_content(acts)
    crew = _Crew(workplace)
    pool = ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="comfylock")
    futures: list[Future[None]] = [pool.submit(crew.work, group) for group in groups]
    try:
        wait(futures)
    except KeyboardInterrupt:
        workplace.receiving.stop.set()
        wait(futures, timeout=1.5)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for future in futures:
        if future.done() and not future.cancelled():
            future.result()
    return tuple(crew.outcome(action) for action in plan.actions)


def _by_content(actions: Iterable[Work]) -> list[list[Work]]:
    """Group what fetches or waits for one content; the largest first, so that it is not last."""
    groups: dict[str, list[Work]] = {}
    for action in actions:
        filling = action.new if isinstance(action, Replace) else action
        shared = isinstance(filling, Download) or filling.after is not None
        label = filling.pin.digests.label if shared else f"only {action.pin.key}"
        groups.setdefault(label, []).append(action)
    for group in groups.values():
        group.sort(key=lambda action: -bytes_of(action))
    return sorted(groups.values(), key=lambda group: (-bytes_of(group[0]), group[0].pin.key))


class _Crew:
    """Carries out groups of actions, in threads, and keeps what came of each."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._outcomes: dict[str, Outcome] = {}
        self._ended: dict[type[ComfylockError], Problem] = {}

    def work(self, group: Sequence[Work]) -> None:
        placed: dict[str, LocalFile] = {}
        for action in group:
            self._outcomes[action.pin.key] = self._tried(action, placed)

    def outcome(self, action: Action) -> Outcome:
        """Return what came of an action; one that never ran was interrupted."""
        if isinstance(action, Blocked):
            return _ended(action, Status.FAILED, action.problem)
        if isinstance(action, Keep):
            return _ended(action, Status.DONE, None)
        known = self._outcomes.get(action.pin.key)
        return known or _ended(action, Status.SKIPPED, StoppedError("stopped").problem())

    def _tried(self, action: Work, placed: dict[str, LocalFile]) -> Outcome:
        hindrance = self._hindrance(action)
        if hindrance is not None:
            return _ended(action, Status.SKIPPED, hindrance)
        reporter = self._workplace.receiving.reporter
        try:
            outcome = self._done(action, placed)
        except ComfylockError as error:
            if isinstance(error, DiskFullError | QuotaError):
                self._ended[type(error)] = error.problem()
            reporter.on(Finished(ref=action.pin.key, succeeded=False))
            status = Status.SKIPPED if isinstance(error, StoppedError) else Status.FAILED
            return _ended(action, status, error.problem(action.pin.key))
        reporter.on(Finished(ref=action.pin.key, succeeded=True))
        return outcome

    def _hindrance(self, action: Work) -> Problem | None:
        """Return why an action should not even begin."""
        if self._workplace.receiving.stop.is_set():
            return StoppedError("stopped").problem(action.pin.key)
        filling = action.new if isinstance(action, Replace) else action
        awaited = self._outcomes.get(filling.after or "") if isinstance(filling, Link) else None
        if awaited is not None and awaited.problem is not None:
            return replace(awaited.problem, ref=action.pin.key)
        if bytes_of(action) == 0:
            return None
        return next(iter(self._ended.values()), None)

    def _done(self, action: Work, placed: dict[str, LocalFile]) -> Outcome:
        aside: Path | None = None
        match action:
            case Link():
                self._link(action, placed)
            case Download():
                self._download(action, placed, old=None)
            case Replace():
                aside = self._replace(action, placed)
            case _:
                assert_never(action)
        return _ended(action, Status.DONE, None, moved_aside=aside)

    def _replace(self, action: Replace, placed: dict[str, LocalFile]) -> Path | None:
        match action.new:
            case Download() as download:
                return self._download(download, placed, old=action.old)
            case Link() as link:
                return self._replace_by_link(link, action.old, placed)

    def _link(self, link: Link, placed: dict[str, LocalFile]) -> None:
        pin = link.pin
        workplace = self._workplace
        workplace.receiving.reporter.on(Started(ref=pin.key, act="link", total_bytes=pin.size))
        source = self._source(link, placed)
        destination = workplace.destination(pin.key)
        stat = link_file(source, destination, pin.digests, workplace.link_mode)
        self._record(destination.path, stat, source.digests)
        if stat.inode == source.stat.inode:
            # A hard link moves the ctime of its source too: without this the source's own row in
            # the cache would be void and a whole file be read again.
            with workplace.guard:
                known = workplace.cache.lookup(source.path, source.stat)
                placed_by_us = known is not None and known.placed
                workplace.cache.record(source.path, stat, source.digests, placed=placed_by_us)

    def _source(self, link: Link, placed: dict[str, LocalFile]) -> LocalFile:
        source = link.found if link.after is None else placed.get(link.after)
        assert source is not None, "a link whose download failed is not begun"
        return source

    def _replace_by_link(self, link: Link, old: LocalFile, placed: dict[str, LocalFile]) -> Path:
        destination = self._workplace.destination(link.pin.key)
        self._source(link, placed)
        aside = move_aside(destination, old)
        try:
            self._link(link, placed)
        except ComfylockError:
            move_back(destination, aside)
            raise
        return aside

    def _download(
        self, download: Download, placed: dict[str, LocalFile], old: LocalFile | None
    ) -> Path | None:
        pin = download.pin
        destination = self._workplace.destination(pin.key)
        with opened_partial(destination) as (directory, shown_directory):
            part = claim_part(directory, shown_directory, pin.digests.label)
            self._fill(pin, part)
            aside = None if old is None else move_aside(destination, old)
            try:
                stat = publish(part.address, destination)
            except ComfylockError:
                part.release()
                if aside is not None:
                    move_back(destination, aside)
                raise
            part.close()
            remove_leftovers(shown_directory, frozenset({pin.digests.label}))
        digests = part.digests()
        self._record(destination.path, stat, digests)
        placed[pin.key] = LocalFile(path=destination.path, stat=stat, digests=digests, placed=True)
        return aside

    def _fill(self, pin: Pin, part: Part) -> None:
        """Bring a part to the locked content, or give back what is worth keeping of it."""
        reporter = self._workplace.receiving.reporter
        try:
            part.rehash(needed_to_verify(pin.digests))
            reporter.on(
                Started(ref=pin.key, act="download", total_bytes=pin.size, done_bytes=part.size)
            )
            receive(pin, part, self._workplace.receiving)
            part.seal()
        except DiskError:
            # After a failed write or sync the cache may show bytes that never reached the disk.
            part.discard()
            raise
        except BaseException:
            part.release()
            raise

    def _record(self, path: Path, stat: FileStat, digests: Digests) -> None:
        with self._workplace.guard:
            self._workplace.cache.record(path, stat, digests, placed=True)


def _ended(
    action: Action, status: Status, problem: Problem | None, moved_aside: Path | None = None
) -> Outcome:
    return Outcome(
        ref=action.pin.key,
        action=name_of(action),
        status=status,
        path=target_of(action),
        bytes=bytes_of(action),
        problem=problem,
        moved_aside=moved_aside,
    )
