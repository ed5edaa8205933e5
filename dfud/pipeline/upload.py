"""What a producer knows of one file that it is sending."""

from __future__ import annotations

import os

from dfud.core.chunks import count_chunks
from dfud.core.native import Headers, header_maker
from dfud.core.ranges import RangeSet
from dfud.core.tables import CompletedRow
from dfud.messages import FileStart


class Upload:
    """The acknowledgements of one version of one file."""

    __slots__ = ("_headers", "acked", "failure", "key", "n_chunks", "start", "unreported", "xxh3_128")

    def __init__(self, start: FileStart) -> None:
        self.start = start
        self.key = start.version.path
        self.n_chunks = count_chunks(start.version.size, start.chunk_size)
        self.acked = RangeSet(start.delivered)
        self.unreported: RangeSet | None = None  # acknowledged since the last report, if any
        self.xxh3_128 = ""  # of the whole file, once it is read
        self.failure = ""  # why it is not sent on
        self._headers = header_maker(start.version, start.chunk_size)

    @property
    def is_complete(self) -> bool:
        return bool(self.xxh3_128) and self.acked.covers(self.n_chunks)

    def headers(self, number: int, xxh3_64: bytes) -> Headers:
        """Return the headers of chunk `number`; the last chunk's only once the whole file is read."""
        headers = self._headers(number, xxh3_64)
        if number == self.n_chunks:
            headers.append(("xxh3_128", self.xxh3_128.encode()))
        return headers

    def row(self, completed: str) -> CompletedRow:
        """Return the file's row of the completed table; `completed` is a time as the table has it."""
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
