"""What follows from what the watcher reports: files to be uploaded, files left, files that were there before."""

from __future__ import annotations

import time
from collections.abc import Callable

from dfud.core.names import MAX_FOLDERS, MAX_PATH_BYTES
from dfud.core.text import counted, printable
from dfud.core.version import FileStamp
from dfud.logs.log_lines import about
from dfud.messages import (
    Allowance,
    DirectoryGone,
    FileFound,
    FileLeft,
    FilesBefore,
    FilesFound,
    FilesScanned,
    FilesUnrecorded,
    FolderMovedIn,
    SweepDone,
    WatchStarted,
)
from dfud.uploading.context import UploadContext
from dfud.uploading.earlier_files import EarlierFiles
from dfud.uploading.fleet import Fleet
from dfud.uploading.reporter import UploadReporter
from dfud.uploading.run_status import RunStatus
from dfud.uploading.session import record
from dfud.watch.readiness import STILL_WRITTEN
from dfud.watch.together import each_of

# Open at a time; what else is ready stays with the watcher. In each lane 1,000 completed files may wait for their
# shard to be full, and as many may be acknowledged while it is written.
_MAX_OPEN_FILES, _MAX_OPEN_FILES_PER_LANE = 4_000, 4_000
_MIN_ALLOWANCE = 1_000  # files, unless the watcher has no allowance left


