"""One program at a time for a directory: an flock(2), which the kernel frees with the process."""

from __future__ import annotations

import fcntl
import os
import time

from dfud.errors import LockedError, UsageError

# `dfud status` shares the lock for some microseconds while it looks at it.
_RETRY_FOR_S = 0.2
_RETRY_PAUSE_S = 0.01


class DirectoryLock:
    """A lock in LOGS, held from `take` until the process ends or closes its last copy."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: str, activity: str) -> DirectoryLock:
        """Take the lock; `activity` says what it allows, as in "uploading DIR to topic T".

        Raises LockedError if another process has it, and UsageError if LOGS cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as problem:
            raise UsageError(
                f"cannot open {path}: {problem.strerror}; dfud must be able to write into LOGS"
            ) from None
        try:
            _flock(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise LockedError(f"another dfud is already {activity}") from None
        except OSError as problem:
            os.close(descriptor)
            raise UsageError(f"cannot lock {path}: {problem.strerror}") from None
        return cls(path, descriptor)

    def fileno(self) -> int:
        """Return the descriptor of the locked file, open for reading and writing."""
        return self._descriptor

    def close(self) -> None:
        """Close this copy; with the last copy the lock is free."""
        os.close(self._descriptor)


def is_locked(descriptor: int) -> bool:
    """Return whether another process holds the lock on this file.

    For as long as this takes, nobody else can take the lock: `DirectoryLock.take` allows for that.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _flock(descriptor: int) -> None:
    """Take the lock; BlockingIOError if somebody keeps it."""
    deadline = time.monotonic() + _RETRY_FOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)
