"""The bytes of a catalogue file, made from a seed and a size, and their true hashes.

Bytes are produced block by block, so a 4 GiB file costs one block of memory. Every block carries
its own number: ranges written in the wrong place never add up to the right hash.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from blake3 import blake3

BLOCK_BYTES: Final = 1 << 20
SAFETENSORS_HEAD_BYTES: Final = 128
HASH_TYPES: Final = ("AutoV1", "AutoV2", "AutoV3", "SHA256", "CRC32", "BLAKE3")
_STAMP_BYTES: Final = 8
_AUTOV1_START: Final = 0x100000  # where the old web UI read its 64 KiB for the 8-digit hash
_AUTOV1_BYTES: Final = 0x10000


class Content(StrEnum):
    """What the first bytes of a file look like."""

    SAFETENSORS = "safetensors"
    ZIP = "zip"
    PICKLE = "pickle"
    GGUF = "gguf"
    HTML = "html"
    PLAIN = "plain"

    @classmethod
    def of_name(cls, name: str) -> "Content":
        """Return the content that a file of this name should have."""
        suffix = name.rpartition(".")[2].lower()
        return _CONTENT_OF_SUFFIX.get(suffix, cls.PLAIN)


_CONTENT_OF_SUFFIX: Final = {
    "safetensors": Content.SAFETENSORS,
    "sft": Content.SAFETENSORS,
    "ckpt": Content.ZIP,
    "pth": Content.ZIP,
    "zip": Content.ZIP,
    "pt": Content.PICKLE,
    "bin": Content.PICKLE,
    "gguf": Content.GGUF,
}
_MAGIC: Final = {
    Content.ZIP: b"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl",
    Content.PICKLE: b"\x80\x02}q\x00(X\x0a\x00\x00\x00state_dict",
    Content.GGUF: b"GGUF\x03\x00\x00\x00",
    Content.HTML: b"<!DOCTYPE html><html><head><title>Civitai</title></head><body>",
    Content.PLAIN: b"",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """The bytes of one file: same seed, size and content, same bytes on every machine."""

    seed: str
    size: int
    content: Content

    def __post_init__(self) -> None:
        if self.content is Content.SAFETENSORS and self.size < SAFETENSORS_HEAD_BYTES:
            raise ValueError(f"a safetensors file has at least {SAFETENSORS_HEAD_BYTES} bytes")

    @property
    def head(self) -> bytes:
        """The first bytes, which say what kind of file it is."""
        if self.content is Content.SAFETENSORS:
            return _safetensors_head(self.size)
        return _MAGIC[self.content][: self.size]

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from start up to stop, at most one block at a time."""
        end = self.size if stop is None else min(stop, self.size)
        while start < end:
            number, offset = divmod(start, BLOCK_BYTES)
            chunk = self._block(number)[offset : min(BLOCK_BYTES, offset + end - start)]
            yield chunk
            start += len(chunk)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return those bytes at once: for small files and short ranges."""
        return b"".join(self.blocks(start, stop))

    def _block(self, number: int) -> bytes:
        stamped = number.to_bytes(_STAMP_BYTES) + _base_block(self.seed)[_STAMP_BYTES:]
        return stamped if number else self.head + stamped[len(self.head) :]


def _safetensors_head(size: int) -> bytes:
    data_bytes = size - SAFETENSORS_HEAD_BYTES
    tensor = {"dtype": "U8", "shape": [data_bytes], "data_offsets": [0, data_bytes]}
    text = json.dumps({"__metadata__": {"format": "pt"}, "w": tensor}, separators=(",", ":"))
    header_bytes = SAFETENSORS_HEAD_BYTES - 8
    return header_bytes.to_bytes(8, "little") + text.ljust(header_bytes).encode("ascii")


@lru_cache(maxsize=64)
def _base_block(seed: str) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(BLOCK_BYTES)


@lru_cache(maxsize=4096)
def true_hashes(payload: Payload) -> dict[str, str]:
    """Return the six hashes that the site's scanner records, in upper-case hex.

    AutoV1 is taken from 64 KiB at 1 MiB, so all files below 1 MiB share one (E3B0C442): that is
    how the real one behaves too. AutoV3 exists for safetensors only. Reads the whole file once.
    """
    whole, tensors, old = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    modern, checksum = blake3(), 0
    for block in payload.blocks():
        whole.update(block)
        modern.update(block)
        checksum = zlib.crc32(block, checksum)
    hashes = {
        "AutoV1": _digest_of_part(payload, old, _AUTOV1_START, _AUTOV1_START + _AUTOV1_BYTES)[:8],
        "AutoV2": whole.hexdigest()[:10],
        "SHA256": whole.hexdigest(),
        "CRC32": f"{checksum:08X}",
        "BLAKE3": modern.hexdigest(),
    }
    if payload.content is Content.SAFETENSORS:
        part = _digest_of_part(payload, tensors, SAFETENSORS_HEAD_BYTES, payload.size)
        hashes["AutoV3"] = part[:12]
    return {kind: digest.upper() for kind, digest in hashes.items()}


def _digest_of_part(payload: Payload, state: "hashlib._Hash", start: int, stop: int) -> str:
    for block in payload.blocks(start, stop):
        state.update(block)
    return state.hexdigest()
