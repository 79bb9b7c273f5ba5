"""How a large file is cut up among connections: pure values, the clock passed in.

Pieces are taken from the front on, so that the hash can follow: what is fetched ahead of it is
never more than a piece a connection. Near the end they become smaller, and who has nothing to do
takes half of what another still has before it, so that all end together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from comfylock.disk.journal import Span


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Sizes and times of a download over several connections.

    Attributes:
        file_bytes: a smaller file has come before more connections are worth their set-up.
        piece_bytes: a connection's share at a time. Measured: with 16 MiB the set-up of
            connections costs a tenth of the time, with 64 MiB a thirtieth.
        least_bytes: no smaller piece, or the set-up costs more than waiting for the other.
        look_s: how long the rate is measured before more connections are judged.
        wait_s: how long more connections may take to show their worth: over a long path a new
            one needs seconds to reach its speed.
        gain: what is more than noise, as a ratio of the rates.
        fast: bytes per second that no further connection is tried above: there the disk and the
            processor are the limit, and pieces only cost.
        stalled_s: a piece without a new byte for so long may be taken over.
    """

    file_bytes: int = 256 << 20
    piece_bytes: int = 64 << 20
    least_bytes: int = 8 << 20
    look_s: float = 0.25
    wait_s: float = 2.0
    gain: float = 1.25
    fast: float = 400e6
    stalled_s: float = 5.0


@dataclass(slots=True, eq=False)
class Piece:
    """A span of the file that one connection fetches.

    Attributes:
        first: offset of its first byte.
        at: what is before it is written.
        given: what is before it may be written.
        stop: offset of the byte behind its last; comes nearer when another takes the rest.
        moved_s: when the last byte was written.
        taken_from: whom it is to be taken from, as long as no byte of it has come.
        is_robbed: another is about to take a part of it.
    """

    first: int
    at: int
    given: int
    stop: int
    moved_s: float
    taken_from: "Piece | None" = None
    is_robbed: bool = False


