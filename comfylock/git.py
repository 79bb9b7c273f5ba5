"""What git keeps of a file, asked of the `git` program.

Only plumbing is called: it runs no pager, no filter of the repository's and no colour. A revision
is a person's word, so it is handed over behind `--end-of-options`, where nothing is an option.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from comfylock.errors import PathMissingError, UsageError
from comfylock.names import shown

_FILES_HINT = "Name two files instead: `comfylock diff OLD.lock NEW.lock`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """The git repository that a folder lies in.

    Attributes:
        folder: where git is started; paths that begin with ``./`` are relative to it.
        environment: variables that git sees.
    """

    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def read(self, revision: str, path: str, most_bytes: int) -> bytes | None:
        """Return a file as a revision has it, ``None`` when the revision has no such file.

        Args:
            revision: anything that git takes for a commit.
            path: from the top of the repository, or from `folder` when it begins with ``./``.
            most_bytes: no more is read of a larger file.

        Raises:
            UsageError: there is no git, or the folder lies in no repository.
            PathMissingError: the revision is not known.
        """
        done = self._run(["cat-file", "blob", _END, f"{revision}:{path}"], most_bytes)
        if done.code == 0:
            return done.out
        self._check_revision(revision)
        return None

    def _check_revision(self, revision: str) -> None:
        known = self._run(["rev-parse", "--verify", "--quiet", _END, f"{revision}^{{commit}}"])
        if known.code == 0:
            return
        inside = self._run(["rev-parse", "--git-dir"])
        if inside.code != 0:
            is_none = inside.complaint.startswith("not a git repository")
            why = "" if is_none else f" that can be read: {inside.complaint}"
            raise UsageError(f"{self.folder} lies in no git repository{why}", hint=_FILES_HINT)
        if revision == "HEAD":
            raise UsageError("git has no commit yet to compare with", hint=_FILES_HINT)
        raise PathMissingError(
            f"{shown(revision)} is neither a file nor a revision that git knows",
            hint="Check the spelling; `git log --oneline` lists revisions",
        )

    def merge_text(self, ours: Path, base: Path, theirs: Path) -> int:
        """Merge three texts line by line into `ours`, conflict markers and all.

        Returns:
            how many conflicts are left.

        Raises:
            UsageError: there is no git, or it cannot merge these files.
        """
        labels = [part for name in ("ours", "base", "theirs") for part in ("-L", name)]
        done = self._run(["merge-file", "--diff3", *labels, str(ours), str(base), str(theirs)])
        if done.code < 0 or done.code > 127:
            raise UsageError(f"git cannot merge the texts: {done.complaint}")
        return done.code

    def _run(self, arguments: Sequence[str], most_bytes: int = 65_536) -> "_Done":
        try:
            with subprocess.Popen(  # noqa: S603 (a list, no shell)
                ["git", "-C", str(self.folder), *arguments],  # noqa: S607 (the user's own git)
                env={**self.environment, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as running:
                assert running.stdout is not None, "it is a pipe"
                assert running.stderr is not None, "it is a pipe"
                out = running.stdout.read(most_bytes + 1)
                running.stdout.close()
                err = running.stderr.read(65_536)
        except FileNotFoundError as error:
            raise UsageError(
                "git is not installed, or its folder is not in PATH", hint=_FILES_HINT
            ) from error
        except OSError as error:
            raise UsageError(
                f"git cannot be started: {error.strerror}", hint=_FILES_HINT
            ) from error
        # A file that is longer than what was read ends git by a broken pipe, which is no fault.
        code = 0 if len(out) > most_bytes else running.returncode
        return _Done(code=code, out=out, complaint=_first_line(err))


#: What follows is no option, whatever it looks like.
_END = "--end-of-options"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Done:
    """How a run of git ended; `complaint` is the first line of what it said."""

    code: int
    out: bytes
    complaint: str


def _first_line(text: bytes) -> str:
    first = text.decode("utf-8", "replace").strip().partition("\n")[0]
    return shown(first.removeprefix("fatal: "))[:300] or "it gave no reason"
