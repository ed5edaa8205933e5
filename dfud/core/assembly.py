"""Which bytes of a version of a file have arrived, and their digest; the bytes themselves are stored elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Protocol

import xxhash

from dfud.core.chunk import SHA512
from dfud.core.ranges import RangeSet

_BLOCK_BYTES = 1 << 20  # read back at a time


class Hasher(Protocol):
    """What hashlib's and xxhash's objects have in common."""

    def update(self, data: bytes, /) -> object:
        """Hash further bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, in hex digits."""


def new_hasher(algorithm: str) -> Hasher:
    """Return a new hasher for the digest of a file."""
    return hashlib.sha512() if algorithm == SHA512 else xxhash.xxh3_128()


class Assembly:
    """The ranges of bytes that have arrived, and a digest of the file as far as they arrived in order.

    Bytes are counted from 1 here, as a `RangeSet` requires. It records bytes and not chunks, because a version may
    have been sent in chunks of two sizes, and either completes it. What arrived out of order is hashed by reading
    it back, once everything is there.
    """

    __slots__ = ("_algorithm", "_hasher", "digest", "hashed", "size", "spans")

    def __init__(self, algorithm: str, size: int | None, spans: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with the ranges of bytes that are already there; `algorithm` is that of the file's digest."""
        self.size = size  # bytes; None while unknown
        self.digest = ""  # of the file, as the sender states it; "" while unknown
        self.spans = RangeSet(spans)
        self.hashed = 0  # bytes, from the start of the file, that the hasher has been given
        self._algorithm = algorithm
        self._hasher = new_hasher(algorithm)

    def has(self, offset: int, length: int) -> bool:
        """Return whether all bytes of a chunk, which must not be empty, are there."""
        return self.spans.includes(offset + 1, offset + length)

    def add(self, offset: int, data: bytes) -> None:
        """Add a chunk, which must not be empty; it replaces bytes that were there."""
        end = offset + len(data)
        if offset == self.hashed:
            self._hasher.update(data)
            self.hashed = end
        elif offset < self.hashed:
            self.restart_hash()
        self.spans.add(offset + 1, end)

    def restart_hash(self) -> None:
        """Discard what was hashed: `verify` reads back the whole file."""
        self._hasher = new_hasher(self._algorithm)
        self.hashed = 0

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there and their digest is known."""
        return bool(self.digest) and self.size is not None and self.spans.covers(self.size)

    def verify(self, read: Callable[[int, int], bytes]) -> bool:
        """Hash the rest of the file by `read(length, offset)`, and return whether it has the stated digest."""
        while data := read(_BLOCK_BYTES, self.hashed):
            self._hasher.update(data)
            self.hashed += len(data)
        return self.hashed == self.size and self._hasher.hexdigest() == self.digest


def missing_chunks(spans: RangeSet, size: int, chunk_size: int) -> RangeSet:
    """Return the numbers of the chunks that are not completely in `spans`."""
    chunks = RangeSet()
    for first, last in spans.missing(size):
        chunks.add((first - 1) // chunk_size + 1, (last - 1) // chunk_size + 1)
    return chunks
