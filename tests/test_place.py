"""Verified bytes to their spot: nothing overwritten, nothing outside, nothing half."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from comfylock.disk.aside import move_aside, move_back
from comfylock.disk.hashcache import stat_of
from comfylock.disk.place import (
    Destination,
    found_in,
    link_file,
    publish,
    require_way,
)
from comfylock.disk.rename import rename_without_clobber
from comfylock.disk.tree import opened_below, state_base
from comfylock.errors import (
    BusyError,
    DiskError,
    HashMismatchError,
    PathOccupiedError,
    StoppedError,
    UnsafePathError,
)
from comfylock.hashes import Digests, Hasher
from comfylock.inventory import LocalFile
from comfylock.settings import LinkMode
from tests.campaigns.races import NoExchangeError, Races, aside_races, naive_races, races
from tests.world import ROOT

CONTENT = b"a model" * 1000


def digests_of(content: bytes) -> Digests:
    hasher = Hasher(["sha256", "blake3"])
    hasher.update(content)
    return hasher.digests()


WANTED = digests_of(CONTENT)


def local(path: Path, content: bytes = CONTENT) -> LocalFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(content)
    return LocalFile(path=path, stat=stat_of(path.stat()), digests=digests_of(content))


def spot(models: Path, name: str = "ink.safetensors") -> Destination:
    return Destination(models, models / "loras", name)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory: another file system, and one where a sync costs nothing."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    folder = shared / f"comfylock-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@contextmanager
def ready(models: Path, content: bytes = CONTENT) -> Iterator[tuple[int, str]]:
    """A whole file in the folder for parts."""
    with opened_below(models, (".comfylock", "partial")) as directory:
        name = f"{secrets.token_hex(4)}.part"
        (models / ".comfylock" / "partial" / name).write_bytes(content)
        yield directory, name


def parts(models: Path) -> list[str]:
    return sorted(path.name for path in (models / ".comfylock" / "partial").iterdir())


# --------------------------------------------------------------------------------- publishing


def test_a_published_file_has_its_name_and_no_other(models: Path) -> None:
    destination = spot(models, "deep/er/ink.safetensors")
    with ready(models) as source:
        stat = publish(source, destination)
    assert destination.path.read_bytes() == CONTENT
    assert (stat, destination.path.stat().st_nlink) == (stat_of(destination.path.stat()), 1)
    assert parts(models) == []


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link", "link", "pipe"])
def test_publishing_never_overwrites(models: Path, kind: str) -> None:
    destination = spot(models)
    path = destination.path
    path.parent.mkdir()
    other = models / "other"
    other.write_bytes(b"other")
    match kind:
        case "file":
            path.write_bytes(b"mine")
        case "folder":
            path.mkdir()
        case "dangling link":
            path.symlink_to(models / "nowhere")
        case "link":
            path.symlink_to(other)
        case _:
            os.mkfifo(path)
    before = path.lstat()
    with ready(models) as source, pytest.raises(PathOccupiedError, match="left alone"):
        publish(source, destination)
    with pytest.raises(PathOccupiedError):
        require_way(destination, None)
    after = path.lstat()
    assert (before.st_ino, before.st_mode, before.st_size, before.st_mtime_ns) == (
        after.st_ino, after.st_mode, after.st_size, after.st_mtime_ns,
    )  # fmt: skip
    assert len(parts(models)) == 1  # the bytes are kept
    assert other.read_bytes() == b"other"


def test_a_link_below_the_folder_is_refused(models: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (models / "loras").mkdir()
    (models / "loras" / "sub").symlink_to(outside)
    destination = spot(models, "sub/ink.safetensors")
    with ready(models) as source, pytest.raises(UnsafePathError, match="is a link"):
        publish(source, destination)
    with pytest.raises(UnsafePathError):
        require_way(destination, None)
    with pytest.raises(UnsafePathError):
        link_file(local(models / "x"), destination, WANTED, LinkMode.AUTO)
    assert list(outside.iterdir()) == []


def test_the_folders_own_directory_may_be_a_link(models: Path, tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    (models / "loras").symlink_to(far)
    with ready(models) as source:
        publish(source, spot(models))
    assert (far / "ink.safetensors").read_bytes() == CONTENT


def test_a_file_where_a_folder_is_needed_is_told(models: Path) -> None:
    (models / "loras").write_bytes(b"mine")
    for name in ("ink.safetensors", "sub/ink.safetensors"):
        with pytest.raises(PathOccupiedError, match="folder"):
            require_way(spot(models, name), None)
    (models / "loras").unlink()
    (models / "loras").mkdir()
    (models / "loras" / "sub").write_bytes(b"mine")
    with pytest.raises(PathOccupiedError, match="folder"):
        require_way(spot(models, "sub/ink.safetensors"), None)


def raced(campaign: Callable[[Path, int], Races], folder: Path, tries: int) -> Races:
    try:
        found = campaign(folder, tries)
    except NoExchangeError:
        pytest.skip("this system cannot exchange two names")
    print(found)
    return found


@pytest.mark.parametrize("tries", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_folder_swapped_for_a_link_leads_nowhere(memory: Path, tries: int) -> None:
    """Somebody swaps it as fast as he can between our looking and our writing."""
    found = raced(races, memory, tries)
    assert found.escaped == 0
    assert found.placed
    assert found.refused
    assert found.placed + found.refused == tries


@pytest.mark.slow
def test_who_looks_first_and_writes_then_is_led_astray(memory: Path) -> None:
    """The check above would notice."""
    assert raced(naive_races, memory, 20_000).escaped


def test_a_rename_that_would_clobber_fails_on_every_kind_of_disk(tmp_path: Path) -> None:
    """The three ways: one call, hard link, and looking first; the last two by strace, if there."""
    code = (
        "import os, sys\n"
        "from comfylock.disk.rename import rename_without_clobber as rename\n"
        "here = os.open('.', os.O_RDONLY)\n"
        "try:\n"
        "    rename((here, 'a'), (here, 'taken'))\n"
        "except FileExistsError:\n"
        "    print('spared')\n"
        "rename((here, 'a'), (here, 'b'))\n"
        "print(sorted(os.listdir()), os.stat('b').st_nlink)\n"
    )
    ways: list[list[str]] = [[]]
    if shutil.which("strace"):
        no_call = ["-e", "inject=renameat2:error=EINVAL"]
        no_link = ["-e", "inject=link,linkat:error=EPERM"]
        ways += [["strace", "-qq", "-o", "/dev/null", *no_call]]
        ways += [["strace", "-qq", "-o", "/dev/null", *no_call, *no_link]]
    for number, way in enumerate(ways):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a").write_bytes(b"a")
        (folder / "taken").write_bytes(b"mine")
        done = subprocess.run(
            [*way, sys.executable, "-c", code],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if way and "ptrace" in done.stderr.lower():
            pytest.skip("strace is not permitted")
        assert done.stdout == "spared\n['b', 'taken'] 1\n", done.stderr
        assert (folder / "taken").read_bytes() == b"mine"


def test_a_name_that_is_gone_is_told(tmp_path: Path) -> None:
    with opened_below(tmp_path, ()) as here, pytest.raises(FileNotFoundError):
        rename_without_clobber((here, "nothing"), (here, "x"))


# ------------------------------------------------------------------------------------ linking


def test_auto_links_on_one_disk_and_copies_between_two(models: Path, memory: Path) -> None:
    near = local(models / "near")
    stat = link_file(near, spot(models), WANTED, LinkMode.AUTO)
    assert spot(models).path.read_bytes() == CONTENT
    assert stat == stat_of(spot(models).path.stat())
    if stat.inode != near.stat.inode:
        assert near.path.stat().st_nlink == 1  # a clone, on disks that have them
    far = local(memory / "far")
    stat = link_file(far, spot(models, "far.safetensors"), WANTED, LinkMode.AUTO)
    path = spot(models, "far.safetensors").path
    assert (path.read_bytes(), stat, path.stat().st_nlink) == (CONTENT, stat_of(path.stat()), 1)
    assert path.stat().st_mode & 0o777 == 0o644
    assert parts(models) == []


def test_a_copy_that_is_interrupted_leaves_nothing(models: Path) -> None:
    """None can be gone on with, and nobody should be told that something is kept."""
    source = local(models / "vae" / "source")

    with pytest.raises(StoppedError):
        link_file(source, spot(models), WANTED, LinkMode.COPY, lambda: True)

    assert not spot(models).path.exists()
    assert parts(models) == []
    assert source.path.read_bytes() == CONTENT


def test_each_mode_does_what_it_says(models: Path) -> None:
    source = local(models / "vae" / "source")
    link_file(source, spot(models, "copy.safetensors"), WANTED, LinkMode.COPY)
    link_file(source, spot(models, "symlink.safetensors"), WANTED, LinkMode.SYMLINK)
    link_file(source, spot(models, "hardlink.safetensors"), WANTED, LinkMode.HARDLINK)
    loras = models / "loras"
    assert (loras / "symlink.safetensors").readlink() == source.path.resolve()
    assert (loras / "hardlink.safetensors").samefile(source.path)
    assert not (loras / "copy.safetensors").samefile(source.path)
    assert {path.read_bytes() for path in loras.iterdir()} == {CONTENT}


@pytest.mark.parametrize("mode", [LinkMode.HARDLINK, LinkMode.REFLINK])
def test_a_mode_that_cannot_be_is_told(models: Path, memory: Path, mode: LinkMode) -> None:
    source = local(memory / "far")
    with pytest.raises(DiskError, match=f"cannot make a {mode}"):
        link_file(source, spot(models), WANTED, mode)
    assert not spot(models).path.exists()


@pytest.mark.parametrize("mode", [LinkMode.AUTO, LinkMode.COPY, LinkMode.SYMLINK])
def test_linking_never_overwrites(models: Path, mode: LinkMode) -> None:
    path = spot(models).path
    path.parent.mkdir()
    path.symlink_to(models / "nowhere")
    with pytest.raises(PathOccupiedError):
        link_file(local(models / "source"), spot(models), WANTED, mode)
    assert path.is_symlink()
    assert not (models / ".comfylock").exists() or parts(models) == []


def test_a_file_behind_a_link_is_linked_itself(models: Path, tmp_path: Path) -> None:
    """A hard link to the link would dangle as soon as the user tidies up."""
    real = local(tmp_path / "real")
    link = models / "vae" / "link"
    link.parent.mkdir()
    link.symlink_to(real.path)
    link_file(local(link), spot(models), WANTED, LinkMode.HARDLINK)
    assert not spot(models).path.is_symlink()
    assert spot(models).path.samefile(real.path)


@pytest.mark.parametrize("mode", [LinkMode.AUTO, LinkMode.COPY, LinkMode.SYMLINK])
def test_a_source_that_changed_or_went_is_told(models: Path, mode: LinkMode) -> None:
    source = local(models / "source")
    time.sleep(0.01)
    source.path.write_bytes(b"b model" * 1000)
    with pytest.raises(BusyError, match="changed since"):
        link_file(source, spot(models), WANTED, mode)
    source.path.unlink()
    with pytest.raises(BusyError, match="is gone"):
        link_file(source, spot(models), WANTED, mode)
    assert not spot(models).path.exists()


def test_a_copy_is_verified_as_it_is_made(models: Path) -> None:
    """The hash cache was wrong about the source."""
    path = models / "source"
    path.write_bytes(b"other")
    source = LocalFile(path=path, stat=stat_of(path.stat()), digests=WANTED)
    with pytest.raises(HashMismatchError, match="expected"):
        link_file(source, spot(models), WANTED, LinkMode.COPY)
    assert not spot(models).path.exists()
    assert parts(models) == []


# -------------------------------------------------------------------------------- moving aside


def moved(destination: Destination, old: LocalFile) -> Path:
    aside = move_aside(destination, old)
    assert aside is not None
    return aside


def test_what_makes_way_is_kept_and_can_come_back(models: Path) -> None:
    old = local(models / "loras" / "ink.safetensors", b"mine")
    aside = moved(spot(models), old)
    assert (aside.read_bytes(), old.path.exists()) == (b"mine", False)
    assert aside.parent == models / ".comfylock" / "replaced"
    assert aside.name.endswith("-ink.safetensors.old")
    stat = move_back(spot(models), aside)
    assert (old.path.read_bytes(), aside.exists()) == (b"mine", False)
    assert stat == stat_of(old.path.stat())


def test_what_changed_since_it_was_seen_does_not_make_way(models: Path) -> None:
    old = local(models / "loras" / "ink.safetensors", b"mine")
    time.sleep(0.01)
    old.path.write_bytes(b"newer")
    with pytest.raises(BusyError, match="left alone"):
        move_aside(spot(models), old)
    assert old.path.read_bytes() == b"newer"


@pytest.mark.parametrize("tries", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_file_exchanged_in_the_last_moment_does_not_make_way(memory: Path, tries: int) -> None:
    """Another run may put the new model there between our looking and our renaming."""
    try:
        found = aside_races(memory, tries)
    except NoExchangeError:
        pytest.skip("this system cannot exchange two names")
    print(found)
    assert found.wrong == 0
    assert found.refused
    # With little time to run in, it may be exchanged each time before it is moved.
    assert found.moved or tries < 20_000


def test_what_is_gone_needs_not_make_way(models: Path) -> None:
    old = local(models / "loras" / "ink.safetensors", b"mine")
    old.path.unlink()
    assert move_aside(spot(models), old) is None


def test_moving_back_never_overwrites(models: Path) -> None:
    old = local(models / "loras" / "ink.safetensors", b"mine")
    aside = moved(spot(models), old)
    old.path.write_bytes(b"somebody else's")
    with pytest.raises(PathOccupiedError):
        move_back(spot(models), aside)
    assert (old.path.read_bytes(), aside.read_bytes()) == (b"somebody else's", b"mine")


def test_a_link_of_the_users_makes_way_as_a_link(models: Path, tmp_path: Path) -> None:
    real = local(tmp_path / "real", b"mine")
    path = models / "loras" / "ink.safetensors"
    path.parent.mkdir()
    path.symlink_to(real.path)
    aside = moved(spot(models), local(path, b"mine"))
    assert aside.readlink() == real.path
    assert real.path.read_bytes() == b"mine"


def test_the_longest_name_makes_way(models: Path) -> None:
    name = "模" * 62 + ".safetensors"
    old = local(models / "loras" / name, b"mine")
    assert moved(spot(models, name), old).read_bytes() == b"mine"


# --------------------------------------------------------------------------------- state folder


def test_the_state_folder_is_on_the_disk_of_the_target(models: Path, memory: Path) -> None:
    assert state_base(models, models / "loras" / "sub" / "x") == models
    (models / "loras").symlink_to(memory)
    assert state_base(models, models / "loras" / "sub" / "x") == models / "loras"


def test_the_wanted_content_is_recognised_in_its_spot(models: Path) -> None:
    assert found_in(spot(models), WANTED) is None
    local(spot(models).path)
    found = found_in(spot(models), WANTED)
    assert found is not None
    assert found.path == spot(models).path
    assert found_in(spot(models), Digests(sha256="0" * 64)) is None
