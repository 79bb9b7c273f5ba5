"""A plan carried out: one outcome per action, and one model's failure never stops the others.

Downloads run side by side, each followed by the links that wait for it; links to files that are
here already run one after another. Each act is checked again just before it happens, against what
the plan saw and what we have done since. Three faults are of more than one model: a full disk
ends the start of new downloads to that disk and a used-up quota that of downloads from Civitai,
an interrupt ends everything, and what was not begun is reported as skipped.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from comfylock.actions import (
    Action,
    Blocked,
    Download,
    Keep,
    Link,
    Plan,
    Remove,
    Replace,
    bytes_of,
    filling_of,
    key_of,
    target_of,
)
from comfylock.artifacts import CivitaiSource
from comfylock.disk.alias import leads_to, link_alias
from comfylock.disk.aside import move_aside, move_back
from comfylock.disk.copies import Copies
from comfylock.disk.download import receive
from comfylock.disk.faults import disk_fault
from comfylock.disk.hashcache import HashCache, stat_of
from comfylock.disk.part import NoRoomError, Part
from comfylock.disk.parts import claim_part, remove_leftovers
from comfylock.disk.place import (
    Destination,
    found_in,
    is_one_file,
    link_file,
    opened_partial,
    publish,
    require_way,
)
from comfylock.disk.removal import remove_placed
from comfylock.disk.streams import OtherLengthError, Receiving
from comfylock.disk.traces import Traces
from comfylock.disk.tree import STATE_DIRECTORY
from comfylock.errors import (
    BusyError,
    ComfylockError,
    DiskError,
    DiskFullError,
    HashMismatchError,
    PathOccupiedError,
    PermissionDeniedError,
    PlaceError,
    Problem,
    QuotaError,
    StoppedError,
    TooLargeError,
    UnsafePathError,
)
from comfylock.events import Finished, Measured, Planned, Started, Warned
from comfylock.hashes import Digests, needed_to_check
from comfylock.interrupts import raise_if_interrupted
from comfylock.inventory import FileStat, LocalFile
from comfylock.lengths import correction, link_in, linked_instead, may_lie_elsewhere, refusal
from comfylock.names import is_alias
from comfylock.outcomes import Outcome, Status, ended, failed, still_needed
from comfylock.settings import LinkMode

Work = Link | Download | Replace

_LOOK_S = 0.5

# What says nothing of the bytes: another spot can be filled with them all the same.
_OF_ONE_SPOT = (PathOccupiedError, UnsafePathError, PermissionDeniedError, BusyError, NoRoomError)
# A disk without room for one file may have it for the next.
_OF_ONE_FILE = (NoRoomError, TooLargeError)
# What may mean that another run has done the same meanwhile.
_OF_ANOTHER_RUN = (PathOccupiedError, BusyError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """What actions need of the world.

    Attributes:
        destination: the place of a key on the disk.
        cache: where hashes of placed files are recorded; used under `guard` only.
        guard: one thread at a time at the cache.
        receiving: where bytes come from, who is told, and the signal to stop.
        link_mode: how links are made.
        roots: gives the folders that a model may lie in under another name.
    """

    destination: Callable[[str], Destination]
    cache: HashCache
    guard: threading.Lock
    receiving: Receiving
    link_mode: LinkMode
    roots: Callable[[], Sequence[Path]]


def apply_plan(plan: Plan, workplace: Workplace, jobs: int) -> tuple[Outcome, ...]:
    """Carry a plan out with at most `jobs` contents at work at once.

    Returns:
        One outcome per action, in the plan's order. After an interrupt (`Receiving.stop` is set)
        the actions that were not finished are skipped.
    """
    acts = [action for action in plan.actions if isinstance(action, Work)]
    fetches = sum(1 for action in acts if isinstance(filling_of(action), Download))
    workplace.receiving.reporter.on(Planned(fetches=fetches, total_bytes=plan.bytes_to_fetch))
    groups = _in_groups(acts)
    crew = _Crew(workplace, leaving=frozenset(_paths_of_what_goes(plan)))
    pool = ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="comfylock")
    futures: list[Future[None]] = [pool.submit(crew.work, group) for group in groups]
    try:
        while wait(futures, timeout=_LOOK_S).not_done:
            raise_if_interrupted()
        crew.remove(plan)
    except KeyboardInterrupt:
        workplace.receiving.stop.set()
        wait(futures, timeout=1.5)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for future in futures:
        if future.done() and not future.cancelled():
            future.result()
    return tuple(crew.outcome(action) for action in plan.actions)


def _in_groups(actions: Iterable[Work]) -> list[list[Work]]:
    """Group what must run one after another; the largest first, so that it is not last.

    That is a download with the links that wait for it, and all links to files that are here:
    they may share a source, or have each other's files as sources. An alias is of its model's
    group.
    """
    groups: dict[str, list[Work]] = {}
    group_of: dict[str, str] = {}
    for action in actions:
        filling = filling_of(action)
        of_what_is_here = isinstance(filling, Link) and filling.after is None
        group = "" if of_what_is_here else group_of.get(_leader(action), action.pin.key)
        group_of[action.pin.key] = group
        groups.setdefault(group, []).append(action)
    return sorted(groups.values(), key=lambda group: (-bytes_of(group[0]), group[0].pin.key))


class _Crew:
    """Carries out groups of actions, in threads, and keeps what came of each."""

    def __init__(self, workplace: Workplace, leaving: Set[Path]) -> None:
        self._workplace = workplace
        self._leaving = leaving
        reporter = workplace.receiving.reporter
        self._copies = Copies(workplace.roots, workplace.cache, workplace.guard, reporter)
        self._outcomes: dict[str, Outcome] = {}
        self._errors: dict[str, ComfylockError] = {}
        self._brought: dict[str, LocalFile] = {}
        self._full_disks: dict[int, Problem] = {}
        self._quota: Problem | None = None
        self._traces = Traces()
        # Nobody links a file while another moves it aside.
        self._moving = threading.Lock()

    def work(self, group: Sequence[Work]) -> None:
        for action in group:
            self._outcomes[action.pin.key] = self._tried(action)

    def remove(self, plan: Plan) -> None:
        """Carry out a plan's removals; a file whose bytes a model still lacks is left alone."""
        removals = [action for action in plan.actions if isinstance(action, Remove)]
        lacking = [
            action.pin
            for action in plan.actions
            if not isinstance(action, Remove) and self.outcome(action).status is not Status.DONE
        ]
        # In this order an alias goes before the file that it may be a link to.
        for action in sorted(removals, key=lambda action: action.ref, reverse=True):
            if self._workplace.receiving.stop.is_set():
                return
            needing = [pin for pin in lacking if pin.digests.agrees(action.file.digests)]
            self._outcomes[action.ref] = (
                still_needed(action, needing[0]) if needing else self._removed(action)
            )

    def _removed(self, action: Remove) -> Outcome:
        seen = self._traces.now(action.file)
        reporter = self._workplace.receiving.reporter
        reporter.on(Started(ref=action.ref, act="remove"))
        try:
            with _told(action):
                stat = remove_placed(self._workplace.destination(action.ref), seen)
        except ComfylockError as error:
            reporter.on(failed(action, error))
            return ended(action, Status.FAILED, error.problem(action.ref))
        self._touched(seen.stat, stat)
        reporter.on(Finished(ref=action.ref, succeeded=True))
        return ended(action, Status.DONE, None)

    def outcome(self, action: Action) -> Outcome:
        """Return what came of an action; one that never ran was interrupted."""
        if isinstance(action, Blocked):
            return ended(action, Status.FAILED, action.problem)
        if isinstance(action, Keep):
            return ended(action, Status.DONE, None)
        stopped = StoppedError("stopped").problem(key_of(action))
        return self._outcomes.get(key_of(action)) or ended(action, Status.SKIPPED, stopped)

    def _tried(self, action: Work) -> Outcome:
        hindrance = self._hindrance(action)
        if hindrance is not None:
            return ended(action, Status.SKIPPED, hindrance)
        reporter = self._workplace.receiving.reporter
        try:
            with _told(action):
                outcome = self._done(action)
        except ComfylockError as error:
            if isinstance(error, _OF_ANOTHER_RUN) and self._is_there(action):
                reporter.on(Finished(ref=action.pin.key, succeeded=True))
                return ended(action, Status.DONE, None)
            reporter.on(failed(action, error))
            self._note(action, error)
            status = Status.SKIPPED if isinstance(error, StoppedError) else Status.FAILED
            return ended(action, status, error.problem(action.pin.key))
        reporter.on(Finished(ref=action.pin.key, succeeded=True))
        return outcome

    def _is_there(self, action: Work) -> bool:
        """Say whether another run has put the right file there meanwhile."""
        pin = action.pin
        found = found_in(self._workplace.destination(pin.key), pin.digests)
        if found is not None:
            self._bring(action, found)
        return found is not None

    def _bring(self, action: Work, file: LocalFile) -> None:
        """Keep where the content lies now, for the links that wait for it."""
        self._brought[action.pin.key] = file
        if not is_alias(action.pin.key):
            self._brought.setdefault(_leader(action), file)

    def _note(self, action: Work, error: ComfylockError) -> None:
        """Keep what an error means for the actions that follow."""
        self._errors[action.pin.key] = error
        if isinstance(error, QuotaError):
            self._quota = error.problem()
        elif isinstance(error, DiskFullError) and not isinstance(error, _OF_ONE_FILE):
            self._full_disks[self._disk(action)] = error.problem()

    def _disk(self, action: Work) -> int:
        try:
            return self._workplace.destination(action.pin.key).state_base.stat().st_dev
        except (OSError, PlaceError):
            return 0

    def _hindrance(self, action: Work) -> Problem | None:
        """Return why an action should not even begin."""
        pin = action.pin
        if self._workplace.receiving.stop.is_set():
            return StoppedError("stopped").problem(pin.key)
        filling = filling_of(action)
        if isinstance(filling, Link):
            if filling.after is None or filling.after in self._brought:
                return None
            if is_alias(pin.key) or not isinstance(self._errors.get(filling.after), _OF_ONE_SPOT):
                problem = self._outcomes[filling.after].problem
                return None if problem is None else replace(problem, ref=pin.key)
        elif filling is not None and filling.bytes_left == 0:
            return None  # an earlier run has fetched it
        if self._quota and all(isinstance(source, CivitaiSource) for source in pin.sources):
            return replace(self._quota, ref=pin.key)
        full = self._full_disks.get(self._disk(action)) if self._full_disks else None
        return None if full is None else replace(full, ref=pin.key)

    def _done(self, action: Work) -> Outcome:
        old = action.old if isinstance(action, Replace) else None
        filling = filling_of(action)
        assert filling is not None, "work fills a spot"
        if isinstance(filling, Link) and is_alias(action.pin.key):
            aside = self._link_alias(filling, old)
        elif isinstance(filling, Link) and (filling.found or filling.after in self._brought):
            aside = self._link(filling, old)
        else:
            # A link whose download could not be put in its own spot fetches for itself: the
            # other's bytes are kept as a part.
            action, aside = self._fetched(action, old)
        return ended(action, Status.DONE, None, moved_aside=aside)

    def _fetched(self, action: Work, old: LocalFile | None) -> tuple[Work, Path | None]:
        """Download a model, or link it where it turns out to lie here by its true length.

        Returns:
            What was done in the end, and where the file that made way is now.
        """
        while True:
            try:
                return action, self._download(action, old)
            except OtherLengthError as error:
                found = self._copies.find(action.pin.digests, error.size)
            if found is not None:
                instead = linked_instead(action, found)
                return instead, self._link(link_in(instead), old)

    def _learn_length(self, action: Work, size: int) -> None:
        """Decide again what was decided by a size that may be wrong.

        Raises:
            NoRoomError: there is certainly no room for the model.
            OtherLengthError: it may lie here under another name.
        """
        pin, reporter = action.pin, self._workplace.receiving.reporter
        problem = refusal(action, size)
        if problem is not None:
            raise NoRoomError(problem.message, hint=problem.hint)
        if not may_lie_elsewhere(pin, size):
            return
        if self._copies.may_be_here(pin.digests, size):
            raise OtherLengthError(size)
        reporter.on(Measured(ref=pin.key, total_bytes=size))
        said = correction(action, size)
        if said is not None:
            reporter.on(Warned(message=said))

    def _link(self, link: Link, old: LocalFile | None) -> Path | None:
        pin, workplace = link.pin, self._workplace
        workplace.receiving.reporter.on(Started(ref=pin.key, act="link", total_bytes=pin.size))
        destination = workplace.destination(pin.key)
        seen = link.found or self._brought[link.after or ""]
        with self._moving:
            with self._aside(destination, old) as aside:
                source = self._traces.now(seen)
                is_stopped = workplace.receiving.stop.is_set
                stat = link_file(source, destination, pin.digests, self._mode(source), is_stopped)
            self._placed(link, stat, source.digests)
            if is_one_file(stat, source.stat):
                self._touched(source.stat, stat)
        remove_leftovers(destination.partial_directory, frozenset({pin.digests.label}))
        return aside

    def _mode(self, source: LocalFile) -> LinkMode:
        """Return how a file is linked: by no symbolic link where it does not stay where it is."""
        mode = self._workplace.link_mode
        leaves = source.path in self._leaving or STATE_DIRECTORY in source.path.parts
        return LinkMode.AUTO if leaves and mode is LinkMode.SYMLINK else mode

    def _link_alias(self, link: Link, old: LocalFile | None) -> Path | None:
        self._workplace.receiving.reporter.on(Started(ref=link.pin.key, act="link"))
        destination = self._workplace.destination(link.pin.key)
        seen = link.found or self._brought[link.after or ""]
        with self._moving:
            source = self._traces.now(seen)
            if leads_to(destination, source):
                self._placed(link, source.stat, source.digests)
                return None
            with self._aside(destination, old) as aside:
                source = self._traces.now(seen)
                stat = link_alias(source, destination, link.pin.digests)
            self._placed(link, stat, source.digests)
            if is_one_file(stat, source.stat):
                self._touched(source.stat, stat)
        return aside

    def _download(self, action: Work, old: LocalFile | None) -> Path | None:
        pin = action.pin
        destination = self._workplace.destination(pin.key)
        require_way(destination, old)
        with opened_partial(destination) as (directory, shown_directory):
            part = claim_part(directory, shown_directory, pin.digests.label)
            self._fill(action, part)
            try:
                with self._moving if old else nullcontext(), self._aside(destination, old) as aside:
                    stat = publish(part.address, destination)
            except _OF_ANOTHER_RUN:
                if not self._is_there(action):
                    part.release()
                    raise
                part.discard()
                return None
            except ComfylockError:
                part.release()
                raise
            remove_leftovers(shown_directory, frozenset({pin.digests.label}))
        self._placed(action, stat, part.digests())
        return aside

    def _placed(self, action: Work, stat: FileStat, digests: Digests) -> None:
        """Record that a file is ours, and where it can be had again."""
        pin = action.pin
        path = self._workplace.destination(pin.key).path
        origin = str(pin.sources[0]) if pin.sources else None
        with self._workplace.guard:
            self._workplace.cache.record(path, stat, digests, placed=True, origin=origin)
        self._bring(action, LocalFile(path=path, stat=stat, digests=digests, placed=True))

    @contextmanager
    def _aside(self, destination: Destination, old: LocalFile | None) -> Generator[Path | None]:
        """Have the old file out of the way; it comes back when the new one cannot be placed."""
        if old is None:
            yield None
            return
        current = self._traces.now(old)
        aside = move_aside(destination, current)
        if aside is None:
            yield None
            return
        self._traces.moved(old, aside)
        with suppress(OSError):  # a link whose file has gone meanwhile
            stat = stat_of(aside.stat())
            self._touched(current.stat, stat)
            with self._workplace.guard:
                self._workplace.cache.record(aside, stat, old.digests, placed=old.placed)
        try:
            yield aside
        except ComfylockError as error:
            self._put_back(destination, old, aside, error)
            raise

    def _put_back(
        self, destination: Destination, old: LocalFile, aside: Path, error: ComfylockError
    ) -> None:
        try:
            stat = move_back(destination, aside)
        except PlaceError:
            error.hint = f"The file that was there is now {aside}"
            return
        self._touched(self._traces.now(old).stat, stat)
        self._traces.moved(old, old.path)

    def _touched(self, before: FileStat, after: FileStat) -> None:
        """Note that an act of ours, which changed no byte, has left a file like this."""
        self._traces.touched(before, after)
        with self._workplace.guard:
            self._workplace.cache.carry_over(before, after)

    def _fill(self, action: Work, part: Part) -> None:
        """Bring a part to the locked content, or give back what is worth keeping of it."""
        pin, receiving = action.pin, self._workplace.receiving
        receiving = replace(receiving, on_length=partial(self._learn_length, action))
        try:
            part.rehash(needed_to_check(pin.digests))
            receiving.reporter.on(
                Started(ref=pin.key, act="download", total_bytes=pin.size, done_bytes=part.held)
            )
            receive(pin, part, receiving)
            part.seal()
        except (DiskError, HashMismatchError, TooLargeError):
            # After a failed write or sync the cache may show bytes that never reached the disk;
            # and what cannot be whole on this disk is of no use on it.
            part.discard()
            raise
        except BaseException:
            part.release()
            raise


@contextmanager
def _told(action: Work | Remove) -> Generator[None]:
    """Tell what the system says in our words, so that it is one model's failure and no more."""
    try:
        yield
    except OSError as error:
        raise disk_fault(error, target_of(action), "place") from error


def _paths_of_what_goes(plan: Plan) -> Iterator[Path]:
    """Yield where the files lie that make way or are removed."""
    for action in plan.actions:
        if isinstance(action, Replace):
            yield action.old.path
        elif isinstance(action, Remove):
            yield action.file.path


def _leader(action: Work) -> str:
    """Return the key of the download that an action belongs to, be it its own."""
    filling = filling_of(action)
    after = filling.after if isinstance(filling, Link) else None
    return after or action.pin.key
