"""The hash cache under damage and time: it may cost a second reading, never a wrong hash."""

import os
import random
import stat as stat_bits
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.disk.hashcache import HashCache, is_settled, stat_of
from comfylock.hashes import Digests
from comfylock.inventory import FileStat

STATS = [FileStat(100 + n, 10**18 + n, 5000 + n, 10**18 + n) for n in range(4)]
TRUE = {
    f"loras/{n}.safetensors": (STATS[n], Digests(sha256=f"{n}a" * 32, blake3=f"{n}b" * 32))
    for n in range(4)
}


def filled(path: Path) -> None:
    cache = HashCache(path, Path("/models"))
    for n, (name, (stat, digests)) in enumerate(TRUE.items()):
        cache.record(f"/models/{name}", stat, digests, placed=n % 2 == 0)


def wrong_answers(path: Path) -> list[str]:
    cache = HashCache(path, Path("/models"))
    wrong: list[str] = []
    for n, (name, (stat, digests)) in enumerate(TRUE.items()):
        row = cache.lookup(f"/models/{name}", stat)
        if row is not None and (row.digests != digests or row.placed != (n % 2 == 0)):
            wrong.append(name)
    return wrong


def test_rows_are_found_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "hashes.jsonl"
    filled(path)
    cache = HashCache(path, Path("/models"))
    for name, (stat, digests) in TRUE.items():
        row = cache.lookup(Path("/models") / name, stat)
        assert row is not None
        assert row.digests == digests
    assert cache.lookup("/models/other", STATS[0]) is None


