"""Lock and inventory in, plan out: what `--dry-run` prints and `apply` follows.

Rules, strongest first:
    1. A spot that holds the locked content is kept.
    2. What the lock or the settings forbid is blocked: nothing is fetched for it.
    3. A spot with other content is blocked, unless comfylock placed that file and it is untouched,
       or `--replace` was given. The old file is moved aside after the new one is verified.
    4. A copy that lies elsewhere is linked; only then is a file downloaded, once per content.
    5. What does not fit on its file system is blocked before the first byte.

Pure: reads no clock, no disk and no network.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from comfylock.artifacts import UrlSource
from comfylock.errors import Problem
from comfylock.inventory import Inventory, LocalFile, Obstacle, Spot
from comfylock.lockfile.model import Pin
from comfylock.names import is_pickle
from comfylock.settings import Formats, LinkMode


class OnOccupied(StrEnum):
    """What to do with a file of the user's that lies where a model belongs."""

    BLOCK = "block"
    REPLACE = "replace"


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the user allows.

    Attributes:
        on_occupied: for files that comfylock did not place.
        formats: for pickle formats.
        link_mode: how a copy under another name fills a spot.
        allowed_hosts: hosts of plain addresses that may be fetched from.
    """

    on_occupied: OnOccupied = OnOccupied.BLOCK
    formats: Formats = Formats.WARN
    link_mode: LinkMode = LinkMode.AUTO
    allowed_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """The right file is there."""

    pin: Pin
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """The right bytes lie, or will lie, under another name.

    Attributes:
        room_bytes: what it takes on the disk: the file's size if it has to be copied, else 0.
        found: the file as it was seen; ``None`` for one that this plan will download.
        after: key of the download that brings it.
    """

    pin: Pin
    source: Path
    target: Path
    room_bytes: int
    found: LocalFile | None = None
    after: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """The bytes must come from a source; `bytes_left` is ``None`` when the size is not known."""

    pin: Pin
    target: Path
    bytes_left: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Replace:
    """Other content in the spot makes way for the right one: `old` is moved aside."""

    pin: Pin
    old: LocalFile
    new: Link | Download


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocked:
    """Nothing is done for this model, and why."""

    pin: Pin
    target: Path
    problem: Problem


Action = Keep | Link | Download | Replace | Blocked


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One action per locked model, sorted by key."""

    actions: tuple[Action, ...]

    @property
    def is_done(self) -> bool:
        """Say whether there is nothing to do and nothing that stands in the way."""
        return all(isinstance(action, Keep) for action in self.actions)

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes that downloads of known size will bring."""
        return sum(bytes_of(action) for action in self.actions)


def bytes_of(action: Action) -> int:
    """Return the bytes that an action will fetch, as far as that is known."""
    match action:
        case Download():
            return action.bytes_left or 0
        case Replace():
            return bytes_of(action.new)
        case Keep() | Link() | Blocked():
            return 0


def name_of(action: Action) -> str:
    """Return the action's name in reports: ``keep link download replace blocked``."""
    return type(action).__name__.lower()


def filling_of(action: Action) -> Link | Download | None:
    """Return how an action fills its spot, ``None`` where it does not."""
    match action:
        case Link() | Download():
            return action
        case Replace():
            return action.new
        case Keep() | Blocked():
            return None


def target_of(action: Action) -> Path:
    """Return where the action's file lies or will lie."""
    match action:
        case Keep():
            return action.path
        case Replace():
            return action.new.target
        case Link() | Download() | Blocked():
            return action.target


def make_plan(pins: Iterable[Pin], inventory: Inventory, policy: Policy) -> Plan:
    """Decide what is done for each pin.

    Returns:
        One action per pin, sorted by key; of several pins with one content that must be fetched,
        the first is downloaded and the others are linked after it.
    """
    planned = [
        _decide(pin, inventory.spots[pin.key], inventory, policy)
        for pin in sorted(pins, key=lambda pin: pin.key)
    ]
    return Plan(actions=tuple(_fit(planned, inventory, policy)))


