"""What can go wrong, as a tree: each leaf has a stable slug and an exit code.

    ComfylockError                       raise it for what stops the work
    ├── CannotWorkError        exit 2    the job could not be done at all
    │   ├── UsageError                   usage
    │   ├── PathMissingError             path-missing
    │   ├── ConfigInvalidError           config-invalid
    │   ├── LockMissingError             lock-missing
    │   ├── LockInvalidError             lock-invalid
    │   ├── LockConflictError            lock-conflict
    │   ├── LockVersionError             lock-version
    │   ├── ModelsDirMissingError        models-dir-missing
    │   ├── OutputError                  disk-error
    │   ├── NotReachableError            the slug of the FetchError behind it
    │   └── BusyError                    busy
    ├── AnswerIsNoError        exit 1    the answer is no
    │   ├── LockStaleError               lock-stale
    │   ├── UnresolvedError              unresolved
    │   ├── AmbiguousError               ambiguous
    │   └── WorkflowInvalidError         workflow-invalid
    ├── FetchError             exit 1    the outside world did not give what was asked for
    │   ├── NetworkError                 network
    │   ├── OfflineError                 offline
    │   ├── ServerError                  server-error
    │   ├── RateLimitedError             rate-limited
    │   ├── QuotaError                   quota
    │   ├── AuthRequiredError            auth-required
    │   ├── ForbiddenError               forbidden
    │   ├── EarlyAccessError             early-access
    │   ├── GoneError                    gone
    │   ├── HostNotAllowedError          host-not-allowed
    │   └── NotAModelError               unsafe-format
    ├── StoppedError           exit 130  interrupted
    └── PlaceError             exit 1    the bytes could not be put, or are not the right ones
        ├── HashMismatchError            hash-mismatch
        ├── PathOccupiedError            path-occupied
        ├── UnsafePathError              unsafe-path
        ├── PermissionDeniedError        permission
        ├── DiskFullError                disk-full
        │   └── TooLargeError            disk-full
        └── DiskError                    disk-error

What the user will read in a list (unresolved, blocked, failed) is a value, not an exception;
`Problem` is that value. Only `cli/main.py` catches the base class.
"""

from dataclasses import dataclass, replace
from typing import ClassVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong, as the user and `--json` are told of it.

    Attributes:
        slug: stable name of the kind of fault, such as ``hash-mismatch``.
        message: one sentence with the names and values of the case.
        hint: the next step, or ``None`` where there is none to give.
        ref: the model (``folder/name``) or file that it is about, ``None`` when it is about all.
    """

    slug: str
    message: str
    hint: str | None = None
    ref: str | None = None


class ComfylockError(Exception):
    """Base of all errors that comfylock raises on purpose.

    Attributes:
        slug: stable name of the kind of fault, for text, JSON and scripts.
        exit_code: what the process ends with when this error stops the whole command.
        next_step: the hint of an error that is raised without one of its own.
    """

    slug: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    next_step: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, ref: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.next_step or None
        self.ref = ref

    def problem(self, ref: str | None = None) -> Problem:
        """Return this error as a value; `ref` names the model where the error does not."""
        return Problem(slug=self.slug, message=self.message, hint=self.hint, ref=self.ref or ref)


class CannotWorkError(ComfylockError):
    """The job could not be done at all."""

    exit_code = 2


class UsageError(CannotWorkError):
    """The command line asks for something that makes no sense."""

    slug = "usage"
    next_step = "Run the command with `--help` to see what it takes"


class PathMissingError(CannotWorkError):
    """A path that the user named is not there."""

    slug = "path-missing"
    next_step = "Check the path"


class ConfigInvalidError(CannotWorkError):
    """A settings file or variable cannot be understood."""

    slug = "config-invalid"
    next_step = "Correct it there; `comfylock doctor` shows the settings that count"


class LockMissingError(CannotWorkError):
    """There is no comfy.lock where one is needed."""

    slug = "lock-missing"


class LockInvalidError(CannotWorkError):
    """comfy.lock breaks its format; the message names the path inside the file."""

    slug = "lock-invalid"
    next_step = (
        "Take the file from version control, or run `comfylock lock --rebuild WORKFLOWS` to write "
        "it anew"
    )


class LockConflictError(CannotWorkError):
    """comfy.lock holds merge conflict markers."""

    slug = "lock-conflict"
    next_step = "Run `comfylock lock`"


class LockVersionError(CannotWorkError):
    """comfy.lock was written by a newer comfylock."""

    slug = "lock-version"


class ModelsDirMissingError(CannotWorkError):
    """No models folder is known, or the one that was named is not there."""

    slug = "models-dir-missing"


class OutputError(CannotWorkError):
    """What was found out cannot be printed."""

    slug = "disk-error"
    next_step = "Check where the output goes"


class BusyError(CannotWorkError):
    """Another comfylock, or a program that holds the file, is in the way."""

    slug = "busy"
    next_step = "Wait until the other program is done, then run it again"


class AnswerIsNoError(ComfylockError):
    """The question was answered, and the answer is no."""


class LockStaleError(AnswerIsNoError):
    """comfy.lock no longer says what the workflows need."""

    slug = "lock-stale"


class UnresolvedError(AnswerIsNoError):
    """What the user named is not known, or leads to no file."""

    slug = "unresolved"


class AmbiguousError(AnswerIsNoError):
    """What the user named may mean several; the message lists them."""

    slug = "ambiguous"


class WorkflowInvalidError(AnswerIsNoError):
    """A workflow file cannot be read; the others go on."""

    slug = "workflow-invalid"
    next_step = "Save the workflow again in ComfyUI, or leave the file out with `exclude`"


class FetchError(ComfylockError):
    """The outside world did not give what was asked for."""


class NotReachableError(CannotWorkError):
    """What the whole job hangs on could not be fetched; the slug is that fault's."""

    def __init__(self, message: str, *, fault: FetchError, hint: str | None) -> None:
        super().__init__(message, hint=hint)
        self.fault = fault

    def problem(self, ref: str | None = None) -> Problem:
        """Return this error as a value, with the slug of the fault behind it."""
        return replace(super().problem(ref), slug=self.fault.slug)


