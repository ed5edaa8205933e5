"""Lines about files for the console and the log file, summed up when they come too fast to be read."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

from dfud.core.text import counted, printable
from dfud.uploading.entry import Entry
from dfud.uploading.ledger import Progress

_MAX_LINES_PER_SECOND = 20  # of each kind
_PROGRESS_INTERVAL_S = 5.0
_MAX_REPEATED = 20  # files whose failure is named once more at the end


class _Kind(NamedTuple):
    """What is said of one file or several, before and after their number of chunks."""

    before: str
    after: str

    def line(self, subject: str, n_chunks: int) -> str:
        return f"{subject}: {self.before}{counted(n_chunks, 'chunk')}{self.after}"


_ENQUEUED = _Kind("broken into ", "")
_COMPLETED = _Kind("all ", " acknowledged")


class UploadReporter:
    """Responsible for a log that stays readable at any rate of files."""

    def __init__(self, log: logging.Logger) -> None:
        """Write to `log`."""
        self._log = log
        self._window_ends = 0.0  # of the present second
        self._shown = {_ENQUEUED: 0, _COMPLETED: 0}  # lines in the present second
        self._more_files = {_ENQUEUED: 0, _COMPLETED: 0}  # without a line of their own
        self._more_chunks = {_ENQUEUED: 0, _COMPLETED: 0}
        self._next_progress: float | None = None  # before the first tick
        self._acked_bytes = 0
        self._acked_chunks = 0
        self._last_acked = (0.0, 0)  # time and bytes at the last report of progress
        self._lines: list[str] = []  # written with the next tick, after the files themselves are on their way

    def on_enqueued(self, entry: Entry, now: float) -> None:
        """Report a file that was detected."""
        self._add_line(_ENQUEUED, entry, now)

    def on_completed(self, entry: Entry, now: float) -> None:
        """Report a file that is acknowledged entirely and recorded."""
        self._add_line(_COMPLETED, entry, now)

    def on_acked(self, chunks: int, n_bytes: int) -> None:
        """Count acknowledged chunks."""
        self._acked_chunks += chunks
        self._acked_bytes += n_bytes

    def _add_line(self, kind: _Kind, entry: Entry, now: float) -> None:
        if now >= self._window_ends:
            self.flush()
            self._window_ends = now + 1.0
        if self._shown[kind] < _MAX_LINES_PER_SECOND:
            self._shown[kind] += 1
            self._lines.append(kind.line(printable(entry.version.path), entry.n_chunks))
        else:
            self._more_files[kind] += 1
            self._more_chunks[kind] += entry.n_chunks

    def flush(self) -> None:
        """Write all pending lines, and the sums of the files without one."""
        self._write_lines()
        for kind in (_ENQUEUED, _COMPLETED):
            if self._more_files[kind]:
                subject = counted(self._more_files[kind], "more file")
                self._log.info(kind.line(subject, self._more_chunks[kind]))
            self._shown[kind] = self._more_files[kind] = self._more_chunks[kind] = 0

    def _write_lines(self) -> None:
        for line in self._lines:
            self._log.info(line)
        self._lines.clear()

    def due(self, busy: bool) -> float | None:
        """Return when `tick` has something to write (s, monotonic), or None; `busy` while files are open."""
        times = []
        if any(self._more_files.values()):
            times.append(self._window_ends)
        if busy and self._next_progress is not None:
            times.append(self._next_progress)
        return min(times, default=None)

    def tick(self, now: float, busy: bool) -> None:
        """Write what is due; `busy` while files are open. To be called after what is urgent."""
        self._write_lines()
        if now >= self._window_ends and any(self._more_files.values()):
            self.flush()
            self._window_ends = now + 1.0
        if self._next_progress is None or not busy:
            self._next_progress = now + _PROGRESS_INTERVAL_S
            self._last_acked = (now, self._acked_bytes)
        elif now >= self._next_progress:
            last_time, last_bytes = self._last_acked
            rate = (self._acked_bytes - last_bytes) / max(now - last_time, 0.001) / 1e6
            self._log.info(f"{counted(self._acked_chunks, 'chunk')} acknowledged so far, {rate:.1f} MB/s")
            self._last_acked = (now, self._acked_bytes)
            self._next_progress = now + _PROGRESS_INTERVAL_S


def summary(progress: Progress) -> str:
    """Return the answer to "check"."""
    text = (
        f"{counted(progress.files, 'file')} enqueued or in progress: "
        f"{progress.acked:,} of {counted(progress.chunks, 'chunk')} acknowledged"
    )
    if progress.failed:
        text += f"; {counted(progress.failed, 'file')} could not be delivered"
    return text


def log_undelivered(entries: Iterable[Entry], log: logging.Logger) -> None:
    """Name the files that were not delivered, but for what was named before and is too much to be repeated."""
    repeated = 0
    for entry in entries:
        repeated += entry.named == entry.failure
        if entry.named != entry.failure or repeated <= _MAX_REPEATED:
            log.error(f"{printable(entry.version.path)} not delivered: {entry.failure}")
    if repeated > _MAX_REPEATED:
        log.error(f"{counted(repeated - _MAX_REPEATED, 'more file')} not delivered: each is named above")
