"""What a producer knows of one file that it uploads."""

from __future__ import annotations

import os

from dfud.core.chunking import count_chunks
from dfud.core.ranges import RangeSet
from dfud.core.tables import CompletedRow
from dfud.messages import FileStart
from dfud.uploading.wire import FileMessages, KafkaMessageParts


class Upload:
    """The acknowledgements of one version of one file."""

    __slots__ = ("_messages", "acked", "failure", "n_chunks", "start", "unreported", "xxh3_128")

    def __init__(self, start: FileStart, messages: FileMessages) -> None:
        self.start = start
        self.n_chunks = count_chunks(start.version.size, start.chunk_size)
        self.acked = RangeSet(start.delivered)
        self.unreported: RangeSet | None = None  # acknowledged since the last report, if any
        self.xxh3_128 = ""  # of the file, once all of it is read
        self.failure = ""  # why no more of it is sent
        self._messages = messages

    @property
    def is_complete(self) -> bool:
        """Whether all of the file is read and every chunk is acknowledged."""
        return bool(self.xxh3_128) and self.acked.covers(self.n_chunks)

    def message(self, number: int, data: bytes, digest: bytes) -> KafkaMessageParts:
        """Return the message of chunk `number`; that of the last chunk only once `xxh3_128` is known."""
        return self._messages.message(number, data, digest, self.xxh3_128)

    def rebuild_message(self, number: int, value: bytes) -> KafkaMessageParts:
        """Return the message of chunk `number` again, given its value."""
        return self._messages.rebuild(number, value, self.xxh3_128)

    def row(self, completed: str) -> CompletedRow:
        """Return the file's row of the completed table; `completed` is a time in the table's format."""
        start = self.start
        path, size, mtime_ns = start.version
        return CompletedRow(
            os.fsdecode(path),
            size,
            mtime_ns,
            self.n_chunks,
            start.chunk_size,
            self.xxh3_128,
            start.started,
            completed,
        )
