"""What is there of a version of a file, and whether it is right; the bytes themselves lie elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Protocol

import xxhash

from dfud.core.chunk import SHA512
from dfud.core.ranges import RangeSet

_BLOCK = 1 << 20  # bytes read back at once


class Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...


def new_hasher(algorithm: str) -> Hasher:
    """Return a hasher of the whole of a file."""
    return hashlib.sha512() if algorithm == SHA512 else xxhash.xxh3_128()


class Assembly:
    """The bytes that have come, and the digest of the whole as far as they came in order.

    Bytes are counted from 1 here, so that a `RangeSet` holds them. It is bytes and not chunks that count: a
    version that was sent in chunks of two sizes is made whole by either. What came out of order is hashed when
    all is there, by reading it back.
    """

    __slots__ = ("_algorithm", "_hasher", "digest", "hashed", "size", "spans")

    def __init__(self, algorithm: str, size: int | None, spans: Iterable[tuple[int, int]] = ()) -> None:
        self.size = size  # bytes; None until it is told
        self.digest = ""  # of the whole, as the sender states it; "" until it is told
        self.spans = RangeSet(spans)
        self.hashed = 0  # bytes from the start that are in the hasher
        self._algorithm = algorithm
        self._hasher = new_hasher(algorithm)

    def has(self, offset: int, length: int) -> bool:
        """Tell whether a chunk, which is not empty, is there."""
        return self.spans.includes(offset + 1, offset + length)

    def add(self, offset: int, data: bytes) -> None:
        """Add a chunk, which is not empty; over one that is there it takes its place."""
        end = offset + len(data)
        if offset == self.hashed:
            self._hasher.update(data)
            self.hashed = end
        elif offset < self.hashed:
            self.forget_hash()
        self.spans.add(offset + 1, end)

    def forget_hash(self) -> None:
        """Have all of the file read back for its digest."""
        self._hasher = new_hasher(self._algorithm)
        self.hashed = 0

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there, and what they must come to is known."""
        return bool(self.digest) and self.size is not None and self.spans.covers(self.size)

    def is_right(self, read: Callable[[int, int], bytes]) -> bool:
        """Tell whether the whole has the digest that it should have; `read(length, offset)` gives its bytes."""
        while data := read(_BLOCK, self.hashed):
            self._hasher.update(data)
            self.hashed += len(data)
        return self.hashed == self.size and self._hasher.hexdigest() == self.digest


def missing_chunks(spans: RangeSet, size: int, chunk_size: int) -> RangeSet:
    """Return the numbers of the chunks of which `spans` lacks bytes."""
    chunks = RangeSet()
    for first, last in spans.missing(size):
        chunks.add((first - 1) // chunk_size + 1, (last - 1) // chunk_size + 1)
    return chunks
