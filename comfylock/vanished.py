"""What has become of a file that Civitai no longer gives under the ids of the lock. Pure.

An id of a file answers 404 when the uploader replaced the file, hid it or took the version back,
and now and then for a moment when the storage fails. The version and the hash tell which.
"""

from collections.abc import Sequence
from dataclasses import replace

from comfylock.artifacts import Artifact, CivitaiSource, ModelVersion
from comfylock.errors import Problem
from comfylock.lockfile.model import Pin
from comfylock.names import quoted, shown

_MOST_TOLD = 3


def explained(
    problem: Problem,
    pin: Pin,
    version: ModelVersion | None,
    elsewhere: Sequence[Artifact],
) -> Problem:
    """Return the problem of a file that is gone, with what has become of it and the next step.

    Args:
        problem: as the download ended.
        pin: the entry of the lock.
        version: its version as it is now, ``None`` when it is not shown any more.
        elsewhere: files with the locked content, oldest first.
    """
    others = [one for one in elsewhere if one.source not in pin.sources]
    message = f"{problem.message}; {_what_became(pin, version)}"
    if others:
        spec = others[0].spec
        hint = f"The same bytes are at {spec}: `comfylock pin {quoted(pin.key)} {quoted(spec)}`"
        return replace(problem, message=message, hint=hint)
    if version is None or not version.files:
        return replace(problem, message=message)
    if any(one.source in pin.sources and not _is_other(one, pin) for one in version.files):
        hint = "Run `comfylock install` again later; its storage may be out of order"
        return replace(problem, message=message, hint=hint)
    spec = version.files[0].spec
    hint = f"If you want what is there now: `comfylock pin {quoted(pin.key)} {quoted(spec)}`"
    return replace(problem, message=message, hint=hint)


def _what_became(pin: Pin, version: ModelVersion | None) -> str:
    if version is None:
        return "the version is not shown any more"
    if not version.files:
        return "the version shows no file any more"
    ours = next((one for one in version.files if one.source in pin.sources), None)
    if ours is not None and not _is_other(ours, pin):
        return "its version still shows it"
    if ours is not None:
        return f"under these ids is another file now, {ours.digests}"
    told = [f"{one.spec} {shown(one.file_name)}" for one in version.files[:_MOST_TOLD]]
    more = len(version.files) - len(told)
    tail = f" and {more} more" if more > 0 else ""
    return f"its version has {', '.join(told)}{tail} instead"


def _is_other(one: Artifact, pin: Pin) -> bool:
    return one.digests.contradicts(pin.digests)


def lost_source(pin: Pin) -> CivitaiSource | None:
    """Return the Civitai source of an entry that has no other kind of source."""
    ours = [one for one in pin.sources if isinstance(one, CivitaiSource)]
    return ours[0] if ours and len(ours) == len(pin.sources) else None
