"""Downloads under way: ``.comfylock/partial/<hash>.part`` on the file system of the destination.

A run that wants to go on with a part first claims it by renaming it to a name of its own, which
holds who it is; of two runs one wins and the other starts a part of its own. So no two runs ever
write one file, and nothing rests on file locks, which some network file systems only pretend to
have. A run that stops gives its part back under the plain name. A claimed part whose owner is
dead (same machine: no such process any more, or another boot; elsewhere: untouched for a day) may
be claimed by anyone. A part that has a second name (a run was killed while it published, or a
backup links what does not change) is never written to: its bytes are somebody else's by now.
"""

import contextlib
import json
import os
import secrets
import stat as stat_bits
import time
from collections.abc import Iterator
from hashlib import blake2b
from io import FileIO
from pathlib import Path

from comfylock.disk.faults import disk_fault
from comfylock.disk.read import hash_rest
from comfylock.disk.rename import Address, rename_without_clobber
from comfylock.disk.tree import STATE_DIRECTORY, state_base, sync
from comfylock.errors import DiskError, DiskFullError, HashMismatchError
from comfylock.hashes import Buffer, Digests, Hasher

PARTIAL_STEPS = (STATE_DIRECTORY, "partial")
_FOREIGN_OWNER_DEAD_AFTER_S = 24 * 3600
_META_BYTES = 4096


def partial_bytes(primary: Path, target: Path, label: str) -> int:
    """Return how many bytes of a content an earlier run has left to go on from."""
    directory = state_base(primary, target).joinpath(*PARTIAL_STEPS)
    sizes = (found.st_size for _, found in _claimable(directory, label) if found.st_nlink == 1)
    return max(sizes, default=0)


def remove_leftovers(directory: Path, labels: frozenset[str]) -> None:
    """Remove parts of contents that are in place by now, and that no living run is writing."""
    for label in labels:
        for name, _ in _claimable(directory, label):
            with contextlib.suppress(OSError):
                (directory / name).unlink()
        with contextlib.suppress(OSError):
            (directory / f"{label}.json").unlink()


class NoRoomError(DiskFullError):
    """What is to come would not fit on the disk; nothing of it was written."""


class Part:
    """A claimed part: bytes that grow at the end, hashed as they are written.

    Made by `claim_part`. After an error the claim is given back by `release`, or the bytes are
    thrown away by `discard`; after `seal` the file may be published.

    Attributes:
        path: where it lies while it is claimed.
        size: bytes that it holds.
        seams: how often other bytes were appended behind a broken stream.
        validator: what the server called this version of the file, for ``If-Range``.
    """

    def __init__(self, place: tuple[int, Path], name: str, label: str, file: FileIO) -> None:
        self._directory, shown_directory = place
        self.path = shown_directory / name
        self.size = 0
        self.seams = 0
        self.validator: str | None = None
        self._name = name
        self._label = label
        self._file = file
        self._hasher = Hasher(())

    def rehash(self, algorithms: tuple[str, ...]) -> None:
        """Read what an earlier run has left, so that hashing can go on behind it."""
        self._hasher = hash_rest(self._file, Hasher(algorithms), self.path)
        self.size = self._file.tell()
        if self.size:
            self.validator = self._read_validator()

    def restart(self, algorithms: tuple[str, ...]) -> None:
        """Throw the bytes away and begin anew."""
        try:
            self._file.truncate(0)
            self._file.seek(0)
        except OSError as error:
            raise disk_fault(error, self.path, "write") from error
        self._hasher = Hasher(algorithms)
        self.size = self.seams = 0

    def write(self, data: Buffer) -> None:
        """Append all of `data`; the system may take it in several pieces.

        Raises:
            DiskFullError, PermissionDeniedError, DiskError: it could not be written whole.
        """
        view = memoryview(data)
        self._hasher.update(view)
        while view.nbytes:
            try:
                count = self._file.write(view)
            except OSError as error:
                raise disk_fault(error, self.path, "write") from error
            if not count:
                raise DiskError(f"cannot write {self.path}: the disk takes no more bytes")
            self.size += count
            view = view[count:]

    def begin_stream(self) -> None:
        """Note that another stream's bytes follow."""
        if self.size:
            self.seams += 1

    def require_room(self, total: int | None) -> None:
        """Refuse to go on when the rest of `total` bytes does not fit on the disk.

        Raises:
            NoRoomError: saying how much room is missing.
        """
        status = os.fstatvfs(self._file.fileno())
        missing = 0 if total is None else total - self.size - status.f_bavail * status.f_frsize
        if missing > 0:
            raise NoRoomError(
                f"the disk of {self.path.parent} is {missing:,} bytes too full",
                hint="Free some room and run this again; what was downloaded is kept",
            )

    def digests(self) -> Digests:
        """Return the digests of all bytes so far."""
        return self._hasher.digests()

    def remember(self, validator: str | None) -> None:
        """Keep the server's name of this version, for a later run; losing it costs nothing."""
        if validator == self.validator:
            return
        self.validator = validator
        text = json.dumps({"validator": validator}).encode()
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(f"{self._label}.json", flags, 0o666, dir_fd=self._directory)
            with FileIO(handle, "wb") as file:
                file.write(text)

    def _read_validator(self) -> str | None:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            handle = os.open(f"{self._label}.json", flags, dir_fd=self._directory)
            with FileIO(handle, "rb") as file:
                value = json.loads(file.read(_META_BYTES))["validator"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return value if isinstance(value, str) else None

    def seal(self) -> None:
        """Bring the bytes to the disk and make sure that all of them are in the file.

        Raises:
            HashMismatchError: the file is not as long as what was written to it.
            DiskError: the disk failed; the bytes cannot be trusted and are thrown away.
        """
        try:
            sync(self._file.fileno())
            length = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise disk_fault(error, self.path, "write") from error
        if length != self.size:
            raise HashMismatchError(
                f"{self.path} has {length:,} bytes on the disk, and {self.size:,} were written"
            )

    def release(self) -> None:
        """Give the claim back and keep the bytes for the next run; an empty part is removed."""
        if self.size == 0:
            self.discard()
            return
        self.close()
        # Where another part has the plain name, or the disk refuses, ours stays under its own,
        # which is claimable as soon as this process is gone.
        with contextlib.suppress(OSError):
            rename_without_clobber(self.address, (self._directory, f"{self._label}.part"))

    def discard(self) -> None:
        """Throw the bytes away: nobody should go on from them."""
        self.close()
        for name in (self._name, f"{self._label}.json"):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._directory)

    def close(self) -> None:
        """Close the file; it keeps its name."""
        with contextlib.suppress(OSError):
            self._file.close()

    @property
    def address(self) -> Address:
        """The open directory and the name in it, for publishing."""
        return self._directory, self._name


