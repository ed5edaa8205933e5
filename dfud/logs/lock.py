"""One uploader for each directory and topic, and the memory of one that did not end well.

The lock is an flock, which the kernel frees with the process, however that ends. The locked file holds the time
at which a run began, for as long as that run has not ended in an orderly way: a run that finds such a time
after itself knows that files which came since then may not have been written into any table. Below the time stand
the folders that were moved in, a line each: what is in them looks older than it is to us.
"""

from __future__ import annotations

import fcntl
import os
import time
from enum import Enum
from urllib.parse import quote_from_bytes, unquote_to_bytes

from dfud.errors import LockedError, UsageError

EVERYTHING = 0  # a time before all files
_MAX_MOVED_IN = 10_000  # folders; after more, the next run looks at everything
_DIGITS = 24  # of a time, always, so that one is written over the other in one piece

# Whoever only looks whether the lock is held has a share in it for some microseconds.
_BROKER_TIMEOUT_S = 0.2  # s
_PAUSE = 0.01  # s


class DirectoryLock:
    """The lock of one directory and topic, held from `take` until the process ends."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._moved_in = dict.fromkeys(_moved_in(descriptor))

    @classmethod
    def take(cls, path: str, directory: str, topic: str) -> DirectoryLock:
        """Take the lock; LockedError if another process has it, UsageError if LOGS can't be written."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as problem:
            raise UsageError(
                f"{path} can't be opened: {problem.strerror}; dfud must be able to write into LOGS"
            ) from None
        try:
            _lock(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise LockedError(f"another dfud is already uploading {directory} to topic {topic}") from None
        except OSError as problem:
            os.close(descriptor)
            raise UsageError(f"{path} can't be locked: {problem.strerror}") from None
        return cls(path, descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """Close our copy; with the last copy the lock is free."""
        os.close(self._descriptor)

    def unfinished_since(self) -> int | None:
        """Return when the run began that did not end in an orderly way (ns since 1970), or None."""
        return _begun_at(self._descriptor)

    def now_ns(self) -> int:
        """Return the present time by the clock of the file system, which that of this machine may not be."""
        os.utime(self._descriptor)
        return os.fstat(self._descriptor).st_ctime_ns

    def begin(self, since_ns: int) -> None:
        """Note that what changes from `since_ns` on is to be uploaded; OSError where LOGS can't be written."""
        if since_ns == EVERYTHING:
            self._moved_in.clear()
        self._write(b"%0*d\n" % (_DIGITS, since_ns) + b"".join(map(_line, self._moved_in)))

    @property
    def moved_in(self) -> tuple[bytes, ...]:
        """The folders that have come since the time noted."""
        return tuple(self._moved_in)

    def add_moved_in(self, path: bytes) -> None:
        """Note that a folder has come, once a beginning is noted; OSError where LOGS can't be written."""
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
        """Note that the run has ended in an orderly way; OSError where LOGS can't be written."""
        self._moved_in.clear()
        self._write(b"")

    def _write(self, text: bytes) -> None:
        # Written over, never cut off before: what a power cut leaves of it is not empty, which would mean an end.
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))
        os.fsync(self._descriptor)


class RunState(Enum):
    """What a lock file tells of the last run."""

    RUNNING = "running"
    ENDED = "ended"  # in an orderly way, or it never began
    UNFINISHED = "unfinished"  # it was broken off, or files came while it ended


def look(path: str) -> RunState:
    """Tell of the last run, without waiting and without writing; OSError if the lock file can't be read.

    For as long as it takes to look, an uploader can't take the lock: `DirectoryLock.take` allows for that.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return RunState.ENDED
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return RunState.ENDED if _begun_at(descriptor) is None else RunState.UNFINISHED
    except BlockingIOError:
        return RunState.RUNNING
    finally:
        os.close(descriptor)


def _begun_at(descriptor: int) -> int | None:
    text = os.pread(descriptor, 64, 0).partition(b"\n")[0].strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:  # cut off by a power cut: it did begin
        return EVERYTHING


def _line(path: bytes) -> bytes:
    return quote_from_bytes(path).encode() + b"\n"  # whatever a name is made of, it stands in one line


def _moved_in(descriptor: int) -> list[bytes]:
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    whole, _, _ = text.rpartition(b"\n")  # a line without an end is one that a power cut has kept from us
    return [unquote_to_bytes(line) for line in whole.split(b"\n")[1:]]


def _lock(descriptor: int) -> None:
    """Take the lock; BlockingIOError if somebody keeps it."""
    deadline = time.monotonic() + _BROKER_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