class NetworkError(FetchError):
    """No answer: name not found, refused, reset, timed out."""

    slug = "network"
    next_step = "Check the network and the proxy settings"


class OfflineError(FetchError):
    """`--offline` forbids the request that would be needed."""

    slug = "offline"


class ServerError(FetchError):
    """The server answered with a fault of its own, or with something that makes no sense."""

    slug = "server-error"
    next_step = "Try it again later"


class RateLimitedError(FetchError):
    """The server asks us to slow down, for longer than we wait."""

    slug = "rate-limited"
    next_step = "Try it again later"


class QuotaError(FetchError):
    """The account's download quota is used up; asking again does not help."""

    slug = "quota"


class AuthRequiredError(FetchError):
    """The file needs a key and none, or a wrong one, was given."""

    slug = "auth-required"


class ForbiddenError(FetchError):
    """The server refuses this file, key or not."""

    slug = "forbidden"


class EarlyAccessError(FetchError):
    """The file is sold for now and free later."""

    slug = "early-access"


class GoneError(FetchError):
    """The file is no longer there: deleted, archived, unpublished."""

    slug = "gone"


class HostNotAllowedError(FetchError):
    """An address leads to a host or scheme that comfylock does not fetch from."""

    slug = "host-not-allowed"


class NotAModelError(FetchError):
    """The bytes that came are a web page, an error text or another format than promised."""

    slug = "unsafe-format"


class StoppedError(ComfylockError):
    """The user interrupted the command."""

    slug = "interrupted"
    next_step = "Run it again: it goes on from where it was"
    exit_code = 130


class PlaceError(ComfylockError):
    """The bytes could not be put where they belong, or are not the right ones."""


class HashMismatchError(PlaceError):
    """The whole file came, and its hash is not the lock's."""

    slug = "hash-mismatch"
    next_step = "Run it again"


class PathOccupiedError(PlaceError):
    """Something of the user's lies where the file belongs."""

    slug = "path-occupied"
    next_step = "Move it out of the way"


class UnsafePathError(PlaceError):
    """A name would lead outside the models folder, or means something else on another system."""

    slug = "unsafe-path"


class PermissionDeniedError(PlaceError):
    """The operating system forbids the write."""

    slug = "permission"


class DiskFullError(PlaceError):
    """There is not enough room, or the disk cannot hold a file of that size."""

    slug = "disk-full"


class TooLargeError(DiskFullError):
    """The disk has room, but for no file of that size."""


class DiskError(PlaceError):
    """The disk failed at reading or writing."""

    slug = "disk-error"
    next_step = "Check the disk, then run it again"
