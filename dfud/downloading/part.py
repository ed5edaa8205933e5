"""One version of a file in the making."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dfud.core.assembly import Assembly
from dfud.core.chunk import XXH3_128, Chunk
from dfud.core.chunking import count_chunks
from dfud.core.native import Headers, header_maker
from dfud.core.version import FileVersion
from dfud.downloading.parts import PartMetadata, PartName


class Part:
    """What a worker knows of one part. Its file is open where `descriptor` is not negative."""

    __slots__ = (
        "algorithm",
        "assembly",
        "changed",
        "chunk_size",
        "descriptor",
        "has_note",
        "headers",
        "in_place",
        "mtime_ns",
        "name",
        "next_number",
        "path",
        "shared",
        "trouble",
    )

    def __init__(self, name: PartName, piece: Chunk | PartMetadata, spans: Iterable[tuple[int, int]] = ()) -> None:
        self.name = name
        self.path = piece.path
        self.mtime_ns = piece.mtime_ns
        self.algorithm = piece.algorithm
        self.assembly = Assembly(piece.algorithm, piece.size, spans)
        self.assembly.digest = piece.digest
        self.chunk_size = 0  # of all chunks but the last; 0 until it is known
        self.descriptor = -1
        self.in_place = False  # it is the file in its place that chunks are compared with; there is no part yet
        self.has_note = False
        self.shared = False  # the supervisor knows of it
        self.changed = False  # bytes came in the place of others since the digest was looked at
        self.trouble = ""  # why it is whole and not in its place
        # For the chunk that is expected, where all before it are there: its number, and what makes its headers.
        self.next_number = 0  # 0 for none
        self.headers: Callable[[int, bytes], Headers] | None = None

    @classmethod
    def from_note(cls, name: PartName, note: PartMetadata) -> Part:
        part = cls(name, note, note.spans)
        part.chunk_size = note.chunk_size
        part.trouble = note.trouble
        part.has_note = True
        return part

    def note(self) -> bytes:
        """Return the part's note as it is written."""
        assembly = self.assembly
        return PartMetadata(
            self.path,
            assembly.size,
            self.mtime_ns,
            self.chunk_size,
            self.algorithm,
            assembly.digest,
            assembly.spans,
            self.trouble,
        ).to_json()

    def learn(self, piece: Chunk) -> None:
        """Take what this chunk tells of the whole."""
        if piece.digest:
            self.assembly.digest = piece.digest
        if self.assembly.size is None:
            self.assembly.size = piece.size
        if not self.chunk_size and piece.number < piece.n_chunks:
            self.chunk_size = len(piece.data)

    def expect(self, piece: Chunk) -> None:
        """Have the chunk after `piece` known by its headers, if all before it are there."""
        self.next_number = 0
        size = piece.size
        end = piece.offset + len(piece.data)
        if piece.algorithm != XXH3_128 or size is None or not self.chunk_size or self.mtime_ns is None:
            return
        if end != piece.number * self.chunk_size or not self.assembly.spans.is_just(1, end):
            return
        if self.headers is None:
            if count_chunks(size, self.chunk_size) != piece.n_chunks:
                return
            self.headers = header_maker(FileVersion(self.path, size, self.mtime_ns), self.chunk_size)
        self.next_number = piece.number + 1
