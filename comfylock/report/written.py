"""The line about a file that a command wrote."""

from pathlib import Path

from comfylock.names import shown
from comfylock.progress import size_text


def wrote(path: Path, text: str) -> str:
    """Return the line."""
    return f"Wrote {shown(str(path))} ({size_text(len(text.encode()))})"
