"""What `--prune` removes: only what comfylock placed, that is untouched, unwanted and fetchable.

A file stays where one of these is so:
    1. A lock that installs into this models folder names it, as a model, an alias, or a reference
       that nobody could pin.
    2. No source of it is known, or a lock pins its content without a source.
    3. A link that stays leads to it, or a link to it is about to be made.

Pure: reads no disk.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from comfylock.actions import Link, Plan, Remove, filling_of
from comfylock.inventory import PlacedFile
from comfylock.lockfile.model import Lock, Pin
from comfylock.names import alias_key, collision_form, is_alias
from comfylock.plan import Policy
from comfylock.settings import LinkMode


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What lies around the placed files.

    Attributes:
        locks: every lock that installs into this models folder.
        links: each link to a file, by its place, with the places that it leads through.
    """

    locks: tuple[Lock, ...]
    links: Mapping[Path, tuple[Path, ...]]


def find_removals(
    placed: Iterable[PlacedFile], around: Surroundings, plan: Plan, policy: Policy
) -> tuple[Remove, ...]:
    """Return what may go, sorted by key.

    Args:
        placed: untouched files that comfylock placed.
        around: what else lies there.
        plan: what is done before anything is removed.
        policy: how the plan's links are made.
    """
    wanted = {collision_form(ref) for lock in around.locks for ref in _named(lock)}
    irreplaceable = [
        pin for lock in around.locks for pin in lock.models.values() if not pin.sources
    ]
    linked = _linked_sources(plan, policy)
    spare = [
        one
        for one in placed
        if one.origin is not None
        and collision_form(one.ref) not in wanted
        and one.file.path not in linked
        and not _is_content_of(one, irreplaceable)
    ]
    going = _without_linked_to(spare, around.links)
    return tuple(
        Remove(
            ref=one.ref,
            file=one.file,
            origin=one.origin or "",
            frees_bytes=_freed_bytes(one, going),
        )
        for one in sorted(going, key=lambda one: one.ref)
    )


def _named(lock: Lock) -> Iterable[str]:
    yield from lock.models
    for key, pin in lock.models.items():
        yield from (alias_key(key, alias) for alias in pin.aliases)
    for entry in lock.workflows.values():
        yield from entry.unresolved


def _linked_sources(plan: Plan, policy: Policy) -> set[Path]:
    """Return the files that links are going to lead to; other kinds of link need no source."""
    if policy.link_mode is not LinkMode.SYMLINK:
        return set()
    fillings = (filling_of(action) for action in plan.actions)
    return {filling.source for filling in fillings if isinstance(filling, Link)}


def _is_content_of(one: PlacedFile, pins: Sequence[Pin]) -> bool:
    return any(pin.digests.agrees(one.file.digests) for pin in pins)


def _without_linked_to(
    spare: Sequence[PlacedFile], links: Mapping[Path, tuple[Path, ...]]
) -> list[PlacedFile]:
    """Return the files that no link which stays leads to."""
    going = {one.location: one for one in spare}
    while True:
        held = {
            place for link, hops in links.items() if link not in going for place in hops
        } & going.keys()
        if not held:
            return list(going.values())
        going = {place: one for place, one in going.items() if place not in held}


def _freed_bytes(one: PlacedFile, going: Collection[PlacedFile]) -> int:
    """Return the file's size where all its names go, counted once."""
    names = [
        other
        for other in going
        if other.names
        and (other.device, other.file.stat.inode) == (one.device, one.file.stat.inode)
    ]
    if not one.names or len(names) < one.names:
        return 0
    first = min(names, key=lambda other: (is_alias(other.ref), other.ref))
    return one.file.stat.size if first is one else 0
