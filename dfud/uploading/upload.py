"""What a producer knows of one file that it uploads."""

from __future__ import annotations

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.tables import completed_line
from dfud.messages import FileStart
from dfud.uploading.wire import FileMessages


class Upload:
    """The acknowledgements of one version of one file."""

    __slots__ = ("_acked", "_is_acked", "failure", "messages", "n_chunks", "start", "unreported", "xxh3_128")

    def __init__(self, start: FileStart, messages: FileMessages) -> None:
        self.start = start
        self.n_chunks = count_chunks(start.version.size, start.chunk_size)
        # Most files are small, and acknowledged at once: these need no set.
        self._acked = RangeSet(start.delivered) if start.delivered else None
        self._is_acked = False  # all of it was, at once
        self.unreported: RangeSet | None = None  # acknowledged since the last report, if any
        self.xxh3_128 = ""  # of the file, once all of it is read
        self.failure = ""  # why no more of it is sent
        self.messages = messages

    def on_acked(self, first: int, last: int) -> None:
        """Take the acknowledgements of the chunks from `first` to `last`."""
        if first == 1 and last == self.n_chunks:
            self._is_acked = True
            return
        if self._acked is None:
            self._acked = RangeSet()
        self._acked.add(first, last)

    @property
    def is_complete(self) -> bool:
        """Whether all of the file is read and every chunk is acknowledged."""
        if not self.xxh3_128:
            return False
        return self._is_acked or (self._acked is not None and self._acked.covers(self.n_chunks))

    def row(self, completed: str) -> bytes:
        """Return the file's row of the completed table; `completed` is a time in the table's format."""
        start = self.start
        return completed_line(
            start.version, self.n_chunks, start.chunk_size, self.xxh3_128, start.started, completed
        )
