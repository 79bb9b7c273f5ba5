"""`make bench`: comfylock beside other tools. Prints tables; judges nothing.

Machines are shared and noisy: read ratios and their spread, not single seconds. Other tools
(curl, aria2c, b3sum) are measured where they are installed.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import files
from mmap import mmap
from pathlib import Path

from comfylock.hashes import Digests
from comfylock.lockfile.file import write_lock
from comfylock.lockfile.model import Evidence, Lock, Pin, WorkflowEntry
from tests.bench.measure import Command, compare
from tests.bench.storage import Shop, opened_shop

MIB = 1 << 20
OURS = (sys.executable, "-m", "comfylock")
TOPICS = ("no-op", "scan", "one", "many", "throttled", "verify")


def main() -> None:
    """Run every comparison."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="4 GiB and 20 x 200 MiB downloads")
    parser.add_argument("--only", choices=TOPICS, help="one topic instead of all")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors; Python {sys.version.split()[0]}")
    rounds = options.rounds
    one, many = (4096 * MIB, 200 * MIB) if options.large else (1024 * MIB, 50 * MIB)
    files = [512 * MIB] * 8 if options.large else [256 * MIB] * 4
    topics: dict[str, Callable[[Path], None]] = {
        "no-op": lambda folder: no_op(folder, rounds),
        "scan": lambda folder: scanning(folder, rounds),
        "one": lambda folder: downloads(folder, [one], rounds),
        "many": lambda folder: downloads(folder, [many] * 20, rounds),
        "throttled": lambda folder: throttled(folder, 2 * one, rounds),
        "verify": lambda folder: verifying(folder, files, rounds),
    }
    with tempfile.TemporaryDirectory(prefix="comfylock-bench-") as folder:
        for name in [options.only] if options.only else TOPICS:
            topics[name](Path(folder) / name)


