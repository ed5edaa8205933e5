"""A producer's own part of the completed table: shards of at most 1,000 rows, each replaced atomically."""

from __future__ import annotations

import os

from dfud.core.plain_rows import HEADER
from dfud.files.open_folder import is_same_file
from dfud.logs.completed.shard_copy import ShardCopy
from dfud.logs.layout import MAX_ROWS_PER_SHARD, LogsFolder

# If LOGS cannot be written, the rows must not exhaust the memory: beyond this number the oldest ones are dropped.
# The next run that finds their files sends them again.
MAX_ROWS_WAITING = 100_000


class ShardWriter:
    """Responsible for the rows of one producer, which are in memory until `write` has put them on disk."""

    def __init__(
        self, folder: LogsFolder, producer: int, first_sequence: int, copy: ShardCopy | None = None
    ) -> None:
        """Begin with the shard `first_sequence` of the producer numbered `producer`, which must not exist.

        `copy` gets what is written.
        """
        self._folder = folder
        self._copy = copy
        self._producer = producer
        self._sequence = first_sequence
        self._written: list[bytes] = []  # the rows of the present shard, which are on disk
        self._waiting: list[bytes] = []
        self._present: os.stat_result | None = None  # of the present shard, as it was written
        self.is_displaced = False  # the present shard is no longer in its place, and to be written again
        self.rows_lost = 0

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet."""
        return len(self._waiting)

    def add(self, row: bytes) -> None:
        """Keep a row, as `completed_line` returns it, until `write`; if too many are waiting, drop the oldest."""
        if len(self._waiting) >= MAX_ROWS_WAITING:
            del self._waiting[0]
            self.rows_lost += 1
        self._waiting.append(row)

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
            self._replace(self._written + self._waiting[:room])
            if self._copy is not None:
                self._copy.append(self._sequence, self._waiting[:room])
            del self._waiting[:room]
        if self.is_displaced:
            self._replace(self._written)

    def check(self) -> None:
        """Find out whether the present shard `is_displaced`, in the LOGS that is there now."""
        try:
            self._folder.reopen()
            status = self._folder.stat(self._folder.shard(self._producer, self._sequence))
        except OSError:  # LOGS is missing; it will be made again
            status = None
        is_there = status is not None and self._present is not None and is_same_file(status, self._present)
        self.is_displaced = bool(self._written) and not is_there

    def _replace(self, rows: list[bytes]) -> None:
        """Write the present shard; in the LOGS that is there now, if the one that was there is gone."""
        path = self._folder.shard(self._producer, self._sequence)
        try:
            self._folder.replace(path, [HEADER, *rows])
        except OSError:
            if not self._folder.reopen():
                raise
            self._folder.replace(path, [HEADER, *rows])
        self._written = rows
        self._present = self._folder.stat(path)
        self.is_displaced = False
