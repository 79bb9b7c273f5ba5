"""What each command writes on the whole machine, and that no key is ever among it.

The oracle is an overlay over the root file system (`tests.overlay`): what is not in the lists here
must not be in its upper layer, and neither there, nor in any output, nor in what `ps` shows of any
process may the canary be that stands for a key.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from comfylock.lockfile.text import render_lock
from tests import shop
from tests.media_writers import png, text_chunk
from tests.overlay import Overlay, overlay
from tests.standin.faults import Fault
from tests.standin.server import Standin
from tests.test_names import HARMLESS, HOSTILE
from tests.tools.command_docs import commands
from tests.workflows import node, slot, subgraph, ui
from tests.world import CANARY, INK, Ran, World, lock_of, pin_of

#: What any command may write: answers, receipts, and what it learned of files by reading them.
ALWAYS = ("/cache(/.*)?", r"/models/\.comfylock", r"/models/\.comfylock/hashes\.jsonl")
LOCK = "/project/comfy.lock"
TOML = "/project/comfylock.toml"
MODELS = r"/models/.*"
CONFIG = "/config(/config.toml)?"

#: What is typed one after the other, and what it may write besides.
STORY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("init", (TOML, "/project/.gitattributes")),
    ("scan", ()),
    ("status", ()),
    ("install", ()),
    ("lock workflows", (LOCK,)),
    ("lock --check", ()),
    ("lock --dry-run --rebuild", ()),
    ("pin loras/twin civitai:41", (LOCK, TOML)),
    ("unpin loras/twin", (LOCK, TOML)),
    ("ignore loras/lost", (LOCK, TOML)),
    ("diff empty.lock comfy.lock", ()),
    ("merge-driver empty.lock comfy.lock empty.lock", (LOCK,)),
    ("install --dry-run", ()),
    ("install --link-mode copy", (MODELS,)),
    ("install", (MODELS,)),
    ("status", ()),
    ("check", ()),
    ("verify", ()),
    ("outdated", ()),
    ("update --dry-run", ()),
    ("update", (LOCK,)),
    ("install --replace --prune --yes", (MODELS,)),
    ("search ink", ()),
    ("why loras/ink", ()),
    ("tree", ()),
    ("report", ()),
    ("report -o report.html", ("/project/report.html",)),
    ("export", ()),
    ("export -o fetch.sh", ("/project/fetch.sh",)),
    ("fix-paths --dry-run", ()),
    ("fix-paths", ("/project/workflows/b.json",)),
    ("doctor --online", ()),
    ("completions bash", ()),
    ("cache dir", ()),
    ("cache info", ()),
    ("cache prune --dry-run", ()),
    ("cache prune", (MODELS,)),
    ("auth login", (CONFIG,)),
    ("auth status", ()),
    ("auth logout", (CONFIG,)),
    ("cache clear", ()),
)


@dataclass
class Stage:
    """A shop of models, and a project in an overlay."""

    world: World
    tree: Overlay
    before: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def run(self, line: str, text: str = "") -> Ran:
        command = self.world.command(*line.split(), "-v")
        return self.tree.run(command, self.world.project, self.world.environment, text)

    def changed(self) -> set[str]:
        """Return what was written or removed since this was asked last."""
        now = self.tree.written()
        names = now.keys() | self.before.keys()
        found = {name for name in names if now.get(name) != self.before.get(name)}
        self.before = now
        return {name.removeprefix(str(self.world.root)) for name in found}


@pytest.fixture
def stage(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    world.hub.stop()
    with Standin(shop.SHOP, keys=(CANARY,)) as hub:
        world.hub = hub
        world.environment["COMFYLOCK_CIVITAI_URL"] = hub.url
        world.environment["CIVITAI_TOKEN"] = CANARY
        world.environment["HF_TOKEN"] = CANARY
        shop.put_workflow(world, shop.INK, shop.MEADOW, shop.TWIN, shop.LOST)
        shop.put_workflow(world, shop.INK, "loras/style\\fork.safetensors", name="b.json")
        (world.project / "empty.lock").write_text("version = 1\n")
        with overlay(tmp_path_factory.mktemp("overlay")) as tree:
            yield Stage(world, tree)


def outside(changed: set[str], allowed: tuple[str, ...]) -> list[str]:
    patterns = [re.compile(pattern) for pattern in (*ALWAYS, *allowed)]
    return sorted(
        name for name in changed if not any(pattern.fullmatch(name) for pattern in patterns)
    )


# ---------------------------------------------------------------------------- every command


@pytest.mark.slow
def test_each_command_writes_where_it_may_and_no_key_at_all(stage: Stage) -> None:
    faults: list[str] = []
    for line, allowed in STORY:
        ran = stage.run(line, text=CANARY if line == "auth login" else "")
        strays = outside(stage.changed(), allowed)
        if strays:
            faults.append(f"{line} has written {strays}")
        if CANARY in ran.text or "Traceback" in ran.text:
            faults.append(f"{line} has printed {ran.text}")
        kept = stage.tree.holding(CANARY.encode())
        signed_in = line in {"auth login", "auth status"}
        may = [path for path in kept if signed_in and path.endswith("/config/config.toml")]
        if kept != may:
            faults.append(f"{line} has kept the key in {kept}")
        if may:
            assert Path(may[0]).stat().st_mode & 0o777 == 0o600
    assert faults == []
    assert not any(CANARY.encode() in arguments for arguments in stage.tree.arguments)
    used = [entry.headers.get("authorization") for entry in stage.world.hub.requests]
    assert f"Bearer {CANARY}" in used


def test_every_command_is_in_the_story() -> None:
    told = {line for line, _ in STORY}
    missing = {
        path for path, _ in commands() if not any(line.startswith(path) for line in told)
    } - {"comfylock"}
    assert missing == set()


def test_an_install_writes_models_and_its_own_folders_alone(stage: Stage) -> None:
    assert stage.run("lock workflows").code == 1
    stage.changed()
    ran = stage.run("install --only loras/*")
    assert "Installed" in ran.err
    changed = stage.changed()
    assert "/models/loras/ink.safetensors" in changed
    assert outside(changed, (MODELS,)) == []
    assert stage.tree.holding(CANARY.encode()) == []


def test_this_check_would_notice(stage: Stage) -> None:
    """A command that leaves a file and a key where nobody looks."""
    elsewhere = f"/var/tmp/{CANARY}"
    project, variables = stage.world.project, stage.world.environment
    stage.tree.run(["sh", "-c", f"echo x > {elsewhere}"], project, variables)
    assert outside(stage.changed(), (MODELS,)) == [elsewhere]
    assert not Path(elsewhere).exists()
    assert len(stage.tree.holding(CANARY.encode())) == 1
    stage.tree.run(["sleep", "0.3"], project, variables)
    assert any(b"sleep" in arguments for arguments in stage.tree.arguments)


# ------------------------------------------------------------------------- keys, under faults

ECHO = json.dumps({"error": f"you sent Bearer {CANARY}", "message": CANARY})
NOW = {"Retry-After": "0"}

FAULTS: dict[str, Fault] = {
    "400": Fault(kind="status", status=400, body=ECHO, times=None),
    "401": Fault(kind="status", status=401, body=ECHO, times=None),
    "403": Fault(kind="status", status=403, body=ECHO, times=None),
    "404": Fault(kind="status", status=404, body=ECHO, times=None),
    "429": Fault(kind="status", status=429, body=ECHO, headers=NOW, times=None),
    "500": Fault(kind="status", status=500, body=ECHO, headers=NOW, times=None),
    "page": Fault(kind="html", body=f"<title>Bearer {CANARY}</title>", times=None),
    "json": Fault(kind="json", body=ECHO, times=None),
    "redirect": Fault(kind="redirect", location=f"STORAGE/{CANARY}?token={CANARY}", times=None),
    "plain redirect": Fault(kind="redirect", location=f"http://{CANARY}.example/x", times=None),
    "far redirect": Fault(kind="redirect", location=f"https://{CANARY}.example/x", times=None),
    "headers": Fault(kind="headers", headers={"ETag": f'"{CANARY}"', "X-Error-Message": CANARY}),
    "cut": Fault(kind="truncate", nbytes=20),
    "gzip": Fault(kind="gzip", times=None),
}

ONLINE = ("lock -U", "install --only loras/ink*", "search ink", "auth login")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_no_fault_brings_the_key_to_light(stage: Stage, name: str) -> None:
    """A server may repeat the key that it was sent, in any place of its answer."""
    hub = stage.world.hub
    stage.run("lock workflows")
    location = FAULTS[name].location.replace("STORAGE", hub.storage_url)
    for line in ONLINE:
        hub.fault(replace(FAULTS[name], location=location))
        ran = stage.run(line, text=CANARY if line == "auth login" else "")
        hub.clear_faults()
        assert CANARY not in ran.text, line
        assert "Traceback" not in ran.text, line
        kept = stage.tree.holding(CANARY.encode())
        assert [path for path in kept if not path.endswith("/config/config.toml")] == [], line
    assert not any(CANARY.encode() in arguments for arguments in stage.tree.arguments)
    for entry in hub.requests:
        assert entry.origin == "api" or "authorization" not in entry.headers


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("line", ["lock -U", "install", "search ink", "doctor --online"])
def test_no_byte_of_the_key_is_written_but_to_the_hub(stage: Stage, line: str) -> None:
    """Also not into files that are gone again at the end."""
    stage.run("lock workflows")
    trace = [
        "strace",
        "-f",
        "-qq",
        "-yy",
        "-s",
        "100000",
        "-e",
        "trace=write,writev,pwrite64,sendto",
    ]
    log = "/var/tmp/trace"
    stage.tree.run(
        [*trace, "-o", log, *stage.world.command(*line.split(), "-v")],
        stage.world.project,
        stage.world.environment,
    )
    calls = (stage.tree.upper / log[1:]).read_text(errors="replace").splitlines()
    holding = [call for call in calls if CANARY in call]
    port = stage.world.hub.url.rpartition(":")[2]
    assert holding
    assert [call for call in holding if f"->127.0.0.1:{port}]" not in call] == []


# --------------------------------------------------------------------------- names of strangers

DRIVER = """
import json, os, sys
from comfylock.cli.main import run
for arguments in json.load(sys.stdin):
    sys.stdout.flush()
    code = run(arguments)
    print(f"\\n==={code}", flush=True)
