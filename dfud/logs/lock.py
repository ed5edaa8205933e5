"""A lock that lets one program at a time use a directory.

It is a plain flock(2) because the kernel releases it when the process ends, however that happens; libraries that
lock by the existence of a file leave it behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time

from dfud.errors import LockedError, UsageError
from dfud.files.open_folder import OpenFolder

# `dfud status` holds a shared lock for some microseconds while it tests the lock.
_RETRY_FOR_S = 0.2
_RETRY_PAUSE_S, _SHORT_PAUSE_S = 0.01, 0.001
_LOCKS = "/proc/locks"  # proc(5)


class DirectoryLock:
    """A lock in LOGS, held from `take` until the process ends or its last copy is closed."""

    def __init__(self, descriptor: int) -> None:
        """Own `descriptor`, which is locked; use `take`."""
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: OpenFolder, path: str, activity: str) -> DirectoryLock:
        """Take the lock at `path` in `folder` for an `activity`, as in "uploading DIR to topic T".

        Raises LockedError if another process has it, and UsageError if LOGS cannot be written.
        """
        return cls(_take(folder, path, activity))

    def retake(self, folder: OpenFolder, path: str, activity: str, record: bytes) -> None:
        """Put the lock at `path` again, with `record` in it, after the file there was removed or replaced.

        The file is locked before it has its name, so nobody else can take it. Raises LockedError if another
        process has taken the lock since, and OSError; the present lock is then kept.
        """
        new, temporary = folder.open_beside(path)
        try:
            os.pwrite(new, record, 0)
            os.fsync(new)
            fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _put_in_place(folder, temporary, path, activity)
            folder.sync()
            os.dup2(new, self._descriptor, inheritable=False)  # the number stays: others have it
        except BaseException:
            with contextlib.suppress(OSError):
                folder.unlink(temporary)
            raise
        finally:
            os.close(new)

    def is_at(self, folder: OpenFolder, path: str) -> bool:
        """Return whether the locked file is the one at `path`."""
        status = folder.stat(path)
        try:
            return status is not None and os.path.samestat(status, os.fstat(self._descriptor))
        except OSError:  # removed from a file system where nothing open remains
            return False

    def fileno(self) -> int:
        """Return the descriptor of the locked file, open for reading and writing."""
        return self._descriptor

    def close(self) -> None:
        """Close this copy; closing the last copy releases the lock."""
        os.close(self._descriptor)


def _put_in_place(folder: OpenFolder, temporary: str, path: str, activity: str) -> None:
    """Rename a locked file to `path`; LockedError if a file there is locked by another process."""
    with contextlib.suppress(FileExistsError):
        folder.rename_to_new(temporary, path)
        return
    status = folder.stat(path)
    is_lock = status is not None and stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    present = _take(folder, path, activity) if is_lock else None  # anything else was planted
    try:
        folder.rename(temporary, path)
    finally:
        if present is not None:
            os.close(present)


def _take(folder: OpenFolder, path: str, activity: str) -> int:
    """Return the descriptor of the file at `path`, locked."""
    deadline = time.monotonic() + _RETRY_FOR_S
    while True:
        descriptor = _open(folder, path, deadline)
        try:
            _flock(descriptor, deadline, _RETRY_PAUSE_S)
            present = folder.stat(path)
            if present is not None and os.path.samestat(present, os.fstat(descriptor)):
                return descriptor
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise LockedError(f"another dfud is already {activity}: {holder} has locked {path}") from None
        except OSError as error:
            os.close(descriptor)
            raise UsageError(f"cannot lock {path}: {error.strerror}") from None
        os.close(descriptor)  # it was replaced meanwhile: what counts is the one at the path


def _open(folder: OpenFolder, path: str, deadline: float) -> int:
    """Open the file at `path`, or make it; UsageError if that is not possible."""
    while True:
        try:
            return folder.open_in_place(path, os.O_RDWR)
        except OSError as error:
            if error.errno != errno.EMLINK or time.monotonic() > deadline:
                raise UsageError(
                    f"cannot open {path}: {error.strerror}; dfud must be able to write into LOGS"
                ) from None
        time.sleep(_RETRY_PAUSE_S)  # `retake` is about to remove the file's other name


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


def _flock(descriptor: int, deadline: float, pause_s: float) -> None:
    """Take the lock; BlockingIOError if another process keeps it until the deadline."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(pause_s)


def wait_for_lock(descriptor: int, timeout_s: float) -> None:
    """Take the lock on an open file, which others hold for a moment; OSError if one keeps it for so long."""
    try:
        _flock(descriptor, time.monotonic() + timeout_s, _SHORT_PAUSE_S)
    except BlockingIOError:
        raise OSError(errno.EAGAIN, f"{_holder(descriptor)} keeps it locked") from None


def _holder(descriptor: int) -> str:
    """Say which process has locked an open file; anybody who may read it can."""
    status = os.fstat(descriptor)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with contextlib.suppress(OSError), open(_LOCKS, encoding="ascii", errors="replace") as lines:
        for line in lines:
            words = line.split()
            if words[1] == "FLOCK" and device in words:
                return f"process {words[words.index(device) - 1]}"
    return "another process"
