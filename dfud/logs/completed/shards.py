"""A producer's own part of the completed table: shards of at most 1,000 rows, each replaced as a whole."""

from __future__ import annotations

from dfud.core.plain_rows import HEADER
from dfud.core.tables import CompletedRow, format_row
from dfud.files.atomic import replace_file
from dfud.logs.layout import ROWS_OF_A_SHARD, LogsFolder

# A LOGS that cannot be written must not take all memory: of more rows than these the oldest are let go, which
# has their files sent again by the next start that looks at them.
MAX_ROWS_WAITING = 100_000


class ShardWriter:
    """Responsible for the rows of one producer, in memory until `write` has put them on disk."""

    def __init__(self, folder: LogsFolder, producer: int, first_sequence: int) -> None:
        self._folder = folder
        self._producer = producer
        self._sequence = first_sequence
        self._written: list[bytes] = []  # rows of the present shard that are on disk
        self._waiting: list[bytes] = []
        self.rows_lost = 0

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet."""
        return len(self._waiting)

    def add(self, row: CompletedRow) -> None:
        if len(self._waiting) >= MAX_ROWS_WAITING:
            del self._waiting[0]
            self.rows_lost += 1
        self._waiting.append(format_row(row).encode("utf-8", "surrogateescape"))

    @property
    def fills_a_shard(self) -> bool:
        """Whether the rows that wait complete a shard."""
        return len(self._waiting) >= ROWS_OF_A_SHARD - len(self._written)

    def write(self, whole_shards: bool = False) -> None:
        """Put rows on disk, durably: all, or as many as complete shards, which need not be written again.

        OSError if that fails; `waiting` says what is still to be done.
        """
        while self._waiting and (self.fills_a_shard or not whole_shards):
            room = ROWS_OF_A_SHARD - len(self._written)
            if room == 0:
                self._sequence += 1
                self._written = []
                continue
            rows = self._written + self._waiting[:room]
            replace_file(self._folder.shard(self._producer, self._sequence), [HEADER, *rows])
            self._written = rows
            del self._waiting[:room]
