"""Newer versions: pins of the lock -> versions of their models on Civitai -> where each may move.

`outdated` shows it; `lock -U`, `lock -P` and `update` take it.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from comfylock.addresses import CivitaiAddress, parse_pin
from comfylock.artifacts import ModelId, ModelVersion
from comfylock.errors import FetchError, Problem, UsageError
from comfylock.events import Stepped
from comfylock.lockfile.file import read_lock
from comfylock.lockfile.model import Pin
from comfylock.names import quoted, shown
from comfylock.selecting import is_glob, matching_refs
from comfylock.session import Session
from comfylock.upgrading import (
    Newer,
    Undecided,
    Unmoved,
    Upgrade,
    civitai_source,
    moved_to,
    newest,
    why_unmoved,
)
from comfylock.workers import side_by_side

_LOOK_UPS_AT_ONCE = 8


class Scope(Enum):
    """Which references an order may mean."""

    ALL = "pinned and open ones"
    PINNED = "pinned ones"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is to be moved.

    Attributes:
        ref: a REF; ``*`` for all that there is.
        address: the version, and perhaps file, to move to; ``None`` for the newest.
        scope: which references it may mean.
    """

    ref: str
    address: CivitaiAddress | None = None
    scope: Scope = Scope.ALL


#: All that is pinned, and all that is still open.
EVERYTHING = (Order(ref="*"),)
#: All that is pinned: what has no version yet has no newer one.
EVERY_PIN = (Order(ref="*", scope=Scope.PINNED),)


def parse_order(text: str) -> Order:
    """Return the order that ``REF`` or ``REF=VERSION`` gives; a name may hold a ``=`` itself.

    Raises:
        UsageError: it names no reference.
    """
    ref, equals, tail = text.rpartition("=")
    address = parse_pin(tail if tail.startswith("civitai:") else f"civitai:{tail}")
    order = Order(ref=ref, address=address) if equals and address is not None else Order(ref=text)
    if not order.ref:
        raise UsageError(
            "no model is named; a REF or REF=VERSION is needed",
            hint="As in loras/ink.safetensors, or ink=civitai:VERSION",
        )
    return order


@dataclass(frozen=True, kw_only=True, slots=True)
class Upgraded:
    """Where entries move.

    Attributes:
        upgrades: what becomes of each entry that was looked at, by the key that was asked for.
        faults: entries that could not be looked up, and why.
    """

    upgrades: Mapping[str, Upgrade]
    faults: tuple[Problem, ...]

    @property
    def moved(self) -> dict[str, Pin]:
        """The new entries."""
        return {key: one.new for key, one in self.upgrades.items() if isinstance(one, Newer)}

    @property
    def undecided(self) -> tuple[Undecided, ...]:
        """Entries that stay until the user says which file, sorted by key."""
        return tuple(one for _, one in sorted(self.upgrades.items()) if isinstance(one, Undecided))

    @property
    def unmoved(self) -> tuple[Unmoved, ...]:
        """Entries that do not move by themselves, sorted by key."""
        return tuple(one for _, one in sorted(self.upgrades.items()) if isinstance(one, Unmoved))

    @property
    def nobody_answered(self) -> bool:
        """Say whether there was something to ask, and every question failed."""
        asked = [one for one in self.upgrades.values() if not isinstance(one, Unmoved)]
        return bool(self.faults) and not asked


def ordered_keys(
    orders: Sequence[Order], pinned: Iterable[str], still_open: Iterable[str]
) -> dict[str, Order]:
    """Return which references are meant, each with the last order that means it.

    Args:
        orders: what is to be moved.
        pinned: keys that the lock pins.
        still_open: keys that nothing pins.

    Raises:
        UnresolvedError, AmbiguousError: an order means nothing, or several and is no glob.
        UsageError: an order names one version for several references.
    """
    of_scope = {Scope.PINNED: tuple(pinned)}
    of_scope[Scope.ALL] = (*of_scope[Scope.PINNED], *still_open)
    found: dict[str, Order] = {}
    for order in orders:
        known = of_scope[order.scope]
        if order in {*EVERYTHING, *EVERY_PIN}:
            found |= dict.fromkeys(known, order)
            continue
        meant = matching_refs(order.ref, known)
        if order.address is not None and is_glob(order.ref) and len(meant) > 1:
            raise UsageError(
                f"{shown(order.ref)} means several, and they have no version in common"
            )
        found |= dict.fromkeys(meant, order)
    return found


