"""What is there of a version of a file, and whether it is right; the bytes themselves lie elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Protocol

import xxhash

from dfud.core.piece import SHA512
from dfud.core.ranges import RangeSet

_BLOCK = 1 << 20  # bytes read back at once


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...


def new_hasher(algorithm: str) -> _Hasher:
    return hashlib.sha512() if algorithm == SHA512 else xxhash.xxh3_128()


class Assembly:
    """The chunks that have come, and the digest of the whole as far as they came in order.

    What came out of order is hashed when all is there, by reading it back.
    """

    __slots__ = ("_algorithm", "_hashed", "_hasher", "chunks", "digest", "n_chunks")

    def __init__(self, algorithm: str, n_chunks: int, chunks: Iterable[tuple[int, int]] = ()) -> None:
        self.n_chunks = n_chunks
        self.chunks = RangeSet(chunks)
        self.digest = ""  # of the whole, as the sender states it; "" until it is told
        self._algorithm = algorithm
        self._hasher = new_hasher(algorithm)
        self._hashed = 0  # bytes from the start that are in the hasher

    def add(self, number: int, offset: int, data: bytes) -> None:
        """Add a chunk that was not there before."""
        if offset == self._hashed:
            self._hasher.update(data)
            self._hashed += len(data)
        self.chunks.add(number)

    def replace(self, offset: int) -> None:
        """Note that a chunk which had been added has got other bytes now."""
        if offset < self._hashed:
            self.forget_hash()

    def forget_hash(self) -> None:
        """Have all of the file read back for its digest."""
        self._hasher = new_hasher(self._algorithm)
        self._hashed = 0

    @property
    def is_whole(self) -> bool:
        """Whether all chunks are there, and what they must come to is known."""
        return bool(self.digest) and self.chunks.covers(self.n_chunks)

    def is_right(self, read: Callable[[int, int], bytes]) -> bool:
        """Tell whether the whole has the digest that it should have; `read(length, offset)` gives its bytes."""
        while data := read(_BLOCK, self._hashed):
            self._hasher.update(data)
            self._hashed += len(data)
        return self._hasher.hexdigest() == self.digest
