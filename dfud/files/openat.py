"""Files below an open directory: opened at paths of any length, without ever waiting, and asked for their writers.

The kernel takes only PATH_MAX bytes of a path at a time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator

_MAX_PATH_BYTES = 4095  # bytes; PATH_MAX counts the final NUL


def open_at(folder: int, path: bytes, flags: int) -> int:
    """Open `path`, relative to the open directory `folder`, as `os.open` does."""
    if len(path) <= _MAX_PATH_BYTES:
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=folder)
    with _nearer(folder, path) as (parent, rest):
        return os.open(rest, flags | os.O_CLOEXEC, dir_fd=parent)


def stat_at(folder: int, path: bytes, follow_symlinks: bool = True) -> os.stat_result:
    """Look at `path`, relative to the open directory `folder`, as `os.stat` does."""
    if len(path) <= _MAX_PATH_BYTES:
        return os.stat(path, dir_fd=folder, follow_symlinks=follow_symlinks)
    with _nearer(folder, path) as (parent, rest):
        return os.stat(rest, dir_fd=parent, follow_symlinks=follow_symlinks)


@contextlib.contextmanager
def _nearer(folder: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """Give an open folder on the way to `path`, and what of `path` is left, short enough for the kernel."""
    with contextlib.ExitStack() as opened:
        while len(path) > _MAX_PATH_BYTES:
            cut = path.rindex(b"/", 0, _MAX_PATH_BYTES + 1)
            step = os.open(path[:cut], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
            opened.callback(os.close, step)
            folder, path = step, path[cut + 1 :]
        yield folder, path


def open_regular_file(path: bytes, folder: int) -> tuple[int, os.stat_result]:
    """Open a regular file below the open directory `folder`, and look at it; OSError if there is none.

    The open never waits, even if a FIFO has taken the file's place.
    """
    descriptor = open_at(folder, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "no longer a regular file")
    return descriptor, found


def is_being_written(descriptor: int, closed_next: bool = False) -> bool | None:
    """Tell whether anybody has the open file open for writing; None where the kernel does not tell.

    A read lease (fcntl(2), F_SETLEASE) is only granted on a file that nobody writes, to its owner, on a local
    file system. It is given back at once, by the caller's closing the file if that comes next (`closed_next`); a
    process that wants to write meanwhile is held up for microseconds, and the kernel's SIGIO about it is to be
    ignored by the caller's process.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    if not closed_next:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
