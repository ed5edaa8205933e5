"""The kernel's write-back: started early for a part of a file, awaited for a whole file system."""

from __future__ import annotations

import ctypes
import os

_SYNC_FILE_RANGE_WRITE = 2  # sync_file_range(2)
_libc = ctypes.CDLL(None, use_errno=True)


def begin_writing(descriptor: int, offset: int, length: int) -> None:
    """Start the write-back of a range of a file, so that a later sync has less to wait for.

    This is a hint only: a failure is reported by the sync, and a C library without the call ignores it.
    """
    if hasattr(_libc, "sync_file_range"):
        _libc.sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


class FileSystemSync:
    """Syncs the file system of a descriptor: one call for any number of files, at the cost of its dirty pages."""

    def __init__(self, descriptor: int) -> None:
        """Use the file system that `descriptor` is on; the caller keeps it open."""
        self._descriptor = descriptor

    def __call__(self) -> None:
        """Return once everything written before is on disk; OSError if that fails."""
        if _libc.syncfs(self._descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
