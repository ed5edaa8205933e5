"""Lines about files for the console and the log file, summed up when they come too fast to be read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from dfud.core.chunking import count_chunks
from dfud.core.text import counted, printable
from dfud.core.version import FileVersion
from dfud.logs.log_lines import about
from dfud.uploading.entry import Entry
from dfud.uploading.ledger_state import Progress

_MAX_LINES_PER_SECOND = 20  # of each kind
_PROGRESS_INTERVAL_S = 5.0
_MAX_REPEATED = 20  # files whose failure is named once more at the end


class _Kind:
    """What is said of one file or several, before and after their number of chunks, and how often it was."""

    def __init__(self, before_one: str, before: str, after: str) -> None:
        self.before_one, self.before, self.after = before_one, before, after
        self.shown = 0  # lines in the present second
        self.more_files = 0  # without a line of their own
        self.more_chunks = 0

    def line(self, subject: str, n_chunks: int) -> str:
        before = self.before_one if n_chunks == 1 else self.before
        return f"{subject}: {before}{counted(n_chunks, 'chunk')}{self.after}"


class UploadReporter:
    """Responsible for a log that stays readable at any rate of files."""

    def __init__(self, log: logging.Logger) -> None:
        """Write to `log`."""
        self._log = log
        self._window_ends = 0.0  # of the present second
        self._enqueued = _Kind("broken into ", "broken into ", "")
        self._completed = _Kind("", "all ", " acknowledged")
        self._next_progress = 0.0  # s, monotonic; not before the first tick
        self.acked_bytes = 0
        self.acked_chunks = 0
        self.completed_versions = 0
        self.completed_files = 0  # the same without the versions that replace what was recorded before
        self.completed_bytes = 0
        self._last_acked = (0.0, 0)  # time and bytes at the last report of progress
        self._before_last = (0.0, 0)  # the same of the one before
        self._at_start = (0.0, 0)  # the same of when files were opened, after a time without any
        self._was_busy = False  # at the last tick
        self._shown_chunks = 0  # acknowledged, in the last line about it
        self._lines: list[
            tuple[str, bytes]
        ] = []  # each with its file; written with the next tick, after the files themselves are on their way

    def on_enqueued(self, entry: Entry, now: float) -> None:
        """Report a file that was detected."""
        self._add_lines(self._enqueued, (entry.version,), entry.chunk_size, now)

    def on_enqueued_together(self, versions: Sequence[FileVersion], chunk_size: int, now: float) -> None:
        """Report files that were detected, and are read in chunks of `chunk_size` bytes."""
        self._add_lines(self._enqueued, versions, chunk_size, now)

    def on_completed_together(self, versions: Sequence[FileVersion], chunk_size: int, now: float) -> int:
        """Report files that are acknowledged and recorded, and replace nothing; return the number of chunks."""
        self.completed_versions += len(versions)
        self.completed_files += len(versions)
        self.completed_bytes += sum(version.size for version in versions)
        return self._add_lines(self._completed, versions, chunk_size, now)

    def on_completed(self, entry: Entry, now: float) -> None:
        """Report a file that is acknowledged entirely and recorded."""
        self.completed_versions += 1
        self.completed_files += not entry.replaces
        self.completed_bytes += entry.version.size
        self._add_lines(self._completed, (entry.version,), entry.chunk_size, now)

    def on_acked(self, chunks: int, n_bytes: int) -> None:
        """Count acknowledged chunks."""
        self.acked_chunks += chunks
        self.acked_bytes += n_bytes

    def _add_lines(self, kind: _Kind, versions: Sequence[FileVersion], chunk_size: int, now: float) -> int:
        """Add a line for each file as long as there are few; return the number of their chunks."""
        if now >= self._window_ends:
            self.flush()
            self._window_ends = now + 1.0
        numbers = [count_chunks(version.size, chunk_size) for version in versions]
        n_shown = min(len(versions), _MAX_LINES_PER_SECOND - kind.shown)
        for version, n_chunks in zip(versions[:n_shown], numbers):
            self._lines.append((kind.line(printable(version.path), n_chunks), version.path))
        kind.shown += n_shown
        kind.more_files += len(versions) - n_shown
        kind.more_chunks += sum(numbers[n_shown:])
        return sum(numbers)

    def flush(self) -> None:
        """Write all pending lines, and the sums of the files without one."""
        self._write_lines()
        for kind in (self._enqueued, self._completed):
            if kind.more_files:
                self._log.info(kind.line(counted(kind.more_files, "more file"), kind.more_chunks))
            kind.shown = kind.more_files = kind.more_chunks = 0

    @property
    def _has_more_files(self) -> bool:
        return bool(self._enqueued.more_files or self._completed.more_files)

    def _write_lines(self) -> None:
        for line, path in self._lines:
            self._log.info(line, extra=about(path))
        self._lines.clear()

    def due(self, busy: bool) -> float | None:
        """Return when `tick` has something to write (s, monotonic), or None; `busy` while files are open."""
        times = []
        if self._has_more_files:
            times.append(self._window_ends)
        if busy and self._was_busy:
            times.append(self._next_progress)
        return min(times, default=None)

    def tick(self, now: float, busy: bool) -> None:
        """Write what is due; `busy` while files are open. To be called after what is urgent."""
        self._write_lines()
        if now >= self._window_ends and self._has_more_files:
            self.flush()
            self._window_ends = now + 1.0
        if not (busy and self._was_busy):
            self._was_busy = busy
            self._next_progress = now + _PROGRESS_INTERVAL_S
            self._at_start = self._before_last = self._last_acked = (now, self.acked_bytes)
        elif now >= self._next_progress:
            if self.acked_chunks != self._shown_chunks:  # an outage may last for days
                self._shown_chunks = self.acked_chunks
                self._log.info(
                    f"{counted(self.acked_chunks, 'chunk')} acknowledged so far, {per_second(self.rate(now))}"
                )
            self._before_last, self._last_acked = self._last_acked, (now, self.acked_bytes)
            self._next_progress = now + _PROGRESS_INTERVAL_S

    def rate(self, now: float) -> float:
        """Return how fast chunks have been acknowledged in the last seconds (bytes per second)."""
        is_recent = now - self._last_acked[0] < _PROGRESS_INTERVAL_S / 2
        return self._rate_since(self._before_last if is_recent else self._last_acked, now)

    def slow_rate(self, now: float) -> float:
        """Return how fast a broker is that may pause for seconds: 0 if it has acknowledged nothing yet."""
        return self.rate(now) or self._rate_since(self._at_start, now)

    def _rate_since(self, since: tuple[float, int], now: float) -> float:
        time, n_bytes = since
        return (self.acked_bytes - n_bytes) / max(now - time, 0.001)


def per_second(rate: float) -> str:
    """Return a rate in bytes per second as text.

    >>> per_second(12_340_000), per_second(80_000), per_second(50), per_second(0)
    ('12.3 MB/s', '80.0 kB/s', '50 B/s', '0.0 MB/s')
    """
    if 1 <= rate < 100:
        return f"{rate:.0f} B/s"
    return f"{rate / 1e3:.1f} kB/s" if 100 <= rate < 1e6 else f"{rate / 1e6:.1f} MB/s"


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
            path, cause = entry.version.path, entry.failure
            log.error(f"{printable(path)} not delivered: {cause}", extra=about(path, cause=cause))
    if repeated > _MAX_REPEATED:
        log.error(f"{counted(repeated - _MAX_REPEATED, 'more file')} not delivered: each is named above")