def environment_of(project: Path, civitai_url: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Return variables under which comfylock knows this project's world only."""
    return {
        **os.environ,
        "COMFYLOCK_CIVITAI_URL": civitai_url,
        "COMFYLOCK_CACHE_DIR": str(project / "cache"),
        "COMFYLOCK_CONFIG_DIR": str(project / "config"),
        "COMFYLOCK_MODELS_DIR": str(project / "models"),
    }


def no_op(project: Path, rounds: int) -> None:
    """An install that finds everything in place, beside the cost of Python and click alone."""
    loras = project / "models" / "loras"
    loras.mkdir(parents=True)
    names = [f"lora-{number:04}.safetensors" for number in range(1000)]
    for name in names:
        (loras / name).write_bytes(name.encode() * 50)
    nodes = {
        str(number): {"class_type": "LoraLoader", "inputs": {"lora_name": name}}
        for number, name in enumerate(names)
    }
    (project / "workflow.json").write_text(json.dumps(nodes))
    pins = [local_pin(f"loras/{name}", (loras / name).read_bytes()) for name in names]
    write_lock(project / "comfy.lock", lock_of(pins, "workflow.json"))
    compare(
        "Install with nothing to do, 1,000 small models",
        [
            Command(name="comfylock install", arguments=[*OURS, "install"]),
            Command(name="comfylock install --frozen", arguments=[*OURS, "install", "--frozen"]),
            Command(
                name="python -c 'import click'", arguments=[sys.executable, "-c", "import click"]
            ),
            Command(name="python -c pass", arguments=[sys.executable, "-c", "pass"]),
        ],
        environment_of(project),
        project,
        rounds=max(rounds, 9),
    )


def local_pin(key: str, content: bytes) -> Pin:
    """Return a pin of these bytes without a source."""
    from hashlib import sha256

    from blake3 import blake3

    digests = Digests(sha256=sha256(content).hexdigest(), blake3=blake3(content).hexdigest())
    return Pin(key=key, size=len(content), digests=digests, evidence=Evidence.LOCAL)


def lock_of(pins: Sequence[Pin], path: str) -> Lock:
    """Return a lock in which one workflow needs all of these."""
    entry = WorkflowEntry(path=path, models=tuple(pin.key for pin in pins))
    return Lock(inputs=(path,), workflows={path: entry}, models={pin.key: pin for pin in pins})


def scanning(project: Path, rounds: int) -> None:
    """All template workflows read for references, beside `json.loads` of the same bytes."""
    workflows = project / "workflows"
    workflows.mkdir(parents=True)
    count = 0
    for package in ("comfyui-workflow-templates-json", "comfyui-subgraph-blueprints"):
        for entry in files(package) or ():
            if entry.suffix == ".json":
                count += 1
                target = workflows / f"{count:04}.json"
                target.write_bytes(Path(str(entry.locate())).read_bytes())
    each = "pathlib.Path('workflows').iterdir()"
    loads = f"import json, pathlib; [json.loads(path.read_bytes()) for path in {each}]"
    compare(
        f"Scan of {count} workflow files",
        [
            Command(name="comfylock scan --json", arguments=[*OURS, "scan", "--json", "workflows"]),
            Command(name="json.loads of the same", arguments=[sys.executable, "-c", loads]),
        ],
        environment_of(project),
        project,
        rounds=rounds,
    )


def downloads(project: Path, sizes: Sequence[int], rounds: int) -> None:
    """An install that downloads, verifies and syncs, beside tools that only download."""
    project.mkdir(parents=True)
    with opened_shop(sizes) as shop:
        write_lock(project / "comfy.lock", lock_of(shop.pins, "bench.json"))
        rivals = [
            ("curl (no hashing, no sync)", curl(shop)),
            ("curl, then b3sum and sync", curl_then_verify(shop)),
            ("aria2c -x8, sha-256", aria2(shop, project)),
        ]
        title = f"Download of {len(sizes)} x {sizes[0] // MIB} MiB from {shop.server}"
        race(title, shop, project, rivals, rounds)
    shutil.rmtree(project)


def throttled(project: Path, size: int, rounds: int) -> None:
    """A server that gives each connection 50 MB/s: what several connections are worth."""
    project.mkdir(parents=True)
    with opened_shop([size], bytes_per_s=50_000_000) as shop:
        write_lock(project / "comfy.lock", lock_of(shop.pins, "bench.json"))
        alone = [*OURS, "install", "--frozen", "--connections", "1"]
        rivals = [
            ("comfylock --connections 1", alone),
            ("curl (no hashing, no sync)", curl(shop)),
            ("aria2c -x8 -s8, no hashing", aria2(shop, project, "--check-integrity=false")),
            ("aria2c -x8 -s8, sha-256", aria2(shop, project)),
        ]
        title = f"{size // MIB} MiB at 50 MB/s a connection, from {shop.server}"
        race(title, shop, project, rivals, rounds)
    shutil.rmtree(project)


def race(
    title: str,
    shop: Shop,
    project: Path,
    rivals: Sequence[tuple[str, Sequence[str] | None]],
    rounds: int,
) -> None:
    """Time our install beside others, each into an empty models folder."""
    ours = ("comfylock install (verified, synced)", [*OURS, "install", "--frozen"])
    size = sum(pin.size or 0 for pin in shop.pins)
    compare(
        title,
        [
            Command(name=name, arguments=arguments, prepare=lambda: fresh(project / "models", size))
            for name, arguments in (ours, *rivals)
        ],
        environment_of(project, shop.url),
        project,
        rounds=rounds,
    )


def fresh(models: Path, size: int) -> None:
    """Empty the models folder, and let disk and memory be as ready for one tool as for the next.

    A virtual machine gives pages that are free for some seconds back to its host, and whoever
    takes them next pays for it: seen to make 4 GiB cost one tool 1.5 s more than another.
    """
    shutil.rmtree(models, ignore_errors=True)
    (models / "loras").mkdir(parents=True)
    os.sync()
    block = bytes(MIB)
    with mmap(-1, size + (size >> 2)) as memory:
        for _ in range(len(memory) // MIB):
            memory.write(block)


def curl(shop: Shop) -> list[str] | None:
    """Return one curl that fetches all files, one after another over one connection each."""
    if shutil.which("curl") is None:
        return None
    arguments = ["curl", "-q", "-sSfL"]
    for pin in shop.pins:
        arguments += ["-o", f"models/{pin.key}", shop.address(pin)]
    return arguments


def curl_then_verify(shop: Shop) -> list[str] | None:
    """Return what a careful script does: the same promise as ours."""
    fetch = curl(shop)
    if fetch is None or shutil.which("b3sum") is None:
        return None
    paths = [f"models/{pin.key}" for pin in shop.pins]
    steps = [fetch, ["b3sum", *paths], ["sync", "-d", *paths]]
    return ["sh", "-c", " && ".join(map(shlex.join, steps))]


def aria2(shop: Shop, project: Path, *more: str) -> list[str] | None:
    """Return one aria2c that fetches all files, and checks them unless told otherwise."""
    if shutil.which("aria2c") is None:
        return None
    lines: list[str] = []
    for pin in shop.pins:
        lines += [shop.address(pin), f"  out=models/{pin.key}"]
        if not more:
            lines.append(f"  checksum=sha-256={pin.digests.sha256}")
    listing = project / f"aria2{len(more)}.txt"
    listing.write_text("\n".join([*lines, ""]))
    options = ["-x8", "-s8", "-j4", "--allow-overwrite=true", "--file-allocation=none", "-q"]
    return ["aria2c", *options, *more, "-U", "bench", "-i", str(listing)]


def verifying(project: Path, sizes: Sequence[int], rounds: int) -> None:
    """Every placed byte read again, beside b3sum of the same files."""
    loras = project / "models" / "loras"
    loras.mkdir(parents=True)
    block = os.urandom(MIB)
    paths: list[Path] = []
    pins: list[Pin] = []
    for number, size in enumerate(sizes):
        content = number.to_bytes(8, "little") + block * (size // MIB)
        path = loras / f"verify-{number}.safetensors"
        path.write_bytes(content)
        paths.append(path)
        pins.append(local_pin(f"loras/{path.name}", content))
    write_lock(project / "comfy.lock", lock_of(pins, "verify.json"))
    b3sum = ["b3sum", *map(str, paths)] if shutil.which("b3sum") else None
    compare(
        f"Verify of {len(sizes)} x {sizes[0] // MIB} MiB, warm",
        [
            Command(
                name="comfylock install --verify full",
                arguments=[*OURS, "install", "--frozen", "--verify", "full"],
            ),
            Command(name="b3sum", arguments=b3sum),
        ],
        environment_of(project),
        project,
        rounds=rounds,
    )
    shutil.rmtree(project)


if __name__ == "__main__":
    main()
