"""When the rows of completed files are written, and who is told that they are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from dfud.logs.completed.shards import ShardWriter
from dfud.logs.times import IsoClock
from dfud.messages import FilesCompleted, FromProducer, Notice, RowsRecorded
from dfud.uploading.upload import Upload

# With what the supervisor waits before it writes the in-progress table, together well under 5 s.
_WRITE_DELAY_S = 1.0  # s from a row's first wait to its writing
_RETRY_DELAY_S = 2.0  # s after a failed writing
_HURRY_FACTOR = 20  # where the program waits for rows to end, they wait so many times what a writing takes


class CompletedWriter:
    """Responsible for the rows of one producer's completed files."""

    def __init__(
        self,
        shards: ShardWriter,
        tell: Callable[[Sequence[FromProducer]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tell` sends messages to the supervisor."""
        self._shards = shards
        self._tell = tell
        self._clock = clock
        self._iso_now = IsoClock()
        self._done: list[tuple[int, str]] = []  # token and xxh3_128; their rows wait in the shard writer
        self._write_at = 0.0
        self._hurry_at = 0.0
        self._failed = False  # the last writing
        self._owed = 0  # rows that were told as not recorded

    def add(self, upload: Upload) -> None:
        """Take a file of which every chunk is acknowledged."""
        if not self._shards.waiting:
            self._write_at = self._clock() + _WRITE_DELAY_S
        self._shards.add(upload.row(self._iso_now()))
        self._done.append((upload.start.token, upload.xxh3_128))

    def due(self, hurry: bool) -> float | None:
        """Return when waiting rows are to be written (s, monotonic), or None; soon, if all else waits for them."""
        if not self._shards.waiting:
            return None
        return min(self._write_at, self._hurry_at) if hurry and not self._failed else self._write_at

    def keep(self, now: float, hurry: bool, at_once: bool = False) -> None:
        """Write rows that are due, or that fill a shard; all of them if `at_once`."""
        due = self.due(hurry)
        if due is None:
            return
        if at_once or now >= due:
            self._write(now)
            self._hurry_at = self._clock() + _HURRY_FACTOR * (self._clock() - now)
        elif self._shards.fills_a_shard and not self._failed:
            self._write(now, whole_shards=True)

    def _write(self, now: float, whole_shards: bool = False) -> None:
        try:
            self._shards.write(whole_shards)
        except OSError as problem:
            # Uploading goes on: a repeat is better than a halt. The rows are kept, and written when that works.
            self._write_at = now + _RETRY_DELAY_S
            if not self._failed:
                self._failed = True
                text = f"the completed table cannot be written: {problem}; it is tried again"
                self._tell([Notice(logging.ERROR, text)])
            self._owed += len(self._done)
            self._tell_done(self._done, recorded=False)
            return
        self._write_at = now + _WRITE_DELAY_S  # of what is left, if anything
        if self._failed:
            self._failed = False
            self._tell([Notice(logging.WARNING, "the completed table is written again")])
        if self._owed:
            self._tell([RowsRecorded(self._owed - self._shards.rows_lost)])
            self._owed = self._shards.rows_lost = 0
        self._tell_done(self._done[: len(self._done) - self._shards.waiting], recorded=True)

    def _tell_done(self, done: list[tuple[int, str]], recorded: bool) -> None:
        if done:
            self._tell([FilesCompleted(tuple(done), recorded)])
            del self._done[: len(done)]
