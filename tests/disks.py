"""Disks of other kinds, made for a test and gone after it: real images behind loop devices."""

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

#: FS_IOC_SHUTDOWN: the file system stops at once, as when the plug is pulled.
_SHUTDOWN = 0x8004587D
_WITHOUT_FLUSHING_THE_LOG = struct.pack("I", 2)


@dataclass(frozen=True)
class Kind:
    """A kind of file system.

    Attributes:
        make: command that makes one, before the name of the image.
        mount: command that mounts one, before image or device and folder.
        megabytes: how large it has to be.
    """

    make: tuple[str, ...]
    mount: tuple[str, ...]
    megabytes: int


KINDS = {
    "ext4": Kind(("mkfs.ext4", "-q", "-F"), ("mount", "-t", "ext4"), 64),
    "xfs": Kind(("mkfs.xfs", "-q", "-f"), ("mount", "-t", "xfs"), 320),
    # No links of any kind, no case, time in steps of two seconds: as on a stick or a camera card.
    "exfat": Kind(("mkfs.exfat",), ("mount.exfat-fuse",), 64),
    # Windows' own, with its rules for names.
    "ntfs": Kind(
        ("mkfs.ntfs", "-q", "-F"), ("lowntfs-3g", "-o", "ignore_case,windows_names"), 64
    ),
}  # fmt: skip


class Disk:
    """A disk in an image file beside `place`, the folder where it is mounted."""

    def __init__(self, kind: str, place: Path) -> None:
        self.place = place
        self._kind = KINDS[kind]
        self._image = place.with_name(f"{place.name}.{kind}")
        with self._image.open("wb") as image:
            image.truncate(self._kind.megabytes << 20)
        _run(*self._kind.make, str(self._image))
        self._device = _run("losetup", "--find", "--show", str(self._image)).strip()

    def mount(self) -> None:
        _run(*self._kind.mount, self._device, str(self.place))

    def unmount(self) -> None:
        end = time.monotonic() + 5
        while self._is_mounted():
            done = subprocess.run(["umount", str(self.place)], capture_output=True, check=False)
            if done.returncode != 0:
                # A process that was killed with files open may not be gone altogether.
                assert time.monotonic() < end, done.stderr
                time.sleep(0.05)

    def _is_mounted(self) -> bool:
        """Ask the system, not the disk: one that was stopped answers with errors alone."""
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        return str(self.place) in {line.split(" ")[1] for line in mounts}

    def stop(self) -> None:
        """Pull the plug: what is not on the disk itself is lost, what is written now fails."""
        import fcntl

        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, _WITHOUT_FLUSHING_THE_LOG)
        finally:
            os.close(handle)

    def come_back(self) -> None:
        """Mount it again, as after the next start of the machine."""
        self.unmount()
        self.mount()

    def detach(self) -> None:
        self.unmount()
        with suppress(subprocess.CalledProcessError):
            _run("losetup", "--detach", self._device)


@contextmanager
def disk_of(kind: str, place: Path) -> Iterator[Disk]:
    """Make a disk and mount it over a folder for a while; skips where that cannot be."""
    require(KINDS[kind].make[0], KINDS[kind].mount[0], "losetup")
    require_root()
    try:
        disk = Disk(kind, place)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no {kind} can be made here: {error.stderr}")
    try:
        try:
            disk.mount()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no {kind} can be mounted here: {error.stderr}")
        yield disk
    finally:
        disk.detach()


def require(*programs: str) -> None:
    """Skip where a program is missing."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"there is no {missing[0]}")


def require_root() -> None:
    """Skip where the rights of root are needed and not there."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root may do that")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout
