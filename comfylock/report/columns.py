"""Rows of cells as aligned lines, by the width that a terminal gives each character.

One long name does not push the other rows apart: a cell beyond `_WIDEST` overflows its column.

Source: Unicode Standard Annex 11 (wide and fullwidth characters take two places).
"""

import unicodedata
from collections.abc import Sequence

_WIDEST = 44


def width_of(text: str) -> int:
    """Return how many places a text without control characters takes."""
    return sum(map(_places, text))


def _places(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line for each row; all rows have the same number of cells."""
    widths = [
        max((width for width in map(width_of, column) if width <= _WIDEST), default=0)
        for column in zip(*rows, strict=True)
    ]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - width_of(cell))
