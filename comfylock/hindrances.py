"""What lies in a spot and is in the way, as the errors that a plan tells of it."""

from pathlib import Path

from comfylock.errors import Problem
from comfylock.hashes import told_apart
from comfylock.inventory import LocalFile, Obstacle
from comfylock.lockfile.model import Pin

_OBSTACLE_HINTS = {
    "permission": "Check who owns it and may read it",
    "busy": "Wait until the program that writes it is done",
    "disk-error": "Check the disk",
    "unsafe-path": "Put a folder in place of the link: only a folder's own directory may be one",
}
_DISGUISED_HINT = (
    "It has the locked hash, so comfy.lock names such bytes: do not load it, and pin another file "
    "with `comfylock pin`"
)


def obstacle_problem(pin: Pin, obstacle: Obstacle) -> Problem:
    """Return the error of a spot that holds no readable file."""
    hint = _OBSTACLE_HINTS.get(obstacle.slug, "Move it out of the way")
    again = "then run `comfylock install` again"
    return Problem(
        slug=obstacle.slug,
        ref=pin.key,
        message=f"{obstacle.path}, where {pin.key} belongs, is {obstacle.reason}",
        hint=_DISGUISED_HINT if obstacle.slug == "unsafe-format" else f"{hint}, {again}",
    )


def occupied_problem(pin: Pin, found: LocalFile) -> Problem:
    """Return the error of a spot that holds another file."""
    return Problem(
        slug="path-occupied",
        ref=pin.key,
        message=(f"{found.path} holds another file\n{told_apart(pin.digests, found.digests)}"),
        hint=(
            "Run `comfylock install --replace` to put the locked file there; "
            "yours is moved to .comfylock/replaced, not deleted"
        ),
    )


def leaning_problem(pin: Pin, path: Path, old: LocalFile) -> Problem:
    """Return the error of a link in a spot that leads to a file which makes way."""
    return Problem(
        slug="path-occupied",
        ref=pin.key,
        message=f"{path} is a link to {old.path}, which makes way for another model",
        hint=(
            "Run `comfylock install --replace` to put a file there instead; "
            "your link is moved to .comfylock/replaced, not deleted"
        ),
    )


def shadowed_problem(pin: Pin, found: LocalFile) -> Problem:
    """Return the error of another file that ComfyUI finds before the spot."""
    return Problem(
        slug="path-occupied",
        ref=pin.key,
        message=f"{found.path} holds another file and comes first in ComfyUI's search order",
        hint="Rename or move that file, or put its folder behind the others",
    )
