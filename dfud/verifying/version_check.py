"""One version of a file on the topic, compared with the file in the directory chunk by chunk."""

from __future__ import annotations

import os
from array import array

from dfud.core.assembly import Assembly
from dfud.core.chunk import Chunk
from dfud.core.expected_chunk import ExpectedChunk
from dfud.core.version import FileVersion
from dfud.messages import PartialVersion

_MAX_BAD_CHUNKS = 100  # that are named


class _CompareBuffer:
    """Memory that chunks of files are read into for comparison, and that is used again for the next chunk."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def equals(self, file_fd: int, offset: int, data: bytes) -> bool:
        """Return whether the open file has `data` at `offset`."""
        if len(self._bytes) != len(data):  # rare: most chunks have one size
            self._bytes = bytearray(len(data))
        return os.preadv(file_fd, [self._bytes], offset) == len(data) and self._bytes == data


_buffer = _CompareBuffer()


class LastCopies:
    """Which of the messages of one version have the last copy of each chunk: 8 bytes per chunk."""

    def __init__(self) -> None:
        self._offsets = array("q")  # in the partition, by number of the chunk; -1 while none is known
        self.are_known = False  # all messages have been seen

    def add(self, number: int, offset: int) -> None:
        """Take a message, the later ones after the earlier ones."""
        missing = number - len(self._offsets)
        if missing > 0:
            self._offsets.extend(array("q", [-1]) * missing)
        self._offsets[number - 1] = offset

    def has(self, number: int, offset: int) -> bool:
        """Return whether a message is the last copy of its chunk."""
        return number <= len(self._offsets) and self._offsets[number - 1] == offset


class VersionCheck:
    """Compares the chunks of one version with the local file; without one, only the digest is checked.

    `local` is the version of the file in the directory, None if there is none of this size. `file_fd` is its
    descriptor, which belongs to the caller; it must be open (not -1) whenever `add` or `compare` is called while
    `local` is set.
    """

    __slots__ = (
        "algorithm", "assembly", "bad", "chunk_size", "copies", "expected", "file_fd", "has_other_copies", "local",
        "mtime_ns", "path",
    )  # fmt: skip

    def __init__(self, chunk: Chunk, local: FileVersion | None) -> None:
        """Begin with nothing compared; `chunk` is any chunk of the version."""
        self.path = chunk.path
        self.mtime_ns = chunk.mtime_ns
        self.algorithm = chunk.algorithm
        self.local = local
        self.file_fd = -1
        self.assembly = Assembly(chunk.algorithm, chunk.size)
        self.expected = ExpectedChunk()
        self.chunk_size = 0  # bytes; 0 while unknown
        # Chunks were sent again and may have had other bytes before: the file was rewritten and kept its mtime.
        self.has_other_copies = False
        self.copies: LastCopies | None = None  # in a further pass, if it has
        self.bad: dict[int, None] = {}  # numbers of the chunks whose bytes differ from the local file

    def add(self, chunk: Chunk) -> None:
        """Compare a chunk, and note what it states about the file."""
        assembly = self.assembly
        if chunk.digest:
            assembly.digest = chunk.digest
        if assembly.size is None:
            assembly.size = chunk.size
        if not self.chunk_size and chunk.number < chunk.n_chunks:
            self.chunk_size = len(chunk.data)
        self.compare(chunk.number, chunk.offset, chunk.data)

    def compare(self, number: int, offset: int, data: bytes) -> None:
        """Compare a chunk with the local file; if one is sent again, the last copy counts."""
        is_repeated = bool(data) and self.assembly.has(offset, len(data))
        if self.local is not None:
            if _buffer.equals(self.file_fd, offset, data):
                if is_repeated and number not in self.bad:
                    return
                self.bad.pop(number, None)
            elif len(self.bad) < _MAX_BAD_CHUNKS:
                self.bad[number] = None
            self.has_other_copies |= is_repeated
        elif is_repeated:
            self.has_other_copies = True
            return
        if data:
            self.assembly.add(offset, data)

    @property
    def is_complete(self) -> bool:
        """Whether all chunks have been compared, and the digest of the file is known."""
        return self.assembly.is_whole

    @property
    def is_same(self) -> bool:
        """Whether the local file has all bytes compared so far."""
        return self.local is not None and not self.bad

    def has_digest(self) -> bool | None:
        """Return whether a complete version has its digest; None if that takes another pass over the topic.

        Chunks that arrived out of order are hashed by reading the local file, if it has the same bytes. What was
        hashed may be of earlier copies than the digest is.
        """
        assembly = self.assembly
        if assembly.hashed != assembly.size and not self.is_same:
            return None
        return assembly.verify(self._read_local) or (None if self.has_other_copies else False)

    def _read_local(self, length: int, offset: int) -> bytes:
        return os.pread(self.file_fd, length, offset) if self.file_fd >= 0 and self.is_same else b""

    def partial(self) -> PartialVersion:
        """Return what was found of an incomplete version."""
        assembly = self.assembly
        return PartialVersion(
            self.path,
            assembly.size,
            self.mtime_ns,
            self.chunk_size,
            self.algorithm,
            assembly.digest,
            assembly.spans.ranges(),
            tuple(self.bad),
            self.local is not None,
        )
