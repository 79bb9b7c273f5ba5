"""What comfylock has placed and nobody has touched since, and the links between files."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from comfylock.directories import ModelDirectories
from comfylock.disk.hashcache import HashCache, stat_of
from comfylock.disk.tree import STATE_DIRECTORY
from comfylock.inventory import LocalFile, PlacedFile
from comfylock.names import canonical_folder, normalised_name, split_key, unsafe_reason

_MAX_HOPS = 40  # as Linux follows


def placed_files(cache: HashCache, directories: ModelDirectories) -> tuple[PlacedFile, ...]:
    """Return every file that comfylock placed and that is as it was then, sorted by key.

    Only files where a model's key leads to now: a cache is a hint and may be anybody's.
    """
    found = (_placed_file(path, cache, directories) for path, _ in cache.placed())
    return tuple(sorted(filter(None, found), key=lambda one: one.ref))


def _placed_file(path: str, cache: HashCache, directories: ModelDirectories) -> PlacedFile | None:
    ref = _ref_of(path, directories)
    if ref is None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116 - strings are several times faster here
        is_link = os.path.islink(path)  # noqa: PTH114
    except OSError:
        return None
    row = cache.lookup(path, stat_of(status))
    if row is None or not row.placed:
        return None
    return PlacedFile(
        ref=ref,
        file=LocalFile(path=Path(path), stat=row.stat, digests=row.digests, placed=True),
        origin=row.origin,
        location=location_of(Path(path)),
        device=status.st_dev,
        names=0 if is_link else status.st_nlink,
    )


def _ref_of(path: str, directories: ModelDirectories) -> str | None:
    """Return the key that leads to a path, ``None`` where none does."""
    prefix = str(directories.primary) + os.sep
    folder, name = split_key(path.removeprefix(prefix).replace(os.sep, "/"))
    key = f"{canonical_folder(folder)}/{name}"
    if not path.startswith(prefix) or unsafe_reason(normalised_name(key)) is not None:
        return None
    spot = directories.target(canonical_folder(folder)) / name
    return key if str(spot) == path else None


def location_of(path: Path) -> Path:
    """Return where a name itself lies: its folder's links resolved, its own not."""
    return Path(os.path.realpath(path.parent)) / path.name


def hops_of(path: Path) -> Iterator[Path]:
    """Yield the places by which a path leads to its file: its own, and that of each link."""
    for _ in range(_MAX_HOPS):
        path = location_of(path)
        yield path
        try:
            path = path.parent / path.readlink()
        except OSError:
            return


def links_below(roots: Iterable[Path]) -> dict[Path, tuple[Path, ...]]:
    """Return every link to a file below some folders, with the places that it leads through."""
    links: dict[Path, tuple[Path, ...]] = {}
    for root in roots:
        for folder, below, names in os.walk(root):
            if STATE_DIRECTORY in below:
                below.remove(STATE_DIRECTORY)
            for path in (Path(folder, name) for name in (*names, *below)):
                if path.is_symlink():
                    own, *others = hops_of(path)
                    links[own] = tuple(others)
    return links
