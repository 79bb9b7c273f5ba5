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
        self._paths: dict[tuple[Path, FileStat], Path] = {}
        self._stats: dict[FileStat, FileStat] = {}

    def now(self, file: LocalFile) -> LocalFile:
        """Return a file as it is now, as far as we have changed it."""
        stat = file.stat
        while stat in self._stats:
            stat = self._stats[stat]
        # By both: another file may lie at that path by now.
        path = self._paths.get((file.path, file.stat), file.path)
        return replace(file, path=path, stat=stat)

    def moved(self, file: LocalFile, place: Path) -> None:
        """Note where a file that the plan saw lies now."""
        self._paths[file.path, file.stat] = place

    def touched(self, before: FileStat, after: FileStat) -> None:
        """Note how a file looks after an act of ours."""
        if before != after:
            self._stats[before] = after
