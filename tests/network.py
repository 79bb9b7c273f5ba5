"""A network of its own whose faults are the kernel's: no route, lost packets, a link that is down.

Run below `unshare --net`, so that nothing of it touches this machine's network:

    unshare --net python -m tests.network SCENE FOLDER

prints what came of it as JSON.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaigns.large import Large, large
from tests.standin.faults import Fault
from tests.world import Ran, wait_until


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def nft(rules: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


@contextmanager
def filtered(hook: str, rule: str) -> Iterator[None]:
    """Let the kernel treat some packets by a rule for a while."""
    nft(
        "table inet faults {\n  chain one {\n"
        f"    type filter hook {hook} priority 0;\n    {rule};\n  }}\n}}\n"
    )
    try:
        yield
    finally:
        nft("flush table inet faults\ndelete table inet faults\n")


def port(scene: Large) -> str:
    return scene.hub.storage_url.rpartition(":")[2]


def through(scene: Large, trouble: Callable[[], None]) -> Ran:
    """Install, with trouble of some seconds that begins when a part of the file is there."""
    process = scene.world.start("install", "-v", "--connections", "1")
    wait_until(lambda: scene.held >= scene.size // 4)
    thread = threading.Thread(target=trouble)
    thread.start()
    out, err = process.communicate(timeout=150)
    thread.join()
    return Ran(code=process.returncode, out=out, err=err)


def no_route(scene: Large) -> Ran:
    """A first run is cut; the second has no network at all; the third goes on."""
    scene.hub.fault(Fault(kind="truncate", nbytes=1 << 20, origin="storage"))
    scene.hub.fault(Fault(kind="status", status=404, origin="storage", times=None))
    scene.world.run("install")
    scene.hub.clear_faults()
    ip("link", "set", "lo", "down")
    ran = scene.world.run("install", timeout_s=90)
    ip("link", "set", "lo", "up")
    return ran


def link_down(scene: Large) -> Ran:
    """The link is down for three seconds in the middle."""

    def flap() -> None:
        ip("link", "set", "lo", "down")
        time.sleep(3)
        ip("link", "set", "lo", "up")

    return through(scene, flap)


def lost_packets(scene: Large) -> Ran:
    """One packet in twenty is lost all the time."""
    with filtered("output", "numgen random mod 100 < 5 drop"):
        return scene.world.run("install", "-v", timeout_s=150)


def resets(scene: Large) -> Ran:
    """For two seconds one packet in four is answered with a reset."""

    def reset() -> None:
        rule = f"tcp dport {port(scene)} numgen random mod 4 == 0 reject with tcp reset"
        with filtered("input", rule):
            time.sleep(2)

    return through(scene, reset)


def silence(scene: Large) -> Ran:
    """The storage's packets vanish for longer than a silence is borne, then all is well again."""

    def drop() -> None:
        with filtered("output", f"tcp sport {port(scene)} drop"):
            time.sleep(38)

    return through(scene, drop)


SCENES = {scene.__name__: scene for scene in (no_route, link_down, lost_packets, resets, silence)}


def main(name: str, folder: str) -> None:
    ip("link", "set", "lo", "up")
    with large(Path(folder), 6) as scene:
        scene.hub.configure(throttle_per_connection=4_000_000)
        ran = SCENES[name](scene)
        held, first = scene.held, scene.sent
        scene.hub.configure(throttle_per_connection=None)
        again = ran if ran.code == 0 else scene.world.run("install")
        print(
            json.dumps(
                {
                    "code": ran.code,
                    "err": ran.err,
                    "held": held,
                    "size": scene.size,
                    "in_the_end": again.code == 0 and scene.is_whole(),
                    "requests": len(scene.world.downloads()),
                    "ratio": (scene.sent if first else 0) / scene.size,
                    "parts": [path.name for path in scene.world.parts()],
                }
            )
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
