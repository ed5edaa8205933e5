"""The record that a run keeps in its lock file: what the next run has to look at.

Until a run ends in an orderly way, the file holds the time at which it began: a run that finds such a record knows
that files that arrived since then may be in no table. Below are the paths of what may be older than that: folders
that were moved in, and files that were left. At an orderly end the file says what the run can no longer have seen:
what changed between its last sweep and its end.
"""

from __future__ import annotations

import os
from enum import Enum

from dfud.files.open_folder import OpenFolder
from dfud.logs.lock import is_locked
from dfud.logs.run_record import EVERYTHING, RunRecord, format_path, format_record, parse_record

_MAX_RECORD_BYTES = 1 << 28
_MAX_MOVED_IN = 10_000  # paths; beyond that, the next run scans everything
# Between the record of the end and the end itself: 2 s for output that nobody reads, and 2 s to spare.
_END_MARGIN_NS = 4_000_000_000


class Session:
    """The record of the present run, in the lock file that it holds."""

    def __init__(self, descriptor: int) -> None:
        """Use the locked file, open for reading and writing at `descriptor`."""
        self._descriptor = descriptor
        self._record, paths = parse_record(_read(descriptor))
        self._moved_in = dict.fromkeys(paths)
        self._moved_in_late: dict[bytes, None] = {}  # since the last sweep
        self._last_sweep_ns: int | None = None  # when it was requested
        self._set_back_ns = 0  # how far the clock was set back during this run

    @property
    def content(self) -> bytes:
        """What the lock file holds."""
        return b"" if self._record is None else self._format(self._record)

    # -- what the last run left

    def unfinished_since(self) -> int | None:
        """Return when the run began that did not end in an orderly way, or None if the last one did."""
        return None if self._record is None or self._record.is_ended else self._record.since_ns

    @property
    def missed(self) -> tuple[int, int]:
        """The time, from and to, in which an ended run could no longer see what changed; (0, 0) for none."""
        if self._record is None:
            return (0, 0)
        return (self._record.since_ns, self._record.ended_ns) if self._record.is_ended else self._record.missed

    @property
    def compare_since_ns(self) -> int:
        """Since when a recorded file that changed may have another content of the same size; 0 if unknown.

        That is the last sweep of the last run that ended in an orderly way, however many have been killed since.
        """
        if self._record is None:
            return 0
        return self._record.since_ns if self._record.is_ended else self._record.compare_since_ns

    @property
    def moved_in(self) -> tuple[bytes, ...]:
        """The folders that were moved in since the recorded time, and the files that were left."""
        return () if self._has_too_many else tuple(self._moved_in)

    @property
    def _has_too_many(self) -> bool:
        return len(self._moved_in) > _MAX_MOVED_IN

    # -- the course of a run

    def now_ns(self) -> int:
        """Return the present time (ns since 1970) by the clock of the file system, which may be a server's."""
        os.utime(self._descriptor)
        return os.fstat(self._descriptor).st_ctime_ns

    def begin(self, since_ns: int, compare_since_ns: int | None = None) -> None:
        """Record that what changes from `since_ns` on is to be uploaded; OSError if LOGS cannot be written.

        What the last run missed stays on record until this one ends in an orderly way, as may `compare_since_ns`.
        """
        if since_ns == EVERYTHING:
            self._moved_in.clear()
        elif self._has_too_many:
            since_ns = EVERYTHING
        else:
            since_ns -= self._set_back_ns
        compare_since_ns = self.compare_since_ns if compare_since_ns is None else compare_since_ns
        self._write(RunRecord(since_ns, 0, compare_since_ns, self.missed))

    def add_moved_in(self, path: bytes) -> None:
        """Record, after `begin`, a path that is wanted however old it looks; OSError if LOGS cannot be written."""
        if self._last_sweep_ns is not None and len(self._moved_in_late) <= _MAX_MOVED_IN:
            self._moved_in_late[path] = None
        parts = path.split(b"/")
        if self._has_too_many or any(b"/".join(parts[:end]) in self._moved_in for end in range(1, len(parts) + 1)):
            return
        self._moved_in[path] = None
        record = self._record
        if record is None or record.since_ns == EVERYTHING:
            return
        if len(self._moved_in) > _MAX_MOVED_IN:
            self._write(record._replace(since_ns=EVERYTHING))
            return
        os.pwrite(self._descriptor, format_path(path), os.fstat(self._descriptor).st_size)
        os.fsync(self._descriptor)

    def on_set_back(self, total_ns: int) -> None:
        """Count with a clock that was set back by `total_ns` in this run: what is new looks that much older.

        OSError if LOGS cannot be written.
        """
        more_ns, self._set_back_ns = total_ns - self._set_back_ns, total_ns
        if self._last_sweep_ns is not None:
            self._last_sweep_ns -= more_ns
        record = self._record
        if record is not None and record.since_ns != EVERYTHING:
            compare_since_ns = record.compare_since_ns and record.compare_since_ns - more_ns
            self._write(record._replace(since_ns=record.since_ns - more_ns, compare_since_ns=compare_since_ns))

    # -- its end

    def on_last_sweep(self) -> None:
        """Note that the last sweep is now requested: it finds all that is there; OSError if LOGS is read-only."""
        self._last_sweep_ns = self.now_ns()
        self._moved_in_late.clear()

    def add_late(self, path: bytes, ctime_ns: int) -> None:
        """Record a file that was found after the last sweep, unless its ctime will tell the next run.

        OSError if LOGS cannot be written.
        """
        if self._last_sweep_ns is None or ctime_ns < self._last_sweep_ns:
            self.add_moved_in(path)

    def end(self) -> None:
        """Record an orderly end, as the last act of the process; OSError if LOGS cannot be written.

        If the last sweep was never requested, the record remains as it is.
        """
        if self._last_sweep_ns is None:
            return
        if len(self._moved_in_late) > _MAX_MOVED_IN:
            self.begin(EVERYTHING)
            return
        now_ns = self.now_ns()
        self._moved_in = self._moved_in_late
        self._write(RunRecord(min(self._last_sweep_ns, now_ns), now_ns + _END_MARGIN_NS))

    def _format(self, record: RunRecord) -> bytes:
        return format_record(record, () if record.since_ns == EVERYTHING else self._moved_in)

    def _write(self, record: RunRecord) -> None:
        text = self._format(record)
        # Overwritten, never truncated first: an empty file after a power cut would mean a clean end.
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))
        os.fsync(self._descriptor)
        self._record = record


class RunState(Enum):
    """The state of the last run, by its lock file."""

    RUNNING = "running"
    ENDED = "ended"  # in an orderly way, or there was none
    UNFINISHED = "unfinished"  # it was interrupted, or left files


def last_run(folder: OpenFolder, path: str) -> RunState:
    """Return the state of the last run without waiting or writing; OSError if its lock file cannot be read."""
    try:
        lock_file = folder.open_to_read(path)
    except FileNotFoundError:
        return RunState.ENDED
    with lock_file:
        if is_locked(lock_file.fileno()):
            return RunState.RUNNING
        record, _ = parse_record(_read(lock_file.fileno()))
        return RunState.ENDED if record is None or record.is_ended else RunState.UNFINISHED


def _read(descriptor: int) -> bytes:
    """Return what the lock file holds; a text that is no record if that is more than a run writes."""
    size = os.fstat(descriptor).st_size
    return b"?" if size > _MAX_RECORD_BYTES else os.pread(descriptor, size, 0)
