"""Hashes of files: SHA-256 and BLAKE3 as values, and both from one pass over the bytes.

A file is identified by either digest; weaker hashes (AutoV2, CRC32) only look things up and never
appear here. Digests are lower-case hex everywhere inside comfylock; Civitai's upper case is
lowered where its answers are parsed.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from mmap import mmap
from typing import Protocol

Buffer = bytes | bytearray | memoryview | mmap

#: BLAKE3 works on one piece with as many threads as there are processors.
ALL_PROCESSORS = -1  # what the blake3 package calls AUTO

_HEX64 = re.compile(r"[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Say whether a text is a full digest: 64 lower-case hex digits."""
    return _HEX64.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Digests:
    """What is known of one file's content.

    Attributes:
        sha256: 64 lower-case hex digits, ``None`` when not known.
        blake3: likewise.
    """

    sha256: str | None = None
    blake3: str | None = None

    def __bool__(self) -> bool:
        """Say whether anything is known."""
        return self.sha256 is not None or self.blake3 is not None

    def agrees(self, other: "Digests") -> bool:
        """Say whether both are of one content: a common digest is equal and none differs."""
        pairs = [(self.sha256, other.sha256), (self.blake3, other.blake3)]
        common = [(mine, theirs) for mine, theirs in pairs if mine and theirs]
        return bool(common) and all(mine == theirs for mine, theirs in common)

    def contradicts(self, other: "Digests") -> bool:
        """Say whether a digest that both know differs."""
        return any(
            mine is not None and theirs is not None and mine != theirs
            for mine, theirs in ((self.sha256, other.sha256), (self.blake3, other.blake3))
        )

    def combined(self, other: "Digests") -> "Digests":
        """Return what both know together; this one's digests win."""
        return Digests(sha256=self.sha256 or other.sha256, blake3=self.blake3 or other.blake3)

    @property
    def known(self) -> tuple[str, ...]:
        """The digests that are known; two contents that agree have one of them in common."""
        return tuple(digest for digest in (self.sha256, self.blake3) if digest)

    @property
    def label(self) -> str:
        """The name of this content in file names: BLAKE3 where known, else SHA-256."""
        digest = self.blake3 or self.sha256
        assert digest is not None, "a content without any digest has no name"
        return digest

    def __str__(self) -> str:
        """Return the strongest known digest, as messages show it."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"blake3:{self.blake3}" if self.blake3 else "no hash"


class _Digest(Protocol):
    def update(self, data: Buffer, /) -> object: ...
    def hexdigest(self) -> str: ...


class Hasher:
    """Computes the chosen digests of a stream, each byte seen once.

    Args:
        algorithms: names out of ``sha256`` and ``blake3``. BLAKE3 alone costs a third of
            SHA-256, so callers ask for what they need.
        threads: what BLAKE3 uses, 1 or `ALL_PROCESSORS`. More than one pays only for pieces of
            many MiB; with 1 MiB at a time it costs half as much again.
    """

    def __init__(self, algorithms: Iterable[str], *, threads: int = 1) -> None:
        self._digests: dict[str, _Digest] = {
            name: _new(name, threads) for name in sorted(set(algorithms))
        }

    def update(self, data: Buffer) -> None:
        """Take the next bytes of the stream."""
        for digest in self._digests.values():
            digest.update(data)

    def digests(self) -> Digests:
        """Return the digests of all bytes so far."""
        return Digests(**{name: digest.hexdigest() for name, digest in self._digests.items()})


def _new(algorithm: str, threads: int) -> _Digest:
    if algorithm == "sha256":
        return hashlib.sha256()
    if algorithm == "blake3":
        from blake3 import blake3

        return blake3(max_threads=threads)
    raise ValueError(f"unknown hash algorithm {algorithm!r}")


def told_apart(expected: Digests, found: Digests) -> str:
    """Return two lines that show both contents by one algorithm, so that they can be compared."""
    for name in ("sha256", "blake3"):
        mine, theirs = getattr(expected, name), getattr(found, name)
        if mine is not None and theirs is not None:
            return f"  expected {name}:{mine}\n  found    {name}:{theirs}"
    return f"  expected {expected}\n  found    {found}"


def needed_to_check(wanted: Digests) -> tuple[str, ...]:
    """Return the cheapest algorithms that settle whether bytes are what was wanted.

    Either digest is full proof of the bytes; BLAKE3 takes a third of SHA-256's time, which
    downloads feel.
    """
    if wanted.blake3 is not None:
        return ("blake3",)
    return ("sha256",)
