"""Hostile workflows stop in an error of ours, soon, and within bounds of memory."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.bombs import write_bombs
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import DOCUMENTS
from tests.fuzz.targets import TARGETS, fix, refer

ROOT = Path(__file__).parent.parent
MUTATIONS = 10_000
LONGEST_S = 2.0


def test_ten_thousand_spoiled_workflows_do_no_harm():
    """Each is read, and rewritten; a failure names the number that makes it again."""
    slowest = (0.0, -1)
    for seed in range(MUTATIONS):
        data = mutated(seed)
        began = time.process_time()
        for target in (refer, fix):
            try:
                target(data)
            except Exception as error:
                error.add_note(f"tests.fuzz.mutations.mutated({seed}), {target.__name__}")
                raise
        slowest = max(slowest, (time.process_time() - began, seed))
    assert slowest[0] < LONGEST_S, f"mutated({slowest[1]}) took {slowest[0]:.1f} s"


def test_mutations_are_the_same_each_time_and_mostly_still_workflows():
    data = [mutated(seed) for seed in range(200)]
    assert data == [mutated(seed) for seed in range(200)]
    assert len(set(data)) > 190


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of address space")
def test_bombs_end_in_an_error_within_a_gibibyte_of_memory(tmp_path):
    write_bombs(tmp_path)
    names = sorted(path.stem for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.bombs", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = [line.split() for line in done.stdout.splitlines()]
    assert names == sorted(name for name, _, _ in told)
    assert {said for _, said, _ in told} <= {"read", "workflow-invalid"}
    assert {name for name, said, _ in told if said == "read"} >= {"lone-surrogate", "not-a-number"}
    assert [name for name, _, seconds in told if float(seconds) > 10] == []


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("target", TARGETS)
def test_a_coverage_guided_fuzzer_finds_nothing(tmp_path, target):

    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, document in enumerate(DOCUMENTS):
        (corpus / f"{number}.json").write_text(json.dumps(document), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, str(corpus), "-max_total_time=30",
         f"-timeout={LONGEST_S:.0f}", "-rss_limit_mb=1024", f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
