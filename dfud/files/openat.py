"""Files below an open directory: opened at paths of any length, without blocking, and checked for writers.

The kernel accepts only PATH_MAX bytes of a path at a time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator

_MAX_PATH_BYTES = 4095  # PATH_MAX counts the final NUL


def open_at(dir_fd: int, path: bytes, flags: int) -> int:
    """Open `path`, relative to the open directory `dir_fd`, as `os.open` does."""
    if len(path) <= _MAX_PATH_BYTES:
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=dir_fd)
    with _short_enough(dir_fd, path) as (parent_fd, rest):
        return os.open(rest, flags | os.O_CLOEXEC, dir_fd=parent_fd)


def stat_at(dir_fd: int, path: bytes, follow_symlinks: bool = True) -> os.stat_result:
    """Return the status of `path`, relative to the open directory `dir_fd`, as `os.stat` does."""
    if len(path) <= _MAX_PATH_BYTES:
        return os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    with _short_enough(dir_fd, path) as (parent_fd, rest):
        return os.stat(rest, dir_fd=parent_fd, follow_symlinks=follow_symlinks)


@contextlib.contextmanager
def _short_enough(dir_fd: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield an open folder on the way to `path`, and the rest of the path, short enough for the kernel."""
    with contextlib.ExitStack() as opened:
        while len(path) > _MAX_PATH_BYTES:
            cut = path.rindex(b"/", 0, _MAX_PATH_BYTES + 1)
            step_fd = os.open(path[:cut], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
            opened.callback(os.close, step_fd)
            dir_fd, path = step_fd, path[cut + 1 :]
        yield dir_fd, path


def open_regular_file(path: bytes, dir_fd: int) -> tuple[int, os.stat_result]:
    """Open a regular file below the open directory `dir_fd`, and return its descriptor and status.

    The caller closes it. The open never blocks, even if a FIFO has replaced the file. Raises OSError if there is
    no regular file.
    """
    descriptor = open_at(dir_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "no longer a regular file")
    return descriptor, status


def is_being_written(descriptor: int, closed_next: bool = False) -> bool | None:
    """Return whether any process has the open file open for writing; None if the kernel cannot say.

    The kernel grants a read lease (fcntl(2), F_SETLEASE) only on a file that has no writers, to its owner, on a
    local file system. The lease is released at once, or by the caller's closing the file if that comes next
    (`closed_next`). A process that opens the file for writing in the meantime is delayed by microseconds, and the
    kernel sends the caller's process a SIGIO, which it must ignore.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    if not closed_next:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