class Pieces:
    """Which bytes of a file are there, which are under way, and which are free.

    Every method must be called by one thread at a time.

    Args:
        total: length of the file.
        done: what is there already.
        connections: how many share the rest at most.
        scale: the sizes of pieces.
    """

    def __init__(self, total: int, done: Iterable[Span], connections: int, scale: Scale) -> None:
        self.total = total
        self._connections = connections
        self._scale = scale
        self._closed = list(done)
        self._open: list[Piece] = []

    @property
    def done(self) -> tuple[Span, ...]:
        """The spans that are there, in order, apart from each other."""
        written = [(piece.first, piece.at) for piece in self._open if piece.at > piece.first]
        return tuple(_merged([*self._closed, *written]))

    @property
    def front(self) -> int:
        """How many bytes are there from the first on without a gap."""
        done = self.done
        return done[0][1] if done and done[0][0] == 0 else 0

    @property
    def held(self) -> int:
        """How many bytes are there."""
        return sum(stop - start for start, stop in self.done)

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there."""
        return self.front == self.total

    @property
    def flowing(self) -> int:
        """How many pieces have got bytes."""
        return sum(piece.at > piece.first for piece in self._open)

    def begin(self, span: Span, now_s: float) -> Piece:
        """Return a piece for a stream that is open already."""
        start, stop = span
        piece = Piece(first=start, at=start, given=start, stop=stop, moved_s=now_s)
        self._open.append(piece)
        return piece

    def next(self, now_s: float) -> Piece | None:
        """Return what to fetch next, ``None`` when nothing is left that is worth it."""
        free = list(self._free())
        if not free:
            return self._taken_over(now_s)
        start, stop = free[0]
        left = sum(end - begin for begin, end in free)
        scale = self._scale
        size = max(scale.least_bytes, min(scale.piece_bytes, left // (2 * self._connections)))
        if stop - start - size >= scale.least_bytes:
            stop = start + size
        return self.begin((start, stop), now_s)

    def give(self, piece: Piece, count: int) -> int:
        """Return how many of the next `count` bytes of a piece are its to write.

        What is to be taken from another piece is taken now, when the server has sent some of it.
        """
        if piece.taken_from is not None and not self._settled(piece):
            return 0
        count = max(0, min(count, piece.stop - piece.given))
        piece.given += count
        return count

    def wrote(self, piece: Piece, now_s: float) -> None:
        """Note that what was given is written."""
        piece.at, piece.moved_s = piece.given, now_s

    def close(self, piece: Piece) -> None:
        """End the work at a piece; what is missing of it is free for others."""
        self._open.remove(piece)
        if piece.at > piece.first:
            self._closed = list(_merged([*self._closed, (piece.first, piece.at)]))
        if piece.taken_from is not None:
            piece.taken_from.is_robbed = False

    def _settled(self, piece: Piece) -> bool:
        """Take a piece away from the other, or say that the other was faster."""
        other, piece.taken_from = piece.taken_from, None
        if other is None:
            return True
        other.is_robbed = False
        if not other.given <= piece.first < other.stop:
            return False
        piece.stop = min(piece.stop, other.stop)
        other.stop = piece.first
        return True

    def _free(self) -> Iterator[Span]:
        at = 0
        for start, stop in _merged([*self._closed, *((one.first, one.stop) for one in self._open)]):
            if start > at:
                yield at, start
            at = max(at, stop)
        if at < self.total:
            yield at, self.total

    def _taken_over(self, now_s: float) -> Piece | None:
        """Return the later part of a piece under way, or all the rest of one that has stalled."""
        others = [one for one in self._open if not one.is_robbed and one.taken_from is None]
        for other in others:
            if other.at < other.stop and now_s - other.moved_s > self._scale.stalled_s:
                return self._robbed(other, other.given, now_s)
        least, most = self._scale.least_bytes, self._scale.piece_bytes
        for other in sorted(others, key=lambda one: one.given - one.stop)[:1]:
            left = other.stop - other.given
            if left >= 2 * least:
                return self._robbed(other, other.given + max(least, min(most, left // 2)), now_s)
        return None

    def _robbed(self, other: Piece, start: int, now_s: float) -> Piece:
        stop = min(other.stop, start + self._scale.piece_bytes)
        piece = self.begin((start, stop), now_s)
        piece.taken_from, other.is_robbed = other, True
        return piece


class Ramp:
    """How many connections are worth having, judged by what they bring together.

    Args:
        most: never more.
        scale: its times and its gain.
        rate: what the first one brings, bytes per second, where that is known.
    """

    def __init__(self, most: int, scale: Scale, rate: float = 0.0) -> None:
        self.target = 1
        self._most = most
        self._scale = scale
        self._before = 1  # how many there were before the last step
        self._best = 0.0
        self._is_settled = most == 1
        self._is_trial = False
        self._since = (0.0, 0)
        self._trial_s = 0.0
        if rate and not self._is_settled:
            self._step(rate)

    def settle(self, target: int) -> None:
        """Try no more; so many are enough."""
        self.target, self._is_settled = max(1, target), True

    def look(self, now_s: float, held: int, flowing: int) -> None:
        """Take in how many bytes are there by now, over how many connections that deliver."""
        if self._is_settled:
            return
        scale, (since_s, before) = self._scale, self._since
        if not self._is_trial:
            # A connection that is still being made brings nothing and says nothing.
            self._is_trial = flowing >= self.target
            self._since, self._trial_s = (now_s, held), now_s
            return
        if now_s - since_s < scale.look_s:
            return
        rate = (held - before) / (now_s - since_s)
        self._since = (now_s, held)
        if rate >= self._best * scale.gain:
            self._step(rate)
        elif now_s - self._trial_s > scale.wait_s:
            self.settle(self._before)

    def _step(self, rate: float) -> None:
        self._best, self._before, self._is_trial = rate, self.target, False
        if rate >= self._scale.fast or self.target == self._most:
            self.settle(self.target)
        else:
            self.target = min(self._most, 4 * self.target)


class Lead:
    """Watches a first connection: whether it is so slow that more are worth a try.

    Args:
        scale: its times.
        now_s: monotonic seconds.
        held: bytes that are there.

    Attributes:
        rate: what it brought when it was last judged, bytes per second.
    """

    def __init__(self, scale: Scale, now_s: float, held: int) -> None:
        self.rate = 0.0
        self._scale = scale
        self._since = (now_s, held)

    def is_slow(self, now_s: float, held: int) -> bool:
        """Say so once enough was seen; asked again, judge what has come since."""
        since_s, before = self._since
        if now_s - since_s < self._scale.look_s:
            return False
        self.rate = (held - before) / (now_s - since_s)
        self._since = (now_s, held)
        return self.rate < self._scale.fast


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans in order, those that touch or overlap as one."""
    current: Span | None = None
    for start, stop in sorted(spans):
        if current is None:
            current = (start, stop)
        elif start <= current[1]:
            current = (current[0], max(current[1], stop))
        else:
            yield current
            current = (start, stop)
    if current is not None:
        yield current
