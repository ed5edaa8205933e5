"""The write leases of other programs, such as the oplocks of a file server, as the kernel lists them.

To open a file takes such a lease from its holder, even if the open fails: a client of the file server would have
to write back what it has cached. So a file whose writer has not closed it yet is not even opened.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable

_LOCKS = "/proc/locks"  # proc(5)
_WRITE_LEASE = re.compile(r"^\d+: +LEASE +\S+ +WRITE +-?\d+ +([0-9a-f]+):([0-9a-f]+):(\d+) ", re.MULTILINE)
# The list may be this old. A file is not looked at before it has been there for longer, unless it is moved.
_MAX_AGE_S, _MAX_AGE_MOVED_S = 0.5, 0.01


class WriteLeases:
    """Responsible for a list of the files that are leased, made anew when it is needed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, path: str = _LOCKS) -> None:
        """`path` is that of the kernel's list."""
        self._clock = clock
        self._path = path
        self._files: frozenset[tuple[int, int]] = frozenset()
        self._read_at = float("-inf")

    def has(self, device: int, inode: int, is_moved: bool = False) -> bool:
        """Return whether another program has a write lease on a file; False where the kernel has no list.

        A file that `is_moved` may have been there for a moment only.
        """
        now = self._clock()
        if now - self._read_at > (_MAX_AGE_MOVED_S if is_moved else _MAX_AGE_S):
            self._read_at = now
            self._files = frozenset(parse_write_leases(self._read()))
        return (device, inode) in self._files

    def _read(self) -> str:
        try:
            with open(self._path, encoding="ascii", errors="replace") as file:
                return file.read()
        except OSError:
            return ""


def parse_write_leases(locks: str) -> list[tuple[int, int]]:
    """Return device and inode of each file that the text of ``/proc/locks`` lists with a write lease.

    >>> parse_write_leases("1: LEASE  ACTIVE    WRITE 4711 fe:01:1234 0 EOF")
    [(65025, 1234)]
    """
    return [
        (os.makedev(int(major, 16), int(minor, 16)), int(inode))
        for major, minor, inode in _WRITE_LEASE.findall(locks)
    ]
