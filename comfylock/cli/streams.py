"""Standard output and error, such that no failure of theirs is taken for one of a model.

What goes to stdout is the answer: where it cannot be written, the command says so and fails. What
goes to stderr is told besides: a log on a full disk, or one whose reader has gone away, changes
nothing of what is done, and the exit code tells how that ended.
"""

import sys
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from comfylock.errors import OutputError


def guard_streams() -> None:
    """Put both in the place of the ones that Python opened."""
    sys.stdout = cast("TextIO", _Answer(sys.stdout))
    sys.stderr = cast("TextIO", _Talk(sys.stderr))


class _Stream:
    """A stream as it is, but for what its failures mean."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        """Return what is not changed here."""
        return getattr(self._stream, name)


class _Answer(_Stream):
    """What others read: its failures are ours, and a reader who leaves is no failure."""

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise _in_our_words(error) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise _in_our_words(error) from error


class _Talk(_Stream):
    """What is lost where nobody can read it."""

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return


def _in_our_words(error: OSError) -> "OSError | OutputError":
    from comfylock.errors import OutputError

    if isinstance(error, BrokenPipeError):
        return error
    return OutputError(f"cannot write to standard output: {error.strerror or error}")
