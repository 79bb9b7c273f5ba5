"""Models folders to an `Inventory`: looks at every spot, searches only for what is missing.

Only two kinds of files are ever hashed: what lies in a spot, and, when some spot lacks its
content, files whose size is the wanted one. A pin without a known size is searched for by its
file name alone; what was hashed before is found whatever its size. Symlinked folders are
followed, as ComfyUI does, each directory once.
"""

import errno
import os
import stat as stat_bits
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from comfylock.directories import ModelDirectories
from comfylock.disk.hashcache import HashCache, is_settled, now_ns, stat_of
from comfylock.disk.parts import Leftover, leftover
from comfylock.disk.read import hash_file
from comfylock.disk.sniff import DISGUISED, is_disguised
from comfylock.disk.tree import existing_parent
from comfylock.disk.walk import walk_files
from comfylock.errors import BusyError, PlaceError
from comfylock.events import Finished, Noted, Reporter, Started, Warned
from comfylock.hashes import Digests, needed_to_check
from comfylock.inventory import Content, FileStat, Inventory, LocalFile, Obstacle, Spare, Spot
from comfylock.lockfile.model import Pin
from comfylock.names import basename, is_alias, split_alias, split_key
from comfylock.workers import side_by_side

_HASHING_THREADS = 4


class Verify(StrEnum):
    """How a file in its spot is known to be unchanged."""

    STAT = "stat"
    FULL = "full"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wish:
    """A file to be hashed, and how deep."""

    path: str
    status: os.stat_result
    algorithms: tuple[str, ...]


