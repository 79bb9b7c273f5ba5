"""What is told of a reference that the lock holds without a pin, by whichever command meets it."""

from comfylock.errors import Problem
from comfylock.names import quoted


def unpinned(ref: str) -> Problem:
    """Return the error, with all that a person can do about it."""
    return Problem(
        slug="unresolved",
        ref=ref,
        message=f"{ref} is in comfy.lock without a pin: nobody knows which file it is",
        hint=f"Say which with `comfylock pin {quoted(ref)} SPEC`, put the file where it belongs "
        f"and lock again, or `comfylock ignore {quoted(ref)}`",
    )
