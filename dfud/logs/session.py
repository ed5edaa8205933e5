"""The record that a run keeps in its lock file, in case it does not end cleanly.

The file holds the time at which the run began until it ends cleanly: a run that finds such a time knows that files
that arrived since then may not be in any table. Below the time are the folders that were moved in, one per line:
the files in them may be older than the run.
"""

from __future__ import annotations

import os
from enum import Enum
from urllib.parse import quote_from_bytes, unquote_to_bytes

from dfud.logs.lock import is_locked

EVERYTHING = 0  # a time before all files
_MAX_MOVED_IN = 10_000  # folders; beyond that, the next run scans everything
_TIME_DIGITS = 24  # a fixed number, so that one time overwrites another completely


class Session:
    """The record of the present run, in the lock file that it holds."""

    def __init__(self, descriptor: int) -> None:
        """Use the locked file, open for reading and writing at `descriptor`."""
        self._descriptor = descriptor
        self._moved_in = dict.fromkeys(_read_moved_in(descriptor))

    def unfinished_since(self) -> int | None:
        """Return when the run began that did not end cleanly (ns since 1970), or None if the last one did."""
        return _read_beginning(self._descriptor)

    def now_ns(self) -> int:
        """Return the present time (ns since 1970) by the clock of the file system, which may be a server's."""
        os.utime(self._descriptor)
        return os.fstat(self._descriptor).st_ctime_ns

    def begin(self, since_ns: int) -> None:
        """Record that what changes from `since_ns` on is to be uploaded; OSError if LOGS cannot be written."""
        if since_ns == EVERYTHING:
            self._moved_in.clear()
        self._write(b"%0*d\n" % (_TIME_DIGITS, since_ns) + b"".join(map(_line, self._moved_in)))

    @property
    def moved_in(self) -> tuple[bytes, ...]:
        """The folders that were moved in since the recorded time."""
        return tuple(self._moved_in)

    def add_moved_in(self, path: bytes) -> None:
        """Record, after `begin`, that a folder was moved in; OSError if LOGS cannot be written."""
        parts = path.split(b"/")
        if any(b"/".join(parts[:end]) in self._moved_in for end in range(1, len(parts) + 1)):
            return
        if self.unfinished_since() == EVERYTHING:
            return
        if len(self._moved_in) >= _MAX_MOVED_IN:
            self.begin(EVERYTHING)
            return
        self._moved_in[path] = None
        os.pwrite(self._descriptor, _line(path), os.fstat(self._descriptor).st_size)
        os.fsync(self._descriptor)

    def end(self) -> None:
        """Record that the run ended cleanly; OSError if LOGS cannot be written."""
        self._moved_in.clear()
        self._write(b"")

    def _write(self, text: bytes) -> None:
        # Overwritten, never truncated first: an empty file after a power cut would mean a clean end.
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))
        os.fsync(self._descriptor)


class RunState(Enum):
    """The state of the last run, by its lock file."""

    RUNNING = "running"
    ENDED = "ended"  # cleanly, or there was none
    UNFINISHED = "unfinished"  # it was interrupted, or files arrived while it ended


def last_run(path: str) -> RunState:
    """Return the state of the last run without waiting or writing; OSError if its lock file cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return RunState.ENDED
    try:
        if is_locked(descriptor):
            return RunState.RUNNING
        return RunState.ENDED if _read_beginning(descriptor) is None else RunState.UNFINISHED
    finally:
        os.close(descriptor)


def _read_beginning(descriptor: int) -> int | None:
    text = os.pread(descriptor, 64, 0).partition(b"\n")[0].strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:  # truncated by a power cut: the run did begin
        return EVERYTHING


def _line(path: bytes) -> bytes:
    return quote_from_bytes(path).encode() + b"\n"  # a single line, whatever bytes the name has


def _read_moved_in(descriptor: int) -> list[bytes]:
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    complete, _, _ = text.rpartition(b"\n")  # a power cut may have left a line without its end
    return [unquote_to_bytes(line) for line in complete.split(b"\n")[1:]]
