"""A lock as comma-separated values, safe to open in a spreadsheet.

A cell that begins like a formula gets an apostrophe in front, which spreadsheets show as text.

Sources: RFC 4180; OWASP, "CSV Injection".
"""

import csv
import io

from comfylock.exports.links import download_address, page_address
from comfylock.hubs import Hub
from comfylock.lockfile.model import Lock, Pin

COLUMNS = (
    "key", "name", "base_model", "size", "sha256", "blake3", "format", "evidence", "source",
    "download", "page", "workflows",
)  # fmt: skip
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def lock_table(lock: Lock, hub: Hub) -> str:
    """Return one line for each model, by key, with the first of its sources."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key in sorted(lock.models):
        writer.writerow(_cell(value) for value in _row(lock, lock.models[key], hub))
    return out.getvalue()


def _row(lock: Lock, pin: Pin, hub: Hub) -> list[str]:
    source = pin.sources[0] if pin.sources else None
    needed = sorted(path for path, entry in lock.workflows.items() if pin.key in entry.models)
    return [
        pin.key,
        pin.name or "",
        pin.base_model or "",
        "" if pin.size is None else str(pin.size),
        pin.digests.sha256 or "",
        pin.digests.blake3 or "",
        pin.format,
        str(pin.evidence),
        "" if source is None else str(source),
        "" if source is None else download_address(source, hub),
        (page_address(source) if source is not None else None) or "",
        "; ".join(needed),
    ]


def _cell(value: str) -> str:
    text = "".join(character if character.isprintable() else " " for character in value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text
