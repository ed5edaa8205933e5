"""The lock on what is in place, which the processes of a download share."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from dfud.files.confined import ConfinedTree
from dfud.files.open_folder import open_regular
from dfud.logs.lock import wait_for_lock

_TIMEOUT_S = 30.0  # another fetcher keeps it for a few milliseconds
_LOCK = ".lock"


class PlaceLock:
    """Responsible for letting no other fetcher put a version in place after we have seen which one is there."""

    def __init__(self, tree: ConfinedTree, parts_fd: int, is_shared: bool) -> None:
        """Open the lock in the folder of the parts; `is_shared` says that there are other fetchers."""
        self._tree = tree
        self._is_shared = is_shared
        self._lock_fd = open_lock(parts_fd)
        self._n_cleared = self._read_cleared()

    def close(self) -> None:
        """Close the lock file."""
        os.close(self._lock_fd)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; OSError if another fetcher does not let go of it."""
        if not self._is_shared:
            yield
            return
        wait_for_lock(self._lock_fd, _TIMEOUT_S)
        try:
            cleared = self._read_cleared()
            if cleared != self._n_cleared:  # a folder that we have open may have been moved away
                self._tree.close_folders()
                self._n_cleared = cleared
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _read_cleared(self) -> bytes:
        return os.pread(self._lock_fd, 20, 0)

    def count_cleared(self) -> None:
        """Tell other fetchers that the folders that they have open may no longer be in their places."""
        self._n_cleared = b"%d" % (int(self._n_cleared or b"0") + 1)
        os.pwrite(self._lock_fd, self._n_cleared, 0)


def open_lock(parts_fd: int) -> int:
    """Return a descriptor of its own for the lock on what is in place, in the folder of the parts."""
    return open_regular(_LOCK, os.O_RDWR | os.O_CREAT, parts_fd)