def _decide(pin: Pin, spot: Spot, inventory: Inventory, policy: Policy) -> Action:
    found = spot.found
    if isinstance(found, LocalFile) and found.digests.agrees(pin.digests):
        return Keep(pin=pin, path=found.path)
    if isinstance(found, Obstacle):
        return Blocked(pin=pin, target=spot.target, problem=_obstacle_problem(pin, found))
    filling = _fill(pin, spot, inventory, policy)
    if found is None or isinstance(filling, Blocked):
        return filling
    if found.path != spot.target:
        return Blocked(pin=pin, target=found.path, problem=_shadowed_problem(pin, found))
    if found.placed or policy.on_occupied is OnOccupied.REPLACE:
        return Replace(pin=pin, old=found, new=filling)
    return Blocked(pin=pin, target=spot.target, problem=_occupied_problem(pin, found))


def _fill(pin: Pin, spot: Spot, inventory: Inventory, policy: Policy) -> Link | Download | Blocked:
    refusal = _format_refusal(pin, policy)
    if refusal is not None:
        return Blocked(pin=pin, target=spot.target, problem=refusal)
    spare = inventory.spare_for(pin.digests, spot.file_system)
    if spare is not None:
        return Link(
            pin=pin,
            source=spare.file.path,
            target=spot.target,
            room_bytes=_link_room(spare.file_system, spot, spare.file.stat.size, policy),
            found=spare.file,
        )
    refusal = _source_refusal(pin, policy)
    if refusal is not None:
        return Blocked(pin=pin, target=spot.target, problem=refusal)
    done = inventory.partial_bytes.get(pin.digests.label, 0)
    left = None if pin.size is None else max(0, pin.size - done)
    return Download(pin=pin, target=spot.target, bytes_left=left)


def _format_refusal(pin: Pin, policy: Policy) -> Problem | None:
    if policy.formats is not Formats.DENY or not (is_pickle(pin.key) or pin.format == "pickle"):
        return None
    return Problem(
        slug="unsafe-format",
        ref=pin.key,
        message=f"{pin.key} may run code when it is loaded, and the settings deny such formats",
        hint='Set formats = "warn" below [lock] in comfylock.toml if you trust it',
    )


def _source_refusal(pin: Pin, policy: Policy) -> Problem | None:
    if not pin.sources:
        return Problem(
            slug="no-source",
            ref=pin.key,
            message=f"{pin.key} is pinned by hash alone and lies in no known models folder",
            hint=(
                "Put the file anywhere below a models folder and run `comfylock install` again: "
                f"it is recognised by its hash ({str(pin.digests)[:19]}…)"
            ),
        )
    hosts = [_host(source.url) for source in pin.sources if isinstance(source, UrlSource)]
    if len(hosts) == len(pin.sources) and not any(host in policy.allowed_hosts for host in hosts):
        return Problem(
            slug="host-not-allowed",
            ref=pin.key,
            message=f"{pin.key} comes from {hosts[0]}, which you have not allowed",
            hint=f'Add allow-hosts = ["{hosts[0]}"] to your user config if you trust it',
        )
    return None


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or ""


_OBSTACLE_HINTS = {
    "permission": "Check who owns it and may read it",
    "busy": "Wait until the program that writes it is done",
    "disk-error": "Check the disk",
    "unsafe-path": "Put a folder in place of the link: only a folder's own directory may be one",
}


def _obstacle_problem(pin: Pin, obstacle: Obstacle) -> Problem:
    hint = _OBSTACLE_HINTS.get(obstacle.slug, "Move it out of the way")
    return Problem(
        slug=obstacle.slug,
        ref=pin.key,
        message=f"{obstacle.path}, where {pin.key} belongs, is {obstacle.reason}",
        hint=f"{hint}, then run `comfylock install` again",
    )


