"""One release: find what may go by the directory and its tables, read the receipts, and remove what they prove."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from dfud.core.names import UploadFilter
from dfud.core.released import RELEASING
from dfud.core.text import counted, printable
from dfud.core.version import FileVersion
from dfud.errors import DfudError, StoppedError, UsageError
from dfud.files.confined import ConfinedTree
from dfud.files.links import LinkPolicy
from dfud.files.scan import WatchedTree
from dfud.kafka.gaps import gap_text
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.messages import Gap
from dfud.processes.bounded_pattern import BoundedPattern
from dfud.processes.broker_wait import network_patience
from dfud.receipts.reading import ReceiptSurvey, receipt_messages
from dfud.releasing.candidates import Candidates
from dfud.releasing.destination import Destination
from dfud.releasing.finding import UNSEALED, Finder, ReleaseFilter, Wanted
from dfud.releasing.holders import Holders
from dfud.releasing.options import ReleaseOptions
from dfud.releasing.recorded_rows import RecordedUploads, read_uploads
from dfud.releasing.recovery import Recovery
from dfud.releasing.released_table import ReleasedTable
from dfud.releasing.releaser import Releaser
from dfud.releasing.removal import Deletion
from dfud.releasing.report import Report
from dfud.releasing.room import Room
from dfud.releasing.unsealed_runs import UnsealedRuns
from dfud.watch.file_systems import FileSystems, Traits, read_mountinfo
from dfud.watch.leases import WriteLeases


class OneRelease:
    """Responsible for the steps of one release, in their order."""

    def __init__(
        self,
        options: ReleaseOptions,
        directory: str,
        folder: LogsFolder,
        destination: Destination | None,
        report: Report,
        stop_reason: Callable[[], str],
    ) -> None:
        """Take the lock if files are to be removed; LockedError if another release has it.

        `stop_reason` says why no more is to be done; "" if it is.
        """
        self._options = options
        self._directory = directory
        self._folder = folder
        self._destination = destination
        self._stop_reason = stop_reason
        self._stopped_by = ""
        self._lock: DirectoryLock | None = None
        self._table: ReleasedTable | None = None
        if options.acts:
            activity = f"releasing files of {directory} for topic {options.topic}"
            self._lock = DirectoryLock.take(folder, folder.release_lock, activity)
        self._report = report
        self._unsealed = UnsealedRuns(options.run_marker) if options.run_marker else None
        self._tree = ConfinedTree(directory)
        self._file_systems = FileSystems(os.fsencode(directory), read_mountinfo())
        self._candidates = Candidates()
        self._finder: Finder | None = None
        self.lacking: dict[str, int] = {}
        self.is_done = False

    def close(self) -> None:
        """Close everything, which releases the lock."""
        self._tree.close()
        for each in (self._table, self._destination, self._lock):
            if each is not None:
                each.close()

    @property
    def stay(self) -> dict[str, int]:
        """How many files stay, by why."""
        return {} if self._finder is None else dict(self._finder.stay)

    def run(self, ask: Callable[[], ReceiptSurvey], properties: dict[str, object]) -> None:
        """Do it all; `ask` asks where there are receipts, if that matters. Raises DfudError."""
        if self._lock is not None:
            self._table = self._open_table(self._lock)
        percent = self._options.keep_free
        room = None if percent is None else Room(self._tree.dir_fd, percent)
        if room is not None and room.lacking <= 0:
            self._report.note(f"{percent:g} percent of the file system are free: nothing is released")
            self.is_done = True
            return
        self._find(room)
        if not len(self._candidates):
            self._end(room)
            return
        holders = self._read_receipts(ask(), properties)
        releaser = Releaser(
            self._tree, self._candidates, holders, self._report, room, self._traits, self._is_stopping
        )
        order = self._order()
        destination = self._destination
        if self._table is None:
            releaser.list_all(order)
        else:
            moved_to = "" if destination is None else destination.directory
            releaser.remove_all(order, self._table, destination or Deletion(), moved_to)
        self._count_lacking(order, holders, room)
        self._end(room)

    def _end(self, room: Room | None) -> None:
        """Say what is still to be done."""
        percent = self._options.keep_free
        self.is_done = not self._report.failed and not self._stopped_by and (room is None or room.lacking <= 0)
        if room is not None and room.lacking > 0:
            assert percent is not None
            self._report.warn(
                f"less than {percent:g} percent of the file system are free still: what stays has to be received "
                "first, or something else has to go"
            )
        if self._stopped_by:
            self._report.warn(f"{self._stopped_by}: stopped; the next run goes on")

    # -- steps

    def _open_table(self, lock: DirectoryLock) -> ReleasedTable:
        """Open the table, and find out what became of the files of a run that did not end."""
        try:
            table = ReleasedTable(self._folder, lock)
            left = table.open_rows()
            if left:
                recovery = Recovery(self._tree, WriteLeases(), self._traits, self._report.warn)
                rows = list(recovery.resolve(left))
                open_still = [row for row in rows if row.state == RELEASING]
                table.record([row for row in rows if row.state != RELEASING], open_still)
                if open_still:
                    raise DfudError(
                        f"{counted(len(open_still), 'file')} of a release that was interrupted cannot get back to "
                        "their places; nothing was released. Make their folders writable, and run this again"
                    )
        except OSError as error:
            raise DfudError(f"cannot write {error.filename}: {error.strerror}; nothing was released") from None
        return table

    def _order(self) -> list[int]:
        """Return the candidates that may go, the oldest first; count those that may not."""
        order = self._candidates.oldest_first()
        unsealed = self._unsealed
        if unsealed is None:
            return order
        free = [number for number in order if not unsealed.have(self._candidates[number].file.version.path)]
        if len(free) < len(order) and self._finder is not None:
            self._finder.stay[UNSEALED] += len(order) - len(free)
        return free

    def _find(self, room: Room | None) -> None:
        """Find the candidates."""
        options = self._options
        try:
            unsealed = self._unsealed
            uploads, rejected = read_uploads(self._folder, None if unsealed is None else unsealed.on_recorded)
        except OSError as error:
            raise UsageError(f"cannot read {error.filename or self._folder.path}: {error.strerror}") from None
        if rejected:
            text = f"{counted(len(rejected), 'row')} of the tables cannot be understood: their files stay"
            self._report.warn(f"warning: {text}")
        before_ns = None if options.older_than_s is None else time.time_ns() - int(options.older_than_s * 1e9)
        wanted = Wanted(before_ns, None if room is None else room.device, options.rehash)
        self._finder = finder = Finder(self._directory, uploads, wanted, self._traits)
        chosen = None
        if options.upload_regex is not None:
            chosen = UploadFilter(options.upload_regex, compile_regex=BoundedPattern)
        path_filter = ReleaseFilter(chosen, self._logs_below(), unsealed)
        links = LinkPolicy(False, self._folder.identity)
        tree = WatchedTree(os.fsencode(self._directory), path_filter, links=links)
        try:
            self._candidates = finder.find(tree, self._is_stopping)
            for _, notice in tree.pop_notices():
                self._report.warn(f"warning: {notice}")
        finally:
            tree.close()
        if unsealed is not None:
            unsealed.check_found(partial(self._is_recorded, uploads))
        for path in path_filter.private:
            self._report.warn(
                f"warning: {printable(path)} is a file that a release has renamed and that no table knows of: "
                "rename it"
            )
        self._check_stopped()

    def _read_receipts(self, survey: ReceiptSurvey, properties: dict[str, object]) -> Holders:
        """Read all receipts, unless there are no candidates."""
        options = self._options
        holders = Holders(self._candidates, options.required, options.topic, survey.source_id)

        def on_gap(gap: Gap) -> None:
            holders.forget(gap.partition)
            text = f"warning: topic {options.receipts}: {gap_text(gap)}"
            self._report.warn(f"{text}; receipts before it are not believed, as it may have taken them back")

        if len(self._candidates):
            patience_s = network_patience(properties).seconds
            for messages in receipt_messages(options.receipts, survey.offsets, properties, on_gap, patience_s):
                self._check_stopped()
                holders.add(messages)
        if holders.n_damaged:
            self._report.warn(
                f"warning: {counted(holders.n_damaged, 'message')} of topic {options.receipts} cannot be used as "
                f"receipts; the first one: {holders.first_fault}"
            )
        if holders.n_of_former_topic:
            self._report.warn(
                f"warning: {counted(holders.n_of_former_topic, 'receipt')} of an earlier topic {options.topic}, "
                "which was deleted since, prove nothing"
            )
        return holders

    def _is_recorded(self, uploads: RecordedUploads, path: bytes) -> bool:
        """Return whether a file is recorded as uploaded as it is now."""
        status = self._tree.stat_file(path)
        if status is None:
            return False
        version = FileVersion(path, status.st_size, status.st_mtime_ns)
        return uploads.find(version) is not None and not uploads.is_in_progress(path)

    def _count_lacking(self, order: list[int], holders: Holders, room: Room | None) -> None:
        if self._finder is None or (room is not None and room.lacking <= 0):
            return  # it has looked at some of them only
        lacking = [number for number in order if not holders.has_all(number)]
        if lacking:
            self._finder.stay["without receipts of all receivers"] += len(lacking)
        self.lacking = holders.lacking(lacking)

    # -- means

    def _traits(self, path: bytes, device: int) -> Traits:
        return self._file_systems.traits(path, device)

    def _logs_below(self) -> bytes:
        """Return the path of LOGS relative to the directory, if it is elsewhere there."""
        path = os.path.relpath(os.path.realpath(os.fsencode(self._folder.path)), os.fsencode(self._directory))
        return b"LOGS" if path.startswith(b"../") else path

    def _is_stopping(self) -> bool:
        self._stopped_by = self._stopped_by or self._stop_reason()
        return bool(self._stopped_by)

    def _check_stopped(self) -> None:
        if self._is_stopping():
            raise StoppedError(f"{self._stopped_by}: stopped before anything was released")