class Scanner:
    """Reads the state of the models folders for one command.

    Args:
        directories: which directories make up each ComfyUI folder.
        cache: what files were hashed to before.
        reporter: told of each file that is read.
        verify: FULL reads every spot anew, whatever the cache says.
    """

    def __init__(
        self,
        directories: ModelDirectories,
        cache: HashCache,
        reporter: Reporter,
        verify: Verify = Verify.STAT,
    ) -> None:
        self._directories = directories
        self._cache = cache
        self._reporter = reporter
        self._verify = verify
        self._hashed_files = 0

    def inventory(self, pins: Sequence[Pin]) -> Inventory:
        """Return what lies in the spots of these pins, and what elsewhere could fill them.

        Files that cannot be read are obstacles of their spot, never an error of the whole.
        """
        spots = self._spots(pins)
        lacking = [
            pin
            for pin in pins
            # An alias is filled from its model's file, wherever that comes from.
            if not is_alias(pin.key) and not _is_content(spots[pin.key].found, pin)
        ]
        spares = self._spares(lacking, spots) if lacking else ()
        left = {
            pin.digests.label: leftover(
                self._directories.primary, spots[pin.key].target, pin.digests.label
            )
            for pin in lacking
        }
        return Inventory(
            spots=spots,
            spares=spares,
            partial_bytes={label: one.held for label, one in left.items()},
            free_bytes=_free_bytes({pin.digests.label: spots[pin.key] for pin in lacking}, left),
            hashed_files=self._hashed_files,
        )

    def find_named(self, key: str, algorithms: tuple[str, ...]) -> Content:
        """Return the file that ComfyUI would load for a key, hashed, or what forbids to read it."""
        for path in self._candidate_paths(key):
            try:
                status = os.stat(path)  # noqa: PTH116 - strings are several times faster here
            except OSError:
                continue
            if stat_bits.S_ISREG(status.st_mode):
                wish = _Wish(path=path, status=status, algorithms=algorithms)
                return self._hash_all([wish])[path]
        return None

    def _candidate_paths(self, key: str) -> Iterator[str]:
        folder, name = split_key(key)
        for directory in self._directories.directories(folder):
            yield f"{directory}{os.sep}{name}"

    def _spots(self, pins: Sequence[Pin]) -> dict[str, Spot]:
        contents: dict[str, Content] = {}
        wishes: dict[str, _Wish] = {}
        for pin in pins:
            self._look(pin, contents, wishes)
        names = {key: wishes.pop(key) for key in list(wishes) if _is_second_name(key, wishes)}
        hashed = self._hash_all(list(wishes.values()), verify=self._verify)
        for key, again in names.items():
            model = wishes[split_alias(key)[0]]
            hashed[again.path] = self._named_again(again, hashed[model.path])
        wishes |= names
        file_systems = _FileSystems()
        spots: dict[str, Spot] = {}
        for pin in pins:
            wish = wishes.get(pin.key)
            content = _refused(pin, hashed[wish.path] if wish else contents[pin.key])
            folder, name = split_key(pin.key)
            target = self._directories.target(folder) / name
            found = self._in_the_way(pin, target, content)
            spots[pin.key] = Spot(
                key=pin.key,
                target=target,
                found=found,
                file_system=file_systems.number(target.parent),
                is_link=isinstance(found, LocalFile) and os.path.islink(found.path),  # noqa: PTH114
            )
        return spots

    def _named_again(self, wish: _Wish, model: LocalFile | Obstacle) -> LocalFile | Obstacle:
        """Return the file of a model under a second name, without reading it again."""
        if isinstance(model, Obstacle):
            return replace(model, path=Path(wish.path))
        row = self._cache.lookup(wish.path, model.stat)
        placed = row is not None and row.placed and not row.digests.contradicts(model.digests)
        if row is None and self._cache.lookup(model.path, model.stat) is not None:
            self._cache.record(wish.path, model.stat, model.digests)
        return replace(model, path=Path(wish.path), placed=placed)

    def _in_the_way(self, pin: Pin, target: Path, content: Content) -> Content:
        """Return what counts of what was found: other content behind the target does not.

        ComfyUI loads the first file in its search order, so a new file in the target wins over
        one that lies behind it.
        """
        if content is not None and content.path != target and not _is_content(content, pin):
            order = list(self._candidate_paths(pin.key))
            if order.index(str(content.path)) > order.index(str(target)):
                content = None
        return self._link_on_the_way(pin.key) if content is None else content

    def _link_on_the_way(self, key: str) -> Obstacle | None:
        """Return a link below the folder's directory: nothing is placed behind one."""
        folder, name = split_key(key)
        path = self._directories.target(folder)
        for step in name.split("/")[:-1]:
            path = path / step
            if path.is_symlink():
                return Obstacle(
                    path=path, slug="unsafe-path", reason="a link below a models folder"
                )
        return None

    def _look(self, pin: Pin, contents: dict[str, Content], wishes: dict[str, _Wish]) -> None:
        """Find what lies in a pin's spot: nothing, an obstacle, or a file to be hashed."""
        contents[pin.key] = None
        for path in self._candidate_paths(pin.key):
            try:
                status = os.stat(path)  # noqa: PTH116 - strings are several times faster here
            except FileNotFoundError:
                if not os.path.islink(path) or self._leads_to_model(pin.key, path):  # noqa: PTH114
                    continue
                contents[pin.key] = Obstacle(
                    path=Path(path), slug="path-occupied", reason="a link that leads nowhere"
                )
            except OSError as error:
                contents[pin.key] = _unreadable(path, error)
            else:
                if stat_bits.S_ISREG(status.st_mode):
                    algorithms = needed_to_check(pin.digests)
                    wishes[pin.key] = _Wish(path=path, status=status, algorithms=algorithms)
                else:
                    contents[pin.key] = Obstacle(
                        path=Path(path), slug="path-occupied", reason=_kind_of(status)
                    )
            return

    def _leads_to_model(self, key: str, path: str) -> bool:
        """Say whether a link that leads nowhere is an alias that waits for its model."""
        folder, name = split_key(split_alias(key)[0])
        target = self._directories.target(folder) / name
        return is_alias(key) and os.path.realpath(path) == os.path.realpath(target)

    def _spares(self, lacking: Sequence[Pin], spots: Mapping[str, Spot]) -> tuple[Spare, ...]:
        sizes = {pin.size for pin in lacking if pin.size is not None}
        names = {basename(pin.key).casefold() for pin in lacking if pin.size is None}
        contents: dict[str, list[Digests]] = {}
        for pin in lacking:
            for digest in pin.digests.known:
                contents.setdefault(digest, []).append(pin.digests)
        algorithms = tuple(
            sorted({name for pin in lacking for name in needed_to_check(pin.digests)})
        )
        wishes = [
            _Wish(path=path, status=status, algorithms=algorithms)
            for path, status in walk_files(self._directories.roots())
            if status.st_size in sizes
            or os.path.basename(path).casefold() in names  # noqa: PTH119
            or self._is_known(path, status, contents.keys())
        ]
        systems = {wish.path: wish.status.st_dev for wish in wishes}
        found = self._hash_all(wishes)
        for spot in spots.values():
            # Hashed already: of use also where the lock knows no size, or a wrong one.
            if isinstance(spot.found, LocalFile) and str(spot.found.path) not in found:
                found[str(spot.found.path)] = spot.found
                systems[str(spot.found.path)] = _device(spot.found.path)
        return tuple(
            Spare(file=content, file_system=systems[path])
            for path, content in sorted(found.items())
            if isinstance(content, LocalFile)
            and any(
                wanted.agrees(content.digests)
                for digest in content.digests.known
                for wanted in contents.get(digest, ())
            )
        )

    def _is_known(self, path: str, status: os.stat_result, contents: Set[str]) -> bool:
        """Say whether a file was hashed to a wanted content, whatever size the lock has of it."""
        row = self._cache.lookup(path, stat_of(status))
        return row is not None and not contents.isdisjoint(row.digests.known)

    def _hash_all(
        self, wishes: Sequence[_Wish], verify: Verify = Verify.STAT
    ) -> dict[str, LocalFile | Obstacle]:
        """Return each wish's file with its digests, read only where the cache does not know."""
        known: dict[str, LocalFile | Obstacle] = {}
        unknown: dict[str, _Wish] = {}
        for wish in wishes:
            cached = None if verify is Verify.FULL else self._cached(wish)
            if cached is not None:
                known[wish.path] = cached
            else:
                unknown[wish.path] = wish
        if not unknown:
            return known
        largest_first = sorted(unknown.values(), key=lambda wish: -wish.status.st_size)
        started_ns = now_ns()
        contents = side_by_side(self._hash, largest_first, workers=_HASHING_THREADS)
        for wish, content in zip(largest_first, contents, strict=True):
            known[wish.path] = self._remember(wish, content, started_ns)
        self._hashed_files += len(unknown)
        return known

    def _cached(self, wish: _Wish) -> LocalFile | None:
        stat = stat_of(wish.status)
        row = self._cache.lookup(wish.path, stat)
        if row is None or any(getattr(row.digests, name) is None for name in wish.algorithms):
            return None
        return LocalFile(path=Path(wish.path), stat=stat, digests=row.digests, placed=row.placed)

    def _hash(self, wish: _Wish) -> tuple[FileStat, Digests] | Obstacle:
        size = wish.status.st_size
        self._reporter.on(Started(ref=wish.path, act="hash", total_bytes=size))
        try:
            stat, digests = hash_file(wish.path, wish.algorithms)
        except (PlaceError, BusyError) as error:
            self._reporter.on(Finished(ref=wish.path, succeeded=False))
            return Obstacle(
                path=Path(wish.path), slug=error.slug, reason=f"unreadable: {error.message}"
            )
        except FileNotFoundError:
            self._reporter.on(Finished(ref=wish.path, succeeded=False))
            return Obstacle(path=Path(wish.path), slug="busy", reason="gone since it was seen")
        self._reporter.on(Finished(ref=wish.path, succeeded=True))
        return stat, digests

    def _remember(
        self, wish: _Wish, content: tuple[FileStat, Digests] | Obstacle, started_ns: int
    ) -> LocalFile | Obstacle:
        if isinstance(content, Obstacle):
            self._reporter.on(Warned(message=f"{content.path} is {content.reason}"))
            return content
        stat, digests = content
        if is_settled(stat, started_ns):
            self._cache.record(wish.path, stat, digests)
        else:
            self._reporter.on(Noted(message=f"{wish.path} is too new to remember its hash"))
        row = self._cache.lookup(wish.path, stat)
        placed = row is not None and row.placed and not row.digests.contradicts(digests)
        return LocalFile(path=Path(wish.path), stat=stat, digests=digests, placed=placed)


