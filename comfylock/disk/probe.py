"""What a file system can do, found out with tiny files in ``.comfylock``.

Flags and names of file systems lie too often: bind mounts, overlays and network shares are known
only by trying. Everything that is made for it is removed again.
"""

import errno
import shutil
import tempfile
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from comfylock.disk.faults import disk_fault
from comfylock.disk.tree import STATE_DIRECTORY
from comfylock.settings import LinkMode

_FICLONE = 0x40049409
#: By Linux's names for them; none of their files can have 4 GiB.
_SMALL_FILES_ONLY = frozenset({"vfat", "msdos", "umsdos"})
_BLOCK = b"comfylock" * 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What a file system can do.

    Attributes:
        links: the link modes that work inside it; always a copy.
        case_sensitive: ``Ink`` and ``ink`` are two files.
        keeps_unicode: a name is listed as it was given, composed or not.
        backslashes: a name may hold a backslash.
        kind: the system's name for it, ``None`` when not known.
    """

    links: frozenset[LinkMode]
    case_sensitive: bool
    keeps_unicode: bool
    backslashes: bool
    kind: str | None

    @property
    def small_files_only(self) -> bool:
        """No file can have 4 GiB or more."""
        return self.kind in _SMALL_FILES_ONLY


def probe(models_dir: Path) -> Traits:
    """Find out what the file system of a models folder can do.

    Raises:
        PermissionDeniedError, DiskFullError, DiskError: nothing can be written there.
    """
    state = models_dir / STATE_DIRECTORY
    was_there = state.is_dir()
    try:
        state.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="probe-", dir=state) as name:
            return _traits(Path(name))
    except OSError as error:
        raise disk_fault(error, models_dir, "write to") from error
    finally:
        if not was_there:
            with suppress(OSError):
                state.rmdir()


def _traits(directory: Path) -> Traits:
    source = directory / "ink"
    source.write_bytes(_BLOCK)
    tries = {
        LinkMode.REFLINK: _reflinks,
        LinkMode.HARDLINK: _hard_links,
        LinkMode.SYMLINK: _symlinks,
    }
    working = {mode for mode, works in tries.items() if works(source, directory / mode.value)}
    return Traits(
        links=frozenset({*working, LinkMode.COPY}),
        case_sensitive=not (directory / "INK").exists(),
        keeps_unicode=_keeps_unicode(directory),
        backslashes=_takes(directory / "a\\b"),
        kind=_kind(directory),
    )


def _reflinks(source: Path, copy: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with source.open("rb") as old, copy.open("wb") as new:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
    except OSError:
        return False
    return copy.read_bytes() == _BLOCK


def _hard_links(source: Path, link: Path) -> bool:
    try:
        link.hardlink_to(source)
    except OSError:
        return False
    return link.samefile(source)


def _symlinks(source: Path, link: Path) -> bool:
    try:
        link.symlink_to(source)
    except OSError:
        return False
    return link.read_bytes() == _BLOCK


def _keeps_unicode(directory: Path) -> bool:
    names = {unicodedata.normalize(form, "é") for form in ("NFC", "NFD")}
    for name in names:
        if not _takes(directory / name):
            return False
    return names <= {path.name for path in directory.iterdir()}


def _takes(path: Path) -> bool:
    try:
        path.write_bytes(b"")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return False
    return path.is_file()


def _kind(directory: Path) -> str | None:
    """Return the type of the mount that a directory lies on; Linux only."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    here = str(directory.resolve())
    found: tuple[str, str | None] = ("", None)
    for line in lines:
        _, place, kind, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        if (here == place or here.startswith(f"{place.rstrip('/')}/")) and len(place) >= len(
            found[0]
        ):
            found = (place, kind)
    return found[1]


def free_bytes(directory: Path) -> int:
    """Return the bytes that are free for us on a directory's file system.

    Raises:
        DiskError, PermissionDeniedError: it cannot be asked.
    """
    try:
        return shutil.disk_usage(directory).free
    except OSError as error:
        raise disk_fault(error, directory, "look at") from error
