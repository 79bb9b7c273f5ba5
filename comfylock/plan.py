"""Lock and inventory in, plan out: what `--dry-run` prints and `apply` follows.

Rules, strongest first:
    1. A spot that holds the locked content is kept.
    2. What the lock or the settings forbid is blocked: nothing is fetched for it.
    3. A spot with other content is blocked, unless comfylock placed that file and it is untouched,
       or `--replace` was given. The old file is moved aside after the new one is verified.
    4. A copy that lies elsewhere is linked; only then is a file downloaded, once per content.
    5. What does not fit on its file system is blocked before the first byte; where the size is
       only the uploader's word, the server's decides, see `lengths`.
    6. An alias is a link to its model's file, made when that one is in place.

Pure: reads no clock, no disk and no network.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from comfylock.actions import (
    Action,
    Blocked,
    Download,
    Keep,
    Link,
    PinAction,
    Plan,
    Replace,
    filling_of,
    key_of,
    target_of,
)
from comfylock.artifacts import UrlSource
from comfylock.errors import Problem
from comfylock.hindrances import (
    leaning_problem,
    obstacle_problem,
    occupied_problem,
    shadowed_problem,
)
from comfylock.hubs import may_fetch
from comfylock.inventory import Inventory, LocalFile, Obstacle, Spot
from comfylock.lockfile.model import Pin
from comfylock.names import is_alias, split_alias
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


def make_plan(pins: Iterable[Pin], inventory: Inventory, policy: Policy) -> Plan:
    """Decide what is done for each pin.

    Returns:
        One action per pin, sorted by key; of several pins with one content that must be fetched,
        the first is downloaded and the others are linked after it. Nothing is done for an alias
        whose model is blocked.
    """
    in_order = sorted(pins, key=lambda pin: pin.key)
    models = [
        _decide(pin, inventory.spots[pin.key], inventory, policy)
        for pin in in_order
        if not is_alias(pin.key)
    ]
    models = _stand_alone(models, inventory, policy)
    actions = {key_of(action): action for action in _fit(models, inventory, policy)}
    for pin in in_order:
        if is_alias(pin.key):
            model = actions[split_alias(pin.key)[0]]
            action = _decide_alias(pin, model, inventory, policy)
            if action is not None:
                actions[pin.key] = action
    return Plan(actions=tuple(actions[key] for key in sorted(actions)))


def _decide(pin: Pin, spot: Spot, inventory: Inventory, policy: Policy) -> PinAction:
    settled = _settled(pin, spot)
    if settled is not None:
        return settled
    return _in_spot(pin, spot, _fill(pin, spot, inventory, policy), policy)


def _decide_alias(pin: Pin, model: Action, inventory: Inventory, policy: Policy) -> Action | None:
    spot = inventory.spots[pin.key]
    settled = _settled(pin, spot)
    if isinstance(settled, Keep):
        return settled
    if isinstance(model, Blocked):
        return None
    found = inventory.spots[key_of(model)].found if isinstance(model, Keep) else None
    link = Link(
        pin=pin,
        source=target_of(model),
        target=spot.target,
        room_bytes=0,
        found=found if isinstance(found, LocalFile) else None,
        after=None if isinstance(model, Keep) else key_of(model),
    )
    return settled or _in_spot(pin, spot, link, policy)


def _stand_alone(
    actions: Sequence[PinAction], inventory: Inventory, policy: Policy
) -> list[PinAction]:
    """Give a file of its own to each kept model whose link leads to a file that makes way.

    Whoever put the link there: left as it is, it would lead to another model's bytes.
    """
    leaving = {
        action.old.stat: action.old
        for action in actions
        if isinstance(action, Replace) and not inventory.spots[action.pin.key].is_link
    }
    alone: list[PinAction] = []
    for action in actions:
        spot = inventory.spots[action.pin.key]
        old = leaving.get(spot.found.stat) if isinstance(spot.found, LocalFile) else None
        if isinstance(action, Keep) and spot.is_link and old is not None:
            link = Link(
                pin=action.pin, source=old.path, target=spot.target, room_bytes=0, found=old
            )
            instead = _in_spot(action.pin, spot, link, policy)
            if isinstance(instead, Blocked):
                problem = leaning_problem(action.pin, action.path, old)
                instead = Blocked(pin=action.pin, target=action.path, problem=problem)
            alone.append(instead)
        else:
            alone.append(action)
    return alone


def _settled(pin: Pin, spot: Spot) -> Keep | Blocked | None:
    """Return what the spot's content alone decides."""
    found = spot.found
    if isinstance(found, LocalFile) and found.digests.agrees(pin.digests):
        return Keep(pin=pin, path=found.path)
    if isinstance(found, Obstacle):
        return Blocked(pin=pin, target=spot.target, problem=obstacle_problem(pin, found))
    return None


