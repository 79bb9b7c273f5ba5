"""Files to digests: every size, and files that change while they are read."""

import contextlib
import hashlib
import os
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest
from blake3 import blake3

from comfylock.disk.mapped import STEP_BYTES, WINDOW_BYTES, hash_mapped, is_on_local_disk
from comfylock.disk.read import hash_file, hash_rest, hash_span
from comfylock.hashes import Buffer, Hasher

BOTH = ("blake3", "sha256")


@pytest.mark.parametrize(
    "size",
    [0, 1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, WINDOW_BYTES + 12_345],
)
@pytest.mark.parametrize("start", [0, 1, 4096, 5000])
def test_a_file_is_hashed_from_where_it_stands(tmp_path: Path, size: int, start: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    with FileIO(path, "rb") as file:
        file.seek(start)
        digests = hash_rest(file, Hasher(BOTH), path).digests()
        assert file.tell() == max(start, size)
    assert digests.sha256 == hashlib.sha256(content[start:]).hexdigest()
    assert digests.blake3 == blake3(content[start:]).hexdigest()
    with FileIO(path, "rb") as file:
        hasher = Hasher(BOTH)
        assert hash_span(file, hasher, (start, size), path) == max(0, size - start)
        assert hasher.digests() == digests


@pytest.mark.parametrize("kept", [0, STEP_BYTES, WINDOW_BYTES + STEP_BYTES])
def test_a_file_has_one_hash_however_much_of_it_lies_in_memory(tmp_path: Path, kept: int) -> None:
    content = os.urandom(2 * WINDOW_BYTES + 12_345)
    path = tmp_path / "file"
    path.write_bytes(content)
    assert hash_file(path, ("blake3",))[1].blake3 == blake3(content).hexdigest()
    with FileIO(path, "r+b") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), kept, 0, os.POSIX_FADV_DONTNEED)
    assert hash_file(path, BOTH)[1].blake3 == blake3(content).hexdigest()


class Meddler(Hasher):
    """Has another program cut the file off, or grow it, when the first bytes come."""

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(("sha256",))
        self.path, self.size, self.taken, self.waited = path, size, 0, False
        self.program: subprocess.Popen[bytes] | None = None

    def update(self, data: Buffer) -> None:
        if self.program is None:
            text = f"import os; os.truncate({str(self.path)!r}, {self.size})"
            self.program = subprocess.Popen([sys.executable, "-c", text])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.program.wait(1.0)
            self.waited = self.program.poll() is None
        super().update(data)
        self.taken += len(data)


@pytest.mark.parametrize("size", [0, 2 * WINDOW_BYTES, 5 * WINDOW_BYTES])
def test_who_writes_to_a_file_waits_for_its_reader_and_kills_nobody(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * WINDOW_BYTES))
    meddler = Meddler(path, size)
    with FileIO(path, "rb") as file:
        hash_rest(file, meddler, path)
    assert meddler.program is not None
    assert meddler.program.wait(10) == 0
    if is_on_local_disk(path.stat().st_dev):
        assert meddler.waited
    assert min(size, 2 * WINDOW_BYTES) <= meddler.taken <= max(size, 3 * WINDOW_BYTES)


@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_a_file_is_mapped_unless_somebody_may_write_to_it(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * WINDOW_BYTES))
    hasher = Hasher(BOTH)
    with FileIO(path, "rb") as file, FileIO(path, mode):
        hash_mapped(file, hasher)
        is_read = file.tell() == 2 * WINDOW_BYTES
    assert is_read == (mode == "rb" and is_on_local_disk(path.stat().st_dev))


def test_a_file_that_the_disk_has_to_give_first_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * WINDOW_BYTES))
    with FileIO(path, "r+b") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with FileIO(path, "rb") as file:
        hash_mapped(file, Hasher(BOTH))
        assert file.tell() == 0
