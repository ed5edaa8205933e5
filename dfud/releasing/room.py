"""How much has to go until there is room."""

from __future__ import annotations

import math
import os


class Room:
    """The free share of a file system that is wanted, and what has been freed until now.

    Some file systems say only later that something was freed: what should be free by now counts, too.
    """

    def __init__(self, dir_fd: int, percent: float) -> None:
        """Want `percent` of the file system of an open directory to be free for everybody."""
        self._dir_fd = dir_fd
        room = os.fstatvfs(dir_fd)
        self.device = os.fstat(dir_fd).st_dev
        self._wanted = math.ceil(room.f_blocks * room.f_frsize * percent / 100)
        self._expected = room.f_bavail * room.f_frsize

    @property
    def lacking(self) -> int:
        """How many bytes have to go still; 0 or less if there is room."""
        room = os.fstatvfs(self._dir_fd)
        return self._wanted - max(self._expected, room.f_bavail * room.f_frsize)

    def add(self, n_bytes: int) -> None:
        """Note that so many bytes were freed."""
        self._expected += n_bytes
