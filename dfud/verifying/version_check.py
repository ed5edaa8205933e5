"""What has been seen on the topic of one version of a file, beside the file in the directory."""

from __future__ import annotations

import os
from collections.abc import Callable

from dfud.core.assembly import Assembly
from dfud.core.chunk import XXH3_128, Chunk
from dfud.core.chunking import count_chunks
from dfud.core.native import Headers, header_maker
from dfud.core.version import FileVersion
from dfud.messages import PartialVersion

_MAX_BAD = 100  # chunks that are named


class _Window:
    """Memory that a piece of a file is read into to be compared, and the next one after it."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def shows(self, descriptor: int, offset: int, data: bytes) -> bool:
        """Tell whether the open file has `data` at `offset`."""
        if len(self._bytes) != len(data):  # which is seldom: chunks are of one size
            self._bytes = bytearray(len(data))
        return os.preadv(descriptor, [self._bytes], offset) == len(data) and self._bytes == data


_window = _Window()


class VersionCheck:
    """Compares chunk by chunk; where there is no file to compare with, the digest of the whole has to do.

    `descriptor` is that of the file in the directory, if it is open; `here` its version, or None if there is
    none of this size.
    """

    __slots__ = ("assembly", "bad", "chunk_size", "descriptor", "headers", "here", "next_number", "piece")

    def __init__(self, piece: Chunk, here: FileVersion | None) -> None:
        self.piece = piece._replace(data=b"")
        self.here = here
        self.assembly = Assembly(piece.algorithm, piece.size)
        self.chunk_size = 0
        self.descriptor = -1
        self.bad: dict[int, None] = {}  # numbers of chunks with other bytes than the file here
        self.next_number = 0  # of the chunk that is expected, 0 for none
        self.headers: Callable[[int, bytes], Headers] | None = None

    def take(self, piece: Chunk) -> None:
        """Look at a chunk."""
        assembly = self.assembly
        if piece.digest:
            assembly.digest = piece.digest
        if assembly.size is None:
            assembly.size = piece.size
        if not self.chunk_size and piece.number < piece.n_chunks:
            self.chunk_size = len(piece.data)
        self.look(piece.number, piece.offset, piece.data)
        self._expect(piece)

    def look(self, number: int, offset: int, data: bytes) -> None:
        """Compare a chunk with the file here; of one that comes again the last one counts."""
        again = bool(data) and self.assembly.has(offset, len(data))
        if self.here is not None:
            if _window.shows(self.descriptor, offset, data):
                if again and number not in self.bad:
                    return
                self.bad.pop(number, None)
            elif len(self.bad) < _MAX_BAD:
                self.bad[number] = None
        elif again:
            return
        if data:
            self.assembly.add(offset, data)

    def _expect(self, piece: Chunk) -> None:
        self.next_number = 0
        size, mtime_ns, end = piece.size, piece.mtime_ns, piece.offset + len(piece.data)
        if piece.algorithm != XXH3_128 or size is None or mtime_ns is None or not self.chunk_size:
            return
        if end != piece.number * self.chunk_size or not self.assembly.spans.is_just(1, end):
            return
        if self.headers is None:
            if count_chunks(size, self.chunk_size) != piece.n_chunks:
                return
            self.headers = header_maker(FileVersion(piece.path, size, mtime_ns), self.chunk_size)
        self.next_number = piece.number + 1

    @property
    def is_same(self) -> bool:
        """Whether the file here has all the bytes seen so far."""
        return self.here is not None and not self.bad

    def is_right(self) -> bool | None:
        """Tell whether the whole has its digest; None where that takes another look at chunks out of order."""
        assembly = self.assembly
        if assembly.hashed != assembly.size and not self.is_same:
            return None
        return assembly.verify(self._read)

    def _read(self, length: int, offset: int) -> bytes:
        return os.pread(self.descriptor, length, offset) if self.descriptor >= 0 and self.is_same else b""

    def partial(self) -> PartialVersion:
        piece, assembly = self.piece, self.assembly
        return PartialVersion(
            piece.path,
            assembly.size,
            piece.mtime_ns,
            self.chunk_size,
            piece.algorithm,
            assembly.digest,
            assembly.spans.ranges(),
            tuple(self.bad),
            self.here is not None,
        )
