"""What a producer knows of one file that it uploads."""

from __future__ import annotations

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.tables import completed_line
from dfud.messages import FileStart
from dfud.uploading.wire import FileMessages


class Upload:
    """The acknowledgements of one version of one file."""

    __slots__ = ("acked", "failure", "messages", "n_chunks", "start", "unreported", "xxh3_128")

    def __init__(self, start: FileStart, messages: FileMessages) -> None:
        self.start = start
        self.n_chunks = count_chunks(start.version.size, start.chunk_size)
        self.acked = RangeSet(start.delivered)
        self.unreported: RangeSet | None = None  # acknowledged since the last report, if any
        self.xxh3_128 = ""  # of the file, once all of it is read
        self.failure = ""  # why no more of it is sent
        self.messages = messages

    @property
    def is_complete(self) -> bool:
        """Whether all of the file is read and every chunk is acknowledged."""
        return bool(self.xxh3_128) and self.acked.covers(self.n_chunks)

    def row(self, completed: str) -> bytes:
        """Return the file's row of the completed table; `completed` is a time in the table's format."""
        start = self.start
        return completed_line(
            start.version, self.n_chunks, start.chunk_size, self.xxh3_128, start.started, completed
        )
