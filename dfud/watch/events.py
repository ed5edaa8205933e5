"""The kernel's events: inotify(7) on every folder of the tree."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections import deque
from collections.abc import Iterator

from inotify_simple import INotify, flags

from dfud.core.names import LOGS, shown
from dfud.watch.scan import Folder, Seen, Tree, join
from dfud.watch.source import Ready

_MASK = (
    flags.CLOSE_WRITE | flags.MOVED_TO | flags.MOVED_FROM | flags.CREATE
    | flags.DELETE_SELF | flags.ONLYDIR | flags.EXCL_UNLINK | flags.DONT_FOLLOW
)  # fmt: skip
# More paths than these wait for room: the events are let go, and a scan finds their files later.
_MOST_WAITING = 50_000


class WatchLimitReached(Exception):
    """The kernel has no more watches for us; its text says which setting to raise."""


class EventSource:
    """Files that are closed after writing, moved in or linked, in all folders below the directory."""

    def __init__(self, tree: Tree, take_all: bool) -> None:
        """Watch `tree`; WatchLimitReached if the kernel does not let us.

        What changed before and while it was being watched is found by a first scan, all files of it if
        `take_all`, else those that changed since the run began.
        """
        self._tree = tree
        self._take_all = take_all
        self._notices: list[tuple[int, str]] = []
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as problem:
            raise WatchLimitReached(_advice(problem)) from None
        self._paths: dict[int, bytes] = {}  # of the watched folders, by watch
        self._watches: dict[bytes, int] = {}  # and the other way round
        self._waiting: dict[bytes, None] = {}  # paths that an event named, in order
        self._scans: deque[Iterator[tuple[Seen, bool] | None]] = deque()
        self._first_scan_done = False
        self._scan(Folder(b"", take_all))

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def due(self, now: float) -> float | None:
        return None

    @property
    def has_more(self) -> bool:
        return bool(self._waiting or self._scans)

    def notices(self) -> list[tuple[int, str]]:
        told, self._notices = self._notices, []
        return told

    def sweep(self) -> None:
        self.take_in()

    def take_in(self) -> None:
        for watch, mask, _, name in self._inotify.read(timeout=0):
            if mask & flags.Q_OVERFLOW:
                self._overflow("the kernel's queue of file events has run over")
                continue
            folder = self._paths.get(watch)
            if folder is None:  # of a watch that has been taken away
                continue
            if mask & (flags.IGNORED | flags.DELETE_SELF):
                if mask & flags.IGNORED:
                    self._forget(watch)
                continue
            path = join(folder, os.fsencode(name))
            if path == LOGS:
                continue
            if mask & flags.ISDIR:
                self._folder_event(path, mask)
            elif mask & (flags.CLOSE_WRITE | flags.MOVED_TO) or (mask & flags.CREATE and self._is_link(path)):
                if len(self._waiting) >= _MOST_WAITING:
                    self._overflow("files come faster than they can be sent")
                    continue
                self._waiting.pop(path, None)
                self._waiting[path] = None

    def ready(self) -> Iterator[Ready | None]:
        while self._waiting or self._scans:
            while self._waiting:
                path = next(iter(self._waiting))
                del self._waiting[path]
                seen = self._tree.look(path)
                yield Ready(seen.version, by_event=True) if seen else None
            if self._scans:
                yield self._scan_on()

    def _scan_on(self) -> Ready | None:
        """Do a bit of the first scan; an event always goes before."""
        try:
            found = next(self._scans[0])
        except StopIteration:
            self._scans.popleft()
            if not self._first_scan_done:
                self._first_scan_done = True
                self._notices.append((logging.INFO, f"watching {len(self._paths)} folders"))
            return None
        if found is None:
            return None
        seen, all_wanted = found
        if not self._tree.is_wanted(seen, all_wanted) or self._tree.being_written(seen.version.path):
            return None  # whoever writes it will close it, and that is an event
        return Ready(seen.version, by_event=False)

    def _scan(self, folder: Folder) -> None:
        self._scans.append(self._tree.walk(folder, self._enter))

    def _overflow(self, why: str) -> None:
        self._notices.append((logging.WARNING, f"{why}: the directory is scanned instead, nothing is lost"))
        self._waiting.clear()
        self._scans.clear()
        self._scan(Folder(b"", self._take_all))

    def _enter(self, folder: Folder) -> bool:
        """Watch a folder before it is read; return whether it was unknown, once the first scan is through."""
        try:
            watch = self._inotify.add_watch(self._tree.full(folder.path), _MASK)
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.ENOMEM):
                raise WatchLimitReached(_advice(problem)) from None
            if problem.errno not in (errno.ENOENT, errno.ENOTDIR):
                text = f"the folder {shown(folder.path) or '.'} can't be watched: {problem.strerror}"
                self._notices.append((logging.ERROR, text))
            return False
        known = self._paths.get(watch)
        if known == folder.path:
            return False
        if known is not None:
            self._watches.pop(known, None)
        self._paths[watch] = folder.path
        self._watches[folder.path] = watch
        return self._first_scan_done

    def _folder_event(self, path: bytes, mask: int) -> None:
        if mask & flags.MOVED_FROM:
            # Its watches go on under the old name: they are taken away, and made anew where it has gone to.
            below = path + b"/"
            for known in [known for known in self._watches if known == path or known.startswith(below)]:
                watch = self._watches.pop(known)
                self._paths.pop(watch, None)
                with contextlib.suppress(OSError):  # removed meanwhile, with its watch
                    self._inotify.rm_watch(watch)
        elif mask & flags.MOVED_TO or path not in self._watches:
            self._scan(Folder(path, take_all=True))

    def _forget(self, watch: int) -> None:
        path = self._paths.pop(watch, None)
        if path is not None and self._watches.get(path) == watch:
            del self._watches[path]

    def _is_link(self, path: bytes) -> bool:
        """Tell whether a new name is a link to a file: nobody needs to close that."""
        try:
            found = os.lstat(self._tree.full(path))
        except OSError:
            return False
        return stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1)


def _advice(problem: OSError) -> str:
    setting = "fs.inotify.max_user_watches" if problem.errno == errno.ENOSPC else "fs.inotify.max_user_instances"
    return f"the kernel's limit of file watches is reached ({problem.strerror}); raise the sysctl {setting}"
