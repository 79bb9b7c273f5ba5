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
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from itertools import chain

from comfylock.artifacts import Source
from comfylock.disk.part import Part
from comfylock.disk.ranges import StartOverError, Stream, lead_of, receive_spread
from comfylock.disk.sniff import HEAD_BYTES, foreign_kind, refuse_foreign
from comfylock.disk.streams import Body, Receiving
from comfylock.errors import (
    ComfylockError,
    FetchError,
    HashMismatchError,
    NotAModelError,
    StoppedError,
)
from comfylock.events import Advanced, Noted
from comfylock.hashes import needed_to_check, told_apart
from comfylock.lockfile.model import Pin
from comfylock.names import quoted
from comfylock.web.faults import NoAnswerError, PassingError
from comfylock.web.fetch import RangeRefusedError, Stretch


def receive(pin: Pin, part: Part, receiving: Receiving) -> None:
    """Fill a claimed part with a model's bytes until they have every digest of the lock.

    The sources are tried in order; the first one's error is raised when all have failed.

    Raises:
        FetchError: no source gave the bytes; the part keeps what came, if it is worth keeping.
        HashMismatchError, NotAModelError: other bytes came.
        PlaceError: the disk refused.
        StoppedError: the user interrupted.
        OtherLengthError: as `Receiving.on_length` says.
    """
    if part.size and _is_whole(pin, part):
        _require_model(pin, part)
        return
    first: ComfylockError | None = None
    for source in pin.sources:
        try:
            with receiving.connections.first():
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


def _require_model(pin: Pin, part: Part) -> None:
    """Refuse a whole part that was not sniffed as it came: an act of ours may have left it."""
    what = foreign_kind(pin.key, part.beginning(HEAD_BYTES))
    if what is not None:
        part.restart(needed_to_check(pin.digests))
        raise NotAModelError(
            f"what an earlier run has left of {pin.key} is {what}; nothing was kept",
            hint="Look at the model's page, and ask whoever made comfy.lock what it is",
        )


def _receive_verified(pin: Pin, source: Source, part: Part, receiving: Receiving) -> None:
    """Have the locked bytes, or after one clean retry the error."""
    may_start_over = True
    while True:
        resumed = _receive_whole(pin, source, part, receiving)
        if part.digests().agrees(pin.digests):
            return
        error = _mismatch(pin, source, part)
        _restart(pin, part, receiving)
        if not (resumed and may_start_over):
            raise error
        may_start_over = False
        receiving = receiving.over_one_connection()
        receiving.reporter.on(Noted(message=f"{pin.key}: wrong hash after a resume, starting over"))


def _receive_whole(pin: Pin, source: Source, part: Part, receiving: Receiving) -> bool:
    """Go on with a part until the server says that it is whole, over as many tries as it takes.

    Returns:
        Whether the bytes came in several goes, so that a wrong hash may be a bad seam.
    """
    fruitless, furthest = 0, part.held
    while True:
        try:
            _receive_once(pin, source, part, receiving)
        except (StartOverError, RangeRefusedError) as error:
            receiving.reporter.on(Noted(message=f"{pin.key}: {error.message}; starting over"))
            _restart(pin, part, receiving)
            receiving = receiving.over_one_connection()
        except PassingError as error:
            fruitless = 0 if part.held > furthest else fruitless + 1
            furthest = max(furthest, part.held)
            if fruitless >= receiving.patience.tries:
                raise _given_up(pin, part, error, fruitless) from error
            _wait(pin, error, fruitless, receiving)
        else:
            return part.seams > 0


def _receive_once(pin: Pin, source: Source, part: Part, receiving: Receiving) -> None:
    with ExitStack() as opened:
        body = opened.enter_context(_opened(source, part, receiving))
        if body.total is not None:
            receiving.on_length(body.total)
        pieces = body.chunks()
        head = b""
        if body.start == 0:
            head = _head(pieces)
            # Before anything kept is given up for it: the new bytes must look like a model.
            refuse_foreign(pin.key, head[:HEAD_BYTES])
        if body.start != part.size or (part.journal and part.journal.total != body.total):
            _restart(pin, part, receiving)
        part.begin_stream()
        part.remember(body.validator)
        part.require_room(_expected_size(pin, body))
        limit = body.total if body.total is not None else pin.size
        stream = Stream(source=source, body=body, chunks=chain([head], pieces), close=opened.close)
        _take_all(pin, part, stream, receiving)
    if limit is not None and part.size < limit and not part.digests().agrees(pin.digests):
        raise NoAnswerError(f"the stream of {pin.key} ended at {part.size:,} of {limit:,} bytes")


def _opened(source: Source, part: Part, receiving: Receiving) -> AbstractContextManager[Body]:
    """Ask for what comes behind the bytes that there are, up to others that are there already."""
    stretch = None
    if part.journal:
        part.catch_up(part.journal.front)  # several connections may have been ahead of the hash
        stretch = Stretch(stop=part.journal.gap_end)
    return receiving.fetcher.open(
        source, start=part.size, validator=part.validator, stretch=stretch
    )


def _take_all(pin: Pin, part: Part, stream: Stream, receiving: Receiving) -> None:
    """Take a stream's bytes, over several connections where that helps."""
    if part.journal is not None:
        receive_spread(pin, part, stream, receiving)
        return
    told = stream.body.total
    limit = told if told is not None else pin.size
    lead = lead_of(stream.body, part, receiving)
    for piece in stream.chunks:
        _take(pin, piece, part, receiving)
        if limit is not None and part.size > limit:
            part.restart(needed_to_check(pin.digests))
            raise _too_long(pin, limit)
        if lead is not None and lead.is_slow(time.monotonic(), part.size):
            receive_spread(pin, part, replace(stream, rate=lead.rate), receiving)
            return


def _restart(pin: Pin, part: Part, receiving: Receiving) -> None:
    receiving.reporter.on(Advanced(ref=pin.key, count=-part.held))
    part.restart(needed_to_check(pin.digests))


def _expected_size(pin: Pin, body: Body) -> int | None:
    """Return the size that room is set aside for.

    A whole answer is as long as it says, an uploader's word is nothing against that. Else the
    smaller one counts: what an answer to a range says of the whole may be wrong too.
    """
    if body.start == 0 and body.total is not None and not pin.size_is_exact:
        return body.total
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
    part.write(piece)
    receiving.reporter.on(Advanced(ref=pin.key, count=len(piece)))
    if receiving.stop.is_set():
        raise StoppedError("stopped")


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
        hint=f"Run `comfylock install` again later; {part.held:,}{of} bytes are kept",
    )


def _mismatch(pin: Pin, source: Source, part: Part) -> HashMismatchError:
    found = part.digests()
    return HashMismatchError(
        f"{pin.key} from {source} is not the locked file ({part.size:,} bytes)\n"
        f"{told_apart(pin.digests, found)}",
        hint=(
            "The uploader may have replaced the file, or comfy.lock was edited: look at its page; "
            f"`comfylock pin {quoted(pin.key)} SPEC` accepts what is there now"
        ),
    )


def _too_long(pin: Pin, limit: int) -> HashMismatchError:
    return HashMismatchError(
        f"the server sent more than the {limit:,} bytes of {pin.key}; nothing was kept",
        hint="Try again later; if it stays so, the source is broken",
    )