def upgrade(session: Session, pins: Mapping[str, Pin], orders: Mapping[str, Order]) -> Upgraded:
    """Return where entries move; nothing is written.

    Args:
        session: whom to ask.
        pins: entries of the lock by the key that was asked for.
        orders: for each of these keys, where it should move.
    """
    upgrades: dict[str, Upgrade] = {}
    movable: dict[str, Pin] = {}
    for key, pin in pins.items():
        reason = why_unmoved(pin)
        if reason is None:
            movable[key] = pin
        elif orders[key].address is None:
            upgrades[key] = Unmoved(old=pin, reason=reason)
        else:
            upgrades[key] = Undecided(old=pin, problem=_fixed(pin, reason))
    models = sorted({_model_of(pin) for pin in movable.values()})
    answers = dict(zip(models, _versions(session, models), strict=True))
    faults: list[Problem] = []
    for key, pin in movable.items():
        try:
            upgrades[key] = _upgrade(session, pin, orders[key], answers[_model_of(pin)])
        except FetchError as error:
            faults.append(error.problem(pin.key))
    return Upgraded(upgrades=upgrades, faults=tuple(faults))


def outdated(session: Session) -> Upgraded:
    """Return for each entry of the lock whether there is a newer version.

    Raises:
        CannotWorkError: there is no lock, or it cannot be read.
    """
    pins = read_lock(session.lock_path).models
    return upgrade(session, pins, dict.fromkeys(pins, EVERYTHING[0]))


_Answer = tuple[ModelVersion, ...] | FetchError


def _versions(session: Session, models: Sequence[ModelId]) -> list[_Answer]:
    """Return the versions of each model, or why they are not known."""
    if not models:
        return []
    catalog = session.catalog  # opened here, not by several threads at once

    def ask(model: ModelId) -> _Answer:
        try:
            return catalog.versions_of(model)
        except FetchError as error:
            return error

    answers: list[_Answer] = []
    for answer in side_by_side(ask, models, workers=_LOOK_UPS_AT_ONCE):
        answers.append(answer)
        step = Stepped(what="Looked up", done=len(answers), total=len(models))
        session.reporter.on(step)
    return answers


def _upgrade(session: Session, pin: Pin, order: Order, versions: _Answer) -> Upgrade:
    if isinstance(versions, FetchError):
        raise versions
    known = _with_locked(session, pin, versions)
    if order.address is None:
        return newest(pin, known, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    assert order.address.version is not None, "an order names the version, if anything"
    wanted = session.catalog.by_version(order.address.version)
    if wanted is None or wanted.model != _model_of(pin):
        return Undecided(old=pin, problem=_no_such_version(pin, order.address, wanted))
    if order.address.file is not None:
        files = tuple(one for one in wanted.files if one.source.file == order.address.file)
        wanted = replace(wanted, files=files)
    return moved_to(pin, wanted, known)


def _with_locked(
    session: Session, pin: Pin, versions: tuple[ModelVersion, ...]
) -> tuple[ModelVersion, ...]:
    """Add the locked version where the model's page has lost it: a stale page, or unpublished."""
    source = civitai_source(pin)
    if source is None or any(one.version == source.version for one in versions):
        return versions
    locked = session.catalog.by_version(source.version)
    return versions if locked is None else (*versions, locked)


def _model_of(pin: Pin) -> ModelId:
    source = civitai_source(pin)
    assert source is not None, "only entries with a Civitai source are moved"
    return source.model


def _fixed(pin: Pin, reason: str) -> Problem:
    return Problem(
        slug="unresolved",
        ref=pin.key,
        message=f"{shown(pin.key)} was not moved: {reason}",
        hint=f"Say it with `comfylock pin {quoted(pin.key)} civitai:VERSION`",
    )


def _no_such_version(pin: Pin, address: CivitaiAddress, found: ModelVersion | None) -> Problem:
    version = f"Civitai version {address.version}"
    reason = f"{version} is not there"
    hint = "Look for it with `comfylock search`"
    if found is not None:
        reason = f"{version} belongs to another model ({shown(found.model_name)})"
        hint = (
            f"To take it nevertheless: `comfylock pin {quoted(pin.key)} civitai:{address.version}`"
        )
    return Problem(
        slug="unresolved",
        ref=pin.key,
        message=f"{shown(pin.key)} was not moved: {reason}",
        hint=hint,
    )
