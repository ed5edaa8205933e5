"""One version of a file in the making."""

from __future__ import annotations

from collections.abc import Iterable

from dfud.core.assembly import Assembly
from dfud.core.chunk import Chunk
from dfud.core.expected_chunk import ExpectedChunk
from dfud.downloading.parts import PartMetadata, PartName


class Part:
    """What a worker knows of one part. Its file is open where `descriptor` is not negative."""

    __slots__ = (
        "algorithm",
        "assembly",
        "changed",
        "chunk_size",
        "descriptor",
        "expected",
        "has_note",
        "in_place",
        "mtime_ns",
        "name",
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
        self.expected = ExpectedChunk()

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