class Detection:
    """Responsible for the files that the watcher reports: how many it may, and what becomes of each."""

    def __init__(
        self,
        context: UploadContext,
        fleet: Fleet,
        reporter: UploadReporter,
        state: RunStatus,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Add to the ledger of `context` what the watcher of `fleet` finds."""
        self._folder, self._session, self._ledger, self._log = (
            context.folder,
            context.session,
            context.ledger,
            context.log,
        )
        self._fleet = fleet
        self._reporter = reporter
        self._state = state
        self._clock = clock
        self._earlier = EarlierFiles(context.completed, context.ledger)
        self._max_open = _MAX_OPEN_FILES + _MAX_OPEN_FILES_PER_LANE * len(fleet.lanes)
        self._allowance = 0  # files that the watcher may still report
        self._started = False  # the watcher has reported that it watches
        self.left: set[bytes] = set()  # paths of files that the watcher has reported as left
        self.left_over = False  # there are files that the next run must find
        self.is_over = False  # the watcher has reported the last file of this run
        self.is_whole = True  # the last sweep has read all folders
        self.directory_gone = False
        self.is_cut_short = False  # the last sweep was not waited for

    @property
    def is_full(self) -> bool:
        """Whether the watcher must wait before it may report more files."""
        return self._allowance <= 0

    def allow_more_files(self) -> None:
        """Let the watcher report as many files as there is room for."""
        if self.is_cut_short:
            return
        files = self._max_open - self._ledger.busy_files - self._allowance
        if files >= _MIN_ALLOWANCE or (files > 0 and not self._allowance):
            self._allowance += files
            self._fleet.watcher.channel.post([Allowance(files)])
            self._log.debug("the watcher may report %s", counted(files, "more file"))

    def cut_short(self) -> None:
        """Wait for no files that the watcher has not reported yet: the next run finds them."""
        self.is_cut_short = self.left_over = True
        self._end()

    def on_new_watcher(self) -> None:
        """Begin anew with a watcher that replaces a dead one."""
        self._allowance = 0
        self._earlier.restart()

    # -- messages of the watcher

    def on_started(self, _: WatchStarted) -> None:
        """Say that the upload has begun."""
        self._state.on_watching()
        if not self._started:
            self._started = True
            self._log.info(f"uploading {self._folder.directory} to topic {self._folder.topic}")

    def on_moved_in(self, message: FolderMovedIn) -> None:
        """Remember a folder whose files may look old, in case this run is killed."""
        record(self._log, lambda: self._session.add_moved_in(message.path))

    def on_found_together(self, message: FilesFound) -> None:
        """Add files to the ledger: at once, unless there is more to be said about one of them."""
        if self.is_over or self.is_cut_short or not self._add_together(message):
            for found in each_of(message):
                self.on_found(found)

    def _add_together(self, message: FilesFound) -> bool:
        versions = message.versions
        longest = max(len(version.path) for version in versions)
        if longest > MAX_PATH_BYTES or versions[0].path.count(b"/") > MAX_FOLDERS:
            return False
        cohort = self._ledger.on_found_together(versions, message.stamps, message.is_asked)
        if cohort is None:
            return False
        self._allowance -= len(versions)
        if self.left:
            self.left.difference_update(version.path for version in versions)
        self._reporter.on_enqueued_together(versions, cohort.chunk_size, self._clock())
        return True

    def on_found(self, message: FileFound) -> None:
        """Add a file to the ledger."""
        self._allowance -= 1
        if len(message.version.path) > MAX_PATH_BYTES:  # no download and no verification would accept it
            self.on_left(FileLeft(message.version.path, f"has a path longer than {MAX_PATH_BYTES:,} bytes"))
            return
        if message.version.path.count(b"/") > MAX_FOLDERS:
            self.on_left(FileLeft(message.version.path, f"lies below more than {MAX_FOLDERS:,} folders"))
            return
        if self.is_cut_short:  # the next run looks for it
            return
        if self.is_over:
            late = message.version.path, message.ctime_ns
            self.left_over |= not record(self._log, lambda: self._session.add_late(*late))
            return
        self.add(message)

    def on_held_back(self, message: FileFound) -> None:
        """Note a file that is to be added later, and that the next run must find if this one is killed before."""
        self._allowance -= 1
        record(self._log, lambda: self._session.add_moved_in(message.version.path))

    def add(self, message: FileFound) -> None:
        """Add a file to the ledger, whatever else is to be found."""
        self.left.discard(message.version.path)
        stamp = FileStamp(message.ctime_ns if message.keeps_ctime else 0, message.inode)
        entry = self._ledger.on_found(message.version, message.compare, stamp, message.is_asked)
        if entry is not None and not entry.known_digest:
            self._reporter.on_enqueued(entry, self._clock())

    def on_left(self, message: FileLeft) -> None:
        """Name a file that is left for the next run."""
        self.left_over = True
        record(self._log, lambda: self._session.add_moved_in(message.path))  # it may be older than this run
        if message.path not in self.left:  # a watcher that replaces another one reports it again
            self.left.add(message.path)
            fields = about(message.path, cause=message.reason)
            self._log.warning(f"{printable(message.path)} {message.reason}: left for the next run", extra=fields)

    def on_before(self, message: FilesBefore) -> None:
        """Say once how many files were there before."""
        number = self._earlier.add(message.identities, message.is_last)
        if number:
            are, them = ("was there before and is", "it") if number == 1 else ("were there before and are", "them")
            self._log.info(f"{counted(number, 'file')} {are} not sent; --upload_existing sends {them}")

    def on_scanned(self, message: FilesScanned) -> None:
        """Answer which of the files that a scan has found are not recorded."""
        positions = tuple(self._ledger.unrecorded(message.identities, message.folders))
        self._fleet.watcher.channel.post([FilesUnrecorded(message.number, positions)])

    def reconsider(self, path: bytes, is_found: bool) -> None:
        """Have a file reported again, or left at the end, that turned out to be in use when it was to be read.

        Unless it `is_found` by a scan, the next run must be told of it, if this one is killed before.
        """
        if self.is_over:
            self.on_left(FileLeft(path, STILL_WRITTEN))
            return
        if not is_found:
            record(self._log, lambda: self._session.add_moved_in(path))
        self._fleet.reconsider(path)

    def on_sweep_done(self, message: SweepDone) -> None:
        """Note that no more files belong to this run, unless some are looked at again."""
        if message.number < self._fleet.sweep:
            return
        self._log.debug("last sweep done")
        self.is_whole = message.is_whole
        self.left_over = self.left_over or not message.is_whole
        self._end()

    def on_directory_gone(self, message: DirectoryGone) -> None:
        """Note that there is nothing left to watch."""
        self.directory_gone = self.left_over = True  # nobody knows what else was closed in it
        self._log.error(f"{message.reason}: uploading what can still be read")

    def _end(self) -> None:
        self.is_over = True
        self._fleet.on_swept()
