"""The main process of an upload: decides what follows from everything that the workers and the user report.

It holds neither file data nor a Kafka handle, and waits for nothing but its event loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from dfud.core.names import MAX_FOLDERS, MAX_PATH_BYTES
from dfud.core.text import counted, printable
from dfud.core.version import FileStamp
from dfud.errors import DfudError, LockedError, WorkerError
from dfud.logs.keeper import Repairs
from dfud.logs.log_lines import about
from dfud.logs.upload_status import Recording, State, UploadStatus
from dfud.messages import (
    Allowance,
    BrokerOutage,
    BrokerSilent,
    BrokerSlow,
    ChunksAcked,
    DeliveryGivenUp,
    DirectoryGone,
    FileChanged,
    FileFound,
    FileLeft,
    FilesBefore,
    FilesCompleted,
    FilesRead,
    FilesScanned,
    FilesUnrecorded,
    FileUnchanged,
    FileUndelivered,
    FileUnreadable,
    FolderMovedIn,
    FromChunker,
    FromProducer,
    FromWatcher,
    LogsDisturbed,
    Notice,
    RowsRecorded,
    SweepDone,
    ToChunker,
    TopicHarmed,
    WatchReport,
    WatchStarted,
)
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop, RunContext, UserCommands
from dfud.uploading.clock_steps import ClockSteps
from dfud.uploading.closing import Outcome, close_run
from dfud.uploading.context import UploadContext
from dfud.uploading.earlier_files import EarlierFiles
from dfud.uploading.entry import Entry
from dfud.uploading.fleet import AnyWorker, Fleet
from dfud.uploading.in_progress_writer import InProgressWriter
from dfud.uploading.lanes import Lane
from dfud.uploading.reporter import UploadReporter, summary
from dfud.uploading.run_status import RunStatus
from dfud.uploading.session import record
from dfud.uploading.slow_lanes import SlowLanes
from dfud.uploading.status_writer import StatusWriter
from dfud.uploading.topic_identity import log_lost_files, record_topic

# Open at a time; what else is ready stays with the watcher. In each lane 1,000 completed files may wait for their
# shard to be full.
_MAX_OPEN_FILES, _MAX_OPEN_FILES_PER_LANE = 2_000, 1_500
_LOGS_CHECK_S = 5.0  # between checks of LOGS where no event tells of its removal
# Whoever removes the directory removes LOGS with it: what is made again at once would be in the way.
_LOGS_SETTLE_S = 0.25  # without an event, before LOGS is made again
# After the in-progress table was written before files could be dispatched, in proportion to what that took.
_DISPATCH_COST_FACTOR, _MAX_DISPATCH_PAUSE_S = 20, 0.2
_MIN_ALLOWANCE = 1_000  # files, unless the watcher has no allowance left


class UploadSupervisor:
    """Responsible for one run, from the start of its workers to their end."""

    def __init__(
        self,
        context: UploadContext,
        fleet: Fleet,
        user: RunContext,
        clock: Callable[[], float] = time.monotonic,
        clock_steps: ClockSteps | None = None,
        status: StatusWriter | None = None,
    ) -> None:
        """Supervise `fleet`, and listen to `user`; `status` writes the state of the run."""
        self._context = context
        self._ledger = context.ledger
        self._log = context.log
        self._is_debugging = context.log.isEnabledFor(logging.DEBUG)
        self._fleet = fleet
        self._output = user.output
        self._clock = clock
        self._clock_steps = clock_steps or ClockSteps()
        self._session = context.session
        self._loop = EventLoop(user, UserCommands(self._quit, self._abandon, self._check), clock)
        self._table = InProgressWriter(context.folder, context.ledger, context.log, clock)
        self._reporter = UploadReporter(context.log)
        self._slow_lanes = SlowLanes(self._reporter, context.log)
        self._status = status or StatusWriter(context.folder, context.once, context.log, clock)
        self._state = RunStatus(context.ledger, self._reporter)
        self._next_logs_check = self._latest_logs_check = clock() + _LOGS_CHECK_S
        self._logs_trouble = ""  # why LOGS cannot be made again; empty if it is in place
        self._dispatch_at = 0.0  # s, monotonic
        self._is_displaced = False  # another process uploads from here now
        self._max_open = _MAX_OPEN_FILES + _MAX_OPEN_FILES_PER_LANE * len(fleet.lanes)
        self._allowance = 0  # files that the watcher may still report
        self._started = False  # the watcher has reported that it watches
        self._draining = False  # the run ends once everything is delivered
        self._swept = False  # the watcher has reported the last file of this run
        self._left_over = False  # there are files that the next run must find
        self._left: set[bytes] = set()  # paths of files that the watcher has reported as left
        self._is_whole = True  # the last sweep has read all folders
        self._directory_gone = False
        self._earlier = EarlierFiles(context.completed, context.ledger)
        self._abandoned = False
        self._ends_at = context.ends_at  # s, monotonic; None once that has come
        self._is_cut_short = False  # the last sweep was not waited for
        self._outage = ""  # why no broker can be reached; empty if one can
        self._topic_id = context.topic_id
        self._is_topic_anew = False  # another one has its place; until the lanes are restarted
        self._is_topic_harmed = False  # some of what was sent is lost, or will be
        self._unrecorded = 0  # rows of the completed table that are not on disk
        self._from_watcher: Dispatcher[FromWatcher] = Dispatcher(
            FromWatcher,
            {
                Notice: self._on_notice,
                WatchStarted: self._on_watch_started,
                WatchReport: self._state.on_watch_report,
                FolderMovedIn: self._on_moved_in,
                FileFound: self._on_found,
                FileLeft: self._on_left,
                FilesBefore: self._on_before,
                FilesScanned: self._on_scanned,
                LogsDisturbed: self._on_logs_disturbed,
                SweepDone: self._on_sweep_done,
                DirectoryGone: self._on_directory_gone,
            },
        )
        self._from_chunker: Dispatcher[FromChunker] = Dispatcher(
            FromChunker,
            {
                Notice: self._on_notice,
                FilesRead: self._on_files_read,
                FileUnchanged: self._on_unchanged,
                FileChanged: self._on_changed,
                FileUnreadable: self._on_read_error,
            },
        )
        self._from_producer: Dispatcher[FromProducer] = Dispatcher(
            FromProducer,
            {
                Notice: self._on_notice,
                ChunksAcked: self._on_acked,
                FilesCompleted: self._on_completed,
                FileUndelivered: self._on_undelivered,
                BrokerOutage: self._on_outage,
                BrokerSilent: self._on_silent,
                BrokerSlow: self._on_slow,
                DeliveryGivenUp: self._on_given_up,
                RowsRecorded: self._on_rows_recorded,
                TopicHarmed: self._on_topic_harmed,
            },
        )

    # -- the run

    def on_early(self, messages: Iterable[FromWatcher]) -> None:
        """Handle what the watcher has reported before there was a supervisor."""
        for message in messages:
            self._from_watcher(message)

    def run(self) -> int:
        """Upload until asked to end, or until workers die again and again; return the exit status."""
        self.start()
        try:
            while not self.is_over:
                self.run_once()
            if not self._abandoned:
                self._loop.stop_workers(self._fleet.workers)
        except WorkerError as error:
            self._log.error(str(error))
            self._ledger.give_up("the program ended early")
            self._abandoned = True
        finally:
            self._fleet.kill()
        return self.close()

    def start(self) -> None:
        """Begin to listen to the workers, and let the watcher report files."""
        for worker in self._fleet.workers:
            self._watch_worker(worker)
        if self._context.once:
            self._drain()
        self._allow_more_files()

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do, or the user does not want to wait for it."""
        return self._abandoned or (self._draining and self._swept and not self._ledger.open_files)

    def run_once(self) -> None:
        """Wait for something to happen, handle it, and do what is due."""
        busy = self._ledger.open_files > 0
        self._loop.run_once(
            (
                self._ledger.next_resumption,
                self._reporter.due(busy),
                self._slow_lanes.due_at,
                self._table.due,
                self._status.due,
                self._next_logs_check,
                self._ends_at,
                self._dispatch_at if busy and self._dispatch_at > self._clock() else None,
            )
        )
        if self._is_topic_anew:
            self._send_all_again()
        now = self._clock()
        if self._clock_steps.check():
            record(self._log, lambda: self._session.on_set_back(self._clock_steps.set_back_ns))
        if self._ends_at is not None and now >= self._ends_at:
            self._on_time_limit()
        self._ledger.resume_paused(now)
        if self._draining and self._swept:
            for entry in self._ledger.fail_paused():
                if entry.failure != entry.named:
                    self._log_failure(entry)
        self._dispatch()
        self._allow_more_files()
        if now >= self._next_logs_check:
            self._check_logs()
        self._table.write_if_due(now)
        self._reporter.tick(now, self._ledger.open_files > 0)
        self._slow_lanes.tick(now)
        self._state.on_turn(now, self._slow_lanes.reason)
        self._status.write_if_due(self._current_status, now)

    def close(self) -> int:
        """Leave LOGS as the next run needs it, log the result, and return the exit status."""
        self._reporter.flush()
        while not self._check_logs():
            pass
        record_topic(self._context.folder, self._topic_id, self._log)  # LOGS may have been removed meanwhile
        n_left = len(self._left - {entry.version.path for entry in self._ledger.undelivered})
        outcome = Outcome(
            self._abandoned,
            self._left_over,
            self._unrecorded,
            n_left,
            self._is_whole,
            self._directory_gone,
            self._is_displaced,
            self._is_topic_harmed,
            self._is_cut_short,
        )
        exit_status = close_run(self._context, self._table, outcome)
        self._status.end(self._current_status, exit_status)
        return exit_status

    def _current_status(self) -> UploadStatus:
        """Return the state of the run."""
        cause = self._logs_trouble or ("the tables cannot be written" if self._table.is_failing else "")
        state: State = "finishing" if self._draining else "running"
        return self._state.describe(
            self._status.header(state), Recording(cause, self._unrecorded), len(self._left), self._allowance <= 0
        )

    # -- the user

    def _check(self) -> None:
        self._output.write_line(summary(self._ledger.progress()))

    def _abandon(self) -> None:
        self._log.warning("stopped immediately; the next run sends the rest")
        self._abandoned = True

    def _quit(self, request: str) -> None:
        if not self._draining:
            self._log.info(f"{request}: finishing what is enqueued")
            self._drain()

    def _on_time_limit(self) -> None:
        """End in an orderly way; if the run is ending already, wait for no files that are not enqueued yet."""
        self._ends_at = None
        if not self._draining:
            self._quit("--time_limit")
        elif not self._swept:
            self._is_cut_short = self._left_over = self._swept = True
            self._fleet.on_swept()

    def _drain(self) -> None:
        self._draining = True
        record(self._log, self._session.on_last_sweep)
        self._fleet.drain()

    # -- messages of any worker

    def _on_notice(self, notice: Notice) -> None:
        self._log.log(notice.level, notice.text)

    # -- messages of the watcher

    def _on_watch_started(self, _: WatchStarted) -> None:
        self._state.on_watching()
        if not self._started:
            self._started = True
            folder = self._context.folder
            self._log.info(f"uploading {folder.directory} to topic {folder.topic}")

    def _on_moved_in(self, message: FolderMovedIn) -> None:
        record(self._log, lambda: self._session.add_moved_in(message.path))

    def _on_found(self, message: FileFound) -> None:
        self._allowance -= 1
        if len(message.version.path) > MAX_PATH_BYTES:  # no download and no verification would accept it
            self._on_left(FileLeft(message.version.path, f"has a path longer than {MAX_PATH_BYTES:,} bytes"))
            return
        if message.version.path.count(b"/") > MAX_FOLDERS:
            self._on_left(FileLeft(message.version.path, f"lies below more than {MAX_FOLDERS:,} folders"))
            return
        if self._is_cut_short:  # the next run looks for it
            return
        if self._swept:
            late = message.version.path, message.ctime_ns
            self._left_over |= not record(self._log, lambda: self._session.add_late(*late))
            return
        self._left.discard(message.version.path)
        stamp = FileStamp(message.ctime_ns if message.keeps_ctime else 0, message.inode)
        entry = self._ledger.on_found(message.version, message.compare, stamp)
        if entry is not None and not entry.known_digest:
            self._reporter.on_enqueued(entry, self._clock())

    def _on_left(self, message: FileLeft) -> None:
        self._left_over = True
        record(self._log, lambda: self._session.add_moved_in(message.path))  # it may be older than this run
        if message.path not in self._left:  # a watcher that replaces another one reports it again
            self._left.add(message.path)
            fields = about(message.path, cause=message.reason)
            self._log.warning(f"{printable(message.path)} {message.reason}: left for the next run", extra=fields)

    def _on_before(self, message: FilesBefore) -> None:
        number = self._earlier.add(message.identities, message.is_last)
        if number:
            are, them = ("was there before and is", "it") if number == 1 else ("were there before and are", "them")
            self._log.info(f"{counted(number, 'file')} {are} left; --upload_existing sends {them}")

    def _on_scanned(self, message: FilesScanned) -> None:
        positions = tuple(self._ledger.unrecorded(message.identities, message.folders))
        self._fleet.watcher.channel.post([FilesUnrecorded(message.number, positions)])

    def _on_logs_disturbed(self, _: LogsDisturbed) -> None:
        self._next_logs_check = min(self._latest_logs_check, self._clock() + _LOGS_SETTLE_S)

    def _on_sweep_done(self, message: SweepDone) -> None:
        self._swept = True
        self._fleet.on_swept()
        self._log.debug("last sweep done")
        self._is_whole = message.is_whole
        self._left_over = self._left_over or not message.is_whole

    def _on_directory_gone(self, message: DirectoryGone) -> None:
        self._directory_gone = self._left_over = True  # nobody knows what else was closed in it
        self._log.error(f"{message.reason}: uploading what can still be read")
        self._quit("no directory to watch")

    # -- messages of chunkers

    def _on_files_read(self, message: FilesRead) -> None:
        for token in message.tokens:
            self._ledger.mark_read(token)

    def _on_unchanged(self, message: FileUnchanged) -> None:
        self._ledger.on_unchanged(message.token)

    def _on_changed(self, message: FileChanged) -> None:
        now = self._clock()
        entry = self._ledger.on_changed(message.token, message.version, message.being_written, now, message.stamp)
        path = message.version.path
        self._log.debug(f"{printable(path)} changed while it was read: sending it again", extra=about(path))
        if entry is not None:
            self._reporter.on_enqueued(entry, now)

    def _on_read_error(self, message: FileUnreadable) -> None:
        entry = self._ledger.on_read_error(
            message.token, message.gone, message.reason, self._clock(), message.lease_s
        )
        if entry is None:
            return
        path = entry.version.path
        name = printable(path)
        if not message.gone:
            entry.named = message.reason
            fields = about(path, cause=message.reason)
            self._log.warning(f"cannot read {name}: {message.reason}; retrying", extra=fields)
        elif entry.failure:
            self._log_failure(entry)
        else:
            self._log.info(f"{name} was removed before it could be read", extra=about(path))

    # -- messages of producers

    def _on_acked(self, message: ChunksAcked) -> None:
        self._ledger.on_acked(message.token, message.chunks)
        entry = self._ledger.entry(message.token)
        if entry is not None:
            if self._is_debugging:
                self._log_acked(entry, message.chunks)
            chunks = sum(last - first + 1 for first, last in message.chunks)
            n_bytes = chunks * entry.chunk_size
            if message.chunks[-1][1] == entry.n_chunks:  # which may be shorter
                n_bytes -= entry.n_chunks * entry.chunk_size - entry.version.size
            self._reporter.on_acked(chunks, n_bytes)

    def _on_completed(self, message: FilesCompleted) -> None:
        now = self._clock()
        self._log.debug("%s added to the completed table", counted(len(message.files), "file"))
        if not message.recorded:
            self._unrecorded += len(message.files)
        for token, xxh3_128 in message.files:
            entry = self._ledger.entry(token)
            if entry is None:
                continue
            self._context.completed.add(entry.version.path, entry.identity, bytes.fromhex(xxh3_128))
            self._ledger.on_completed(token)
            chunks = entry.n_chunks - len(entry.acked)
            self._reporter.on_acked(chunks, entry.version.size - entry.acked_bytes)
            self._reporter.on_completed(entry, now)

    def _on_undelivered(self, message: FileUndelivered) -> None:
        smaller = self._ledger.send_smaller(message.token) if message.is_too_large else None
        if smaller is not None:
            path = smaller.version.path
            self._log.warning(
                f"{printable(path)}: {message.reason}: uploading all of it again, in chunks of "
                f"{smaller.chunk_size} bytes",
                extra=about(path, cause=message.reason),
            )
            return
        self._log_failure(self._ledger.on_undelivered(message.token, message.reason), message.chunk)

    def _on_given_up(self, message: DeliveryGivenUp) -> None:
        for entry in self._ledger.give_up(message.reason):
            self._log_failure(entry)

    def _on_rows_recorded(self, message: RowsRecorded) -> None:
        self._unrecorded -= message.rows

    def _on_outage(self, message: BrokerOutage) -> None:
        reason = message.reason
        if bool(reason) == bool(self._outage) and not (message.is_cause and reason != self._outage):
            return  # another lane has reported it
        self._outage = reason
        self._state.on_outage(reason)
        if reason:
            fields = about(cause=reason)
            self._log.warning(f"broker unreachable ({reason}): retrying; nothing is lost", extra=fields)
        else:
            self._log.warning("broker reachable again: uploading resumed")

    def _on_topic_harmed(self, message: TopicHarmed) -> None:
        if message.is_anew:
            if self._is_topic_anew:
                return  # another lane has noticed it
            self._is_topic_anew, self._topic_id = True, message.topic_id
        self._is_topic_harmed = True
        self._state.topic_harm = message.text
        self._log.error(message.text)

    def _send_all_again(self) -> None:
        """Begin anew with all that is in progress, as the topic was made anew."""
        for lane in self._fleet.lanes:  # what they hold is of the topic that is gone
            lane.kill()
            for worker in lane.workers:
                self._loop.unwatch(worker)  # its last messages may report the new topic once more
        self._is_topic_anew = False
        self._check_logs()  # the new producers number their shards by what is there
        self._ledger.void_acked()
        for lane in self._fleet.lanes:
            lane.on_new_topic(self._topic_id)
            self._restart_lane(lane)
        self._table.write()
        record_topic(self._context.folder, self._topic_id, self._log)
        log_lost_files(self._context.folder, len(self._context.completed), self._log)

    def _on_silent(self, message: BrokerSilent) -> None:
        self._state.on_silent(message.reason)
        self._log.debug(f"question about the topic: {message.reason or 'answered again'}")

    def _on_slow(self, message: BrokerSlow) -> None:
        self._slow_lanes.on_message(message.reason, self._clock())

    def _log_failure(self, entry: Entry | None, chunk: int = 0) -> None:
        """Log why a file failed, with the `chunk` that could not be delivered, or 0."""
        if entry is not None and entry.failure:
            entry.named = entry.failure
            path = entry.version.path
            fields = about(path, f"{chunk}/{entry.n_chunks}" if chunk else None, entry.failure)
            self._log.error(f"{printable(path)} not delivered: {entry.failure}", extra=fields)

    def _log_acked(self, entry: Entry, chunks: Iterable[tuple[int, int]]) -> None:
        path = entry.version.path
        for first, last in chunks:
            which = f"{first}-{last}/{entry.n_chunks}" if last > first else f"{first}/{entry.n_chunks}"
            self._log.debug(f"{printable(path)}: chunk {which} acknowledged", extra=about(path, which))

    # -- LOGS

    def _check_logs(self) -> bool:
        """Make again what others have removed or replaced in LOGS, or LOGS; return False if more is to follow."""
        self._next_logs_check = self._latest_logs_check = self._clock() + _LOGS_CHECK_S
        if self._is_displaced:
            return True
        trouble = ""
        repairs = Repairs()
        try:
            repairs = self._context.keeper.check(self._fleet.shard_copies)
        except LockedError as error:
            self._is_displaced = True
            self._table.stop()
            self._status.stop()
            self._log.error(f"{self._context.folder.path} was removed, and meanwhile {error}")
            self._quit("ending")
            return True
        except DfudError as error:
            trouble = str(error)
        except OSError as error:
            trouble = f"cannot make {error.filename or self._context.folder.path} again: {error.strerror}"
        if trouble and trouble != self._logs_trouble:
            self._log.error(f"{trouble}; retrying")
        self._logs_trouble = trouble
        if not repairs.is_complete:
            self._next_logs_check = self._clock()
        if repairs.is_another_folder:
            self._fleet.on_logs_replaced()
            self._log.warning(
                f"{self._context.folder.path} was removed or replaced: making it again, with all in it"
            )
            if self._context.folder.weakness:
                self._log.warning(self._context.folder.weakness)
        elif repairs.files:
            more = f" and {counted(len(repairs.files) - 1, 'other file')}" if len(repairs.files) > 1 else ""
            self._log.warning(f"{repairs.files[0]}{more} removed or replaced by another program: made again")
        if repairs.must_check_shards:
            self._fleet.check_shards()
        self._table.write_if_displaced()
        return repairs.is_complete

    # -- messages to workers

    def _dispatch(self) -> None:
        began = self._clock()
        if began < self._dispatch_at:
            return
        batches: list[list[ToChunker]] = [[] for _ in self._fleet.lanes]
        for number, task in self._ledger.dispatch():
            batches[number].append(task)
        if self._ledger.replaces_recorded:
            self._ledger.replaces_recorded = False
            self._table.write()
            ended = self._clock()
            self._dispatch_at = ended + min(_DISPATCH_COST_FACTOR * (ended - began), _MAX_DISPATCH_PAUSE_S)
        for lane, batch in zip(self._fleet.lanes, batches):
            if batch:
                lane.chunker.channel.post(batch)
                if self._is_debugging:
                    self._log.debug("%s dispatched to %s", counted(len(batch), "file"), lane.chunker.name)

    def _allow_more_files(self) -> None:
        if self._is_cut_short:
            return
        files = self._max_open - self._ledger.busy_files - self._allowance
        if files >= _MIN_ALLOWANCE or (files > 0 and not self._allowance):
            self._allowance += files
            self._fleet.watcher.channel.post([Allowance(files)])
            self._log.debug("the watcher may report %s", counted(files, "more file"))

    # -- the lives of workers

    def _watch_worker(self, worker: AnyWorker) -> None:
        self._log.debug("%s is process %s", worker.name, worker.process.pid)
        handler: Dispatcher[Any] = self._from_watcher
        if worker is not self._fleet.watcher:
            is_chunker = worker is self._fleet.lane_of(worker).chunker
            handler = self._from_chunker if is_chunker else self._from_producer
        self._loop.watch(worker, handler, self._on_death)

    def _on_death(self, worker: AnyWorker) -> None:
        """Handle the last messages of a dead worker, and replace it."""
        self._loop.unwatch(worker)
        cause = self._loop.count_death(worker)
        self._log.warning(f"{worker.name} {cause}: restarting it", extra=about(cause=cause))
        self._state.on_restart(f"{worker.name} {cause}")
        if worker is self._fleet.watcher:
            self._allowance = 0
            self._earlier.restart()
            self._watch_worker(self._fleet.replace_watcher(self._session.moved_in, self._clock_steps.set_back_ns))
            return
        lane = self._fleet.lane_of(worker)
        if worker is lane.producer:
            self._loop.unwatch(lane.chunker)
            self._check_logs()  # the new producer numbers its shards by what is there
            self._restart_lane(lane)
            return
        lane.replace_chunker()
        self._watch_worker(lane.chunker)
        files = self._ledger.on_lane_death(lane.number, producer=False)
        self._log.debug(f"{files} files are read again")

    def _restart_lane(self, lane: Lane) -> None:
        """Start both workers of `lane` anew, with all that it had."""
        self._fleet.replace_lane(lane)
        self._slow_lanes.on_restart()
        self._outage = ""  # the new producer finds out for itself
        self._state.on_new_producer()
        for worker in lane.workers:
            self._watch_worker(worker)
        files = self._ledger.on_lane_death(lane.number, producer=True)
        self._log.debug(f"{files} files are read again")
