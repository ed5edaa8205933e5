"""Keeping a log file bounded: it is renamed when it is full, and the oldest of the earlier ones is dropped.

Several runs write to one file, each with a descriptor of its own. Whoever finds it full renames it; the others
notice at their next line that another file is at the path. What they write until then goes to the renamed file: no
line is lost. A lock on the full file itself keeps two of them from renaming one after the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.logs.log_files import LogFile

_MAX_LOCKED_S = 10.0  # whoever keeps the full file locked for longer does not keep it from being renamed


class Bounds(NamedTuple):
    """How much log is kept."""

    max_bytes: int  # of one file; 0 for no limit
    n_files: int  # with the one that is being written


def numbered(name: str, number: int) -> str:
    """Return the name of the log file that was renamed `number` times.

    What is named ``*.log`` keeps that ending: an upload leaves such files out.

    >>> numbered("dfud.log", 1)
    'dfud.1.log'
    """
    stem, extension = os.path.splitext(name)
    return f"{stem}.{number}{extension}"


class Rotation:
    """Responsible for a log file and the earlier ones staying within their bounds."""

    def __init__(self, log_file: LogFile, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep `log_file` within `bounds`."""
        self._log_file = log_file
        self._bounds = bounds
        self._clock = clock
        self._max_bytes = bounds.max_bytes  # more after a failure
        self._locked_since: float | None = (
            None  # when another process was first found to have locked the full file
        )

    def is_due(self, status: os.stat_result) -> bool:
        """Return whether the file that is at the path, of this status, is full."""
        if self._max_bytes and status.st_size >= self._max_bytes and stat.S_ISREG(status.st_mode):
            return True
        self._locked_since = None
        return False

    def rotate(self, descriptor: int) -> None:
        """Rename the full file that is open at `descriptor`, unless another process does; OSError if that fails.

        After an error the file may grow by as much again until the next attempt.
        """
        now = self._clock()
        with _locked(descriptor) as is_locked:
            if not is_locked:
                self._locked_since = now if self._locked_since is None else self._locked_since
                if now - self._locked_since < _MAX_LOCKED_S:
                    return
            try:
                self._rename(os.fstat(descriptor))
                self._max_bytes = self._bounds.max_bytes
            except OSError:
                self._max_bytes = os.fstat(descriptor).st_size + self._bounds.max_bytes
                raise

    def _rename(self, full: os.stat_result) -> None:
        with self._log_file.folder() as (folder_fd, name):
            present = _stat(name, folder_fd)
            if present is None or not os.path.samestat(present, full):
                return
            names = [name, *(numbered(name, number) for number in range(1, self._bounds.n_files))]
            # After a crash a number may be missing: what lies beyond it stays.
            free = next((at for at, one in enumerate(names) if _stat(one, folder_fd) is None), len(names) - 1)
            for at in range(free, 0, -1):  # the full file comes last: until then nobody else renames anything
                os.replace(names[at - 1], names[at], src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
            if free == 0:
                os.unlink(name, dir_fd=folder_fd)


def _stat(name: str, folder_fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[bool]:
    """Lock an open file for a while, unless another process has locked it; return whether it is locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
        return
    try:
        yield True
    finally:  # the workers have this descriptor, too: closing it would not end the lock
        fcntl.flock(descriptor, fcntl.LOCK_UN)