def _occupied_problem(pin: Pin, found: LocalFile) -> Problem:
    return Problem(
        slug="path-occupied",
        ref=pin.key,
        message=(
            f"{found.path} holds another file\n  expected {pin.digests}\n  found    {found.digests}"
        ),
        hint=(
            "Run `comfylock install --replace` to put the locked file there; "
            "yours is moved to .comfylock/replaced, not deleted"
        ),
    )


def _shadowed_problem(pin: Pin, found: LocalFile) -> Problem:
    return Problem(
        slug="path-occupied",
        ref=pin.key,
        message=f"{found.path} holds another file and comes first in ComfyUI's search order",
        hint="Rename or move that file, or put its folder behind the others",
    )


@dataclass(slots=True)
class _Room:
    """Free bytes per file system while a plan is being fitted; a running count, not a value."""

    left: dict[int, int] = field(default_factory=dict[int, int])

    def take(self, file_system: int, count: int) -> int:
        """Take room and return how much is missing; nothing is taken if it does not fit."""
        free = self.left.get(file_system)
        if free is None:
            return 0
        if count > free:
            return count - free
        self.left[file_system] = free - count
        return 0


def _fit(
    actions: Sequence[Action], inventory: Inventory, policy: Policy
) -> Generator[Action, None, None]:
    """Yield each action, blocked where it does not fit.

    Of one content only the first download that fits remains, the others are links to its result.
    """
    room = _Room(left=dict(inventory.free_bytes))
    bringing: dict[str, Download] = {}
    for wanted in actions:
        action = _follow(wanted, bringing, inventory, policy)
        spot = inventory.spots[action.pin.key]
        needed = _room_needed(action)
        missing = room.take(spot.file_system, needed)
        if missing:
            problem = _no_room_problem(action.pin, spot, needed, missing)
            yield Blocked(pin=action.pin, target=spot.target, problem=problem)
            continue
        filling = filling_of(action)
        if isinstance(filling, Download):
            digests = filling.pin.digests
            bringing |= dict.fromkeys(filter(None, (digests.sha256, digests.blake3)), filling)
        yield action


def _follow(
    action: Action, bringing: Mapping[str, Download], inventory: Inventory, policy: Policy
) -> Action:
    """Return a link to what another download brings, in place of a second one of that content."""
    filling = filling_of(action)
    if not isinstance(filling, Download):
        return action
    digests = filling.pin.digests
    first = bringing.get(digests.blake3 or "") or bringing.get(digests.sha256 or "")
    if first is None or not first.pin.digests.agrees(digests):
        return action
    source_system = inventory.spots[first.pin.key].file_system
    spot = inventory.spots[filling.pin.key]
    link = Link(
        pin=filling.pin,
        source=first.target,
        target=filling.target,
        room_bytes=_link_room(source_system, spot, filling.pin.size or 0, policy),
        after=first.pin.key,
    )
    if isinstance(action, Replace):
        return Replace(pin=action.pin, old=action.old, new=link)
    return link


def _room_needed(action: Action) -> int:
    match filling_of(action):
        case Download(bytes_left=left):
            return left or 0
        case Link(room_bytes=room):
            return room
        case None:
            return 0


def _link_room(source_system: int, spot: Spot, size: int, policy: Policy) -> int:
    copied = policy.link_mode is LinkMode.COPY or (
        policy.link_mode is LinkMode.AUTO and source_system != spot.file_system
    )
    return size if copied else 0


def _no_room_problem(pin: Pin, spot: Spot, needed: int, missing: int) -> Problem:
    return Problem(
        slug="disk-full",
        ref=pin.key,
        message=(
            f"{pin.key} needs {needed:,} bytes on the disk of {spot.target.parent}, "
            f"where {missing:,} bytes more would have to be free"
        ),
        hint="Free some room, or install less with `comfylock install --only GLOB`",
    )
