"""Models folders to an inventory: what lies in the spots, and what could fill them."""

import hashlib
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from comfylock.actions import name_of
from comfylock.directories import ExtraPath, ModelDirectories
from comfylock.disk.hashcache import HashCache, stat_of
from comfylock.disk.read import hash_file
from comfylock.disk.scan import Scanner, Verify
from comfylock.errors import BusyError, PathOccupiedError, PlaceError
from comfylock.events import Noted, Started, Warned
from comfylock.hashes import Digests
from comfylock.inventory import Inventory, LocalFile, Obstacle
from comfylock.lockfile.model import Pin
from comfylock.plan import Policy, make_plan
from tests.world import BRUSH, INK, PAPER, Listener, bytes_of, pin_of

INK_KEY = "loras/ink.safetensors"


class Disk:
    """A models folder with a cache, scanned as often as one likes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.models = root / "models"
        self.models.mkdir()
        self.extra = root / "extra"
        self.extra_is_default = False
        self.listener = Listener()

    def put(self, name: str, content: bytes, *, base: Path | None = None) -> Path:
        path = (base or self.models) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    @property
    def directories(self) -> ModelDirectories:
        extra = ExtraPath(folder="loras", directory=self.extra, is_default=self.extra_is_default)
        return ModelDirectories(primary=self.models, extra=(extra,))

    def scanner(self, verify: Verify = Verify.STAT) -> Scanner:
        cache = HashCache(self.models / ".comfylock" / "hashes.jsonl", self.models)
        return Scanner(self.directories, cache, self.listener, verify)

    def scan(self, *pins: Pin, verify: Verify = Verify.STAT) -> Inventory:
        self.listener.heard.clear()
        return self.scanner(verify).inventory(pins)

    @property
    def hashed(self) -> list[str]:
        return [event.ref for event in self.listener.heard if isinstance(event, Started)]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def obstacle(found: Inventory, key: str = INK_KEY) -> Obstacle:
    there = found.spots[key].found
    assert isinstance(there, Obstacle), there
    return there


class CountedDigests(Digests):
    """Counts how often contents are compared."""

    compared = 0

    def agrees(self, other: Digests) -> bool:
        CountedDigests.compared += 1
        return super().agrees(other)


def test_a_model_is_not_compared_with_every_file_of_its_size(disk: Disk) -> None:
    """A library that was put in order by hand has thousands of both."""
    count = 300
    pins: list[Pin] = []
    for number in range(count):
        content = f"{number:04}".encode() * 8
        disk.put(f"loras/mine/{number}.safetensors", content)
        wanted = CountedDigests(sha256=hashlib.sha256(content).hexdigest())
        pins.append(pin_of(INK, f"loras/{number}.safetensors", size=32, digests=wanted))

    plan = make_plan(pins, disk.scan(*pins), Policy())

    assert {name_of(action) for action in plan.actions} == {"link"}
    assert CountedDigests.compared < 10 * count


def test_a_renamed_file_is_found_by_size_and_hash(disk: Disk) -> None:
    path = disk.put("checkpoints/deep/er/my ink.bak", bytes_of(INK))
    disk.put("checkpoints/other.safetensors", bytes_of(PAPER))
    found = disk.scan(pin_of(INK))
    assert found.spots[INK_KEY].found is None
    assert [spare.file.path for spare in found.spares] == [path]
    assert disk.hashed == [str(path)]  # only files of a wanted size are read


def test_a_file_of_the_right_size_and_wrong_content_is_no_spare(disk: Disk) -> None:
    disk.put("loras/x", bytes(len(bytes_of(INK))))
    found = disk.scan(pin_of(INK))
    assert (found.spares, found.hashed_files) == ((), 1)


def test_without_a_size_only_files_of_that_name_are_read(disk: Disk) -> None:
    path = disk.put("checkpoints/Ink.safetensors", bytes_of(INK))
    disk.put("checkpoints/other.safetensors", bytes_of(INK))
    found = disk.scan(pin_of(INK, size=None))
    assert [spare.file.path for spare in found.spares] == [path]


def test_nothing_is_searched_when_nothing_is_missing(disk: Disk) -> None:
    disk.put(INK_KEY, bytes_of(INK))
    disk.put("vae/twin.safetensors", bytes_of(INK))
    found = disk.scan(pin_of(INK))
    assert (found.spares, found.free_bytes, found.hashed_files) == ((), {}, 1)


def test_a_second_scan_reads_nothing(disk: Disk) -> None:
    disk.put(INK_KEY, bytes_of(INK))
    disk.put("vae/x", bytes_of(PAPER))
    time.sleep(0.15)
    disk.scan(pin_of(INK), pin_of(PAPER))
    assert len(disk.hashed) == 2
    found = disk.scan(pin_of(INK), pin_of(PAPER))
    assert (disk.hashed, found.hashed_files) == ([], 0)


def test_a_file_written_this_moment_is_read_again(disk: Disk) -> None:
    disk.put(INK_KEY, bytes_of(INK))
    disk.scan(pin_of(INK))
    assert any(
        "too new" in event.message for event in disk.listener.heard if isinstance(event, Noted)
    )
    disk.scan(pin_of(INK))
    assert len(disk.hashed) == 1


def test_full_verification_reads_every_spot_and_no_spare(disk: Disk) -> None:
    disk.put(INK_KEY, bytes_of(INK))
    disk.put("vae/x", bytes_of(PAPER))
    time.sleep(0.15)
    disk.scan(pin_of(INK), pin_of(PAPER))
    disk.scan(pin_of(INK), pin_of(PAPER), verify=Verify.FULL)
    assert disk.hashed == [str(disk.models / INK_KEY)]


# ---------------------------------------------------------------------------- search order


def test_a_right_file_in_another_directory_of_the_folder_counts(disk: Disk) -> None:
    path = disk.put("ink.safetensors", bytes_of(INK), base=disk.extra)
    there = disk.scan(pin_of(INK)).spots[INK_KEY].found
    assert isinstance(there, LocalFile)
    assert there.path == path


def test_a_wrong_file_behind_the_spot_is_in_nobodys_way(disk: Disk) -> None:
    """ComfyUI loads the first in its order, and that will be the new one."""
    disk.put("ink.safetensors", b"other", base=disk.extra)
    found = disk.scan(pin_of(INK))
    assert found.spots[INK_KEY].found is None


def test_a_wrong_file_before_the_spot_is_in_the_way(disk: Disk) -> None:
    disk.extra_is_default = True
    path = disk.put("ink.safetensors", b"other", base=disk.extra)
    disk.put(INK_KEY, bytes_of(INK))
    there = disk.scan(pin_of(INK)).spots[INK_KEY].found
    assert isinstance(there, LocalFile)
    assert there.path == path


# --------------------------------------------------------------------------- links and loops


def test_linked_folders_are_searched_once_and_loops_end(disk: Disk) -> None:
    path = disk.put("elsewhere/my.safetensors", bytes_of(INK), base=disk.root)
    (disk.models / "loras").symlink_to(disk.root / "elsewhere")
    (disk.models / "vae").symlink_to(disk.root / "elsewhere")
    (disk.root / "elsewhere" / "loop").symlink_to(disk.models)
    (disk.models / "self").symlink_to(disk.models)
    found = disk.scan(pin_of(INK))
    assert len(found.spares) == 1
    assert found.spares[0].file.path.samefile(path)


def test_two_names_of_one_file_are_read_once(disk: Disk) -> None:
    path = disk.put("vae/a", bytes_of(INK))
    (disk.models / "vae" / "b").hardlink_to(path)
    (disk.models / "vae" / "c").symlink_to(path)
    assert len(disk.scan(pin_of(INK)).spares) == 1
    assert len(disk.hashed) == 1


def test_a_folder_named_partial_is_a_folder_like_any_other(disk: Disk) -> None:
    path = disk.put("loras/partial/mine.safetensors", bytes_of(INK))
    disk.put(".comfylock/partial/abc.part", bytes_of(INK))
    disk.put("loras/.git/objects/ab", bytes_of(INK))
    assert [spare.file.path for spare in disk.scan(pin_of(INK)).spares] == [path]


def test_what_made_way_once_is_found_again(disk: Disk) -> None:
    path = disk.put(".comfylock/replaced/abc-ink.safetensors.old", bytes_of(INK))
    assert [spare.file.path for spare in disk.scan(pin_of(INK)).spares] == [path]


# ------------------------------------------------------------------------------- obstacles


def test_what_is_no_file_is_an_obstacle(disk: Disk) -> None:
    spot = disk.models / INK_KEY
    spot.mkdir(parents=True)
    assert obstacle(disk.scan(pin_of(INK))).reason == "a directory"
    spot.rmdir()
    os.mkfifo(spot)
    assert obstacle(disk.scan(pin_of(INK))).reason == "a pipe, socket or device"
    spot.unlink()
    spot.symlink_to("nowhere")
    assert obstacle(disk.scan(pin_of(INK))).reason == "a link that leads nowhere"
    spot.unlink()
    spot.symlink_to(spot)
    assert obstacle(disk.scan(pin_of(INK))).slug == "path-occupied"
    spot.unlink()
    spot.parent.rmdir()
    spot.parent.write_bytes(b"")
    assert obstacle(disk.scan(pin_of(INK))).slug == "path-occupied"


def test_a_pipe_elsewhere_does_not_make_a_scan_wait(disk: Disk) -> None:
    (disk.models / "vae").mkdir()
    os.mkfifo(disk.models / "vae" / "ink.safetensors")
    assert disk.scan(pin_of(INK, size=None)).spares == ()


def test_a_link_on_the_way_is_an_obstacle_unless_the_file_is_there(disk: Disk) -> None:
    key = "loras/sub/ink.safetensors"
    (disk.models / "loras").mkdir()
    (disk.root / "far").mkdir()
    (disk.models / "loras" / "sub").symlink_to(disk.root / "far")
    assert obstacle(disk.scan(pin_of(INK, key)), key).slug == "unsafe-path"
    disk.put("far/ink.safetensors", bytes_of(INK), base=disk.root)
    assert isinstance(disk.scan(pin_of(INK, key)).spots[key].found, LocalFile)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_an_obstacle(disk: Disk) -> None:
    disk.put(INK_KEY, b"x").chmod(0)
    assert obstacle(disk.scan(pin_of(INK))).slug == "permission"


def test_an_obstacle_of_one_spot_does_not_stop_the_others(disk: Disk) -> None:
    (disk.models / INK_KEY).mkdir(parents=True)
    disk.put("loras/paper.safetensors", bytes_of(PAPER))
    found = disk.scan(pin_of(INK), pin_of(PAPER))
    assert isinstance(found.spots["loras/paper.safetensors"].found, LocalFile)


class Meddling(Listener):
    """Lets somebody act just when a file is about to be read."""

    def __init__(self, act: "object") -> None:
        super().__init__()
        self._act = act

    def on(self, event: object) -> None:
        if isinstance(event, Started):
            assert callable(self._act)
            self._act(Path(event.ref))
        super().on(event)  # type: ignore[arg-type]


def test_a_file_that_goes_while_it_is_looked_at_is_busy(disk: Disk) -> None:
    disk.put(INK_KEY, bytes_of(INK))
    disk.listener = Meddling(lambda path: path.unlink())
    assert obstacle(disk.scan(pin_of(INK))).slug == "busy"
    assert any(isinstance(event, Warned) for event in disk.listener.heard)


def test_a_file_written_while_it_is_read_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(64 << 20))
    stop = threading.Event()

    def write() -> None:
        with path.open("r+b") as file:
            while not stop.is_set():
                file.seek(0)
                file.write(os.urandom(16))
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(BusyError, match="changed while it was read"):
            hash_file(path, ("sha256",))
    finally:
        stop.set()
        writer.join()


def test_a_file_that_gets_a_further_name_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    """Another install links it: the ctime moves, and the bytes are what they were."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not tell what a process has open")
    path = tmp_path / "big"
    path.write_bytes(bytes(64 << 20))

    def link() -> None:
        while True:
            for handle in Path("/proc/self/fd").iterdir():
                with suppress(OSError):
                    if handle.readlink() == path:
                        (tmp_path / "second").hardlink_to(path)
                        return

    linker = threading.Thread(target=link)
    linker.start()
    stat, digests = hash_file(path, ("sha256",))
    linker.join()
    assert path.stat().st_nlink == 2
    assert stat == stat_of(path.stat())
    assert digests.sha256 == hashlib.sha256(bytes(64 << 20)).hexdigest()


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PathOccupiedError):
        hash_file(tmp_path / "pipe", ("sha256",))
    with pytest.raises(FileNotFoundError):
        hash_file(tmp_path / "nothing", ("sha256",))
    with pytest.raises((PathOccupiedError, PlaceError)):
        hash_file(tmp_path, ("sha256",))


def test_what_an_earlier_download_has_left_is_counted(disk: Disk) -> None:
    label = pin_of(INK).digests.label
    disk.put(f".comfylock/partial/{label}.part", b"12345")
    disk.put(f".comfylock/partial/{label}.json", b"{}")
    disk.put(f".comfylock/partial/{pin_of(PAPER).digests.label}.part", b"1")
    assert disk.scan(pin_of(INK), pin_of(BRUSH)).partial_bytes == {
        label: 5,
        pin_of(BRUSH).digests.label: 0,
    }


def test_the_file_that_comfyui_would_load_is_found_for_a_lock(disk: Disk) -> None:
    assert disk.scanner().find_named(INK_KEY, ("blake3",)) is None
    (disk.models / INK_KEY).mkdir(parents=True)
    path = disk.put("ink.safetensors", bytes_of(INK), base=disk.extra)
    found = disk.scanner().find_named(INK_KEY, ("blake3", "sha256"))
    assert isinstance(found, LocalFile)
    assert found is not None
    assert (found.path, found.digests) == (path, pin_of(INK).digests)
