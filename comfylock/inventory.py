"""What lies in the models folders, as a value.

The disk is read once per command into an `Inventory`; planning and reporting look only at this
value. A *spot* is the place where a locked model belongs; whatever else lies about with a wanted
size is a *spare*: a copy under another name from which a spot can be filled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from comfylock.hashes import Digests


@dataclass(frozen=True, slots=True)
class FileStat:
    """The facts by which an unchanged file is known without reading it.

    Attributes:
        size: bytes.
        mtime_ns: time of the last write, nanoseconds.
        inode: the file's number on its file system; 0 where there is none.
        ctime_ns: time of the last change of the inode on POSIX, 0 elsewhere. It moves when an
            edit's mtime is set back, and also when the file is linked or renamed.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalFile:
    """One regular file with what is known of its content.

    Attributes:
        path: where it lies.
        stat: its facts at the time of looking.
        digests: its content; none when nobody has hashed it.
        placed: comfylock put it there and it is untouched since.
    """

    path: Path
    stat: FileStat
    digests: Digests
    placed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedFile:
    """A file that comfylock placed and that is untouched since.

    Attributes:
        ref: the key of the model or alias that leads to it.
        file: the file.
        origin: a source that it can be fetched from again, ``None`` where none is known.
        location: where its name lies when the links of folders are resolved.
        device: number of its file system.
        names: how many names the file has; 0 for a symbolic link.
    """

    ref: str
    file: LocalFile
    origin: str | None
    location: Path
    device: int
    names: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Obstacle:
    """Something in a spot that is no readable file.

    Attributes:
        path: where it lies.
        slug: the kind of trouble, as in `errors.py`.
        reason: what is there, as the end of a sentence: ``a directory``.
    """

    path: Path
    slug: str
    reason: str


Content = LocalFile | Obstacle | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """The place of one locked model.

    Attributes:
        key: the model's key, ``folder/name``.
        target: where a new file goes.
        found: what lies there, or in an earlier directory of the folder's search order.
        file_system: number of the file system that `target` is, or will be, on.
        is_link: what was found is a symbolic link to a file elsewhere.
    """

    key: str
    target: Path
    found: Content
    file_system: int
    is_link: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Spare:
    """A file with a wanted content outside its spot; `file_system` is the one that it is on."""

    file: LocalFile
    file_system: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """The state of the disk as far as one lock is concerned.

    Attributes:
        spots: by key.
        spares: files whose content some empty or wrong spot wants.
        partial_bytes: by content label, what an earlier download has left to go on from.
        free_bytes: by file system, the room there is for us.
        hashed_files: how many files had to be read to know all this.
    """

    spots: Mapping[str, Spot]
    spares: tuple[Spare, ...] = ()
    partial_bytes: Mapping[str, int]
    free_bytes: Mapping[int, int]
    hashed_files: int = 0
    _by_digest: dict[str, list[Spare]] = field(
        default_factory=dict[str, list[Spare]], init=False, repr=False, compare=False
    )

    def spare_for(self, wanted: Digests, file_system: int) -> Spare | None:
        """Return a file with this content, one on the same file system before all others."""
        if not self._by_digest:
            for spare in self.spares:
                for digest in spare.file.digests.known:
                    self._by_digest.setdefault(digest, []).append(spare)
        candidates = (spare for digest in wanted.known for spare in self._by_digest.get(digest, ()))
        matching = [spare for spare in candidates if wanted.agrees(spare.file.digests)]
        matching.sort(key=lambda spare: (spare.file_system != file_system, str(spare.file.path)))
        return matching[0] if matching else None