def claim_part(directory: int, shown_directory: Path, label: str) -> Part:
    """Claim the longest part that nobody is writing, or begin a new one.

    Args:
        directory: descriptor of the partial directory; must stay open as long as the part.
        shown_directory: its path, for messages.
        label: the content's name, `Digests.label`.
    """
    place = (directory, shown_directory)
    longest_first = sorted(_claimable(shown_directory, label), key=lambda found: -found[1].st_size)
    for name, _ in longest_first:
        own = f"{label}.{owner_name()}.part"
        file = _adopted(directory, name, own)
        if file is not None:
            return Part(place, own, label, file)
    own = f"{label}.{owner_name()}.part"
    return Part(place, own, label, _begun(directory, own, shown_directory / own))


def _adopted(directory: int, name: str, own: str) -> FileIO | None:
    """Rename a part to a name of our own and open it, if that may be and nobody was faster."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        os.rename(name, own, src_dir_fd=directory, dst_dir_fd=directory)
        file = FileIO(os.open(own, flags, dir_fd=directory), "r+b")
    except OSError:
        return None  # another run has it, or it is another user's
    if os.fstat(file.fileno()).st_nlink == 1:
        return file
    file.close()
    with contextlib.suppress(OSError):
        os.unlink(own, dir_fd=directory)
    return None


def _begun(directory: int, own: str, path: Path) -> FileIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return FileIO(os.open(own, flags, 0o666, dir_fd=directory), "r+b")
    except OSError as error:
        raise disk_fault(error, path, "write") from error


def _claimable(directory: Path, label: str) -> list[tuple[str, os.stat_result]]:
    """Return (name, stat) of the parts of a content that no living run owns."""
    try:
        return list(_unowned(directory, label))
    except OSError:
        return []


def _unowned(directory: Path, label: str) -> Iterator[tuple[str, os.stat_result]]:
    plain = f"{label}.part"
    with os.scandir(directory) as entries:
        for entry in entries:
            if not (entry.name.startswith(f"{label}.") and entry.name.endswith(".part")):
                continue
            with contextlib.suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                owner = entry.name[len(label) + 1 : -len(".part")]
                if stat_bits.S_ISREG(found.st_mode) and (
                    entry.name == plain or _is_dead(owner, age_s=time.time() - found.st_mtime)
                ):
                    yield entry.name, found


def owner_name() -> str:
    """Return a name for this process that says which machine and boot it belongs to."""
    process = os.getpid()
    return f"{_machine()}-{_boot()}-{process}-{_start_time(process)}-{secrets.token_hex(3)}"


def _is_dead(owner: str, age_s: float) -> bool:
    try:
        machine, boot, process, started, _ = owner.split("-")
        number = int(process)
    except ValueError:
        return age_s > _FOREIGN_OWNER_DEAD_AFTER_S
    if machine != _machine():
        return age_s > _FOREIGN_OWNER_DEAD_AFTER_S
    if boot != _boot():
        return True
    return _start_time(number) not in {started, "1"}


def _machine() -> str:
    """Name this machine and its process numbers: two containers of one machine differ."""
    parts = [_text(Path("/etc/machine-id")), os.uname().nodename]
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return _short("|".join(parts))


def _boot() -> str:
    return _short(_text(Path("/proc/sys/kernel/random/boot_id")) or "unknown")


def _start_time(process: int) -> str:
    """Return when a process began, in the kernel's ticks; "0" where it does not run.

    "1" for one that lives and cannot be looked at: there is no /proc (macOS), or it hides the
    processes of other users (``hidepid``).
    """
    status = _text(Path(f"/proc/{process}/stat"))
    if status:
        fields = status.rpartition(")")[2].split()
        return "0" if fields[0] in "ZX" else fields[19]
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return "0"
    except (PermissionError, OverflowError):
        return "1"
    return "1"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _short(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()
