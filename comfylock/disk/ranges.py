"""A large file over several connections at once, where a server limits what one of them gets.

Begins with a stream that is open already. Threads fetch pieces and write them where they belong;
this one hashes behind what is there without a gap, keeps the journal, and adds connections as
long as they bring more together. A connection that gets nothing goes; the last one's fault is
the download's. Nothing is ever written by a thread that was left behind: each write is asked for
under the lock, and after the end the answer is no.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from comfylock.artifacts import Source
from comfylock.disk.journal import Journal
from comfylock.disk.part import Part
from comfylock.disk.pieces import Lead, Piece, Pieces, Ramp
from comfylock.disk.streams import Body, Receiving
from comfylock.errors import FetchError, NetworkError, StoppedError
from comfylock.events import Advanced, Noted
from comfylock.lockfile.model import Pin
from comfylock.web.faults import NoAnswerError, PassingError
from comfylock.web.fetch import RangeRefusedError, Stretch

_TICK_S = 0.05
_IDLE_S = 0.25


class StartOverError(PassingError, NetworkError):
    """What is there and what the server gives now do not belong together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """An open stream that a download begins with.

    Attributes:
        source: where it comes from, and where further ones do.
        body: its head.
        chunks: what is left of its bytes.
        close: ends it; what the server has sent ahead is lost, so the sooner the better.
        rate: what it brings, bytes per second; 0 when not known.
    """

    source: Source
    body: Body
    chunks: Iterator[bytes | memoryview]
    close: Callable[[], None]
    rate: float = 0.0


def lead_of(body: Body, part: Part, receiving: Receiving) -> Lead | None:
    """Return what watches a stream that more connections may help, ``None`` for any other."""
    connections = receiving.connections
    may_help = (
        connections.per_file > 1
        and body.gives_ranges
        and body.validator is not None
        and body.total is not None
        and body.total >= connections.scale.file_bytes
        and part.can_spread
    )
    return Lead(connections.scale, time.monotonic(), part.size) if may_help else None


def receive_spread(pin: Pin, part: Part, stream: Stream, receiving: Receiving) -> None:
    """Fill a part over several connections.

    Args:
        pin: the model.
        part: has what comes before the stream.
        stream: goes on behind the part's hashed bytes.
        receiving: where further streams come from.

    Raises:
        FetchError: the last connection failed; what has come is in the part's journal.
        StartOverError: the file has changed meanwhile.
        PlaceError: the disk refused.
        StoppedError: the user interrupted.
    """
    spread = _Spread(pin, part, stream, receiving)
    spread.run(Ramp(receiving.connections.per_file, receiving.connections.scale, stream.rate))


