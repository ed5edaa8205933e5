"""A producer's own part of the completed table: shards of at most 1,000 rows, each replaced atomically."""

from __future__ import annotations

from dfud.core.plain_rows import HEADER
from dfud.core.tables import CompletedRow, format_row
from dfud.files.atomic import replace_file
from dfud.logs.layout import MAX_ROWS_PER_SHARD, LogsFolder

# If LOGS cannot be written, the rows must not exhaust the memory: beyond this number the oldest ones are dropped.
# The next run that finds their files sends them again.
MAX_ROWS_WAITING = 100_000


class ShardWriter:
    """Responsible for the rows of one producer, which are in memory until `write` has put them on disk."""

    def __init__(self, folder: LogsFolder, producer: int, first_sequence: int) -> None:
        """Begin with the shard `first_sequence` of the producer numbered `producer`, which must not exist."""
        self._folder = folder
        self._producer = producer
        self._sequence = first_sequence
        self._written: list[bytes] = []  # the rows of the present shard, which are on disk
        self._waiting: list[bytes] = []
        self.rows_lost = 0

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet."""
        return len(self._waiting)

    def add(self, row: CompletedRow) -> None:
        """Keep a row until `write`; if too many are waiting, drop the oldest."""
        if len(self._waiting) >= MAX_ROWS_WAITING:
            del self._waiting[0]
            self.rows_lost += 1
        self._waiting.append(format_row(row).encode("utf-8", "surrogateescape"))

    @property
    def fills_a_shard(self) -> bool:
        """Whether the waiting rows complete a shard."""
        return len(self._waiting) >= MAX_ROWS_PER_SHARD - len(self._written)

    def write(self, whole_shards: bool = False) -> None:
        """Write the waiting rows durably: all, or only those that complete shards, which are not written again.

        Raises OSError if that fails; `waiting` then says how many rows are left.
        """
        while self._waiting and (self.fills_a_shard or not whole_shards):
            room = MAX_ROWS_PER_SHARD - len(self._written)
            if room == 0:
                self._sequence += 1
                self._written = []
                continue
            rows = self._written + self._waiting[:room]
            replace_file(self._folder.shard(self._producer, self._sequence), [HEADER, *rows])
            self._written = rows
            del self._waiting[:room]
