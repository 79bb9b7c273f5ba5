"""A stream from somewhere to a verified part: retried, resumed, sniffed and hashed on the way.

Rules:
    - Bytes go only into a claimed `Part`; the final name is not touched here.
    - A fault of the network is tried again, with the part kept, until five tries in a row brought
      no new byte. What the server says is final is not tried again.
    - The hash decides. A length that differs from the lock's is no reason to refuse, since
      Civitai's sizes are the uploader's word; a web page or an error text is.
    - A wrong hash after a resumed download gets one clean retry; then the bytes are thrown away.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from comfylock.artifacts import Source
from comfylock.disk.parts import Part
from comfylock.errors import (
    ComfylockError,
    FetchError,
    HashMismatchError,
    NotAModelError,
    StoppedError,
)
from comfylock.events import Advanced, Noted, Reporter
from comfylock.hashes import needed_to_verify
from comfylock.lockfile.model import Pin
from comfylock.names import extension
from comfylock.web.faults import NoAnswerError, PassingError

#: So many first bytes tell what a file is.
HEAD_BYTES = 16
#: The format's own limit of a header (safetensors, tensor.rs).
_MAX_SAFETENSORS_HEADER = 100_000_000
_MARKUP = (b"<!doctype", b"<!--", b"<html", b"<head", b"<?xml", b"<body", b"<error")
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


class Body(Protocol):
    """One answer's stream of a file."""

    @property
    def start(self) -> int:
        """Offset of the first byte."""
        ...

    @property
    def total(self) -> int | None:
        """Length of the whole file."""
        ...

    @property
    def validator(self) -> str | None:
        """The server's name of this version."""
        ...

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes as they come. Raises `FetchError` when the stream breaks."""
        ...


class Fetcher(Protocol):
    """Opens the bytes of a source from an offset on."""

    def open(
        self, source: Source, *, start: int, validator: str | None
    ) -> AbstractContextManager[Body]:
        """Ask for a file. The answer may start at 0 where `start` was asked for.

        Raises:
            FetchError: there is no such stream to be had, now or ever.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long faults that may pass are waited out.

    Attributes:
        tries: how many in a row may bring no new byte.
        first_wait_s: seconds before the second try; each further wait is twice as long.
        longest_wait_s: no wait is longer, unless the server asks for it.
    """

    tries: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Receiving:
    """What a download needs besides the model and the part.

    Attributes:
        fetcher: where streams come from.
        reporter: told of every piece.
        stop: set when the user interrupts.
        patience: how long faults are waited out.
    """

    fetcher: Fetcher
    reporter: Reporter
    stop: threading.Event
    patience: Patience = field(default_factory=Patience)


def receive(pin: Pin, part: Part, receiving: Receiving) -> None:
    """Fill a claimed part with a model's bytes until they have every digest of the lock.

    The sources are tried in order; the first one's error is raised when all have failed.

    Raises:
        FetchError: no source gave the bytes; the part keeps what came, if it is worth keeping.
        HashMismatchError, NotAModelError: other bytes came.
        PlaceError: the disk refused.
        StoppedError: the user interrupted.
    """
    if part.size and _is_whole(pin, part):
        return
    first: ComfylockError | None = None
    for source in pin.sources:
        try:
            _receive_verified(pin, source, part, receiving)
        except (FetchError, HashMismatchError) as error:
            first = first or error
            receiving.reporter.on(Noted(message=f"{pin.key}: {source}: {error.message}"))
        else:
            return
    assert first is not None, "a model without sources is blocked by the plan"
    raise first


def _is_whole(pin: Pin, part: Part) -> bool:
    found = part.digests()
    return found.agrees(pin.digests)


def _receive_verified(pin: Pin, source: Source, part: Part, receiving: Receiving) -> None:
    may_start_over = True
    while True:
        resumed = _receive_whole(pin, source, part, receiving)
        if part.digests().agrees(pin.digests):
            return
        error = _mismatch(pin, source, part)
        receiving.reporter.on(Advanced(ref=pin.key, count=-part.size))
        part.restart(needed_to_verify(pin.digests))
        if not (resumed and may_start_over):
            raise error
        may_start_over = False
        receiving.reporter.on(Noted(message=f"{pin.key}: wrong hash after a resume, starting over"))


def _receive_whole(pin: Pin, source: Source, part: Part, receiving: Receiving) -> bool:
    """Go on with a part until the server says that it is whole, over as many tries as it takes.

    Returns:
        Whether the bytes came in several goes, so that a wrong hash may be a bad seam.
    """
    fruitless, furthest = 0, part.size
    while True:
        try:
            _receive_once(pin, source, part, receiving)
        except PassingError as error:
            fruitless = 0 if part.size > furthest else fruitless + 1
            furthest = max(furthest, part.size)
            if fruitless >= receiving.patience.tries:
                raise _given_up(pin, part, error, fruitless) from error
            _wait(pin, error, fruitless, receiving)
        else:
            return part.seams > 0


def _receive_once(pin: Pin, source: Source, part: Part, receiving: Receiving) -> None:
    with receiving.fetcher.open(source, start=part.size, validator=part.validator) as body:
        pieces = body.chunks()
        head = b""
        if body.start == 0:
            head = _head(pieces)
            # Before anything kept is given up for it: the new bytes must look like a model.
            refuse_foreign(pin.key, head[:HEAD_BYTES])
        if body.start != part.size:
            receiving.reporter.on(Advanced(ref=pin.key, count=-part.size))
            part.restart(needed_to_verify(pin.digests))
        part.begin_stream()
        part.remember(body.validator)
        part.require_room(_expected_size(pin, body))
        limit = body.total if body.total is not None else pin.size
        for piece in chain([head], pieces):
            _take(pin, piece, part, receiving)
            if limit is not None and part.size > limit:
                part.restart(needed_to_verify(pin.digests))
                raise _too_long(pin, limit)
    if limit is not None and part.size < limit and not part.digests().agrees(pin.digests):
        raise NoAnswerError(f"the stream of {pin.key} ended at {part.size:,} of {limit:,} bytes")


def _expected_size(pin: Pin, body: Body) -> int | None:
    """Return the smaller of the two sizes that are told: either may be wrong, the hash decides."""
    told = [size for size in (pin.size, body.total) if size is not None]
    return min(told, default=None)


def _head(pieces: Iterator[bytes | memoryview]) -> bytes:
    """Return the first pieces of a stream, together long enough to be recognised."""
    head = b""
    while len(head) < HEAD_BYTES:
        piece = next(pieces, None)
        if piece is None:
            break
        head += bytes(piece)
    return head


def _take(pin: Pin, piece: bytes | memoryview, part: Part, receiving: Receiving) -> None:
    if receiving.stop.is_set():
        raise StoppedError("stopped")
    part.write(piece)
    receiving.reporter.on(Advanced(ref=pin.key, count=len(piece)))


def _wait(pin: Pin, error: PassingError, fruitless: int, receiving: Receiving) -> None:
    asked, patience = error.retry_after_s, receiving.patience
    planned = min(patience.longest_wait_s, patience.first_wait_s * 2.0 ** max(0, fruitless - 1))
    seconds = planned * random.uniform(0.75, 1.25) if asked is None else asked  # noqa: S311
    receiving.reporter.on(
        Noted(message=f"{pin.key}: {error.message}; trying again in {seconds:.0f} s")
    )
    if receiving.stop.wait(seconds):
        raise StoppedError("stopped")


def _given_up(pin: Pin, part: Part, error: PassingError, tries: int) -> PassingError:
    of = "" if pin.size is None else f" of {pin.size:,}"
    return type(error)(
        f"{pin.key}: {error.message}; {tries} tries in a row brought no new byte",
        hint=f"Run `comfylock install` again later; {part.size:,}{of} bytes are kept",
    )


def refuse_foreign(key: str, head: bytes) -> None:
    """Raise when the first bytes of a download show that it is no model of its extension.

    Raises:
        NotAModelError: with what the bytes look like.
    """
    what = foreign_kind(key, head)
    if what is not None:
        raise NotAModelError(
            f"the server sent {what} instead of {key}; nothing was kept",
            hint="Open the model's page in a browser; a key, a licence or a login may be missing",
        )


def foreign_kind(name: str, head: bytes) -> str | None:
    """Return what a file surely is by its first bytes where that is no model of its extension.

    That is a web page, an error text, and pickle or zip bytes under a ``.safetensors`` name, which
    some loaders would run. All else is for the hash to judge.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_MARKUP):
        return "a web page"
    named_safetensors = extension(name) in {".safetensors", ".sft"}
    if named_safetensors and _looks_like_safetensors(head):
        return None
    if start.startswith((b'{"', b"{'", b"{\n", b'[{"')):
        return "an error text (JSON)"
    if named_safetensors and head.startswith(_PICKLES):
        return "a pickle or zip file, which may run code when it is loaded,"
    return None


def _looks_like_safetensors(head: bytes) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and length <= _MAX_SAFETENSORS_HEADER and head[8:9] == b"{"


def _mismatch(pin: Pin, source: Source, part: Part) -> HashMismatchError:
    found = part.digests()
    return HashMismatchError(
        f"{pin.key} from {source} is not the locked file\n"
        f"  expected {pin.digests}\n"
        f"  found    {found} ({part.size:,} bytes)",
        hint=(
            "The uploader may have replaced the file, or comfy.lock was edited. "
            "Run `comfylock lock --rebuild` to pin what is there now"
        ),
    )


def _too_long(pin: Pin, limit: int) -> HashMismatchError:
    return HashMismatchError(
        f"the server sent more than the {limit:,} bytes of {pin.key}; nothing was kept",
        hint="Try again later; if it stays so, the source is broken",
    )
