"""`make bench`: comfylock beside other tools. Prints tables; judges nothing.

Machines are shared and noisy: read ratios and their spread, not single seconds. Other tools
(curl, aria2c, b3sum) are measured where they are installed.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path

from comfylock.artifacts import CivitaiSource, FileId, ModelId, VersionId
from comfylock.hashes import Digests
from comfylock.lockfile.file import write_lock
from comfylock.lockfile.model import Evidence, Lock, Pin, WorkflowEntry
from tests.bench.measure import Command, compare
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Standin

MIB = 1 << 20
OURS = (sys.executable, "-m", "comfylock")


def main() -> None:
    """Run every comparison."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="4 GiB and 20 x 200 MiB downloads")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors; Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory(prefix="comfylock-bench-") as folder:
        base = Path(folder)
        no_op(base / "noop", options.rounds)
        scanning(base / "scan", options.rounds)
        one, many = (4096 * MIB, 200 * MIB) if options.large else (1024 * MIB, 50 * MIB)
        downloads(base / "one", [one], min(options.rounds, 3))
        downloads(base / "many", [many] * 20, min(options.rounds, 3))
        verifying(base / "verify", [256 * MIB] * 4, min(options.rounds, 3))


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
    names = [f"lora-{number:04}.safetensors" for number in range(500)]
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
        "Install with nothing to do, 500 small models",
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
    catalogue = Catalogue.of(
        [
            model(
                number,
                f"Bench {number}",
                "LORA",
                versions=[
                    version(
                        number * 10,
                        "v1",
                        files=[file(number * 100, f"bench-{number}.safetensors", size=size)],
                    )
                ],
            )
            for number, size in enumerate(sizes, start=9_500_000)
        ]
    )
    with Standin(catalogue) as hub:
        pins = [remote_pin(hub, number) for number in range(9_500_000, 9_500_000 + len(sizes))]
        write_lock(project / "comfy.lock", lock_of(pins, "bench.json"))
        compare(
            f"Download of {len(sizes)} x {sizes[0] // MIB} MiB from loopback",
            [
                Command(
                    name="comfylock install (verified)",
                    arguments=[*OURS, "install", "--frozen"],
                    prepare=lambda: fresh(project / "models"),
                ),
                Command(
                    name="curl (no hashing)",
                    arguments=curl(hub, pins),
                    prepare=lambda: fresh(project / "models"),
                ),
                Command(
                    name="aria2c -x8, sha-256",
                    arguments=aria2(hub, pins, project),
                    prepare=lambda: fresh(project / "models"),
                ),
            ],
            environment_of(project, hub.url),
            project,
            rounds=rounds,
        )
    shutil.rmtree(project)


def remote_pin(hub: Standin, number: int) -> Pin:
    """Return the pin of a bench file in the stand-in's catalogue."""
    held = hub.catalogue.file(number * 100)
    return Pin(
        key=f"loras/bench-{number}.safetensors",
        size=held.size,
        digests=Digests(sha256=held.sha256, blake3=held.blake3),
        evidence=Evidence.FILENAME,
        sources=(
            CivitaiSource(
                model=ModelId(number), version=VersionId(number * 10), file=FileId(number * 100)
            ),
        ),
    )


def address(hub: Standin, pin: Pin) -> str:
    """Return where a bench file is downloaded from."""
    source = pin.sources[0]
    assert isinstance(source, CivitaiSource)
    return f"{hub.url}/api/download/models/{source.version}?fileId={source.file}"


def fresh(models: Path) -> None:
    """Empty the models folder, and let the disk finish what it still has to write."""
    shutil.rmtree(models, ignore_errors=True)
    (models / "loras").mkdir(parents=True)
    os.sync()


def curl(hub: Standin, pins: Sequence[Pin]) -> list[str] | None:
    """Return one curl that fetches all files, one after another over one connection each."""
    if shutil.which("curl") is None:
        return None
    arguments = ["curl", "-q", "-sSfL"]
    for pin in pins:
        arguments += ["-o", f"models/{pin.key}", address(hub, pin)]
    return arguments


def aria2(hub: Standin, pins: Sequence[Pin], project: Path) -> list[str] | None:
    """Return one aria2c that fetches and checks all files."""
    if shutil.which("aria2c") is None:
        return None
    lines = [
        f"{address(hub, pin)}\n  out=models/{pin.key}\n  checksum=sha-256={pin.digests.sha256}\n"
        for pin in pins
    ]
    listing = project / "aria2.txt"
    listing.write_text("".join(lines))
    options = ["-x8", "-s8", "-j4", "--allow-overwrite=true", "--file-allocation=none", "-q"]
    return ["aria2c", *options, "-U", "bench", "-i", str(listing)]


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