def test_every_single_flipped_bit_costs_at_most_a_second_reading(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    filled(path)
    good = path.read_bytes()
    for position in range(len(good) * 8):
        bad = bytearray(good)
        bad[position // 8] ^= 1 << position % 8
        path.write_bytes(bad)
        assert wrong_answers(path) == [], position


@given(st.randoms(), st.sampled_from(["cut", "drop", "swap", "zeros", "noise", "twice"]))
def test_no_damage_yields_a_wrong_hash(random: random.Random, kind: str) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"comfylock-damage-{os.getpid()}.jsonl"
    path.unlink(missing_ok=True)
    filled(path)
    data = bytearray(path.read_bytes())
    start, end = sorted(random.sample(range(len(data)), 2))
    match kind:
        case "cut":
            del data[start:]
        case "drop":
            del data[start:end]
        case "swap":
            data[start:end] = reversed(data[start:end])
        case "zeros":
            data[start:end] = bytes(end - start)
        case "noise":
            data[start:end] = random.randbytes(end - start)
        case _:
            data[start:start] = data[start:end]
    path.write_bytes(data)
    assert wrong_answers(path) == []
    path.unlink()


@pytest.mark.parametrize("changed", ["size", "mtime_ns", "inode", "ctime_ns"])
def test_a_row_counts_only_while_all_facts_agree(tmp_path: Path, changed: str) -> None:
    from dataclasses import replace

    path = tmp_path / "hashes.jsonl"
    filled(path)
    cache = HashCache(path, Path("/models"))
    moved = replace(STATS[0], **{changed: getattr(STATS[0], changed) + 1})
    assert cache.lookup("/models/loras/0.safetensors", moved) is None


def test_foreign_and_torn_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    path.write_bytes(b'\xff\xfe\n\n{"some": "json"}\n0123456789abcdef [1, 2]\nnull\n[[[[\n')
    filled(path)
    assert wrong_answers(path) == []
    cache = HashCache(path, Path("/models"))
    assert all(cache.lookup(f"/models/{name}", stat) for name, (stat, _) in TRUE.items())


@pytest.mark.parametrize(
    "fields",
    [
        '["a", 5, null, null, true]', '["a", [1, 2, 3], null, null, true]', "5", "[]", "{}", "null",
        '["a", [1, 2, 3, "x"], null, null, true]', '[5, [1, 2, 3, 4], "' + "a" * 64 + '", null, 1]',
        '["a", [1, 2, 3, 4], "' + "A" * 64 + '", 7, true]', "[" * 900 + "]" * 900,
    ],
)  # fmt: skip
def test_rows_of_another_shape_with_a_right_check_are_passed_over(
    tmp_path: Path, fields: str
) -> None:
    """A later version may write others."""
    from hashlib import blake2b

    path = tmp_path / "hashes.jsonl"
    check = blake2b(fields.encode(), digest_size=8).hexdigest()
    path.write_text(f"{check} {fields}\n")
    assert HashCache(path, Path("/models")).lookup("/models/a", FileStat(1, 2, 3, 4)) is None
    filled(path)
    assert wrong_answers(path) == []


def test_a_row_behind_a_torn_line_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes()[:-20])
    HashCache(path, Path("/models")).record("/models/new", STATS[0], Digests(sha256="c" * 64))
    assert HashCache(path, Path("/models")).lookup("/models/new", STATS[0]) is not None
    assert wrong_answers(path) == []


def test_digests_of_one_state_are_collected(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    cache = HashCache(path, tmp_path)
    cache.record("x", STATS[0], Digests(sha256="a" * 64), placed=True)
    cache.record("x", STATS[0], Digests(blake3="b" * 64))
    row = HashCache(path, tmp_path).lookup("x", STATS[0])
    assert row is not None
    assert (row.digests, row.placed) == (Digests(sha256="a" * 64, blake3="b" * 64), True)


def test_a_contradiction_voids_all_that_was_known(tmp_path: Path) -> None:
    """`--verify full` has found other content behind the same stat."""
    path = tmp_path / "hashes.jsonl"
    cache = HashCache(path, tmp_path)
    cache.record("x", STATS[0], Digests(sha256="a" * 64, blake3="b" * 64), placed=True)
    cache.record("x", STATS[0], Digests(blake3="c" * 64))
    row = HashCache(path, tmp_path).lookup("x", STATS[0])
    assert row is not None
    assert (row.digests, row.placed) == (Digests(blake3="c" * 64), False)


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    filled(path)
    before = path.read_bytes()
    filled(path)
    assert path.read_bytes() == before


def test_all_names_of_a_file_are_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    cache = HashCache(path, tmp_path)
    for name in ("a", "b"):
        cache.record(name, STATS[0], Digests(sha256="a" * 64), placed=name == "a")
    cache.carry_over(STATS[0], STATS[1])
    again = HashCache(path, tmp_path)
    rows = [again.lookup(name, STATS[1]) for name in ("a", "b")]
    assert [row is not None and row.placed for row in rows] == [True, False]
    assert again.lookup("a", STATS[0]) is None


def test_names_that_come_and_go_between_links_are_carried_over_as_they_are_then(
    tmp_path: Path,
) -> None:
    cache = HashCache(tmp_path / "hashes.jsonl", tmp_path)
    one, other = Digests(sha256="a" * 64), Digests(sha256="b" * 64)
    cache.record("a", STATS[0], one)
    cache.carry_over(STATS[0], STATS[1])
    cache.record("b", STATS[1], one)
    cache.record("a", STATS[3], other)
    cache.carry_over(STATS[1], STATS[2])

    assert cache.lookup("a", STATS[3]) is not None
    row = cache.lookup("b", STATS[2])
    assert row is not None
    assert row.digests == one


class CountedStat(FileStat):
    """Counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedStat.compared += 1
        return super().__eq__(other)

    __hash__ = FileStat.__hash__


def test_a_link_is_not_compared_with_every_file_that_was_ever_hashed(tmp_path: Path) -> None:
    cache = HashCache(tmp_path / "hashes.jsonl", tmp_path)
    files = 400
    for number in range(files):
        stat = CountedStat(1, 1, number, 1)
        cache.record(f"{number}", stat, Digests(sha256=f"{number:064x}"))
    for number in range(files):
        cache.carry_over(CountedStat(1, 1, number, 1), CountedStat(1, 1, number, 2))

    assert CountedStat.compared < 10 * files
    assert cache.lookup("7", CountedStat(1, 1, 7, 2)) is not None


def test_compaction_keeps_the_last_row_of_each_file(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    cache = HashCache(path, Path("/models"))
    for turn in range(120):
        for name, (stat, _) in TRUE.items():
            cache.record(f"/models/{name}", stat, Digests(sha256=f"{turn:064x}"))
    for n, (name, (stat, digests)) in enumerate(TRUE.items()):
        cache.record(f"/models/{name}", stat, digests, placed=n % 2 == 0)
    size = path.stat().st_size
    cache.compact()
    assert path.stat().st_size < size / 50
    assert wrong_answers(path) == []
    fresh = HashCache(path, Path("/models"))
    assert all(fresh.lookup(f"/models/{name}", stat) for name, (stat, _) in TRUE.items())
    assert [one.name for one in tmp_path.iterdir()] == ["hashes.jsonl"]


def test_a_small_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    filled(path)
    before = path.stat()
    cache = HashCache(path, Path("/models"))
    cache.compact()
    assert path.stat().st_ino == before.st_ino


def test_where_nothing_can_be_written_it_works_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = HashCache(tmp_path / "file" / "hashes.jsonl", tmp_path)
    cache.record("x", STATS[0], Digests(sha256="a" * 64))
    assert cache.lookup("x", STATS[0]) is not None
    cache.compact()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious\n")
    path = tmp_path / "hashes.jsonl"
    path.symlink_to(victim)
    HashCache(path, tmp_path).record("x", STATS[0], Digests(sha256="a" * 64))
    assert victim.read_bytes() == b"precious\n"


def test_paths_below_the_root_travel_with_it(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    filled(path)
    assert b"/models/" not in path.read_bytes()
    elsewhere = HashCache(path, Path("/mnt/volume"))
    assert elsewhere.lookup("/mnt/volume/loras/0.safetensors", STATS[0]) is not None


def test_a_name_outside_utf8_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "hashes.jsonl"
    name = f"{tmp_path}/\udcff.safetensors"
    HashCache(path, tmp_path).record(name, STATS[0], Digests(sha256="a" * 64))
    assert HashCache(path, tmp_path).lookup(name, STATS[0]) is not None


# ------------------------------------------------------------------------------ the racy rule

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("mtime_ns", "ctime_ns", "settled"),
    [
        (NOW - 5 * SECOND + 7, NOW - 5 * SECOND + 7, True),
        (NOW - 7, NOW - 7, False),  # written in the tick in which it was read
        (NOW - SECOND + 7, NOW - SECOND + 7, True),
        (NOW - 2 * SECOND, NOW - 2 * SECOND, False),  # whole seconds: a coarse clock
        (NOW - 4 * SECOND, NOW - 4 * SECOND, True),
        (NOW - 10 * SECOND + 1, NOW - 9, False),  # an mtime set back hides nothing
        (NOW + 3600 * SECOND + 1, NOW - 5 * SECOND + 1, True),  # nor does one set forward
        (NOW - 5 * SECOND, 0, True),
        (NOW - 5, 0, False),
    ],
)
def test_only_what_was_settled_before_is_remembered(
    mtime_ns: int, ctime_ns: int, settled: bool
) -> None:
    assert is_settled(FileStat(1, mtime_ns, 1, ctime_ns), NOW) is settled


def test_the_facts_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    stat = stat_of(path.stat())
    assert (stat.size, stat.inode) == (5, path.stat().st_ino)
    assert stat_bits.S_ISREG(path.stat().st_mode)
    path.chmod(0o600)
    assert stat_of(path.stat()).mtime_ns == stat.mtime_ns
