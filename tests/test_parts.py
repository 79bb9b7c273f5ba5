"""Parts of downloads: one owner at a time, however many runs and however they end."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from comfylock.disk.part import Part
from comfylock.disk.parts import claim_part, leftover, owner_name, remove_leftovers
from comfylock.disk.tree import opened_below
from comfylock.errors import DiskFullError, HashMismatchError
from tests.world import ROOT

LABEL = "ab" * 32
OTHER_MACHINE = "00000000-11111111-4242-99999-abcdef"


@contextmanager
def claimed(folder: Path) -> Iterator[Part]:
    with opened_below(folder, ("partial",)) as directory:
        part = claim_part(directory, folder / "partial", LABEL)
        try:
            part.rehash(("sha256",))
            yield part
        finally:
            part.close()


def left(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "partial").iterdir())}


def leave(folder: Path, name: str, content: bytes, *, age_s: float = 0) -> Path:
    path = folder / "partial" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    when_s = time.time() - age_s
    os.utime(path, (when_s, when_s))
    return path


def python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


CLAIM = f"""
import sys
from pathlib import Path
from comfylock.disk.parts import claim_part
from comfylock.disk.tree import opened_below
folder = Path(sys.argv[1])
with opened_below(folder, ("partial",)) as directory:
    print("ready", flush=True)
    sys.stdin.readline()
    part = claim_part(directory, folder / "partial", "{LABEL}")
    part.rehash(("sha256",))
    found = part.size
    part.write(b"y" * 10)
    print(found, flush=True)
    sys.stdin.readline()
"""


def test_a_part_given_back_is_gone_on_with(tmp_path: Path) -> None:
    with claimed(tmp_path) as part:
        part.write(b"first ")
        part.release()
    assert left(tmp_path) == {f"{LABEL}.part": b"first "}
    with claimed(tmp_path) as part:
        assert part.size == 6
        part.write(b"second")
        part.seal()
        assert part.path.read_bytes() == b"first second"
        part.discard()
    assert left(tmp_path) == {}


def test_an_empty_part_is_not_kept(tmp_path: Path) -> None:
    with claimed(tmp_path) as part:
        part.release()
    assert left(tmp_path) == {}


def test_of_many_runs_one_gets_the_part(tmp_path: Path) -> None:
    for _ in range(3):
        for name in left(tmp_path) if (tmp_path / "partial").exists() else ():
            (tmp_path / "partial" / name).unlink()
        leave(tmp_path, f"{LABEL}.part", b"x" * 1000)
        runs = [python(CLAIM, str(tmp_path)) for _ in range(4)]
        for turn in (1, 2):
            for run in runs:
                assert run.stdin is not None
                assert run.stdout is not None
                if turn == 1:
                    assert run.stdout.readline() == "ready\n"
                run.stdin.write("\n")
                run.stdin.flush() if turn == 1 else None
            if turn == 1:
                found = sorted(int(run.stdout.readline()) for run in runs if run.stdout)
                assert found == [0, 0, 0, 1000]
                sizes = sorted(len(content) for content in left(tmp_path).values())
                assert sizes == [10, 10, 10, 1010]
        for run in runs:
            run.communicate(timeout=10)


def test_a_living_runs_part_is_left_to_it_and_a_dead_ones_is_taken_over(tmp_path: Path) -> None:
    run = python(CLAIM, str(tmp_path))
    assert run.stdin is not None
    assert run.stdout is not None
    run.stdout.readline()
    run.stdin.write("\n")
    run.stdin.flush()
    assert run.stdout.readline() == "0\n"
    with claimed(tmp_path) as part:
        assert part.size == 0
        part.discard()
    remove_leftovers(tmp_path / "partial", frozenset({LABEL}))
    assert list(left(tmp_path).values()) == [b"y" * 10]
    run.kill()
    # Not waited for yet: a zombie holds no file any more.
    while Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    with claimed(tmp_path) as part:
        assert part.size == 10
        part.discard()
    run.communicate(timeout=10)


def test_the_longest_part_is_taken(tmp_path: Path) -> None:
    leave(tmp_path, f"{LABEL}.part", b"short")
    leave(tmp_path, f"{LABEL}.{dead_owner()}.part", b"the longest")
    with claimed(tmp_path) as part:
        assert part.size == 11
        part.release()
    # The plain name is taken: ours keeps its own, and counts once this process has gone.
    assert sorted(left(tmp_path).values()) == [b"short", b"the longest"]
    assert f"{LABEL}.part" in left(tmp_path)


def dead_owner() -> str:
    """A name as a process of this machine leaves it that runs no more."""
    machine, boot, _, _, token = owner_name().split("-")
    return f"{machine}-{boot}-{2**22 - 1}-1-{token}"


def test_a_process_with_the_same_number_is_another_one(tmp_path: Path) -> None:
    machine, boot, _, started, token = owner_name().split("-")
    own = f"{machine}-{boot}-{os.getpid()}-{started}-{token}"
    reused = f"{machine}-{boot}-{os.getpid()}-{int(started) - 1}-{token}"
    other_boot = f"{machine}-ffffffff-{os.getpid()}-{started}-{token}"
    for owner, taken in ((own, False), (reused, True), (other_boot, True)):
        path = leave(tmp_path, f"{LABEL}.{owner}.part", b"12345")
        with claimed(tmp_path) as part:
            assert part.size == (5 if taken else 0)
            part.discard()
        path.unlink(missing_ok=True)


def said_among_mounts(mounting: str, code: str, argument: str) -> str:
    """Return what Python says of an argument where something else is mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounting, "sh", sys.executable, "-c", code, argument],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"this cannot be staged here: {done.stderr[-200:]}")
    return done.stdout


