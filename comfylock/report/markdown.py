"""Foreign texts in Markdown: no tag, link, mention, table border or new line comes out of them.

What is escaped is what GitHub's Markdown gives a meaning to: punctuation gets a backslash, and
what it looks for in the finished page (``@user``, ``#123``, ``www.``) an invisible space.

Sources: CommonMark 0.31 (backslash escapes, code spans), GitHub Flavored Markdown (autolinks).
"""

import re
from collections.abc import Sequence

from comfylock.names import shown

_PUNCTUATION = re.compile(r"([\\`*_\[\]<>!~|&$^{}]|:(?=\S))")
_CALLS = re.compile(r"([@#])")
_WWW = re.compile(r"(?i)(www)\.")
_INVISIBLE = "&#8203;"


def plain(text: str) -> str:
    """Return a foreign text that reads as it is written, whatever stands in it."""
    escaped = _PUNCTUATION.sub(r"\\\1", shown(text))
    escaped = _CALLS.sub(rf"\1{_INVISIBLE}", escaped)
    escaped = _WWW.sub(rf"\1{_INVISIBLE}.", escaped)
    return re.sub(r"^(\s*)([-+=]|\d+[.)])", rf"\1{_INVISIBLE}\2", escaped)


def code(text: str) -> str:
    """Return a foreign text as a code span where it fits into one, else plain."""
    safe = shown(text)
    if "`" in safe or "|" in safe or not safe.strip():
        return plain(text)
    return f"`{safe}`"


def sentence(text: str) -> str:
    """Return one of our own sentences; what stands between backticks is what one types."""
    parts = text.split("`")
    return "".join(code(part) if place % 2 else plain(part) for place, part in enumerate(parts))


def link(text: str, address: str) -> str:
    """Return a link; the address is one of ours, made from ids."""
    return f"[{plain(text)}]({address.replace('(', '%28').replace(')', '%29')})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table of cells that are Markdown already; ``:`` ends headings of numbers."""
    borders = ["---:" if name.endswith(":") else "---" for name in head]
    lines = [[name.rstrip(":") for name in head], borders, *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
