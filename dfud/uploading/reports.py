"""What the console and the log file are told, summed up where it comes too fast to be read."""

from __future__ import annotations

import logging
from typing import NamedTuple

from dfud.core.text import printable
from dfud.uploading.entry import Entry
from dfud.uploading.ledger import Progress

_LINES_A_SECOND = 20  # of each kind
_PROGRESS_INTERVAL_S = 5.0  # s


class _Kind(NamedTuple):
    one: str  # for one file: its path and its number of chunks
    more: str  # for several: their number and that of all their chunks


_ENQUEUED = _Kind("{}: broken into {} chunks", "{} more files: broken into {} chunks")
_DONE = _Kind("{}: all {} chunks acknowledged", "{} more files: all {} chunks acknowledged")


class Reports:
    """Responsible for lines that stay readable at any rate of files."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._window_ends = 0.0
        self._shown = {_ENQUEUED: 0, _DONE: 0}
        self._files = {_ENQUEUED: 0, _DONE: 0}  # not shown one by one
        self._chunks = {_ENQUEUED: 0, _DONE: 0}
        self._next_progress: float | None = None  # until the first look
        self._acked_bytes = 0
        self._acked_chunks = 0
        self._last_acked = (0.0, 0)  # when, bytes
        self._lines: list[str] = []  # not put out yet: the files themselves go first

    def enqueued(self, entry: Entry, now: float) -> None:
        """A file was recognised."""
        self._line(_ENQUEUED, entry, now)

    def done(self, entry: Entry, now: float) -> None:
        """A file is wholly acknowledged and recorded."""
        self._line(_DONE, entry, now)

    def acked(self, chunks: int, bytes_: int) -> None:
        """Chunks were acknowledged."""
        self._acked_chunks += chunks
        self._acked_bytes += bytes_

    def _line(self, kind: _Kind, entry: Entry, now: float) -> None:
        if now >= self._window_ends:
            self.flush()
            self._window_ends = now + 1.0
        if self._shown[kind] < _LINES_A_SECOND:
            self._shown[kind] += 1
            self._lines.append(kind.one.format(printable(entry.version.path), entry.n_chunks))
        else:
            self._files[kind] += 1
            self._chunks[kind] += entry.n_chunks

    def flush(self) -> None:
        """Put out all that waits, and the sums of what was not shown."""
        self._put_out()
        for kind in (_ENQUEUED, _DONE):
            if self._files[kind]:
                self._log.info(kind.more.format(self._files[kind], self._chunks[kind]))
            self._shown[kind] = self._files[kind] = self._chunks[kind] = 0

    def _put_out(self) -> None:
        for line in self._lines:
            self._log.info(line)
        self._lines.clear()

    def due(self, busy: bool) -> float | None:
        """Return when there is something to be put out (s, monotonic), or None."""
        times = []
        if any(self._files.values()):
            times.append(self._window_ends)
        if busy and self._next_progress is not None:
            times.append(self._next_progress)
        return min(times, default=None)

    def tick(self, now: float, busy: bool) -> None:
        """Put out what is due; `busy` while files are on their way. To be called after what is urgent."""
        self._put_out()
        if now >= self._window_ends and any(self._files.values()):
            self.flush()
            self._window_ends = now + 1.0
        if self._next_progress is None or not busy:
            self._next_progress = now + _PROGRESS_INTERVAL_S
            self._last_acked = (now, self._acked_bytes)
        elif now >= self._next_progress:
            then, before = self._last_acked
            rate = (self._acked_bytes - before) / max(now - then, 0.001) / 1e6
            self._log.info(f"{self._acked_chunks} chunks acknowledged so far, {rate:.1f} MB/s")
            self._last_acked = (now, self._acked_bytes)
            self._next_progress = now + _PROGRESS_INTERVAL_S


def summary(counts: Progress) -> str:
    """Return the answer to "check"."""
    text = (
        f"{counts.files} files are enqueued or in progress: "
        f"{counts.acked} of their {counts.chunks} chunks are acknowledged"
    )
    return f"{text}; {counts.failed} files could not be delivered" if counts.failed else text
