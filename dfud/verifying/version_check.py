"""One version of a file on the topic, compared with the file in the directory chunk by chunk."""

from __future__ import annotations

import os
from array import array
from typing import Any

from dfud.core.assembly import Assembly
from dfud.core.chunk import Chunk
from dfud.core.expected_chunk import ExpectedChunk
from dfud.core.place import pack, place_of
from dfud.core.sent import NO_TIMESTAMP, Sent
from dfud.core.version import FileVersion
from dfud.messages import PartialVersion

_MAX_BAD_SPANS = 100  # that are known; if there are more, no later copy of a chunk mends them


_NOWHERE = Sent("", 0, 0, NO_TIMESTAMP)


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


class BadBytes:
    """The bytes of the last copies of chunks that differ from the local file, as spans that do not overlap."""

    __slots__ = ("_has_more", "_spans")

    def __init__(self) -> None:
        """Begin with none."""
        self._spans: list[tuple[int, int]] = []  # each: first byte, and the one after the last
        self._has_more = False  # than `_spans` has

    def __bool__(self) -> bool:
        return bool(self._spans) or self._has_more

    def add(self, first: int, end: int) -> None:
        """Take a chunk that differs: the bytes from `first` to before `end`."""
        self.remove(first, end)
        if self._spans and self._spans[-1][1] == first:  # chunks follow one another
            self._spans[-1] = (self._spans[-1][0], end)
        elif len(self._spans) < _MAX_BAD_SPANS:
            self._spans.append((first, end))
        else:
            self._has_more = True

    def remove(self, first: int, end: int) -> bool:
        """Take a chunk that does not differ; return whether an earlier copy of some of it did."""
        known = self._spans
        if not known:
            return False
        rests = [(a, min(b, first)) for a, b in known] + [(max(a, end), b) for a, b in known]
        self._spans = [(a, b) for a, b in rests if a < b]
        return len(self._spans) != len(known) or sum(b - a for a, b in self._spans) != sum(b - a for a, b in known)


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
        "algorithm", "assembly", "bad", "chunk_size", "copies", "expected", "file_fd", "has_other_copies",
        "is_in_one_partition", "local", "mtime_ns", "path", "place",
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
        self.bad = BadBytes()
        self.place = _NOWHERE  # of the message that was sent last, of those that were given to `add`
        self.is_in_one_partition = True

    def add(self, chunk: Chunk, message: Any) -> None:
        """Compare a chunk, and note what it states about the file and where its message lies."""
        assembly = self.assembly
        place = place_of(message)
        if self.place is not _NOWHERE and place.partition != self.place.partition:
            self.is_in_one_partition = False
        if self.place is _NOWHERE or place.is_after(self.place):
            self.place = place
        if chunk.digest:
            assembly.digest = chunk.digest
        if assembly.size is None:
            assembly.size = chunk.size
        if not self.chunk_size and chunk.number < chunk.n_chunks:
            self.chunk_size = len(chunk.data)
        self.compare(chunk.offset, chunk.data)

    def compare(self, offset: int, data: bytes) -> None:
        """Compare a chunk with the local file; if one is sent again, the last copy counts.

        The chunks of a version may be of several sizes, and overlap.
        """
        end = offset + len(data)
        is_repeated = bool(data) and self.assembly.has(offset, len(data))
        if self.local is not None:
            if not _buffer.equals(self.file_fd, offset, data):
                self.bad.add(offset, end)
            elif not self.bad.remove(offset, end) and is_repeated:
                return
            self.has_other_copies |= is_repeated or offset < self.assembly.hashed
        elif is_repeated:
            self.has_other_copies = True
            return
        elif offset < self.assembly.hashed:
            self.has_other_copies = True
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

        Chunks that arrived out of order are hashed by reading the local file, if it has the same bytes; it may
        have been written meanwhile. What was hashed may be of earlier copies than the digest is.
        """
        assembly = self.assembly
        is_hashed = assembly.hashed == assembly.size
        if not is_hashed and not self.is_same:
            return None
        if assembly.verify(self._read_local):
            return True
        return False if is_hashed and not self.has_other_copies else None

    def _read_local(self, length: int, offset: int) -> bytes:
        length = min(length, (self.assembly.size or 0) - offset)
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
            bool(self.bad),
            self.local is not None,
            pack(self.place),
        )
