"""Runs that are stopped in the middle: by kill -9, by signals, by connections that are cut."""

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.large import Large, large

_START_S = 0.15  # what it takes to get to the first request, about


@dataclass
class Kills:
    """What came of kills at random moments.

    Attributes:
        kills: how many there were.
        partial: how often something else than the whole file lay at the final path.
        finished: how many runs without a kill ended with the right file.
        failed: what the others said.
        leftovers: parts that they left, by what follows the content's name, and their size.
        ratio: bytes sent to bytes wanted.
    """

    kills: int = 0
    partial: int = 0
    finished: int = 0
    failed: list[str] = field(default_factory=list[str])
    leftovers: list[str] = field(default_factory=list[str])
    ratio: float = 0.0


def kills(root: Path, count: int, megabytes: int = 200) -> Kills:
    """Kill installs of a large file at random moments of the whole run.

    Every second kill hits a run that goes on from the one before; then one is left alone.
    """
    moments = random.Random(200)
    found = Kills()
    sent = 0
    with large(root, megabytes) as scene:
        began = time.monotonic()
        assert scene.world.run("install").code == 0
        whole_s = time.monotonic() - began
        while found.kills < count:
            _empty(scene)
            scene.hub.clear_requests()
            for _ in range(2):
                process = scene.world.start("install")
                time.sleep(moments.uniform(0.05, whole_s * 1.05))
                process.send_signal(signal.SIGKILL)
                process.communicate(timeout=30)
                found.kills += 1
                found.partial += scene.is_partial
            last = scene.world.run("install")
            if last.code == 0 and scene.is_whole():
                found.finished += 1
            else:
                found.failed.append(last.text)
            found.leftovers += [
                f"{part.name.partition('.')[2]} {part.stat().st_size}"
                for part in scene.world.parts()
                if part.suffix == ".part"
            ]
            sent += scene.sent
        found.ratio = sent / ((found.finished + len(found.failed)) * scene.size)
    return found


def _empty(scene: Large) -> None:
    shutil.rmtree(scene.world.models)
    scene.world.models.mkdir()


@dataclass
class Cuts:
    """What interruptions cost.

    Attributes:
        cuts: how many there were, until the file was whole.
        survived: how many a run has outlived, to its good end.
        requests: how many streams there were.
        ratio: bytes sent to bytes wanted.
        is_right: whether the file is the locked one in the end.
    """

    cuts: int = 0
    survived: int = 0
    requests: int = 0
    ratio: float = 0.0
    is_right: bool = False


def _kill(scene: Large, process: "subprocess.Popen[str]") -> None:
    del scene
    process.send_signal(signal.SIGKILL)


def _interrupt(scene: Large, process: "subprocess.Popen[str]") -> None:
    del scene
    process.send_signal(signal.SIGINT)


def _reset(scene: Large, process: "subprocess.Popen[str]") -> None:
    """The run goes on by itself after the connection is cut; then it is interrupted as well."""
    scene.hub.cut()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)


WAYS: dict[str, Callable[[Large, "subprocess.Popen[str]"], None]] = {
    "kill": _kill,
    "interrupt": _interrupt,
    "reset": _reset,
}


