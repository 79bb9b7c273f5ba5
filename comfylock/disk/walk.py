"""Every file below some folders, as ComfyUI finds them: symbolic links are followed."""

import os
import stat as stat_bits
from collections.abc import Iterable, Iterator
from pathlib import Path

from comfylock.disk.parts import PARTIAL_STEPS

# Parts are no whole files, and a repository's objects are not models.
_PASSED_OVER = (os.sep + os.path.join(*PARTIAL_STEPS), f"{os.sep}.git")  # noqa: PTH118


def walk_files(roots: Iterable[Path]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every regular file below the roots once, with its stat; links are followed."""
    seen_directories: set[tuple[int, int]] = set()
    seen_files: set[tuple[int, int]] = set()
    waiting = [str(root) for root in roots]
    while waiting:
        directory = waiting.pop()
        try:
            status = os.stat(directory)  # noqa: PTH116
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen_directories:
            continue
        seen_directories.add((status.st_dev, status.st_ino))
        for entry in entries:
            found = _entry_stat(entry)
            if found is None:
                continue
            if stat_bits.S_ISDIR(found.st_mode):
                if not entry.path.endswith(_PASSED_OVER):
                    waiting.append(entry.path)
            elif (
                stat_bits.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in seen_files
            ):
                seen_files.add((found.st_dev, found.st_ino))
                yield entry.path, found


def _entry_stat(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None
