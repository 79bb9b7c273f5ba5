"""What our own acts have changed of files that were seen before: their place and their facts."""

from dataclasses import replace
from pathlib import Path

from comfylock.inventory import FileStat, LocalFile


class Traces:
    """What our own acts have changed of the files that the plan saw: their place and facts.

    Linking a file moves its ctime, moving it aside its path as well; the next act on the same
    file would take that for somebody else's edit.
    """

    def __init__(self) -> None:
        self._paths: dict[Path, Path] = {}
        self._stats: dict[FileStat, FileStat] = {}

    def now(self, file: LocalFile) -> LocalFile:
        """Return a file as it is now, as far as we have changed it."""
        stat = file.stat
        while stat in self._stats:
            stat = self._stats[stat]
        return replace(file, path=self._paths.get(file.path, file.path), stat=stat)

    def moved(self, origin: Path, place: Path) -> None:
        """Note where the file that the plan saw at `origin` lies now."""
        self._paths[origin] = place

    def touched(self, before: FileStat, after: FileStat) -> None:
        """Note how a file looks after an act of ours."""
        if before != after:
            self._stats[before] = after
