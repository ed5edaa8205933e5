"""When to check whether the watched directory itself is still where it was, and LOGS what it was.

The directory is held open, so the kernel does not report its removal. It does report that the directory or one
above it is renamed, that a link on the way to it is replaced, that mounts change, and that LOGS is removed, as it
must be before the directory can be. If the kernel cannot be asked to report these, checks at regular intervals
take their place.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from inotify_simple import Event, INotify, flags

from dfud.core.names import LOGS

_CHECK_INTERVAL_S = 5.0  # if the kernel reports nothing
_REMOVAL_DELAY_S = 0.2  # after this long, a directory that is being removed is likely to have followed its LOGS
_LOGS_MASK = flags.DELETE | flags.MOVED_FROM | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
_MOUNTS = "/proc/self/mountinfo"  # poll(2) reports POLLPRI for it when mounts have changed: proc(5)


class TopWatch:
    """Responsible for saying when to check one directory; the check itself is the caller's."""

    def __init__(
        self,
        directory: bytes,
        named: bytes,
        logs: bytes,
        by_events: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch `directory`, an absolute path free of links, with the kernel's help if `by_events`.

        `named` is the absolute path that the user gave, and `logs` that of the folder LOGS.
        """
        self._directory = directory
        self._logs = logs
        self._clock = clock
        self._inotify: INotify | None = None
        self._mounts = -1  # descriptor
        self._links: dict[int, set[bytes]] = {}  # names of the links on the way to the directory, by watch
        self._top_watch = self._logs_watch = -1
        self._logs_disturbed = False
        self._check_at: float | None = clock() + _CHECK_INTERVAL_S  # None while the kernel reports changes
        if by_events:
            with contextlib.suppress(OSError):  # limits, missing permissions, no /proc
                self._watch(named)
                self._check_at = None

    def _watch(self, named: bytes) -> None:
        self._mounts = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._inotify = INotify(nonblocking=True)
        for parent in _parents(self._directory):
            self._inotify.add_watch(parent, flags.MOVE_SELF | flags.ONLYDIR)
        for link in _links_on(named):
            folder, name = os.path.split(link)
            mask = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.MASK_ADD | flags.ONLYDIR
            self._links.setdefault(self._inotify.add_watch(folder, mask), set()).add(name)
        # Watch for the name LOGS in the directory: the removal of a folder with open files in it is not reported.
        self._top_watch = self._inotify.add_watch(
            self._directory, flags.MOVE_SELF | flags.DELETE | flags.MOVED_FROM | flags.MASK_ADD | flags.ONLYDIR
        )
        self._logs_watch = self._inotify.add_watch(self._logs, _LOGS_MASK)

    def watch_logs(self) -> None:
        """Watch LOGS, which was created again."""
        if self._inotify is not None:
            with contextlib.suppress(OSError):  # gone again; whoever writes there will notice
                self._logs_watch = self._inotify.add_watch(self._logs, _LOGS_MASK)

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
        is_called_for = mounts_changed
        for event in self._inotify.read(timeout=0) if self._inotify is not None else []:
            name = os.fsencode(event.name)
            if event.mask & (flags.MOVE_SELF | flags.Q_OVERFLOW) or name in self._links.get(event.wd, ()):
                is_called_for = True
            if event.wd == self._top_watch and name == LOGS and self._check_at is None:
                self._check_at = now + _REMOVAL_DELAY_S  # the directory may follow, which no event reports
            if event.mask & flags.Q_OVERFLOW or self._concerns_logs(event, name):
                self._logs_disturbed = True
        is_due = self._check_at is not None and now >= self._check_at
        if is_due:
            self._check_at = now + _CHECK_INTERVAL_S
        return is_called_for or is_due

    def _concerns_logs(self, event: Event, name: bytes) -> bool:
        """Return whether an event may mean that something in LOGS is gone, other than a temporary file of ours."""
        if event.wd == self._logs_watch:
            return not name.endswith(b".tmp")
        return event.wd == self._top_watch and name == LOGS

    def pop_logs_disturbed(self) -> bool:
        """Return whether something in LOGS, or LOGS, has gone since the last call."""
        disturbed, self._logs_disturbed = self._logs_disturbed, False
        return disturbed


def _parents(directory: bytes) -> Iterator[bytes]:
    """Yield the directories above `directory`, except the root."""
    while (directory := os.path.dirname(directory)) != os.path.dirname(directory):
        yield directory


def _links_on(path: bytes) -> Iterator[bytes]:
    """Yield every symbolic link on the way along the absolute `path`, and on the ways that the links lead to."""
    known: set[bytes] = set()
    waiting = [path]
    while waiting:
        folder = b"/"
        parts = waiting.pop().split(b"/")
        for at, part in enumerate(parts):
            if part in (b"", b"."):
                continue
            if part == b"..":
                folder = os.path.dirname(folder)
                continue
            place = os.path.join(folder, part)
            if not os.path.islink(place):
                folder = place
                continue
            if place not in known:
                known.add(place)
                yield place
                target = os.path.join(folder, os.readlink(place))
                waiting.append(b"/".join([target, *parts[at + 1 :]]))
            break
