r"""One reference from a picture to its place, value by value, as docs/how-it-works.md tells it.

Each value is made by the module that the page names, from the value before it, and the page must
show it as it is here.
"""

import dataclasses
import json
from enum import Enum
from pathlib import Path
from typing import Any

from comfylock.actions import Download, Keep, Link, Plan
from comfylock.aliases import with_aliases
from comfylock.artifacts import CivitaiSource
from comfylock.folders import load_node_table
from comfylock.lockfile.file import parse_lock
from comfylock.lockfile.model import Evidence
from comfylock.lockfile.text import render_lock
from comfylock.locking import Findings, assemble, divide, resolve_all
from comfylock.outcomes import Status
from comfylock.plan import make_plan
from comfylock.reading import wanted_of
from comfylock.references import Found, InactivePolicy, collect_references, group
from comfylock.session import Session, Wishes
from comfylock.workflows.file import read_workflow
from comfylock.workflows.find import find_workflow_files
from comfylock.workflows.media.embedded import embedded
from comfylock.workflows.model import Workflow
from tests.media_writers import png, text_chunk
from tests.workflows import node, ui
from tests.world import INK, INK_SIZE, Listener, World, bytes_of

PAGE = Path(__file__).parent.parent / "docs" / "how-it-works.md"
NAME = "workflows/portrait.png"
KEY = "loras/style/ink.safetensors"
ALIAS = "loras/style\\ink.safetensors"


def told(value: Any, *fields: str) -> None:
    """Require that the page shows these fields of a value."""
    lines = [f"    {field}={_text(getattr(value, field))}," for field in fields]
    text = "\n".join([f"{type(value).__name__}(", *lines, ")"])
    assert text in PAGE.read_text("utf-8"), f"docs/how-it-works.md does not show\n{text}"


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, tuple):
        inner = ", ".join(map(_text, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        inner = ", ".join(f"{one.name}={_text(getattr(value, one.name))}" for one in fields)
        return f"{type(value).__name__}({inner})"
    return repr(value)


def put_picture(world: World) -> Path:
    """Save a picture as ComfyUI does: the workflow in a text of its PNG."""
    workflow = ui(node(5, "LoraLoader", "style\\ink.safetensors", 0.8, 1))
    path = world.project / NAME
    path.parent.mkdir()
    path.write_bytes(png(text_chunk("workflow", json.dumps(workflow))))
    return path


def opened(world: World) -> Session:
    return Session(Wishes(directory=world.project), world.environment, Listener())


def test_one_reference_from_a_picture_to_the_lock(world: World) -> None:
    picture = put_picture(world)
    with opened(world) as session:
        # 1. Files.
        assert list(find_workflow_files(["workflows"], world.project, ())) == [picture]

        # 2. The workflow in the picture.
        with picture.open("rb") as file:
            found = embedded(file)
        assert found is not None
        workflow = read_workflow(picture)
        assert isinstance(workflow, Workflow)
        (loader,) = workflow.nodes
        assert (loader.type, loader.values[0]) == ("LoraLoader", "style\\ink.safetensors")

        # 3. The reference in the workflow.
        (reference,) = collect_references(workflow, NAME, load_node_table())
        assert session.read_workflows(["workflows"]).references == {NAME: (reference,)}
        assert (reference.found, reference.active) == (Found.NODE, True)
        told(reference, "workflow", "node", "type", "input", "name", "folder", "found", "active")

        # 4. What it requires.
        (requirement,) = session.requirements([reference])
        assert group([reference], inactive=InactivePolicy.LEAVE_OUT) == (requirement,)
        assert requirement.key == KEY
        told(requirement, "key", "aliases", "workflows")

        # 5. What the old lock settles: there is none.
        division = divide([requirement], None, session.project.models, session.has_local_file)
        assert (division.settled, division.open) == ({}, (requirement,))
        assert not world.hub.requests

        # 6. Which file it is.
        answers = resolve_all(division.open, None, session.asking(division.open))
        pin = answers.pins[KEY]
        assert (pin.evidence, pin.size) == (Evidence.FILENAME, INK_SIZE)
        assert isinstance(pin.sources[0], CivitaiSource)
        assert {request.path for request in world.hub.requests} == {"/api/v1/models"}
        told(pin, "key", "size", "digests", "evidence", "aliases", "name", "sources")

        # 7. The lock.
        lock = assemble(
            {NAME: wanted_of([requirement])},
            Findings(pins=answers.pins, unanswered=answers.unanswered),
            None,
            inputs=["workflows"],
            unreadable=[],
        )
        text = render_lock(lock)
        assert f"```toml\n{text}```" in PAGE.read_text("utf-8"), text
        assert parse_lock(text, "comfy.lock") == lock
        assert session.write_lock(lock)
        assert world.lock_path.read_text("utf-8") == text


def test_one_pin_from_the_lock_to_its_place(world: World) -> None:
    put_picture(world)
    assert world.here("lock", "workflows").code == 0
    world.hub.clear_requests()
    with opened(world) as session:
        # 8. What is there already.
        lock, _ = session.old_lock()
        assert lock is not None
        pins = with_aliases(tuple(lock.models.values()), session.settings.aliases)
        assert [one.key for one in pins] == [KEY, ALIAS]
        inventory = session.inventory(pins)
        assert (inventory.spots[KEY].found, inventory.hashed_files) == (None, 0)

        # 9. What is to be done.
        plan = make_plan(pins, inventory, session.policy)
        download, link = plan.actions
        assert isinstance(download, Download)
        assert isinstance(link, Link)
        assert (download.target, download.bytes_left) == (world.spot(KEY), INK_SIZE)
        assert (link.target, link.after) == (world.spot(ALIAS), KEY)
        assert world.files() == {}

        # 10. Doing it.
        outcomes = session.apply(plan)
        assert [(one.ref, one.action, one.status) for one in outcomes] == [
            (KEY, "download", Status.DONE),
            (ALIAS, "link", Status.DONE),
        ]
        told(outcomes[0], "ref", "action", "status", "bytes")
        assert [(entry.origin, entry.method) for entry in world.hub.requests] == [
            ("api", "GET"),
            ("storage", "GET"),
        ]
        assert world.hub.requests[0].path == "/api/download/models/11"
        assert world.spot(KEY).read_bytes() == bytes_of(INK)
        assert world.spot(ALIAS).samefile(world.spot(KEY))

        # 11. A second time.
        assert _again(session, pins) == ["Keep", "Keep"]
    done = world.run("install")
    assert (done.code, done.err.startswith("Checked 1 model")) == (0, True)


def _again(session: Session, pins: Any) -> list[str]:
    plan: Plan = make_plan(pins, session.inventory(pins), session.policy)
    assert all(isinstance(action, Keep) for action in plan.actions)
    return [type(action).__name__ for action in plan.actions]
