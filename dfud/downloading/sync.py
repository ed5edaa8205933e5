"""Having the kernel put on disk what was written."""

from __future__ import annotations

import ctypes
import os


class FileSystemSync:
    """Syncs the file system of a descriptor: one call for any number of files, at the cost of what is dirty."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._syncfs = ctypes.CDLL(None, use_errno=True).syncfs

    def __call__(self) -> None:
        """Return when all that was written before is on disk; OSError if that failed."""
        if self._syncfs(self._descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
