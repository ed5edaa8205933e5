"""Files that the kernel reports: inotify(7) on every folder of the tree, and scans for what it does not report."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from os import fsencode

from inotify_simple import flags

from dfud.core.text import counted
from dfud.files.scan import Folder, ScannedFile, SettledFiles, WatchedTree, join
from dfud.messages import FileFound
from dfud.watch.before import FilesLeftBefore
from dfud.watch.folder_watches import FolderWatches, WatchLimitError
from dfud.watch.inspector import Inspector

_MAX_WAITING = 50_000  # paths; further ones are dropped, and a scan finds their files later
_OVERLAP_NS = 2_000_000_000  # before the last events that were read; changes since then may have gone unreported
_RETRY_DELAY_S = 10.0  # until a folder that could not be read is scanned again


class EventSource:
    """Files that are closed after writing, moved in or linked, in all folders below the directory."""

    def __init__(
        self,
        tree: WatchedTree,
        inspector: Inspector,
        before: FilesLeftBefore,
        take_all: bool,
        compare_since_ns: int = 0,
        clock: Callable[[], float] = time.monotonic,
        settled: SettledFiles | None = None,
    ) -> None:
        """Watch `tree`; WatchLimitError if the kernel refuses to.

        The top folder is watched at once. A first scan watches the others and finds the files that were there
        before: all of them if `take_all`, otherwise those that changed since the run began; the others are added
        to `before`. Files that changed since `compare_since_ns` may have new content at the same size and mtime;
        others that are `settled` are passed over.
        """
        self._tree = tree
        self._inspector = inspector
        self._before = before
        self._take_all = take_all
        self._compare_since_ns = compare_since_ns
        self._settled = settled  # until the first scan is done
        self._events_read_ns = time.time_ns()
        self._clock = clock
        self._notices: list[tuple[int, str]] = []
        self._watches = FolderWatches()
        self._limit_error: WatchLimitError | None = None  # not all folders are watched
        self._waiting: OrderedDict[bytes, bool] = OrderedDict()  # paths that events have named; whether closed
        self._scans: OrderedDict[bytes, bool] = OrderedDict()  # folders to be scanned, and their `take_all`
        self._scan: Iterator[tuple[ScannedFile, bool] | None] | None = None  # in progress
        self._must_rescan = False  # scan everything once there is nothing else to do
        self._retry_at = 0.0
        self._first_scan_done = False
        self._n_rescans = self._n_overflows = 0  # since `pop_counts`
        self._unmounted: set[bytes] = set()  # folders whose file systems are gone, since `pop_unmounted`
        self._canary = b""  # name of its file
        self._canary_watch = -1
        self._canary_found = False  # since `pop_canary`
        self._scans[b""] = take_all
        self._watch_folder(Folder(b"", take_all), tree.dir_fd)

    def close(self) -> None:
        """Stop watching."""
        self._watches.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when the kernel has events."""
        return self._watches.fileno()

    def timeout(self, now: float) -> float | None:
        """Return the seconds until a folder is to be scanned again; None for never."""
        return max(0.0, self._retry_at - now) if self._tree.unread else None

    @property
    def has_pending(self) -> bool:
        """Whether `ready_files` has anything to do."""
        return bool(self._waiting or (self._has_scans and not self._inspector.is_full))

    @property
    def _has_scans(self) -> bool:
        return bool(self._scan or self._scans or self._must_rescan or self._limit_error is not None)

    @property
    def is_sweep_done(self) -> bool:
        """Whether everything that the last sweep looked for has been yielded."""
        return not self._waiting and not self._has_scans

    def pop_notices(self) -> list[tuple[int, str]]:
        """Return what is to be logged since the last call, each text with its level."""
        notices, self._notices = self._notices, []
        return notices + self._tree.pop_notices()

    def pop_counts(self) -> tuple[int, int]:
        """Return the number of rescans, and of overflows of inotify's queue, since the last call."""
        counts = self._n_rescans, self._n_overflows
        self._n_rescans = self._n_overflows = 0
        return counts

    def pop_unmounted(self) -> set[bytes]:
        """Return the folders whose file systems have been unmounted since the last call."""
        unmounted, self._unmounted = self._unmounted, set()
        return unmounted

    def start_sweep(self) -> list[bytes]:
        """Read the events, and scan at once what would be scanned later; return the paths that wait."""
        self._read_events()
        self._retry_unread(at_once=True)
        return list(self._waiting)

    def process_events(self) -> None:
        """Read the events, and scan again what is due."""
        self._read_events()
        self._retry_unread()

    def ready_files(self) -> Iterator[FileFound | None]:
        """Yield files that events have named, and otherwise what scans find; None in between.

        Raises WatchLimitError at the end if not all folders could be watched.
        """
        while self.has_pending:
            while self._waiting:
                yield self._inspector.on_event(*self._waiting.popitem(last=False))
            if self._inspector.pop_overflow():
                self._rescan("too many files are being written at once")
            if self._inspector.is_full:
                return
            if self._scan is None and not self._scans and not self._must_rescan:
                break
            yield self._scan_next()
        if self._limit_error is not None:
            raise self._limit_error

    def watch_canary(self, path: bytes) -> None:
        """Watch for the canary's file, by the same queue of events as for all others; WatchLimitError."""
        folder, self._canary = os.path.split(path)
        with contextlib.suppress(OSError):  # LOGS is gone; whoever makes it again calls this again
            self._canary_watch = self._watches.add_apart(folder)

    def pop_canary(self) -> bool:
        """Return whether the canary's file was written since the last call."""
        found, self._canary_found = self._canary_found, False
        return found

    def scan_mount(self, path: bytes, take_all: bool) -> None:
        """Scan a folder on which a file system was mounted, or unmounted: it is another one now."""
        self._schedule_scan(path, take_all)

    # -- events

    def _read_events(self) -> None:
        read_at_ns = time.time_ns()
        for watch, mask, _, name in self._watches.read():
            if mask & flags.Q_OVERFLOW:
                self._n_overflows += 1
                self._rescan("inotify queue overflowed")
                continue
            folder = self._watches.path(watch)
            if folder is None:
                self._canary_found |= watch == self._canary_watch and fsencode(name) == self._canary
                continue
            if mask & (flags.IGNORED | flags.DELETE_SELF | flags.UNMOUNT):
                self._on_watch_ended(watch, folder, mask)
            else:
                self._on_event(join(folder, fsencode(name)), mask)
        if not self._must_rescan:
            self._events_read_ns = read_at_ns

    def _on_watch_ended(self, watch: int, folder: bytes, mask: int) -> None:
        if not folder:
            self._tree.is_gone = True
        if mask & flags.UNMOUNT:
            self._unmounted.add(folder)
        if mask & flags.IGNORED:
            self._watches.forget(watch)

    def _on_event(self, path: bytes, mask: int) -> None:
        if mask & flags.ISDIR:
            if self._tree.path_filter.accepts_folder(path):
                self._on_folder_event(path, mask)
        elif self._tree.path_filter.accepts(path):
            self._on_file_event(path, mask)

    def _on_file_event(self, path: bytes, mask: int) -> None:
        if mask & flags.CREATE and not self._tree.is_link(path):
            self._inspector.on_created(path)
            return
        if mask & flags.MOVED_FROM:
            self._inspector.on_gone(path)
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._rescan("files arrive faster than they can be sent")
            return
        self._waiting[path] = bool(mask & flags.CLOSE_WRITE)
        self._waiting.move_to_end(path)

    def _on_folder_event(self, path: bytes, mask: int) -> None:
        if mask & flags.MOVED_FROM:
            # Its watches would report paths below its old name; a scan makes new ones wherever it has gone.
            self._watches.remove_tree(path)
        elif mask & (flags.MOVED_TO | flags.CREATE):
            if mask & flags.MOVED_TO:
                self._tree.add_moved_in(path)
            # Even if the path is watched: the folder may have replaced one that was removed but is still in use.
            self._schedule_scan(path, take_all=True)

    # -- what no event reports

    def _retry_unread(self, at_once: bool = False) -> None:
        """Schedule scans of the folders that could not be read, if they are due."""
        now = self._clock()
        unread = self._tree.unread
        if unread and (at_once or now >= self._retry_at):
            if self._retry_at or at_once:
                for folder in unread:
                    self._schedule_scan(folder.path, folder.take_all)
            self._retry_at = now + _RETRY_DELAY_S

    # -- scans

    def _scan_next(self) -> FileFound | None:
        """Do one step of a scan, and return the file that it found to be ready, if any."""
        if self._scan is None:
            if self._scans:
                path, take_all = self._scans.popitem(last=False)
            elif self._must_rescan:
                path, take_all = b"", self._take_all
                self._must_rescan = False
                self._compare_since_ns = self._events_read_ns - _OVERLAP_NS
            else:
                return None
            self._scan = self._tree.walk(Folder(path, take_all), self._watch_folder, self._settled)
        try:
            step = next(self._scan)
        except StopIteration:
            self._scan = None
            if not self._first_scan_done:
                self._first_scan_done = True
                self._settled = None
                self._compare_since_ns = self._events_read_ns
                self._before.finish(self._tree)
                self._notices.append((logging.INFO, f"watching {counted(len(self._watches), 'folder')}"))
            return None
        if step is None:
            return None
        file, take_all = step
        if not self._tree.is_wanted(file, take_all):
            if not self._first_scan_done:
                self._before.add(file.version)
            return None
        return self._inspector.on_scanned(file, compare=file.ctime_ns >= self._compare_since_ns)

    def _schedule_scan(self, path: bytes, take_all: bool) -> None:
        if len(self._scans) >= _MAX_WAITING:
            self._rescan("folders arrive faster than they can be scanned")
        else:
            self._scans[path] = take_all or self._scans.get(path, False)

    def _rescan(self, reason: str) -> None:
        """Scan everything once the paths that are waiting are done; all files of folders that are new."""
        if not self._must_rescan:
            self._must_rescan = True
            self._n_rescans += 1
            self._notices.append((logging.WARNING, f"{reason}: rescanning"))

    def _watch_folder(self, folder: Folder, dir_fd: int) -> bool:
        """Watch a folder before it is read; return whether it is new since the first scan."""
        try:
            is_new = self._watches.add(folder.path, dir_fd, join(self._tree.directory, folder.path))
        except WatchLimitError as error:
            # The scan goes on, so that nothing that it would find is lost; `ready_files` raises this at its end.
            self._limit_error = error
            is_new = True
        return is_new and self._first_scan_done
