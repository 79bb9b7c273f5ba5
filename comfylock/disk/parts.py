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
import os
import secrets
import stat as stat_bits
import time
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from comfylock.disk.faults import disk_fault
from comfylock.disk.journal import read_journal
from comfylock.disk.part import BLOCK_BYTES, Part
from comfylock.disk.read import open_file
from comfylock.disk.tree import STATE_DIRECTORY, state_base
from comfylock.errors import PlaceError

PARTIAL_STEPS = (STATE_DIRECTORY, "partial")
_FOREIGN_OWNER_DEAD_AFTER_S = 24 * 3600
_UNKNOWN = "unknown"


class Leftover(NamedTuple):
    """What an earlier run has left of a content.

    Attributes:
        held: how many bytes of it there are to go on from.
        room: how much room beyond them is set aside already.
    """

    held: int
    room: int


def leftover(primary: Path, target: Path, label: str) -> Leftover:
    """Return what the part that a download would go on from is worth."""
    try:
        directory = state_base(primary, target).joinpath(*PARTIAL_STEPS)
    except PlaceError:
        return Leftover(0, 0)  # the act itself will say so, and of this one model
    parts = [one for one in _claimable(directory, label) if one.status.st_nlink == 1]
    return max((Leftover(one.held, one.room) for one in parts), default=Leftover(0, 0))


def bytes_under_way(directory: Path, label: str) -> int:
    """Return how many bytes of a content are in parts, whoever is writing them."""
    with contextlib.suppress(OSError):
        return max((found.held for found in _all_parts(directory, label)), default=0)
    return 0


def remove_leftovers(directory: Path, labels: frozenset[str]) -> None:
    """Remove parts of contents that are in place by now, and that no living run is writing."""
    for label in labels:
        for found in _claimable(directory, label):
            with contextlib.suppress(OSError):
                (directory / found.name).unlink()
        with contextlib.suppress(OSError):
            (directory / f"{label}.json").unlink()


def idle_parts(directory: Path) -> frozenset[str]:
    """Return the names of all parts in a directory that no living run owns."""
    try:
        labels = {name.partition(".")[0] for name in os.listdir(directory)}  # noqa: PTH208
    except OSError:
        return frozenset()
    return frozenset(found.name for label in labels for found in _claimable(directory, label))


def claim_part(directory: int, shown_directory: Path, label: str) -> Part:
    """Claim the longest part that nobody is writing, or begin a new one.

    Args:
        directory: descriptor of the partial directory; must stay open as long as the part.
        shown_directory: its path, for messages.
        label: the content's name, `Digests.label`.
    """
    place = (directory, shown_directory)
    for found in sorted(_claimable(shown_directory, label), key=lambda found: -found.held):
        own = f"{label}.{owner_name()}.part"
        file = _adopted(directory, found.name, own)
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


class _Found(NamedTuple):
    """A part as it lies there."""

    name: str
    status: os.stat_result
    held: int

    @property
    def room(self) -> int:
        return max(0, self.status.st_blocks * BLOCK_BYTES - self.held)


def _claimable(directory: Path, label: str) -> list[_Found]:
    """Return the parts of a content that no living run owns."""
    plain = f"{label}.part"
    now_s = time.time()
    try:
        return [
            found
            for found in _all_parts(directory, label)
            if found.name == plain
            or _is_dead(
                found.name[len(label) + 1 : -len(".part")], age_s=now_s - found.status.st_mtime
            )
        ]
    except OSError:
        return []


def _all_parts(directory: Path, label: str) -> Iterator[_Found]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if not (entry.name.startswith(f"{label}.") and entry.name.endswith(".part")):
                continue
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if stat_bits.S_ISREG(status.st_mode):
                    yield _Found(entry.name, status, _held(directory / entry.name, status))


def _held(path: Path, status: os.stat_result) -> int:
    """Return how many bytes of the model a part holds."""
    with contextlib.suppress(OSError, PlaceError), open_file(path) as file:
        journal = read_journal(file.fileno())
        if journal is not None:
            return journal.held
    return status.st_size


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
    if boot != _boot() and _UNKNOWN not in {boot, _boot()}:
        return True
    return _start_time(number) not in {started, "1"}


@cache  # once, and early: what cannot be read for want of open files must not make others dead
def _machine() -> str:
    """Name this machine and its process numbers: two containers of one machine differ."""
    parts = [_text(Path("/etc/machine-id")), os.uname().nodename]
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return _short("|".join(parts))


@cache
def _boot() -> str:
    text = _text(Path("/proc/sys/kernel/random/boot_id"))
    return _short(text) if text else _UNKNOWN


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