def cuts(
    root: Path,
    count: int = 20,
    way: str = "",
    connections: int = 1,
    megabytes: int = 300,
    rate: int = 30_000_000,
) -> Cuts:
    """Cut one download at random places, in one way or in every way in turn, and let it end."""
    moments = random.Random(7)
    ways = [WAYS[way]] if way else list(WAYS.values())
    command = ("install", "--quiet", "--connections", str(connections))
    found = Cuts()
    with large(root, megabytes) as scene:
        scene.hub.configure(throttle_per_connection=rate // connections)
        stretch_s = scene.size / rate / (count + 1)
        while found.cuts < count and not scene.spot.exists():
            before = scene.sent
            process = scene.world.start(*command)
            _until_more(scene, before)
            time.sleep(moments.uniform(0.3, 1.0) * stretch_s)
            ways[found.cuts % len(ways)](scene, process)
            process.communicate(timeout=30)
            found.cuts += 1
            found.survived += process.returncode == 0
        scene.world.run(*command)
        found.is_right = scene.is_whole()
        found.ratio = scene.sent / scene.size
        found.requests = len(scene.world.downloads())
    return found


def spread_cuts(root: Path, count: int = 20, way: str = "") -> Cuts:
    """Do the same to a download over four connections."""
    return cuts(root, count, way, connections=4)


def _until_more(scene: Large, before: int, timeout_s: float = 30.0) -> None:
    """Wait for bytes: the length of a part says nothing where several connections fill it."""
    end = time.monotonic() + timeout_s
    while scene.sent <= before and time.monotonic() < end:
        time.sleep(0.002)


@dataclass
class Signals:
    """What came of signals at random moments.

    Attributes:
        sent: how many there were.
        early: how many came before Python had run the first line of ours.
        late: how many came when the work was as good as done.
        ignored: how many runs went on to their end although much was left to do.
        tracebacks: how many runs showed one, those of `early` aside.
        wrong_codes: exit codes other than 130 (0 for `late`).
        wrong_words: how many did not say that they stopped in one line.
        slowest_s: the longest time from the signal to the end.
        lost: of each run that had begun to download, the bytes that were sent and not kept.
        partial: how often something else than the whole file lay at the final path.
    """

    sent: int = 0
    early: int = 0
    late: int = 0
    ignored: int = 0
    tracebacks: int = 0
    wrong_codes: list[int] = field(default_factory=list[int])
    wrong_words: list[str] = field(default_factory=list[str])
    slowest_s: float = 0.0
    lost: list[int] = field(default_factory=list[int])
    partial: int = 0

    @property
    def often_lost(self) -> int:
        """What one run at most exceeds, or one in a hundred: a machine that stalls has its say."""
        return sorted(self.lost)[-1 - max(1, len(self.lost) // 100)]


def signals(root: Path, count: int, megabytes: int = 40, rate: int = 20_000_000) -> Signals:
    """Send SIGINT and SIGTERM in turn at random moments, half of them within the first 0.5 s."""
    moments = random.Random(130)
    found = Signals()
    with large(root, megabytes) as scene:
        scene.hub.configure(throttle_per_connection=rate)
        whole_s = scene.size / rate + 2 * _START_S
        while found.sent < count:
            if scene.held > scene.size * 0.9:
                _empty(scene)
            number = (signal.SIGINT, signal.SIGTERM)[found.sent % 2]
            wait_s = moments.uniform(0, whole_s if found.sent % 4 < 2 else 0.5)
            _one_signal(scene, number, wait_s, found)
            found.sent += 1
    return found


def _one_signal(scene: Large, number: signal.Signals, wait_s: float, found: Signals) -> None:
    held = scene.held
    scene.hub.clear_requests()
    process = scene.world.start("install", "--connections", "1")
    time.sleep(wait_s)
    left = scene.size - held - scene.sent
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    found.slowest_s = max(found.slowest_s, time.monotonic() - began)
    found.partial += scene.is_partial
    code = process.returncode
    if code == -number or (code == 1 and _is_before_us(err)):
        found.early += 1
        return
    found.tracebacks += "Traceback" in out + err
    if code == 0 and scene.spot.exists():
        found.late += left <= scene.size // 5
        found.ignored += left > scene.size // 5
        return
    if code != 130:
        found.wrong_codes.append(code)
    if err.count("stopped") != 1:
        found.wrong_words.append(err)
    if scene.sent:
        found.lost.append(scene.sent - (scene.held - held))


def _is_before_us(err: str) -> bool:
    """Say whether Python was interrupted while it started: no line of ours had a say in it."""
    return "KeyboardInterrupt" in err and "comfylock" not in err
