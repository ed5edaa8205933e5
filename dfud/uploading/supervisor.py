"""The main process of an upload: decides what follows from everything that the workers and the user report.

It holds neither file data nor a Kafka handle, and waits for nothing but its event loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from dfud.core.text import counted
from dfud.display.summary import Summary
from dfud.errors import WorkerError
from dfud.logs.log_lines import about
from dfud.logs.upload_status import Recording, State, UploadStatus
from dfud.messages import (
    BrokerOutage,
    BrokerSilent,
    BrokerSlow,
    CanaryDelivered,
    CanaryFound,
    ChunksAcked,
    ClientStatistics,
    DeliveryGivenUp,
    DirectoryGone,
    FileChanged,
    FileFound,
    FileLeft,
    FilesBefore,
    FilesCompleted,
    FilesFound,
    FilesRead,
    FilesScanned,
    FilesTask,
    FileTask,
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
    TopicFindings,
    TopicHarmed,
    WatchReport,
    WatchStarted,
)
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop, RunContext, UserCommands, second_interrupt
from dfud.processes.notices import log_notice
from dfud.uploading.canary import Canary
from dfud.uploading.clock_steps import ClockSteps
from dfud.uploading.closing import Outcome, close_run
from dfud.uploading.context import UploadContext
from dfud.uploading.detection import Detection
from dfud.uploading.file_reports import FileReports
from dfud.uploading.fleet import AnyWorker, Fleet
from dfud.uploading.in_progress_writer import InProgressWriter
from dfud.uploading.lanes import Lane
from dfud.uploading.logs_check import LogsCheck
from dfud.uploading.outlets import Outlet, Outlets
from dfud.uploading.reporter import UploadReporter, summary
from dfud.uploading.run_status import RunStatus
from dfud.uploading.session import record
from dfud.uploading.side_jobs import NO_SIDE_JOBS, SideJobMakers, SideJobs
from dfud.uploading.slow_lanes import SlowLanes
from dfud.uploading.stall_check import StallCheck
from dfud.uploading.status_writer import StatusWriter
from dfud.uploading.topic_identity import log_lost_files, record_topic
from dfud.uploading.transfers import Transfers
from dfud.uploading.upload_activity import UploadActivity

# After the in-progress table was written before files could be dispatched, in proportion to what that took.
_DISPATCH_COST_FACTOR, _MAX_DISPATCH_PAUSE_S = 20, 0.2


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
        outlets: Sequence[Outlet] = (),
        makers: SideJobMakers = NO_SIDE_JOBS,
    ) -> None:
        """Supervise `fleet`, and listen to `user`; `status` and `outlets` tell the state of the run."""
        self._context = context
        self._ledger = context.ledger
        self._log = context.log
        self._is_debugging = context.log.isEnabledFor(logging.DEBUG)
        self._fleet = fleet
        self._output = user.output
        self._clock = clock
        self._began = clock()
        self._clock_steps = clock_steps or ClockSteps()
        self._session = context.session
        self._loop = EventLoop(user, UserCommands(self._quit, self._abandon, self._check), clock)
        self._table = InProgressWriter(context.folder, context.ledger, context.log, clock)
        self._reporter = UploadReporter(context.log)
        self._slow_lanes = SlowLanes(self._reporter, context.log)
        self._state = RunStatus(context.ledger, self._reporter)
        self._transfers = Transfers(context.ledger)
        self.activity = UploadActivity(
            context.ledger, self._reporter, self._state, self._transfers, self._is_asked_to_end
        )
        self._status = status or StatusWriter(context.folder, context.once, context.log, clock)
        self._outlets = Outlets([self._status, *outlets], self._current_status)
        self._detection = Detection(context, fleet, self._reporter, self._state, clock)
        self._side_jobs = SideJobs(makers, self._detection, self._loop, self._table.write)
        self._files = FileReports(context, self._reporter, self._detection.reconsider, clock)
        self._logs = LogsCheck(context, fleet, self._table, self._on_displaced, clock)
        self._stalls = StallCheck(lambda: self._fleet.workers, context.log, clock)
        self._canary: Canary | None = None
        if context.canary_s is not None:
            self._canary = Canary(context.canary_s, context.folder, fleet, context.log, clock)
        self._dispatch_at = 0.0  # s, monotonic
        self._draining = False  # the run ends once everything is delivered
        self._abandoned = False
        self._ends_at = context.ends_at  # s, monotonic; None once that has come
        self._outage = ""  # why no broker can be reached; empty if one can
        self._topic_id = context.topic_id
        self._is_topic_anew = False  # another one has its place; until the lanes are restarted
        self._is_topic_harmed = False  # some of what was sent is lost, or will be
        self._from_watcher: Dispatcher[FromWatcher] = Dispatcher(
            FromWatcher,
            {
                Notice: self._on_notice,
                WatchStarted: self._detection.on_started,
                WatchReport: self._state.on_watch_report,
                FolderMovedIn: self._detection.on_moved_in,
                FileFound: (self._side_jobs.runs or self._detection).on_found,
                FilesFound: (self._side_jobs.runs or self._detection).on_found_together,
                FileLeft: self._detection.on_left,
                FilesBefore: self._detection.on_before,
                FilesScanned: self._detection.on_scanned,
                LogsDisturbed: self._on_logs_disturbed,
                SweepDone: self._detection.on_sweep_done,
                DirectoryGone: self._on_directory_gone,
                CanaryFound: self._on_canary_found,
            },
        )
        self._from_chunker: Dispatcher[FromChunker] = Dispatcher(
            FromChunker,
            {
                Notice: self._on_notice,
                FilesRead: self._files.on_read,
                FileUnchanged: self._files.on_unchanged,
                FileChanged: self._files.on_changed,
                FileUnreadable: self._files.on_unreadable,
            },
        )
        self._from_producer: Dispatcher[FromProducer] = Dispatcher(
            FromProducer,
            {
                Notice: self._on_notice,
                ChunksAcked: self._files.on_acked,
                FilesCompleted: self._files.on_completed,
                FileUndelivered: self._files.on_undelivered,
                BrokerOutage: self._on_outage,
                BrokerSilent: self._on_silent,
                BrokerSlow: self._on_slow,
                DeliveryGivenUp: self._files.on_given_up,
                RowsRecorded: self._files.on_rows_recorded,
                TopicHarmed: self._on_topic_harmed,
                TopicFindings: self._state.on_topic_findings,
                CanaryDelivered: self._on_canary_delivered,
                ClientStatistics: self._state.kafka.add,
            },
        )

    # -- the run

    def on_early(self, messages: Iterable[FromWatcher]) -> None:
        """Handle what the watcher has reported before there was a supervisor."""
        for message in messages:
            self._from_watcher(message)

    def hold(self, markers: Iterable[FileFound]) -> None:
        """Hold back markers that the session has on record, and no table."""
        if self._side_jobs.runs is not None:
            for marker in markers:
                self._side_jobs.runs.hold(marker)

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
        self._detection.allow_more_files()

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do, or the user does not want to wait for it."""
        return self._abandoned or (self._has_sent_all and self._side_jobs.is_over)

    @property
    def _has_sent_all(self) -> bool:
        """Whether there is nothing left to be sent in this run."""
        if not self._draining or self._ledger.open_files:
            return False
        return self._detection.is_over and self._side_jobs.has_sealed_all

    def run_once(self) -> None:
        """Wait for something to happen, handle it, and do what is due."""
        busy = self._ledger.open_files > 0
        self._loop.run_once(
            (
                self._ledger.next_resumption,
                self._reporter.due(busy),
                self._slow_lanes.due_at,
                self._table.due,
                self._outlets.due,
                self._logs.due,
                self._stalls.due,
                self._canary.due if self._canary is not None else None,
                self._side_jobs.due,
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
        has_found_all = self._draining and self._detection.is_over
        if has_found_all:
            for entry in self._ledger.fail_paused():
                if entry.failure != entry.named:
                    self._files.log_failure(entry)
        self._side_jobs.turn(now, self._draining, has_found_all, self._has_sent_all)
        self._dispatch()
        self._detection.allow_more_files()
        self._logs.check_if_due(now)
        self._stalls.check_if_due(now)
        if self._canary is not None:
            self._canary.turn(now)
        self._table.write_if_due(now)
        self._reporter.tick(now, self._ledger.open_files > 0)
        self._slow_lanes.tick(now)
        self._transfers.turn(now)
        self._state.on_turn(now, self._slow_lanes.reason)
        self._outlets.turn(now)

    def close(self) -> int:
        """Leave LOGS as the next run needs it, log the result, and return the exit status."""
        self._reporter.flush()
        self._logs.check_all()
        record_topic(self._context.folder, self._topic_id, self._log)  # LOGS may have been removed meanwhile
        detection = self._detection
        n_left = len(detection.left - {entry.version.path for entry in self._ledger.undelivered})
        outcome = Outcome(
            self._abandoned,
            detection.left_over,
            self._files.unrecorded,
            n_left,
            detection.is_whole,
            detection.directory_gone,
            self._logs.is_displaced,
            self._is_topic_harmed,
            detection.is_cut_short,
        )
        exit_status = close_run(self._context, self._table, outcome, self._sum_up)
        last = msgspec.structs.replace(self._current_status(), state="ended", exit_status=exit_status)
        self._outlets.end(last)
        return exit_status

    def _is_asked_to_end(self) -> bool:
        return self._draining and not self._context.once

    def _sum_up(self, failed: int, left: int) -> Summary:
        reporter = self._reporter
        seconds = self._clock() - self._began
        if self._abandoned:
            left += self._ledger.open_files
        return Summary(
            reporter.completed_files, reporter.completed_versions, reporter.acked_bytes, seconds, failed, left
        )

    def _current_status(self) -> UploadStatus:
        """Return the state of the run."""
        are_tables_failing = self._table.is_failing or self._files.unrecorded > 0
        cause = self._logs.trouble or ("the tables cannot be written" if are_tables_failing else "")
        cause = cause or self._status.trouble
        state: State = "finishing" if self._draining else "running"
        self._state.stalls = self._stalls.stalls
        if self._canary is not None:
            self._state.canary = self._canary.status
        guard = self._side_jobs.guard
        if guard is not None:
            self._state.receivers, self._state.retention_risk = guard.receivers, guard.risk
        return self._state.describe(
            self._status.header(state),
            Recording(cause, self._files.unrecorded, self._logs.free_bytes),
            len(self._detection.left),
            self._detection.is_full,
        )

    # -- the user

    def _check(self) -> None:
        self._output.write_line(summary(self._ledger.progress()))
        for line in self._transfers.lines(self._clock()):
            self._output.write_line(line)

    def _abandon(self) -> None:
        self._log.warning("stopped immediately; the next run sends the rest")
        self._abandoned = True

    def _quit(self, request: str) -> None:
        hint = second_interrupt(request)
        self._side_jobs.on_quit()
        if request == "quit" and self._outage:
            hint = ", which needs the broker; Ctrl-C twice stops immediately"
        if not self._draining:
            self._log.info(f"{request}: finishing what is enqueued{hint}")
            self._drain()
        elif hint:
            self._log.info(f"{request}: already finishing what is enqueued{hint}")

    def _on_time_limit(self) -> None:
        """End in an orderly way; if the run is ending already, wait for no files that are not enqueued yet."""
        self._ends_at = None
        if not self._draining:
            self._quit("--time_limit")
        elif not self._detection.is_over:
            self._detection.cut_short()

    def _drain(self) -> None:
        self._draining = True
        if self._canary is not None:
            self._canary.end()
        self._side_jobs.on_ending()
        record(self._log, self._session.on_last_sweep)
        self._fleet.drain()

    # -- messages of any worker

    def _on_notice(self, notice: Notice) -> None:
        log_notice(self._log, notice)

    # -- messages of the watcher

    def _on_logs_disturbed(self, _: LogsDisturbed) -> None:
        self._logs.on_disturbed()

    def _on_canary_found(self, message: CanaryFound) -> None:
        if self._canary is not None:
            self._canary.on_found(message)

    def _on_directory_gone(self, message: DirectoryGone) -> None:
        self._detection.on_directory_gone(message)
        self._quit("no directory to watch")

    # -- messages of producers

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
        if self._side_jobs.runs is not None:
            self._side_jobs.runs.is_topic_harmed = True
        self._state.topic_harm = message.text
        self._log.error(message.text)

    def _send_all_again(self) -> None:
        """Begin anew with all that is in progress, as the topic was made anew."""
        for lane in self._fleet.lanes:  # what they hold is of the topic that is gone
            lane.kill()
            for worker in lane.workers:
                self._loop.unwatch(worker)  # its last messages may report the new topic once more
        self._is_topic_anew = False
        self._logs.check()  # the new producers number their shards by what is there
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

    def _on_canary_delivered(self, message: CanaryDelivered) -> None:
        if self._canary is not None:
            self._canary.on_delivered(message)

    # -- LOGS

    def _on_displaced(self) -> None:
        self._table.stop()
        self._status.stop()
        self._quit("ending")

    # -- messages to workers

    def _dispatch(self) -> None:
        began = self._clock()
        if began < self._dispatch_at:
            return
        batches: list[list[FileTask | FilesTask]] = [[] for _ in self._fleet.lanes]
        for number, task in self._ledger.dispatch():
            batches[number].append(task)
        for number, tasks in self._ledger.dispatch_together():
            batches[number].append(tasks)
        if self._ledger.replaces_recorded:
            self._ledger.replaces_recorded = False
            self._table.write()
            ended = self._clock()
            self._dispatch_at = ended + min(_DISPATCH_COST_FACTOR * (ended - began), _MAX_DISPATCH_PAUSE_S)
        for lane, batch in zip(self._fleet.lanes, batches):
            if batch:
                lane.chunker.channel.post(batch)
                if self._is_debugging:
                    n_files = sum(len(task.versions) if isinstance(task, FilesTask) else 1 for task in batch)
                    self._log.debug("%s dispatched to %s", counted(n_files, "file"), lane.chunker.name)

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
            self._detection.on_new_watcher()
            self._watch_worker(self._fleet.replace_watcher(self._session.moved_in, self._clock_steps.set_back_ns))
            return
        lane = self._fleet.lane_of(worker)
        if worker is lane.producer:
            self._loop.unwatch(lane.chunker)
            self._logs.check()  # the new producer numbers its shards by what is there
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
