"""A list of downloads for `aria2c --input-file`.

It holds no key, and never will: aria2 hands a header on to whatever host a redirect leads to.
aria2 writes under the final name and leaves a wrong file there when a checksum fails, so an
existing file is never touched and the exit status must be looked at.

Source: aria2c(1), "Input File" (an entry is its addresses, divided by tabs, then indented options).
"""

from collections.abc import Iterable

from comfylock.errors import Problem
from comfylock.exports.entries import Entry

_HEAD = """\
# Written by comfylock. Run it in ComfyUI's models folder:
#   aria2c --input-file=FILE --max-connection-per-server=8
# Files that need a key are refused: use `comfylock install` for them.
"""


def aria2_list(entries: Iterable[Entry]) -> tuple[str, tuple[Problem, ...]]:
    """Return the list, and what it cannot hold: aria2 knows no BLAKE3, nor names with ``${``."""
    parts, problems = [_HEAD], list[Problem]()
    for entry in entries:
        complaint = _complaint(entry)
        if complaint is None:
            parts.append(_lines(entry))
        else:
            problems.append(complaint)
    return "".join(parts), tuple(problems)


def _complaint(entry: Entry) -> Problem | None:
    key = entry.pin.key
    if entry.pin.digests.sha256 is None:
        reason = "has no SHA-256 in comfy.lock, so aria2 could not verify it"
    elif "${" in key or any(part != part.strip() for part in key.split("/")):
        reason = "has a name that aria2 would read otherwise"
    else:
        return None
    return Problem(
        slug="not-exportable",
        ref=key,
        message=f"{key} {reason}",
        hint="Use `comfylock install`, or export with --format bash",
    )


def _lines(entry: Entry) -> str:
    directory, _, name = entry.pin.key.rpartition("/")
    lines = [
        "\t".join(entry.addresses),
        f"  dir={directory}",
        f"  out={name}",
        f"  checksum=sha-256={entry.pin.digests.sha256}",
        "  allow-overwrite=false",
        "  auto-file-renaming=false",
    ]
    return "\n".join(lines) + "\n"
