"""Having the kernel put on disk what was written."""

from __future__ import annotations

import ctypes
import os

_SYNC_FILE_RANGE_WRITE = 2  # sync_file_range(2)
_libc = ctypes.CDLL(None, use_errno=True)


def begin_writing(descriptor: int, offset: int, length: int) -> None:
    """Have the kernel begin to put a range of a file on disk, so that a sync later on has less to wait for.

    It is only a wish: what fails is told by the sync, and a C library without the call goes without.
    """
    if hasattr(_libc, "sync_file_range"):
        _libc.sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


class FileSystemSync:
    """Syncs the file system of a descriptor: one call for any number of files, at the cost of what is dirty."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self) -> None:
        """Return when all that was written before is on disk; OSError if that failed."""
        if _libc.syncfs(self._descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
