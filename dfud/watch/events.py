"""The kernel's events: inotify(7) on every folder of the tree."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from inotify_simple import INotify, flags

from dfud.core.names import LOGS
from dfud.files.scan import Folder, ScannedFile, WatchedTree, join
from dfud.watch.source import Ready

_MASK = (
    flags.CLOSE_WRITE | flags.MOVED_TO | flags.MOVED_FROM | flags.CREATE
    | flags.DELETE_SELF | flags.ONLYDIR | flags.EXCL_UNLINK | flags.DONT_FOLLOW
)  # fmt: skip
# More paths than these wait for room: the events are let go, and a scan finds their files later.
_MAX_WAITING = 50_000
_RECHECK_DELAY_S = 1.0  # s, at a file that was created and not closed
_REREAD_DELAY_S = 10.0  # s, a folder that could not be read


class WatchLimitError(Exception):
    """The kernel has no more watches for us; its text says which setting to raise."""


class EventSource:
    """Files that are closed after writing, moved in or linked, in all folders below the directory."""

    def __init__(self, tree: WatchedTree, take_all: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch `tree`; WatchLimitError if the kernel does not let us.

        What changed before and while it was being watched is found by a first scan, all files of it if
        `take_all`, else those that changed since the run began. The top folder is watched at once.
        """
        self._tree = tree
        self._take_all = take_all
        self._clock = clock
        self._notices: list[tuple[int, str]] = []
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as problem:
            raise WatchLimitError(_advice(problem, "fs.inotify.max_user_instances")) from None
        self._has_proc = os.path.isdir("/proc/self/fd")
        self._limit = ""  # why not all folders are watched
        self._paths: dict[int, bytes] = {}  # of the watched folders, by watch
        self._watches: dict[bytes, int] = {}  # and the other way round
        self._waiting: OrderedDict[bytes, None] = OrderedDict()  # paths that an event named
        # Files that were created and not closed yet, with when to look at them: one that was written without a
        # name and then linked (O_TMPFILE) is closed under no name, which is no event.
        self._created: OrderedDict[bytes, float] = OrderedDict()
        self._scans: OrderedDict[bytes, bool] = OrderedDict()  # folders to be scanned: are all files wanted?
        self._scan: Iterator[tuple[ScannedFile, bool] | None] | None = None
        self._rescan = False  # scan everything when there is nothing else to do
        self._read_again_at = 0.0
        self._first_scan_done = False
        self._scans[b""] = take_all
        self._enter(Folder(b"", take_all), tree.dir_fd)

    def close(self) -> None:
        self._inotify.close()

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def due(self, now: float) -> float | None:
        times = [next(iter(self._created.values()))] if self._created else []
        if self._tree.unread:
            times.append(self._read_again_at)
        return max(0.0, min(times) - now) if times else None

    @property
    def has_more(self) -> bool:
        return bool(self._waiting or self._scan or self._scans or self._rescan or self._limit)

    @property
    def is_swept(self) -> bool:
        return not self.has_more

    def notices(self) -> list[tuple[int, str]]:
        told, self._notices = self._notices, []
        return told + self._tree.pop_notices()

    def sweep(self) -> None:
        self._read_events()
        self._look_again(everything=True)

    def take_in(self) -> None:
        self._read_events()
        self._look_again()

    def _read_events(self) -> None:
        for watch, mask, _, name in self._inotify.read(timeout=0):
            if mask & flags.Q_OVERFLOW:
                self._overflow("the kernel's queue of file events has run over")
                continue
            folder = self._paths.get(watch)
            if folder is None:  # of a watch that has been taken away
                continue
            if mask & (flags.IGNORED | flags.DELETE_SELF | flags.UNMOUNT):
                if not folder:
                    self._tree.is_gone = True
                if mask & flags.IGNORED:
                    self._forget(watch)
                continue
            path = join(folder, os.fsencode(name))
            if path == LOGS:
                continue
            if mask & flags.ISDIR:
                self._folder_event(path, mask)
            elif self._tree.accepts(path):
                self._file_event(path, mask)

    def _file_event(self, path: bytes, mask: int) -> None:
        if mask & flags.CREATE and not self._tree.is_link(path):
            if len(self._created) >= _MAX_WAITING:
                self._overflow("too many files are being written at once")
            else:
                self._created[path] = self._clock() + _RECHECK_DELAY_S
            return
        self._created.pop(path, None)
        if mask & flags.MOVED_FROM:
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._overflow("files come faster than they can be sent")
            return
        self._waiting[path] = None
        self._waiting.move_to_end(path)

    def _look_again(self, everything: bool = False) -> None:
        """See to what no event will tell of."""
        now = self._clock()
        for _ in range(len(self._created)):
            path, at = self._created.popitem(last=False)
            if at > now and not everything:
                self._created[path] = at
                self._created.move_to_end(path, last=False)
                break
            if self._tree.find_file(path) is None:  # gone, or no file: that is never opened
                continue
            being_written = self._tree.is_being_written(path)
            if being_written:
                self._created[path] = now + _RECHECK_DELAY_S
            elif being_written is False:
                self._waiting[path] = None
        unread = self._tree.unread
        if unread and (everything or now >= self._read_again_at):
            if self._read_again_at or everything:
                for folder in unread:
                    self._scan_later(folder.path, folder.take_all)
            self._read_again_at = now + _REREAD_DELAY_S

    def ready(self) -> Iterator[Ready | None]:
        while self._waiting or self._scan or self._scans or self._rescan:
            while self._waiting:
                path, _ = self._waiting.popitem(last=False)
                seen = self._tree.find_file(path)
                yield Ready(seen.version, by_event=True) if seen else None
            yield self._scan_on()
        if self._limit:
            raise WatchLimitError(self._limit)

    def _scan_on(self) -> Ready | None:
        """Do a bit of the first scan; an event always goes before."""
        if self._scan is None:
            if self._scans:
                path, take_all = self._scans.popitem(last=False)
            elif self._rescan:
                path, take_all = b"", self._take_all
                self._rescan = False
            else:
                return None
            self._scan = self._tree.walk(Folder(path, take_all), self._enter)
        try:
            found = next(self._scan)
        except StopIteration:
            self._scan = None
            if not self._first_scan_done:
                self._first_scan_done = True
                self._notices.append((logging.INFO, f"watching {len(self._paths)} folders"))
            return None
        if found is None:
            return None
        seen, all_wanted = found
        if not self._tree.is_wanted(seen, all_wanted) or self._tree.is_being_written(seen.version.path):
            return None  # whoever writes it will close it, and that is an event
        return Ready(seen.version, by_event=False)

    def _scan_later(self, path: bytes, take_all: bool) -> None:
        if len(self._scans) >= _MAX_WAITING:
            self._overflow("folders come faster than they can be scanned")
        else:
            self._scans[path] = take_all or self._scans.get(path, False)

    def _overflow(self, why: str) -> None:
        """Have everything scanned once what is known to be waiting is done; a folder that is new to us whole."""
        if not self._rescan:
            self._rescan = True
            self._notices.append((logging.WARNING, f"{why}: the directory is scanned, nothing is lost"))

    def _enter(self, folder: Folder, descriptor: int) -> bool:
        """Watch a folder before it is read; return whether it was unknown, once the first scan is through."""
        try:
            # By its descriptor: a path may be too long, or lead elsewhere by now.
            opened = b"/proc/self/fd/%d/." % descriptor
            path = opened if self._has_proc else join(self._tree.directory, folder.path)
            watch = self._inotify.add_watch(path, _MASK)
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.ENOMEM):
                raise
            # The scan goes on, so that nothing it would have found is lost; then the directory is to be polled.
            self._limit = _advice(problem, "fs.inotify.max_user_watches")
            return self._first_scan_done
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
        elif mask & (flags.MOVED_TO | flags.CREATE):
            if mask & flags.MOVED_TO:
                self._tree.add_moved_in(path)
            # Even one that is watched: it may have taken the place of one that was removed but is still in use.
            self._scan_later(path, take_all=True)

    def _forget(self, watch: int) -> None:
        path = self._paths.pop(watch, None)
        if path is not None and self._watches.get(path) == watch:
            del self._watches[path]


def _advice(problem: OSError, setting: str) -> str:
    return f"the kernel's limit of file watches is reached ({problem.strerror}); raise the sysctl {setting}"