"""


def driven(stage: Stage, lines: list[list[str]]) -> list[int]:
    """Run many command lines in one process, and return their exit codes."""
    ran = stage.tree.run(
        [*stage.world.command()[:1], "-c", DRIVER],
        stage.world.project,
        stage.world.environment,
        json.dumps(lines),
    )
    assert "Traceback" not in ran.text, ran.err[-2000:]
    return [int(code) for code in re.findall(r"^===(\d+)$", ran.out, re.MULTILINE)]


def hostile_keys() -> list[str]:
    names = [f"{name}.safetensors" for name in HOSTILE if name != "a/.."] + [
        f"{name}/x.safetensors" for name in HOSTILE
    ]
    folders = ["..", ".", "", "/", "/tmp", "../..", "..\\..", "C:", ".git", ".comfylock", "con"]
    return [f"loras/{name}" for name in names] + [f"{one}/x.safetensors" for one in folders]


def test_a_lock_with_a_hostile_key_writes_nothing(stage: Stage) -> None:
    text = render_lock(lock_of(pin_of(INK, "loras/PLACE.safetensors")))
    lines: list[list[str]] = []
    for number, key in enumerate(hostile_keys()):
        written = json.dumps(key)[1:-1]
        path = stage.world.project / f"{number}.lock"
        path.write_text(text.replace("loras/PLACE.safetensors", written), "utf-8")
        lines.append(["--lockfile", str(path), "install", "--replace", "--frozen"])
    codes = driven(stage, lines)
    taken = [key for key, code in zip(hostile_keys(), codes, strict=True) if code != 2]
    assert taken == []
    assert outside(stage.changed(), ()) == []
    assert stage.world.downloads() == []


def workflow_texts(name: str) -> dict[str, bytes]:
    """Return one workflow for each way in that a name of a stranger has."""
    api = {"1": {"class_type": "LoraLoaderModelOnly", "inputs": {"lora_name": name}}}
    loader = node(1, "LoraLoaderModelOnly", name, inputs=[slot("lora_name")])
    inner = subgraph("s", [node(2, "VAELoader", name, inputs=[slot("vae_name")])])
    prompt = node(3, "CLIPTextEncode", f"embedding:{name} <lora:{name}:1>")
    declared = node(4, "UpscaleModelLoader", name)
    declared["properties"] = {
        "models": [{"name": name, "url": f"https://civitai.com/{name}", "directory": f"{name}/.."}]
    }
    whole = json.dumps(ui(loader, prompt, declared, node(5, "s"), subgraphs=[inner]))
    return {
        "ui.json": whole.encode(),
        "api.json": json.dumps(api).encode(),
        "picture.png": png(text_chunk("prompt", json.dumps(api)), text_chunk("workflow", whole)),
    }


@pytest.mark.slow
def test_names_in_workflows_lead_nowhere_but_into_the_lock(stage: Stage) -> None:
    """Each in the formats that ComfyUI writes; what is read is locked, looked for and installed."""
    folder = stage.world.project / "workflows"
    for number, name in enumerate([*HOSTILE, *HARMLESS]):
        for kind, content in workflow_texts(f"{name}.safetensors").items():
            (folder / f"{number}-{kind}").write_bytes(content)
    verbs = [["scan"], ["lock", "workflows"], ["status"], ["install"], ["report"], ["export"]]
    codes = driven(stage, verbs)
    assert len(codes) == len(verbs)
    assert outside(stage.changed(), (LOCK, MODELS)) == []
    below = {path for path in stage.tree.upper.rglob("*") if path.name.endswith(".safetensors")}
    assert {path.name for path in below} <= {
        "ink.safetensors",
        "fork.safetensors",
        r"style\fork.safetensors",
    }


@pytest.mark.slow
def test_hostile_arguments_lead_nowhere(stage: Stage) -> None:
    assert stage.run("lock workflows").code == 1
    stage.changed()
    names = [name for name in HOSTILE if "\0" not in name and name.isprintable()]
    verbs = [["pin"], ["why"], ["ignore"], ["unpin"], ["install", "--only"], ["lock", "-P"]]
    lines = [
        [*verb, *(["--"] if verb[-1][0] != "-" else []), f"{prefix}{name}.safetensors", *rest]
        for name in names
        for prefix in ("", "loras/")
        for verb in verbs
        for rest in ([["civitai:11"]] if verb == ["pin"] else [[]])
    ]
    codes = driven(stage, lines)
    assert len(codes) == len(lines)
    assert outside(stage.changed(), (LOCK, TOML, MODELS)) == []


def test_strange_but_harmless_names_are_placed_under_exactly_these_names(world: World) -> None:
    keys = sorted({f"loras/{name.replace(chr(92), '/')}.safetensors" for name in HARMLESS})
    world.lock(*(pin_of(INK, key) for key in keys))
    ran = world.here("install")
    assert ran.code == 0, ran.text
    assert sorted(world.files()) == keys