def test_a_process_that_cannot_be_looked_at_counts_as_living() -> None:
    """Where /proc hides other users' processes (``hidepid``), it still answers a signal."""
    code = (
        "import os, sys\n"
        "from comfylock.disk.parts import owner_name, _is_dead\n"
        "machine, boot, *_ = owner_name().split('-')\n"
        "print(_is_dead(f'{machine}-{boot}-{sys.argv[1]}-777-aa', age_s=0))\n"
    )
    script = (
        "mount -t proc -o hidepid=2 proc /proc && "
        'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
    )
    assert said_among_mounts(script, code, str(os.getpid())) == "False\n"


def test_a_boot_that_cannot_be_told_makes_nobody_dead() -> None:
    """Where /proc does not tell it, or there is no file left to be opened at that moment."""
    code = "import sys\nfrom comfylock.disk.parts import _is_dead\nprint(_is_dead(sys.argv[1], 0))"
    script = 'mount --bind /dev/null /proc/sys/kernel/random/boot_id && exec "$@"'
    assert said_among_mounts(script, code, owner_name()) == "False\n"


def partial_bytes_of(folder: Path) -> int:
    """What `leftover` counts, with the state folder where it belongs."""
    state = folder / ".comfylock"
    state.mkdir(exist_ok=True)
    if not (state / "partial").exists():
        (state / "partial").symlink_to(folder / "partial")
    return leftover(folder, folder / "x", LABEL).held


@pytest.mark.parametrize("owner", [OTHER_MACHINE, "who-knows", "a-b-c-d-e", "1-2-3"])
def test_an_owner_elsewhere_is_given_a_day(tmp_path: Path, owner: str) -> None:
    path = leave(tmp_path, f"{LABEL}.{owner}.part", b"12345", age_s=23 * 3600)
    with claimed(tmp_path) as part:
        assert part.size == 0
        part.discard()
    assert partial_bytes_of(tmp_path) == 0
    two_days_ago_s = time.time() - 48 * 3600
    os.utime(path, (two_days_ago_s, two_days_ago_s))
    assert partial_bytes_of(tmp_path) == 5
    with claimed(tmp_path) as part:
        assert part.size == 5


