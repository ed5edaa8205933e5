"""A chunk of a file as it comes from a topic, whichever way it was written."""

from __future__ import annotations

from typing import NamedTuple

import xxhash

XXH3_128 = "xxh3_128"
SHA512 = "sha512"


class ForeignMessageError(ValueError):
    """The message is no chunk of a file, and does not mean to be one."""


class BadMessageError(ValueError):
    """The message means to be a chunk of a file, and can't be used; the text says why."""


class Chunk(NamedTuple):
    """One chunk, found intact by its own digest; of its path nothing is known yet."""

    path: bytes  # relative, "/"-separated, as the sender wrote it
    size: int | None  # of the whole file in bytes; None where only the last chunk tells
    mtime_ns: int | None  # of the file; None where it is not told
    number: int  # 1-based
    n_chunks: int
    offset: int  # bytes from the start of the file
    algorithm: str  # of the whole file's digest: XXH3_128 or SHA512
    digest: str  # of the whole file, hex digits; "" where this chunk does not tell it
    data: bytes

    def checked(self) -> Chunk:
        """Return this chunk; BadMessageError if its numbers contradict one another."""
        end = self.offset + len(self.data)
        if not 1 <= self.number <= self.n_chunks:
            raise BadMessageError(f"there is no chunk {self.number} of {self.n_chunks}")
        if (self.number == 1) != (self.offset == 0):
            raise BadMessageError(f"chunk {self.number} can't begin at byte {self.offset}")
        if not self.data and self.n_chunks > 1:
            raise BadMessageError("a chunk of several is empty")
        if self.offset < self.number - 1:
            raise BadMessageError(f"there is no room for {self.number - 1} chunks before byte {self.offset}")
        if self.size is None:
            return self
        if end > self.size or self.size - end < self.n_chunks - self.number:
            raise BadMessageError(f"{self.n_chunks} chunks with byte {end} the end of number {self.number} "
                             f"do not make {self.size} bytes")  # fmt: skip
        if (self.number == self.n_chunks) != (end == self.size):
            raise BadMessageError(f"chunk {self.number} of {self.n_chunks} ends at byte {end} of {self.size}")
        return self

    def identity(self) -> bytes:
        """Return 16 bytes that are the same for all chunks of one version of a file, and for no others."""
        told = self.digest if self.algorithm == SHA512 else str(self.size)
        return xxhash.xxh3_128_digest(b"%s\0%s\0%s" % (self.path, told.encode(), str(self.mtime_ns).encode()))
