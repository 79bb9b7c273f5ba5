"""The table of well-known files: which place a name in a folder stands for.

The facts are data (`tables/known_models.json`), taken from public lists on the date that stands in
it. A name matches only exactly (case aside) and only in its own folder; names that many different
files go by (``diffusion_pytorch_model.safetensors``) are not in it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from comfylock.addresses import Address, PlainAddress, parse_spec
from comfylock.hashes import is_digest

_TABLE = Path(__file__).parent / "tables" / "known_models.json"
_HASH = "sha256:"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownFile:
    """One well-known file.

    Attributes:
        places: where it is; several are copies of one file, which the hubs' hashes confirm.
        sha256: of its bytes, where public data states it.
    """

    places: tuple[Address | PlainAddress, ...]
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownFiles:
    """The table.

    Attributes:
        date: of the newest list that it was taken from.
        rows: by folder, then by name in lower case: a place, or places and a hash.
    """

    date: str = ""
    rows: Mapping[str, Mapping[str, str | list[str]]] = field(
        default_factory=dict[str, Mapping[str, str | list[str]]]
    )

    def get(self, folder: str, name: str) -> KnownFile | None:
        """Return the file of a name, without folders before it, in a folder."""
        row = self.rows.get(folder, {}).get(name.lower())
        if row is None:
            return None
        words = [row] if isinstance(row, str) else row
        digests = [word.removeprefix(_HASH) for word in words if word.startswith(_HASH)]
        places = (parse_spec(word) for word in words if not word.startswith(_HASH))
        return KnownFile(
            places=tuple(place for place in places if place is not None),
            sha256=next((digest for digest in digests if is_digest(digest)), None),
        )


@cache
def load_known_files() -> KnownFiles:
    """Return the table that ships with comfylock; it is read once."""
    document = json.loads(_TABLE.read_text("utf-8"))
    return KnownFiles(date=document["date"], rows=document["files"])
