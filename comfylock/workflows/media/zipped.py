"""ZIP archives of workflows: the members that may hold one, unpacked within limits.

Members in folders count, archives in archives do not. Only what every program writes (stored or
deflated) is unpacked.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from comfylock.errors import WorkflowInvalidError

#: Limit on what is unpacked of one archive, in bytes, and of one member.
MAX_ARCHIVE_BYTES = 256 * 1024 * 1024
MAX_MEMBER_BYTES = 64 * 1024 * 1024

_MAX_READ = 2 * 1024 * 1024
_PIECE = 1024 * 1024
_ENCRYPTED = 1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# All that `zipfile` has been seen to raise for damaged archives.
_FAULTS = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError,
    struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpacked:
    """One member of an archive.

    Attributes:
        name: its path in the archive.
        data: its bytes, ``None`` where it was passed over.
        reason: why it was.
    """

    name: str
    data: bytes | None
    reason: str = ""


def unpacked(file: BinaryIO, suffixes: frozenset[str]) -> Iterator[Unpacked]:
    """Yield the members with these suffixes, sorted by name.

    Raises:
        WorkflowInvalidError: the list of members is damaged or too long.
    """
    try:
        archive = zipfile.ZipFile(_Bounded(file))
        members = sorted(archive.infolist(), key=lambda member: member.filename)
    except _FAULTS as error:
        raise WorkflowInvalidError(
            f"the archive is damaged ({error})", hint="Copy or download the file again"
        ) from error
    bytes_left = MAX_ARCHIVE_BYTES
    for member in members:
        suffix = "." + member.filename.lower().rpartition(".")[2]
        if member.filename.endswith("/") or suffix not in suffixes:
            continue
        reason = _obstacle(member)
        data = None
        if not reason:
            data, reason = _member(archive, member, min(bytes_left, MAX_MEMBER_BYTES))
            bytes_left -= len(data or b"")
        yield Unpacked(name=member.filename, data=data, reason=reason)


def _obstacle(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    return "" if member.compress_type in _METHODS else "it is compressed in an unusual way"


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int
) -> tuple[bytes | None, str]:
    """Return the bytes of a member, or why there are none."""
    data = bytearray()
    try:
        with archive.open(member) as file:
            while piece := file.read(_PIECE):
                data += piece
                if len(data) > limit:
                    return None, "the archive unpacks to too much"
    except _FAULTS as error:
        return None, f"it is damaged ({error})"
    return bytes(data), ""


class _Bounded(io.RawIOBase):
    """An archive whose list of members is not read if it is huge: `zipfile` reads it at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("it points before its start")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size if 0 <= size <= _MAX_READ else _MAX_READ + 1)
        if len(data) > _MAX_READ:
            raise zipfile.BadZipFile("its list of members is too long")
        return data
