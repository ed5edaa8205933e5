"""A chunk of a file as it is read from a topic, in either message format."""

from __future__ import annotations

from typing import NamedTuple

import xxhash

XXH3_128 = "xxh3_128"
SHA512 = "sha512"


class ForeignMessageError(ValueError):
    """The message is not a chunk of a file, and does not claim to be one."""


class BadMessageError(ValueError):
    """The message claims to be a chunk of a file, but cannot be used; the text says why."""


class Chunk(NamedTuple):
    """One chunk, intact by its own digest; whether its path is safe is not known yet."""

    path: bytes  # relative, "/"-separated, as the sender wrote it
    size: int | None  # of the file in bytes; None if only the last chunk states it
    mtime_ns: int | None  # of the file; None if unknown
    number: int  # 1-based
    n_chunks: int
    offset: int  # bytes from the start of the file
    algorithm: str  # of the file's digest: XXH3_128 or SHA512
    digest: str  # of the file, hex digits; "" if this chunk does not state it
    data: bytes

    def checked(self) -> Chunk:
        """Return this chunk; BadMessageError if its numbers contradict one another."""
        end = self.offset + len(self.data)
        if not 1 <= self.number <= self.n_chunks:
            raise BadMessageError(f"there is no chunk {self.number} of {self.n_chunks}")
        if (self.number == 1) != (self.offset == 0):
            raise BadMessageError(f"chunk {self.number} cannot begin at byte {self.offset}")
        if not self.data and self.n_chunks > 1:
            raise BadMessageError("one of several chunks is empty")
        if self.offset < self.number - 1:
            raise BadMessageError(f"there is no room for {self.number - 1} chunks before byte {self.offset}")
        if self.size is None:
            return self
        if end > self.size or self.size - end < self.n_chunks - self.number:
            raise BadMessageError(
                f"{self.n_chunks} chunks, number {self.number} ending at byte {end}, do not make {self.size} bytes"
            )
        if (self.number == self.n_chunks) != (end == self.size):
            raise BadMessageError(f"chunk {self.number} of {self.n_chunks} ends at byte {end} of {self.size}")
        return self

    def identity(self) -> bytes:
        """Return 16 bytes that all chunks of one version of a file share, and no others."""
        stated = self.digest if self.algorithm == SHA512 else str(self.size)  # in every chunk of the version
        return xxhash.xxh3_128_digest(b"%s\0%s\0%s" % (self.path, stated.encode(), str(self.mtime_ns).encode()))
