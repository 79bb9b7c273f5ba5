"""One download under way: bytes in a file that this run has claimed, hashed as they come."""

import contextlib
import errno
import json
import os
import sys
from io import FileIO
from pathlib import Path

from comfylock.disk.faults import disk_fault
from comfylock.disk.journal import Journal, read_journal, write_journal
from comfylock.disk.read import hash_rest, hash_span
from comfylock.disk.rename import Address, rename_without_clobber
from comfylock.disk.room import begin_writing_out, reserve
from comfylock.disk.tree import sync
from comfylock.errors import DiskError, DiskFullError, HashMismatchError
from comfylock.hashes import Buffer, Digests, Hasher

BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own
_META_BYTES = 4096
# Measured: 64 MiB makes twenty files of 50 MiB a quarter slower, 4 MiB a large one a tenth.
_WRITE_OUT_BYTES = 8 << 20


class NoRoomError(DiskFullError):
    """What is to come would not fit on the disk; nothing of it was written."""


class Part:
    """A claimed part: bytes that grow at the end, hashed as they are written.

    It may be `spread`: then bytes are written anywhere by several threads, a journal tells which
    are there, and the hash follows behind what is there without a gap. A spread part grows by
    `write_at` and `catch_up` only, until it is whole or restarted.

    Made by `claim_part`. After an error the claim is given back by `release`, or the bytes are
    thrown away by `discard`; after `seal` the file may be published.

    Attributes:
        path: where it lies while it is claimed.
        size: bytes that it holds from the first on, all of them hashed.
        journal: what else it holds, when it is spread.
        seams: how often other bytes were appended behind a broken stream.
        validator: what the server called this version of the file, for ``If-Range``.
    """

    def __init__(self, place: tuple[int, Path], name: str, label: str, file: FileIO) -> None:
        self._directory, shown_directory = place
        self.path = shown_directory / name
        self.size = 0
        self.seams = 0
        self.validator: str | None = None
        self.journal: Journal | None = None
        self._room = 0
        self._written_out = 0
        self._name = name
        self._label = label
        self._file = file
        self._hasher = Hasher(())

    def rehash(self, algorithms: tuple[str, ...]) -> None:
        """Read what an earlier run has left, so that hashing can go on behind it."""
        self._hasher = Hasher(algorithms)
        self.journal = self._read_journal()
        if self.journal is None:
            hash_rest(self._file, self._hasher, self.path)
            self.size = self._file.tell()
        else:
            self.catch_up(self.journal.front)
        if self.held:
            self.validator = self._read_validator()

    def restart(self, algorithms: tuple[str, ...]) -> None:
        """Throw the bytes away and begin anew."""
        try:
            self._file.truncate(0)
            self._file.seek(0)
        except OSError as error:
            raise disk_fault(error, self.path, "write") from error
        self._hasher = Hasher(algorithms)
        self.journal = None
        self.size = self.seams = self._room = self._written_out = 0

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
        self._write_out()

    @property
    def held(self) -> int:
        """How many bytes there are, also behind gaps."""
        return self.size if self.journal is None else max(self.size, self.journal.held)

    @property
    def can_spread(self) -> bool:
        """Whether a byte far behind the end may be written without filling all before it."""
        return self._room > 0 or sys.platform == "darwin"  # APFS leaves gaps as they are

    def spread(self, journal: Journal) -> None:
        """Keep a journal of what is there, from now on or anew.

        Raises:
            DiskFullError, PermissionDeniedError, DiskError: it could not be written.
        """
        try:
            write_journal(self._file.fileno(), journal)
        except OSError as error:
            raise disk_fault(error, self.path, "write") from error
        self.journal = journal

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of `data` somewhere into a spread part; safe from several threads.

        Raises:
            DiskFullError, PermissionDeniedError, DiskError: it could not be written whole.
        """
        view = memoryview(data)
        while view.nbytes:
            try:
                count = os.pwrite(self._file.fileno(), view, offset)
            except OSError as error:
                raise disk_fault(error, self.path, "write") from error
            if not count:
                raise DiskError(f"cannot write {self.path}: the disk takes no more bytes")
            offset += count
            view = view[count:]

    def catch_up(self, front: int) -> None:
        """Hash what has been written since, up to `front`: it is read back from memory.

        Raises:
            DiskError: it could not be read.
        """
        self.size += hash_span(self._file, self._hasher, (self.size, front), self.path)
        self._write_out()

    def _write_out(self) -> None:
        """Have what has come go to the disk while more comes."""
        count = self.size - self._written_out
        if count >= _WRITE_OUT_BYTES:
            begin_writing_out(self._file.fileno(), self._written_out, count)
            self._written_out = self.size

    def begin_stream(self) -> None:
        """Note that another stream's bytes follow."""
        if self.held:
            self.seams += 1

    def require_room(self, total: int | None) -> None:
        """Set the room for `total` bytes aside, or refuse to go on when there is not so much.

        Raises:
            NoRoomError: saying how much room is missing.
        """
        if total is None or total <= self._room:
            return
        handle = self._file.fileno()
        status = os.fstatvfs(handle)
        ours = max(self.held, os.fstat(handle).st_blocks * BLOCK_BYTES)
        missing = total - ours - status.f_bavail * status.f_frsize
        if missing > 0:
            raise self._no_room(f"{missing:,} bytes too full")
        try:
            self._room = total if reserve(handle, total) else 0
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise disk_fault(error, self.path, "write") from error
            raise self._no_room(f"too full for {total:,} bytes") from error

    def _no_room(self, how_full: str) -> NoRoomError:
        return NoRoomError(
            f"the disk of {self.path.parent} is {how_full}",
            hint="Free some room and run this again; what was downloaded is kept",
        )

    def digests(self) -> Digests:
        """Return the digests of all bytes so far."""
        return self._hasher.digests()

    def beginning(self, count: int) -> bytes:
        """Return the first bytes, at most so many."""
        return os.pread(self._file.fileno(), count, 0)

    def remember(self, validator: str | None) -> None:
        """Keep the server's name of this version, for a later run; losing it costs nothing."""
        if validator == self.validator:
            return
        self.validator = validator
        text = json.dumps({"validator": validator}).encode()
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            flags |= os.O_NONBLOCK  # a pipe in its place does not make this wait
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
        """Bring the bytes to the disk, make sure that these and no others are there, and close.

        An open file's facts may change when it is closed (NTFS on Linux), and what is published
        is known by its facts from then on.

        Raises:
            HashMismatchError: the file is not as long as what was written to it.
            DiskError: the disk failed; the bytes cannot be trusted and are thrown away.
        """
        try:
            self._cut_off()
            sync(self._file.fileno())
            length = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise disk_fault(error, self.path, "write") from error
        if length != self.size:
            raise HashMismatchError(
                f"{self.path} has {length:,} bytes on the disk, and {self.size:,} were written"
            )
        self.close()

    def _cut_off(self) -> None:
        """Give up the journal of a whole part, and room that was set aside and is not needed."""
        status = os.fstat(self._file.fileno())
        has_room = status.st_blocks * BLOCK_BYTES > self.size
        is_whole = self.journal is not None and self.size == self.journal.total
        if is_whole or (self.journal is None and has_room and status.st_size == self.size):
            self._file.truncate(self.size)
            self.journal = None
        self._room = 0

    def _read_journal(self) -> Journal | None:
        try:
            return read_journal(self._file.fileno())
        except OSError as error:
            raise disk_fault(error, self.path, "read") from error

    def release(self) -> None:
        """Give the claim back and keep the bytes for the next run; an empty part is removed."""
        if self.held == 0:
            self.discard()
            return
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._cut_off()
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