class _FileSystems:
    """The file system number of directories that may not exist yet; asks once a directory."""

    def __init__(self) -> None:
        self._numbers: dict[Path, int] = {}

    def number(self, directory: Path) -> int:
        if directory not in self._numbers:
            self._numbers[directory] = os.stat(existing_parent(directory)).st_dev  # noqa: PTH116
        return self._numbers[directory]


def _is_second_name(key: str, wishes: Mapping[str, _Wish]) -> bool:
    """Say whether an alias is one of the very file that was found for its model."""
    model = wishes.get(split_alias(key)[0]) if is_alias(key) else None
    if model is None:
        return False
    one, other = model.status, wishes[key].status
    return (one.st_dev, one.st_ino, stat_of(one)) == (other.st_dev, other.st_ino, stat_of(other))


def _is_content(content: Content, pin: Pin) -> bool:
    return isinstance(content, LocalFile) and content.digests.agrees(pin.digests)


def _refused(pin: Pin, content: Content) -> Content:
    """Return an obstacle for the locked bytes where their format is not what the name promises.

    What we placed under this name was looked at then, so most files are not even opened.
    """
    if not isinstance(content, LocalFile) or content.placed or not _is_content(content, pin):
        return content
    if not is_disguised(content.path, pin.key):
        return content
    return Obstacle(path=content.path, slug="unsafe-format", reason=DISGUISED)


def _device(path: Path) -> int:
    try:
        return path.stat().st_dev
    except OSError:
        return -1  # gone by now: linking will say so


def _unreadable(path: str, error: OSError) -> Obstacle:
    if isinstance(error, NotADirectoryError):
        reason, slug = "not to be reached: a file lies where a folder is needed", "path-occupied"
    elif error.errno == errno.ELOOP:
        reason, slug = "a link that leads in a circle", "path-occupied"
    else:
        slug = "permission" if isinstance(error, PermissionError) else "disk-error"
        reason = f"unreadable ({error.strerror})"
    return Obstacle(path=Path(path), slug=slug, reason=reason)


def _kind_of(status: os.stat_result) -> str:
    return "a directory" if stat_bits.S_ISDIR(status.st_mode) else "a pipe, socket or device"


def _free_bytes(spots: Mapping[str, Spot], left: Mapping[str, Leftover]) -> Mapping[int, int]:
    """Return the room for contents, with what earlier runs have set aside for them."""
    import shutil

    free: dict[int, int] = {}
    for label, spot in spots.items():
        if spot.file_system not in free:
            free[spot.file_system] = shutil.disk_usage(existing_parent(spot.target.parent)).free
        free[spot.file_system] += left[label].room
    return free