def _in_spot(pin: Pin, spot: Spot, filling: Link | Download | Blocked, policy: Policy) -> PinAction:
    """Return a filling as it is done where something else may lie in the spot."""
    found = spot.found
    if not isinstance(found, LocalFile) or isinstance(filling, Blocked):
        return filling
    if found.path != spot.target:
        return Blocked(pin=pin, target=found.path, problem=shadowed_problem(pin, found))
    if found.placed or policy.on_occupied is OnOccupied.REPLACE:
        return Replace(pin=pin, old=found, new=filling)
    return Blocked(pin=pin, target=spot.target, problem=occupied_problem(pin, found))


def _fill(pin: Pin, spot: Spot, inventory: Inventory, policy: Policy) -> Link | Download | Blocked:
    refusal = _format_refusal(pin, policy)
    if refusal is not None:
        return Blocked(pin=pin, target=spot.target, problem=refusal)
    done = inventory.partial_bytes.get(pin.digests.label, 0)
    spare = inventory.spare_for(pin.digests, spot.file_system)
    if spare is not None:
        room = _link_room(spare.file_system, spot, spare.file.stat.size, policy)
        return Link(
            pin=pin,
            source=spare.file.path,
            target=spot.target,
            room_bytes=max(0, room - done),  # a part makes way for a copy
            found=spare.file,
        )
    refusal = _source_refusal(pin, policy)
    if refusal is not None:
        return Blocked(pin=pin, target=spot.target, problem=refusal)
    left = None if pin.size is None else max(0, pin.size - done)
    return Download(pin=pin, target=spot.target, bytes_left=left)


def _format_refusal(pin: Pin, policy: Policy) -> Problem | None:
    if policy.formats is not Formats.DENY or not pin.may_run_code:
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
    urls = [source.url for source in pin.sources if isinstance(source, UrlSource)]
    if len(urls) < len(pin.sources) or any(may_fetch(url, policy.allowed_hosts) for url in urls):
        return None
    host = urlsplit(urls[0]).hostname
    return Problem(
        slug="host-not-allowed",
        ref=pin.key,
        message=f"{pin.key} comes from {host}, which you have not allowed",
        hint=f'Add allow-hosts = ["{host}"] to your user config if you trust it',
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
        filling = filling_of(action)
        if filling is None:
            yield action
            continue
        spot = inventory.spots[filling.pin.key]
        needed = _room_needed(filling)
        missing = room.take(spot.file_system, needed)
        if missing and _is_certain(filling):
            problem = no_room_problem(filling.pin, spot.target, needed, missing)
            yield Blocked(pin=filling.pin, target=spot.target, problem=problem)
            continue
        action = _in_doubt(action, missing) if missing else action
        if isinstance(filling, Download):
            digests = filling.pin.digests
            bringing |= dict.fromkeys(filter(None, (digests.sha256, digests.blake3)), filling)
        yield action


def _is_certain(filling: Link | Download) -> bool:
    """Say whether the needed room is known: that of a file that is here, or an exact size."""
    of_what_is_here = isinstance(filling, Link) and filling.found is not None
    return of_what_is_here or filling.pin.size_is_exact


def _in_doubt(action: Action, lacking: int) -> Action:
    """Return an action that does not fit by a size that may be wrong; of a link nothing is told."""
    match action:
        case Download():
            return replace(action, lacking=lacking)
        case Replace(new=Download() as new):
            return replace(action, new=replace(new, lacking=lacking))
        case _:
            return action


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


def _room_needed(filling: Link | Download) -> int:
    match filling:
        case Download(bytes_left=left):
            return left or 0
        case Link(room_bytes=room):
            return room


def _link_room(source_system: int, spot: Spot, size: int, policy: Policy) -> int:
    copied = policy.link_mode is LinkMode.COPY or (
        policy.link_mode is LinkMode.AUTO and source_system != spot.file_system
    )
    return size if copied else 0


def no_room_problem(pin: Pin, target: Path, needed: int, missing: int) -> Problem:
    """Return the error of a model that does not fit."""
    return Problem(
        slug="disk-full",
        ref=pin.key,
        message=(
            f"{pin.key} needs {needed:,} bytes on the disk of {target.parent}, "
            f"where {missing:,} bytes more would have to be free"
        ),
        hint="Free some room, or install less with `comfylock install --only GLOB`",
    )
