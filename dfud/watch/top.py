"""When to check whether the watched directory itself is still where it was.

The directory is held open, so the kernel does not report its removal. It does report that the directory or one
above it is renamed, that mounts change, and that LOGS is removed, as it must be before the directory can be. If
the kernel cannot be asked to report these, checks at regular intervals take their place.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from inotify_simple import INotify, flags

from dfud.core.names import LOGS

_CHECK_INTERVAL_S = 5.0  # if the kernel reports nothing
_REMOVAL_DELAY_S = 0.2  # after this long, a directory that is being removed is likely to have followed its LOGS
_MOUNTS = "/proc/self/mountinfo"  # poll(2) reports POLLPRI for it when mounts have changed: proc(5)


class TopWatch:
    """Responsible for saying when to check one directory; the check itself is the caller's."""

    def __init__(
        self, directory: bytes, by_events: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Watch `directory`, an absolute path free of links, with the kernel's help if `by_events`."""
        self._clock = clock
        self._inotify: INotify | None = None
        self._mounts = -1  # descriptor
        self._check_at: float | None = clock() + _CHECK_INTERVAL_S  # None while the kernel reports changes
        if by_events:
            with contextlib.suppress(OSError):  # limits, missing permissions, no /proc
                self._watch(directory)
                self._check_at = None

    def _watch(self, directory: bytes) -> None:
        self._mounts = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._inotify = INotify(nonblocking=True)
        for parent in _parents(directory):
            self._inotify.add_watch(parent, flags.MOVE_SELF | flags.ONLYDIR)
        # Watch for the name LOGS in the directory: the removal of a folder with open files in it is not reported.
        self._inotify.add_watch(directory, flags.MOVE_SELF | flags.DELETE | flags.MOVED_FROM | flags.ONLYDIR)
        os.stat(os.path.join(directory, LOGS))  # OSError if it is gone already

    def close(self) -> None:
        """Stop watching."""
        if self._inotify is not None:
            self._inotify.close()
        if self._mounts >= 0:
            os.close(self._mounts)

    @property
    def readable_fds(self) -> list[int]:
        """Descriptors that become readable when there are events to read."""
        return [self._inotify.fileno()] if self._inotify is not None else []

    @property
    def exceptional_fds(self) -> list[int]:
        """Descriptors on which an exceptional condition (select(2)) means that mounts have changed."""
        return [self._mounts] if self._mounts >= 0 else []

    def timeout(self, now: float) -> float | None:
        """Return the seconds until a check is due even without events; None for never."""
        return None if self._check_at is None else max(0.0, self._check_at - now)

    def read_events(self, mounts_changed: bool) -> bool:
        """Read the events that have arrived; return whether they, the mounts or the time call for a check now."""
        now = self._clock()
        events = self._inotify.read(timeout=0) if self._inotify is not None else []
        moved = any(not event.name for event in events)
        if any(os.fsencode(event.name) == LOGS for event in events) and self._check_at is None:
            self._check_at = now + _REMOVAL_DELAY_S  # the directory may follow, which no event reports
        is_due = self._check_at is not None and now >= self._check_at
        if is_due:
            self._check_at = now + _CHECK_INTERVAL_S
        return moved or mounts_changed or is_due


def _parents(directory: bytes) -> Iterator[bytes]:
    """Yield the directories above `directory`, except the root."""
    while (directory := os.path.dirname(directory)) != os.path.dirname(directory):
        yield directory
