"""When the rows of completed files are written, and when the files are reported as recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from dfud.logs.completed.shards import ShardWriter
from dfud.logs.times import MICROSECONDS, IsoClock
from dfud.messages import FilesCompleted, FromProducer, Notice, RowsRecorded
from dfud.uploading.upload import Upload

# Together with the delay of the in-progress table well under 5 s.
_WRITE_DELAY_S = 1.0  # s from a row's arrival to its writing
_RETRY_DELAY_S = 2.0  # s after a failed write
_HURRY_FACTOR = 20  # while nothing but rows is left to do, they wait so many times the duration of a write


class CompletedWriter:
    """Responsible for the rows of one producer's completed files."""

    def __init__(
        self,
        shards: ShardWriter,
        send: Callable[[Sequence[FromProducer]], None],
        clock: Callable[[], float] = time.monotonic,
        row_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`send` sends messages to the supervisor; `row_clock_ns` returns the times of rows (ns since 1970)."""
        self._shards = shards
        self._send = send
        self._clock = clock
        # Fine enough to tell the order of the rows of different producers.
        self._iso_now = IsoClock(row_clock_ns, MICROSECONDS)
        self._row_time = ""  # of the rows that are added until the next `write_due`
        self._unreported: list[tuple[int, str]] = []  # token and xxh3_128, in the order of their rows
        self._write_at = 0.0
        self._hurry_at = 0.0
        self._has_failed = False  # the last write
        self._n_owed = 0  # rows whose files were reported as not recorded

    def add(self, upload: Upload) -> None:
        """Add the row of a file of which every chunk is acknowledged."""
        if not self._shards.waiting:
            self._write_at = self._clock() + _WRITE_DELAY_S
        self._row_time = self._row_time or self._iso_now()
        self._shards.add(upload.row(self._row_time))
        self._unreported.append((upload.start.token, upload.xxh3_128))

    def due_at(self, hurry: bool) -> float | None:
        """Return when to write (s, monotonic), or None if no row waits; sooner in a `hurry`, unless it fails."""
        if not self._shards.waiting:
            return self._write_at if self._shards.is_displaced else None
        return min(self._write_at, self._hurry_at) if hurry and not self._has_failed else self._write_at

    def write_due(self, now: float, hurry: bool) -> None:
        """Write the rows that are due or fill a shard; those that are added from now on have a later time."""
        self._row_time = ""
        due_at = self.due_at(hurry)
        if due_at is None:
            return
        if now >= due_at:
            self.write_all(now)
        elif self._shards.fills_a_shard and not self._has_failed:
            self._write(now, whole_shards=True)

    def check(self, now: float) -> None:
        """Write the present shard again if it was removed or replaced."""
        self._shards.check()
        if self._shards.is_displaced:
            self._write(now)

    def write_all(self, now: float) -> None:
        """Write all rows that wait."""
        if self._shards.waiting or self._shards.is_displaced:
            self._write(now)
            ended = self._clock()
            self._hurry_at = ended + _HURRY_FACTOR * (ended - now)

    def _write(self, now: float, whole_shards: bool = False) -> None:
        try:
            self._shards.write(whole_shards)
        except OSError as error:
            # Uploading goes on: sending a file twice is better than a halt. The rows are kept until this works.
            self._write_at = now + _RETRY_DELAY_S
            if not self._has_failed:
                self._has_failed = True
                self._send([Notice(logging.ERROR, f"cannot write the completed table: {error}; retrying")])
            self._n_owed += len(self._unreported)
            self._report(len(self._unreported), recorded=False)
            return
        self._write_at = now + _WRITE_DELAY_S  # for the rows of a shard that is not full yet
        if self._has_failed:
            self._has_failed = False
            self._send([Notice(logging.WARNING, "writing the completed table works again")])
        if self._n_owed:
            self._send([RowsRecorded(self._n_owed - self._shards.rows_lost)])
            self._n_owed = self._shards.rows_lost = 0
        self._report(len(self._unreported) - self._shards.waiting, recorded=True)

    def _report(self, n_files: int, recorded: bool) -> None:
        """Report the first `n_files` of those that are unreported."""
        if n_files:
            self._send([FilesCompleted(tuple(self._unreported[:n_files]), recorded)])
            del self._unreported[:n_files]
