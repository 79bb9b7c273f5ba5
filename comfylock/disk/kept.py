"""What comfylock keeps beside models and in the user's cache: listed, and removed when asked to.

Below each ``.comfylock``: parts of downloads and files that made way for others. In the user's
cache: answers of the API and receipts. Hash caches are not listed: they are small and spare hours.
"""

import os
import stat as stat_bits
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from comfylock.directories import ModelDirectories
from comfylock.disk.faults import disk_fault
from comfylock.disk.hashcache import HashCache, stat_of
from comfylock.disk.parts import PARTIAL_STEPS, idle_parts
from comfylock.disk.tree import STATE_DIRECTORY
from comfylock.errors import PlaceError


class Kind(StrEnum):
    """What a kept file is."""

    ANSWERS = "answers"
    PARTIAL = "partial"
    REPLACED = "replaced"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptFile:
    """One file that comfylock keeps.

    Attributes:
        kind: what it is.
        path: where it lies.
        size: bytes.
        changed_s: when it was last written or renamed, seconds since the epoch.
        label: the content's name where it is a part, else empty.
        is_idle: no living run is writing it.
    """

    kind: Kind
    path: Path
    size: int
    changed_s: float
    label: str = ""
    is_idle: bool = True


def state_directories(directories: ModelDirectories) -> tuple[Path, ...]:
    """Return every ``.comfylock`` below the first models folder, links to other disks followed."""
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for folder, below, _ in os.walk(directories.primary, followlinks=True):
        try:
            status = os.stat(folder)  # noqa: PTH116
        except OSError:
            continue
        number = (status.st_dev, status.st_ino)
        if number in seen:
            below.clear()
            continue
        seen.add(number)
        if STATE_DIRECTORY in below:
            below.remove(STATE_DIRECTORY)
            found.append(Path(folder) / STATE_DIRECTORY)
    return tuple(sorted(found))


def kept_files(cache: Path, states: Iterable[Path]) -> tuple[KeptFile, ...]:
    """Return all that is kept, sorted by kind and path."""
    found = [*_files(Kind.ANSWERS, cache, "api.sqlite"), *_files(Kind.ANSWERS, cache / "receipts")]
    for state in states:
        found += _parts(state.parent.joinpath(*PARTIAL_STEPS))
        found += _files(Kind.REPLACED, state / "replaced")
    return tuple(sorted(found, key=lambda file: (file.kind, str(file.path))))


def _parts(directory: Path) -> Iterator[KeptFile]:
    idle = idle_parts(directory)
    for file in _files(Kind.PARTIAL, directory):
        label = file.path.name.partition(".")[0]
        # A part's note of what the server called it goes with the part.
        is_idle = file.path.name in idle or file.path.suffix != ".part"
        yield KeptFile(
            kind=file.kind,
            path=file.path,
            size=file.size,
            changed_s=file.changed_s,
            label=label,
            is_idle=is_idle,
        )


def _files(kind: Kind, directory: Path, prefix: str = "") -> Iterator[KeptFile]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if entry.name.startswith(prefix) and not stat_bits.S_ISDIR(status.st_mode):
            changed_s = max(status.st_mtime, status.st_ctime)
            yield KeptFile(
                kind=kind, path=Path(entry.path), size=status.st_size, changed_s=changed_s
            )


def labels_in_place(cache: HashCache) -> frozenset[str]:
    """Return the names of all contents that lie whole where comfylock placed them."""
    labels: set[str | None] = set()
    for path, row in cache.placed():
        try:
            status = os.stat(path)  # noqa: PTH116 - strings are several times faster here
        except OSError:
            continue
        if stat_of(status) == row.stat and STATE_DIRECTORY not in Path(path).parts:
            labels |= {row.digests.blake3, row.digests.sha256}
    return frozenset(filter(None, labels))


def remove_kept(file: KeptFile) -> PlaceError | None:
    """Remove a kept file, and return what went wrong; one that is gone already is well."""
    try:
        file.path.unlink(missing_ok=True)
    except OSError as error:
        return disk_fault(error, file.path, "remove")
    return None