def test_a_part_with_a_second_name_is_never_written_to(tmp_path: Path) -> None:
    mine = tmp_path / "model.safetensors"
    mine.write_bytes(b"precious")
    leave(tmp_path, "x", b"").unlink()
    (tmp_path / "partial" / f"{LABEL}.part").hardlink_to(mine)
    assert partial_bytes_of(tmp_path) == 0
    with claimed(tmp_path) as part:
        assert part.size == 0
        part.restart(("sha256",))
        part.write(b"new")
        part.discard()
    assert mine.read_bytes() == b"precious"
    assert left(tmp_path) == {}


def test_a_run_killed_while_it_gave_a_part_back_costs_no_byte(tmp_path: Path) -> None:
    """Where there is no rename that spares a taken name, the part has two names for a moment."""
    first = leave(tmp_path, f"{LABEL}.part", b"12345")
    (tmp_path / "partial" / f"{LABEL}.{dead_owner()}.part").hardlink_to(first)
    with claimed(tmp_path) as part:
        assert part.size == 5
        part.discard()
    assert left(tmp_path) == {}


def test_what_is_no_file_is_no_part(tmp_path: Path) -> None:
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / f"{LABEL}.part").symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_bytes(b"precious")
    with claimed(tmp_path) as part:
        part.write(b"x")
        part.discard()
    (tmp_path / "partial" / f"{LABEL}.part").unlink()
    os.mkfifo(tmp_path / "partial" / f"{LABEL}.part")
    with claimed(tmp_path) as part:
        part.discard()
    (tmp_path / "partial" / f"{LABEL}.part").unlink()
    (tmp_path / "partial" / f"{LABEL}.part").mkdir()
    with claimed(tmp_path) as part:
        part.discard()
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_leftovers_of_a_placed_content_go_and_no_others(tmp_path: Path) -> None:
    leave(tmp_path, f"{LABEL}.part", b"1")
    leave(tmp_path, f"{LABEL}.{dead_owner()}.part", b"2")
    leave(tmp_path, f"{LABEL}.json", b"{}")
    living = leave(tmp_path, f"{LABEL}.{owner_name()}.part", b"3")
    other = leave(tmp_path, f"{'cd' * 32}.part", b"4")
    remove_leftovers(tmp_path / "partial", frozenset({LABEL}))
    assert set(left(tmp_path)) == {living.name, other.name}
    remove_leftovers(tmp_path / "nowhere", frozenset({LABEL}))


@pytest.mark.parametrize("meta", [b"", b"{", b"[]", b"5", b'{"validator": 5}', b"[" * 4000])
def test_a_damaged_note_of_the_version_is_no_note(tmp_path: Path, meta: bytes) -> None:
    leave(tmp_path, f"{LABEL}.part", b"12345")
    leave(tmp_path, f"{LABEL}.json", meta)
    with claimed(tmp_path) as part:
        assert (part.size, part.validator) == (5, None)


def test_a_file_that_others_cut_is_not_sealed(tmp_path: Path) -> None:
    with claimed(tmp_path) as part:
        part.write(b"12345")
        os.truncate(part.path, 3)
        with pytest.raises(HashMismatchError, match="3 bytes on the disk, and 5 were written"):
            part.seal()
        part.discard()


def test_no_room_is_told_before_the_first_byte(tmp_path: Path) -> None:
    with claimed(tmp_path) as part:
        part.require_room(None)
        part.require_room(5)
        with pytest.raises(DiskFullError, match="bytes too full"):
            part.require_room(10**18)
        part.discard()


def test_a_part_of_another_user_does_not_stop_a_new_one(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    path = leave(tmp_path, f"{LABEL}.part", b"12345")
    path.chmod(0o600)
    for folder in (tmp_path, tmp_path / "partial"):
        folder.chmod(0o777)
    for folder in list(tmp_path.parents)[:-2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*setpriv, sys.executable, "-c", CLAIM, str(tmp_path)],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        input="\n\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if "ready" not in done.stdout:
        pytest.skip(f"cannot become another user: {done.stderr[-200:]}")
    assert done.stdout.split() == ["ready", "0"], done.stderr
    assert sorted(left(tmp_path).values()) == [b"12345", b"y" * 10]
