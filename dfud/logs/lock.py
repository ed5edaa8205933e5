"""A lock that lets one program at a time use a directory.

It is a plain flock(2) because the kernel releases it when the process ends, however that happens; libraries that
lock by the existence of a file leave it behind.
"""

from __future__ import annotations

import fcntl
import os
import time

from dfud.errors import LockedError, UsageError

# `dfud status` holds a shared lock for some microseconds while it tests the lock.
_RETRY_FOR_S = 0.2
_RETRY_PAUSE_S = 0.01


class DirectoryLock:
    """A lock in LOGS, held from `take` until the process ends or its last copy is closed."""

    def __init__(self, descriptor: int) -> None:
        """Own `descriptor`, which is locked; use `take`."""
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: str, activity: str) -> DirectoryLock:
        """Take the lock for an `activity`, as in "uploading DIR to topic T".

        Raises LockedError if another process has it, and UsageError if LOGS cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(
                f"cannot open {path}: {error.strerror}; dfud must be able to write into LOGS"
            ) from None
        try:
            _flock(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise LockedError(f"another dfud is already {activity}") from None
        except OSError as error:
            os.close(descriptor)
            raise UsageError(f"cannot lock {path}: {error.strerror}") from None
        return cls(descriptor)

    def fileno(self) -> int:
        """Return the descriptor of the locked file, open for reading and writing."""
        return self._descriptor

    def close(self) -> None:
        """Close this copy; closing the last copy releases the lock."""
        os.close(self._descriptor)


def is_locked(descriptor: int) -> bool:
    """Return whether another process holds the lock on this file.

    While this runs, no process can take the lock: `DirectoryLock.take` tries again for that reason.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _flock(descriptor: int) -> None:
    """Take the lock; BlockingIOError if another process keeps it."""
    deadline = time.monotonic() + _RETRY_FOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)