class _Spread:
    """The connections of one file; all that changes is changed under one lock."""

    def __init__(self, pin: Pin, part: Part, stream: Stream, receiving: Receiving) -> None:
        assert stream.body.total is not None, "nobody cuts up what has no length"
        self._pin, self._part = pin, part
        self._stream, self._receiving = stream, receiving
        self._validator, self._address = stream.body.validator, stream.body.address
        connections = receiving.connections
        done = part.journal.done if part.journal else ((0, part.size),)
        self._pieces = Pieces(stream.body.total, done, connections.per_file, connections.scale)
        self._lock = threading.Condition()
        self._working = self._writing = 0
        self._target = 1
        self._is_too_many = self._has_joined = self._is_over = False
        self._not_before_s = 0.0
        self._error: BaseException | None = None

    def run(self, ramp: Ramp) -> None:
        """Work until the file is whole."""
        part, pieces = self._part, self._pieces
        journal = Journal(total=pieces.total, done=pieces.done)
        part.spread(journal)
        at_most = self._receiving.connections.scale.piece_bytes
        try:
            with self._lock:
                self._start(pieces.begin((part.size, journal.gap_end), time.monotonic()))
            while part.size < pieces.total:
                with self._lock:
                    if pieces.front == part.size:
                        self._lock.wait(_TICK_S)
                    if not pieces.is_whole:  # else only the hash has still to follow
                        self._raise_if_ended()
                    self._staff(ramp)
                    front = min(pieces.front, part.size + at_most)
                part.catch_up(front)
        finally:
            self._end()

    def _raise_if_ended(self) -> None:
        if self._receiving.stop.is_set():
            raise StoppedError("stopped")
        if self._error is not None:
            raise self._error

    def _staff(self, ramp: Ramp) -> None:
        """Have as many connections as are worth it."""
        now_s = time.monotonic()
        if self._is_too_many:
            ramp.settle(self._working)
        ramp.look(now_s, self._pieces.held, self._pieces.flowing)
        self._target = ramp.target
        while (
            self._working < self._target
            and now_s >= self._not_before_s
            and not self._pieces.is_whole
            and (self._working == 0 or self._receiving.connections.take())
        ):
            self._start(None)

    def _start(self, first: Piece | None) -> None:
        self._working += 1
        threading.Thread(
            target=self._work, args=(first,), name="comfylock-range", daemon=True
        ).start()

    def _end(self) -> None:
        """Let nobody write any more, and wait for who is writing right now."""
        with self._lock:
            self._is_over = True
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._writing == 0)

    # ---------------------------------------------------------------- in a connection's thread

    def _work(self, first: Piece | None) -> None:
        """Fetch pieces until none is left, or nothing comes."""
        piece, error = first, None
        chunks = None if first is None else self._stream.chunks
        try:
            while piece or (piece := self._next()):
                self._fetch(piece, chunks)
                piece = chunks = None
        except BaseException as fault:  # noqa: BLE001 - told by the thread that waits for us
            error = fault
        with self._lock:
            self._working -= 1
            if self._working:
                self._receiving.connections.give_back()
            if error is not None:
                self._judge(error, has_moved=piece is not None and piece.at > piece.first)
            self._lock.notify_all()

    def _judge(self, error: BaseException, *, has_moved: bool) -> None:
        """Do without a connection as long as there are others."""
        if isinstance(error, RangeRefusedError) and not self._working:
            error = StartOverError(error.message)
        spares = isinstance(error, FetchError) and not isinstance(error, StartOverError)
        if not (spares and self._working):
            self._error = self._error or error
            return
        self._not_before_s = time.monotonic() + self._receiving.patience.first_wait_s
        self._is_too_many = self._is_too_many or not has_moved
        if isinstance(error, FetchError):
            text = f"{self._pin.key}: {error.message}; going on over {self._working} connections"
            self._receiving.reporter.on(Noted(message=text))

    def _next(self) -> Piece | None:
        with self._lock:
            while not (self._is_over or self._pieces.is_whole or self._working > self._target):
                piece = self._pieces.next(time.monotonic())
                if piece is not None:
                    return piece
                self._lock.wait(_IDLE_S)
            return None

    def _fetch(self, piece: Piece, chunks: Iterator[bytes | memoryview] | None) -> None:
        try:
            if chunks is not None:
                with closing(self._stream):
                    self._drain(piece, chunks)
                return
            stretch = Stretch(stop=piece.stop, address=self._address)
            with self._receiving.fetcher.open(
                self._stream.source, start=piece.first, validator=self._validator, stretch=stretch
            ) as body:
                self._require_same(body, piece)
                self._join(body)
                self._drain(piece, body.chunks())
        finally:
            with self._lock:
                self._pieces.close(piece)

    def _require_same(self, body: Body, piece: Piece) -> None:
        is_same = body.total == self._pieces.total and body.validator in {None, self._validator}
        if is_same and body.start == piece.first:
            return
        if self._has_joined and not is_same:
            raise StartOverError("the file has changed on the server meanwhile")
        raise RangeRefusedError("the server does not give parts of this file")

    def _join(self, body: Body) -> None:
        with self._lock:
            self._address, self._has_joined = body.address, True
            self._part.begin_stream()

    def _drain(self, piece: Piece, chunks: Iterator[bytes | memoryview]) -> None:
        for chunk in chunks:
            count = self._written(piece, chunk)
            if count < len(chunk) or piece.at >= piece.stop:
                return
        if piece.at < piece.stop:
            raise NoAnswerError(f"the stream of {self._pin.key} ended at {piece.at:,} bytes")

    def _written(self, piece: Piece, chunk: bytes | memoryview) -> int:
        """Write what of a chunk is this piece's, and return how much that is."""
        with self._lock:
            count = 0 if self._is_over else self._pieces.give(piece, len(chunk))
            if not count:
                return 0
            self._writing += 1
        try:
            self._part.write_at(piece.at, chunk[:count])
            with self._lock:
                # Also when all is over: the end waits for this, and what is written is kept.
                self._pieces.wrote(piece, time.monotonic())
                self._part.spread(Journal(total=self._pieces.total, done=self._pieces.done))
            self._receiving.reporter.on(Advanced(ref=self._pin.key, count=count))
        finally:
            with self._lock:
                self._writing -= 1
                if self._is_over:
                    self._lock.notify_all()
        return count
