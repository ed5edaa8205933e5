"""An incomplete version of a file, as its fetcher holds it in memory."""

from __future__ import annotations

from collections.abc import Iterable

from dfud.core.assembly import Assembly
from dfud.core.chunk import Chunk
from dfud.core.expected_chunk import ExpectedChunk
from dfud.core.ranges import RangeSet
from dfud.core.sent import Sent
from dfud.downloading.part_metadata import PartMetadata, PartName


class Part:
    """The state of one part; its bytes lie in its file, which `PartFiles` opens."""

    __slots__ = (
        "algorithm",
        "assembly",
        "chunk_size",
        "expected",
        "failure",
        "first",
        "has_metadata",
        "identity",
        "is_confirmed",
        "is_in_place",
        "is_merged",
        "is_overwritten",
        "is_reported",
        "is_unwritable",
        "mtime_ns",
        "name",
        "path",
        "placed",
        "sent",
    )

    def __init__(
        self, name: PartName, source: Chunk | PartMetadata, spans: Iterable[tuple[int, int]] = ()
    ) -> None:
        self.identity = name.identity  # of the version, see `Chunk.identity`
        self.name = name
        self.path = source.path
        self.mtime_ns = source.mtime_ns
        self.algorithm = source.algorithm
        self.assembly = Assembly(source.algorithm, source.size, spans)
        self.assembly.digest = source.digest
        self.chunk_size = 0  # of all chunks but the last; 0 until known
        self.expected = ExpectedChunk()
        self.first: Sent | None = None  # where the first of its messages was sent
        self.sent: Sent | None = None  # where the last of them was sent
        self.failure = ""  # why it is complete but not in place
        self.is_in_place = False  # it has no file of its own: chunks are compared with the file that is in place
        self.is_merged = False  # it has bytes of other parts, which are removed once it is on disk
        self.is_confirmed = False  # it is in place, and all of it was read again
        self.placed: Sent | None = None  # if it is in place, or a copy of that file: when that was sent
        self.is_overwritten = False  # its bytes or its digest were replaced since it was last checked
        self.is_unwritable = False  # a write failed for good; it is no longer in the store
        self.is_reported = False  # the supervisor knows of it
        self.has_metadata = False  # on disk

    @classmethod
    def from_metadata(cls, name: PartName, metadata: PartMetadata) -> Part:
        """Return the part that is on disk under `name`."""
        part = cls(name, metadata, metadata.spans)
        part.chunk_size = metadata.chunk_size
        part.failure = metadata.failure
        part.first, part.sent, part.placed = metadata.first, metadata.sent, metadata.placed
        part.has_metadata = True
        return part

    def metadata(self) -> PartMetadata:
        """Return what is to be known about the part on disk."""
        assembly = self.assembly
        return PartMetadata(
            self.path,
            assembly.size,
            self.mtime_ns,
            self.chunk_size,
            self.algorithm,
            assembly.digest,
            assembly.spans,
            self.failure,
            self.first,
            self.sent,
            self.placed,
        )

    def feed(self, *times: Sent | None) -> None:
        """Note when messages of this version were sent."""
        for sent in times:
            if sent is None:
                continue
            if self.sent is None or sent.is_after(self.sent):
                self.sent = sent
            if self.first is None or self.first.is_after(sent):
                self.first = sent

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are there; those of a copy are, before all of its messages were read again."""
        return self.assembly.is_whole and (self.placed is None or bool(self.failure))

    def awaits(self, sent: Sent) -> bool:
        """Return whether what is in place was made of a message after `sent`, too, which is to be read again.

        Until then the part may seem to be a version that was sent before that. Messages of other partitions may
        have been committed, and are not waited for.
        """
        placed = self.placed
        if placed is None or (placed.topic_id, placed.partition) != (sent.topic_id, sent.partition):
            return False
        return placed.is_after(sent)

    def learn(self, chunk: Chunk) -> None:
        """Note what `chunk` says about the file as a whole."""
        if chunk.digest and chunk.digest != self.assembly.digest:
            self.is_overwritten = bool(self.assembly.digest)
            self.assembly.digest = chunk.digest
        if self.assembly.size is None:
            self.assembly.size = chunk.size
        if not self.chunk_size and chunk.number < chunk.n_chunks:
            self.chunk_size = len(chunk.data)

    def start_over(self) -> None:
        """Begin again with no bytes, under a new name."""
        self.name = PartName.new(self.identity, self.name.fetcher)
        self.has_metadata = False
        self.placed = None
        self.assembly.spans = RangeSet()
        self.assembly.restart_hash()
        self.expected.forget()
