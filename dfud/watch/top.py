"""When to look whether the watched directory itself is still where it was.

We hold it open, so that the kernel does not tell of its end. What it tells of is that the directory or one above
it is renamed, that mounts change, and that LOGS is removed from it, as it must be before the directory can be.
Where the kernel can't be asked for these, a look now and then takes their place.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from inotify_simple import INotify, flags

from dfud.core.names import LOGS

_CHECK_INTERVAL_S = 5.0  # s, where the kernel does not tell
_FOLLOWS_LOGS = 0.2  # s, until a directory that is being removed is likely to be gone after its LOGS
_MOUNTS = "/proc/self/mountinfo"  # poll(2) has POLLPRI for it when mounts have changed: proc(5)


class TopWatch:
    """Responsible for telling when to look at one directory, and for nothing of what is found."""

    def __init__(
        self, directory: bytes, by_events: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Watch `directory`, an absolute path free of links, with the kernel's help if `by_events`."""
        self._clock = clock
        self._inotify: INotify | None = None
        self._mounts = -1  # descriptor
        self._look_at: float | None = clock() + _CHECK_INTERVAL_S  # None while the kernel tells
        if by_events:
            with contextlib.suppress(OSError):  # limits, missing rights, no /proc
                self._begin(directory)
                self._look_at = None

    def _begin(self, directory: bytes) -> None:
        self._mounts = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._inotify = INotify(nonblocking=True)
        for folder in _above(directory):
            self._inotify.add_watch(folder, flags.MOVE_SELF | flags.ONLYDIR)
        # Not LOGS itself, whose end is not told while a file in it is open: its name in the directory.
        self._inotify.add_watch(directory, flags.MOVE_SELF | flags.DELETE | flags.MOVED_FROM | flags.ONLYDIR)
        os.stat(os.path.join(directory, LOGS))  # it may be gone by now

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
        if self._mounts >= 0:
            os.close(self._mounts)

    @property
    def readable(self) -> list[int]:
        """Descriptors that become readable when there is a reason to look."""
        return [self._inotify.fileno()] if self._inotify is not None else []

    @property
    def exceptional(self) -> list[int]:
        """Descriptors that are in an exceptional condition (select(2)) then."""
        return [self._mounts] if self._mounts >= 0 else []

    def due(self, now: float) -> float | None:
        """Return the seconds until it is time to look in any case, or None for never."""
        return None if self._look_at is None else max(0.0, self._look_at - now)

    def is_time(self, mounts_changed: bool) -> bool:
        """Tell whether to look now; `mounts_changed` is whether `exceptional` was so."""
        now = self._clock()
        events = self._inotify.read(timeout=0) if self._inotify is not None else []
        moved = any(not event.name for event in events)
        if any(os.fsencode(event.name) == LOGS for event in events) and self._look_at is None:
            self._look_at = now + _FOLLOWS_LOGS  # the directory may, which no event will tell
        timed = self._look_at is not None and now >= self._look_at
        if timed:
            self._look_at = now + _CHECK_INTERVAL_S
        return moved or mounts_changed or timed


def _above(directory: bytes) -> Iterator[bytes]:
    """Give the folders above `directory`, but the root."""
    while (directory := os.path.dirname(directory)) != os.path.dirname(directory):
        yield directory
