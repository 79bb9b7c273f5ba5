"""What it means that a server tells how long a model is, before its first byte is read. Pure.

Civitai's sizes are the uploader's word. What was decided by one, that a model does not fit or that
no copy of it lies in the models folders, is decided again when the length is certain.
"""

from dataclasses import replace

from comfylock.actions import Download, Link, Replace, filling_of, target_of
from comfylock.errors import Problem
from comfylock.inventory import LocalFile
from comfylock.lockfile.model import Pin
from comfylock.plan import no_room_problem

Filling = Link | Download | Replace


def refusal(action: Filling, told: int) -> Problem | None:
    """Return why a download ends now: it does not fit by the length that is certain either.

    Args:
        action: as planned; room was counted with the sizes that the lock has of all models.
        told: the length in bytes by the server.
    """
    lacking = _lacking(action)
    if not lacking:
        return None
    lacking += told - (action.pin.size or 0)
    return no_room_problem(action.pin, target_of(action), told, lacking) if lacking > 0 else None


def correction(action: Filling, told: int) -> str | None:
    """Return what to say of a model that fits after all, ``None`` of one that always did."""
    if not _lacking(action):
        return None
    return (
        f"{action.pin.key} has {told:,} bytes by the server and not the {action.pin.size:,} that "
        "its uploader gave; that fits"
    )


def may_lie_elsewhere(pin: Pin, told: int) -> bool:
    """Say whether files of this length may be the model: those of the lock's size are none of it.

    Where the lock's size is exact, it is the server's that is wrong.
    """
    return told != pin.size and not pin.size_is_exact


def linked_instead(action: Filling, found: LocalFile) -> Link | Replace:
    """Return what is done in place of a download whose bytes lie here, as has turned out."""
    link = Link(
        pin=action.pin,
        source=found.path,
        target=target_of(action),
        room_bytes=0,
        found=found,
    )
    return replace(action, new=link) if isinstance(action, Replace) else link


def link_in(action: Link | Replace) -> Link:
    """Return the link that fills the spot in the end."""
    filling = filling_of(action)
    assert isinstance(filling, Link), "it was linked instead"
    return filling


def _lacking(action: Filling) -> int:
    filling = filling_of(action)
    return filling.lacking if isinstance(filling, Download) else 0
