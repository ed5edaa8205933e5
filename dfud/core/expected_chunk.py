"""The fast path of reading a file's messages: knowing the next one by what it must be, without parsing it.

Nearly every message of a topic is the chunk that follows the one before it of the same file. All of its headers
but its digest are known beforehand; comparing them costs a fraction of what `dfud.core.decode` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import xxhash

from dfud.core.chunk import XXH3_128, Chunk
from dfud.core.chunking import count_chunks
from dfud.core.native import CHUNK_HEADERS, Headers, header_maker
from dfud.core.ranges import RangeSet
from dfud.core.version import FileVersion


class ExpectedChunk:
    """The chunk of one version of a file that is expected next; none at first.

    The last chunk of a file is never expected: it has the digest of the file, and ends the file.
    """

    __slots__ = ("_chunk_size", "_make_headers", "_n_chunks", "_number", "_version")

    def __init__(self) -> None:
        self._number = self._n_chunks = 0  # the expected chunk is `_number` of `_n_chunks`, unless they are equal
        self._chunk_size = 0  # bytes
        self._version: FileVersion | None = None

    def follow(self, chunk: Chunk, present: RangeSet) -> bool:
        """Expect the chunk after `chunk`; return False, and expect none, if it cannot be known beforehand.

        `present` are the bytes of the file received so far, counted from 1. They have to be all those up to the
        end of `chunk` and no others, so that what is expected neither leaves a gap nor replaces anything.
        """
        self.forget()
        size, mtime_ns, chunk_size = chunk.size, chunk.mtime_ns, len(chunk.data)
        end = chunk.offset + chunk_size
        if chunk.algorithm != XXH3_128 or size is None or mtime_ns is None or chunk.number == chunk.n_chunks:
            return False
        if end != chunk.number * chunk_size or not present.is_just(1, end):
            return False
        if count_chunks(size, chunk_size) != chunk.n_chunks:
            return False
        version = FileVersion(chunk.path, size, mtime_ns)
        if version != self._version or chunk_size != self._chunk_size:
            self._version, self._chunk_size = version, chunk_size
            self._make_headers = header_maker(version, chunk_size)
        self._number, self._n_chunks = chunk.number + 1, chunk.n_chunks
        return True

    def forget(self) -> None:
        """Expect no chunk."""
        self._number = self._n_chunks = 0

    def accept(self, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None) -> int | None:
        """Return the offset of the chunk in a message if it is the one expected, and then expect the next one.

        Return None for any other message. The message's key has to be that of the chunk that was followed.
        """
        number = self._number
        if number == self._n_chunks or not value or len(value) != self._chunk_size:
            return None
        expected = self._make_headers(number, xxhash.xxh3_64_hexdigest(value).encode())
        if headers != expected and not _is_followed_by_others(expected, headers):
            return None
        self._number = number + 1
        return (number - 1) * self._chunk_size


def _is_followed_by_others(expected: Headers, headers: Sequence[tuple[str, bytes | None]] | None) -> bool:
    """Return whether `headers` are the `expected` ones, and then some that say nothing about a chunk."""
    n_expected = len(expected)
    if headers is None or headers[:n_expected] != expected:
        return False
    return all(name not in CHUNK_HEADERS for name, _ in headers[n_expected:])
