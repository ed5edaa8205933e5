"""The main process: starts the others and watches them, and decides what is done about everything that happens.

It holds no file data and no Kafka handle, and waits for nothing but its hub.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from dfud.core.text import printable
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, WorkerError
from dfud.logs.completed.consolidation import append_shards
from dfud.logs.completed.index import CompletedIndex
from dfud.logs.layout import LogsFolder
from dfud.logs.session import Session
from dfud.messages import (
    Allowance,
    BrokerOutage,
    ChunksAcked,
    DeliveryGivenUp,
    DirectoryGone,
    Drain,
    FileChanged,
    FileFound,
    FilesCompleted,
    FilesRead,
    FileUnchanged,
    FileUndelivered,
    FileUnreadable,
    FolderMovedIn,
    FromChunker,
    FromProducer,
    FromWatcher,
    Notice,
    RowsRecorded,
    Sweep,
    SweepDone,
    ToChunker,
    WatchStarted,
)
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop, RunContext, UserCommands
from dfud.processes.workers import Worker, WorkerPool
from dfud.uploading.entry import Entry
from dfud.uploading.in_progress_writer import InProgressWriter
from dfud.uploading.lanes import Lane, WatcherWorker, start_watcher
from dfud.uploading.ledger import Ledger
from dfud.uploading.reports import Reports, summary
from dfud.watch.watcher import WatchOptions

# On their way at once; what else is ready waits in the directory. In each lane 1,000 may be done and wait for a
# shard to be full.
_OPEN_FILES, _OPEN_FILES_A_LANE = 2_000, 1_500
_ALLOWANCE_STEP = 1_000

AnyWorker = Worker[Any, Any]


class UploadSupervisor:
    """Responsible for one run, from the first worker's start to the last one's end."""

    def __init__(
        self,
        once: bool,
        watch: WatchOptions,
        folder: LogsFolder,
        session: Session,
        workers: WorkerPool,
        watcher: WatcherWorker,
        lanes: list[Lane],
        ledger: Ledger,
        index: CompletedIndex,
        surroundings: RunContext,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`once` uploads what is there and ends; `index` is told of what is completed, and asked by the ledger."""
        self._once = once
        self._watch = watch
        self._folder = folder
        self._session = session
        self._workers = workers
        self._watcher = watcher
        self._lanes = lanes
        self._ledger = ledger
        self._index = index
        self._output = surroundings.output
        self._log = log
        self._clock = clock
        self._loop = EventLoop(surroundings, UserCommands(self._quit, self._abandon, self._check), clock)
        self._table = InProgressWriter(folder, ledger, log, clock)
        self._reports = Reports(log)
        self._most_open = _OPEN_FILES + _OPEN_FILES_A_LANE * len(lanes)
        self._allowed = 0  # files that the watcher may still report
        self._told_uploading = False
        self._draining = False
        self._swept = False
        self._left_over = False  # files came after the last sweep, or lie where it could not look
        self._abandoned = False
        self._away = ""  # why the broker is
        self._unrecorded = 0  # rows of the completed table that are not on disk
        self._from_watcher: Dispatcher[FromWatcher] = Dispatcher(
            FromWatcher,
            {
                Notice: self._on_notice,
                WatchStarted: self._on_watch_started,
                FolderMovedIn: self._on_moved_in,
                FileFound: self._on_found,
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
                DeliveryGivenUp: self._on_given_up,
                RowsRecorded: self._on_rows_recorded,
            },
        )

    # -- the run

    def run(self) -> int:
        """Upload until told to end, or until workers die again and again; return the exit status."""
        for worker in self._all_workers():
            self._watch_worker(worker)
        if self._once:
            self._drain()
        self._allow()
        try:
            while not self._is_over():
                self._turn()
            if not self._abandoned:
                self._loop.stop_workers(self._all_workers())
        except WorkerError as error:
            self._log.error(str(error))
            self._ledger.give_up("the program ended early")
            self._abandoned = True
        finally:
            self._workers.kill_all()
        return self._finish()

    def _watch_worker(self, worker: AnyWorker) -> None:
        handle: Dispatcher[Any] = self._from_watcher
        if worker is not self._watcher:
            is_chunker = any(worker is lane.chunker for lane in self._lanes)
            handle = self._from_chunker if is_chunker else self._from_producer
        self._loop.watch(worker, handle, self._on_death)

    def _all_workers(self) -> list[AnyWorker]:
        return [self._watcher, *(worker for lane in self._lanes for worker in lane.workers)]

    def _is_over(self) -> bool:
        return self._abandoned or (self._draining and self._swept and not self._ledger.open_files)

    def _turn(self) -> None:
        busy = self._ledger.open_files > 0
        self._loop.run_once((self._ledger.next_resumption, self._reports.due(busy), self._table.due))
        now = self._clock()
        self._ledger.resume_paused(now)
        if self._draining and self._swept:
            for entry in self._ledger.fail_paused():
                self._tell_failure(entry)
        self._dispatch()
        self._allow()
        self._table.keep(now)
        self._reports.tick(now, self._ledger.open_files > 0)

    # -- what the user wishes

    def _check(self) -> None:
        self._output.write_line(summary(self._ledger.progress()))

    def _abandon(self) -> None:
        self._log.warning("left at once: the next start sends what is missing")
        self._abandoned = True

    def _quit(self, why: str) -> None:
        if not self._draining:
            self._log.info(f"{why}: ending when all that is enqueued is delivered")
            self._drain()

    def _drain(self) -> None:
        self._draining = True
        self._watcher.channel.post([Sweep(1)])
        for lane in self._lanes:
            lane.producer.channel.post([Drain()])

    # -- messages

    def _on_files_read(self, message: FilesRead) -> None:
        for token in message.tokens:
            self._ledger.mark_read(token)

    def _on_unchanged(self, message: FileUnchanged) -> None:
        self._ledger.on_unchanged(message.token)

    def _on_changed(self, message: FileChanged) -> None:
        now = self._clock()
        entry = self._ledger.on_changed(message.token, message.version, message.being_written, now)
        self._log.debug(f"{printable(message.version.path)} changed while it was read: sending it again")
        if entry is not None:
            self._reports.enqueued(entry, now)

    def _on_undelivered(self, message: FileUndelivered) -> None:
        self._tell_failure(self._ledger.on_undelivered(message.token, message.why))

    def _on_given_up(self, message: DeliveryGivenUp) -> None:
        for entry in self._ledger.give_up(message.why):
            self._tell_failure(entry)

    def _on_rows_recorded(self, message: RowsRecorded) -> None:
        self._unrecorded -= message.rows

    def _on_sweep_done(self, message: SweepDone) -> None:
        self._swept = True
        self._left_over = self._left_over or not message.is_whole

    def _on_directory_gone(self, message: DirectoryGone) -> None:
        self._log.error(f"{message.why}: dfud delivers what it can, and ends")
        self._quit("nothing more can be found")

    def _on_notice(self, notice: Notice) -> None:
        self._log.log(notice.level, notice.text)

    def _on_watch_started(self, _: WatchStarted) -> None:
        if not self._told_uploading:
            self._told_uploading = True
            self._log.info(f"uploading {self._folder.directory} to topic {self._folder.topic}")

    def _on_moved_in(self, message: FolderMovedIn) -> None:
        try:
            self._session.add_moved_in(message.path)
        except OSError as problem:
            self._log.error(f"the lock file can't be written: {problem}; uploading goes on")

    def _on_found(self, message: FileFound) -> None:
        self._allowed -= 1
        if self._swept:
            self._left_over = True
            return
        entry = self._ledger.on_found(message.version, message.by_event)
        if entry is not None and not entry.known_digest:
            self._reports.enqueued(entry, self._clock())

    def _on_completed(self, message: FilesCompleted) -> None:
        now = self._clock()
        if not message.recorded:
            self._unrecorded += len(message.files)
        for token, xxh3_128 in message.files:
            entry = self._ledger.entry(token)
            if entry is None:
                continue
            self._index.add(entry.identity, bytes.fromhex(xxh3_128))
            self._ledger.on_completed(token)
            chunks = entry.n_chunks - len(entry.acked)
            self._reports.acked(chunks, min(chunks * entry.chunk_size, entry.version.size))
            self._reports.done(entry, now)

    def _on_acked(self, message: ChunksAcked) -> None:
        self._ledger.on_acked(message.token, message.chunks)
        entry = self._ledger.entry(message.token)
        if entry is not None:
            chunks = sum(last - first + 1 for first, last in message.chunks)
            self._reports.acked(chunks, chunks * entry.chunk_size)

    def _on_read_error(self, message: FileUnreadable) -> None:
        entry = self._ledger.on_read_error(message.token, message.gone, message.why, self._clock())
        if entry is None:
            return
        if message.gone and not entry.failure:
            self._log.info(f"{printable(entry.version.path)} was gone before it could be read")
        elif message.gone:
            self._tell_failure(entry)
        else:
            self._log.warning(f"{printable(entry.version.path)} can't be read: {message.why}; it is tried again")

    def _on_outage(self, message: BrokerOutage) -> None:
        why = message.why
        if bool(why) == bool(self._away) and not (message.is_cause and why != self._away):
            return
        self._away = why
        if why:
            self._log.warning(f"the broker is away ({why}): dfud waits for it, nothing is lost")
        else:
            self._log.warning("the broker is back: uploading goes on")

    def _tell_failure(self, entry: Entry | None) -> None:
        if entry is not None and entry.failure:
            self._log.error(f"{printable(entry.version.path)} is not delivered: {entry.failure}")

    # -- what goes out

    def _dispatch(self) -> None:
        batches: list[list[ToChunker]] = [[] for _ in self._lanes]
        for number, task in self._ledger.dispatch():
            batches[number].append(task)
        for lane, batch in zip(self._lanes, batches):
            if batch:
                lane.chunker.channel.post(batch)

    def _allow(self) -> None:
        files = self._most_open - self._ledger.open_files - self._allowed
        if files >= _ALLOWANCE_STEP or (files > 0 and not self._allowed):
            self._allowed += files
            self._watcher.channel.post([Allowance(files)])

    # -- deaths and the end

    def _on_death(self, worker: AnyWorker) -> None:
        """Take what a dead worker has told last, and start another in its place."""
        self._loop.unwatch(worker)
        cause = self._loop.count_death(worker)
        self._log.warning(f"{worker.name} {cause}: another one takes over")
        if worker is self._watcher:
            self._replace_watcher()
            return
        lane = next(lane for lane in self._lanes if worker in lane.workers)
        if worker is lane.chunker:
            lane.replace_chunker()
            self._watch_worker(lane.chunker)
            again = self._ledger.on_lane_death(lane.number, producer=False)
        else:
            self._loop.unwatch(lane.chunker)
            lane.replace_both(self._next_shard())
            for each in lane.workers:
                self._watch_worker(each)
            again = self._ledger.on_lane_death(lane.number, producer=True)
            self._away = ""  # whether it is, the new producer finds out for itself
            if self._draining:
                lane.producer.channel.post([Drain()])
        self._log.debug(f"{again} files are begun again")

    def _next_shard(self) -> int:
        try:
            return self._folder.next_sequence()
        except OSError as problem:
            raise WorkerError(f"{self._folder.path} can't be read: {problem.strerror}: ending") from None

    def _replace_watcher(self) -> None:
        """Start another watcher; what happened meanwhile it finds by its first scan."""
        self._workers.close(self._watcher.channel)
        self._watch = self._watch._replace(moved_in=self._session.moved_in)
        self._watcher = start_watcher(self._workers, self._watch)
        self._watch_worker(self._watcher)
        self._allowed = 0
        if self._draining and not self._swept:
            self._watcher.channel.post([Sweep(1)])

    def _finish(self) -> int:
        """Leave LOGS as the next start wants it, and say how it went."""
        self._reports.flush()
        self._table.write()
        undelivered = self._ledger.undelivered
        for entry in undelivered:
            self._log.error(f"NOT delivered: {printable(entry.version.path)}: {entry.failure}")
        trouble = self._table.is_in_trouble or self._unrecorded > 0
        if not self._abandoned:
            problem = self._join_shards()
            if problem is not None:
                self._log.error(f"the completed tables can't be brought into one: {problem}; the next start tries")
                trouble = True
        self._close_session(trouble)
        if undelivered or trouble or self._abandoned:
            self._log.error(
                f"{len(undelivered)} files could not be delivered; they stay in {self._folder.in_progress}"
                if undelivered
                else "some tables could not be written: the next start may send again what they do not tell"
                if trouble
                else "left before all was delivered"
            )
            return EXIT_UNDELIVERED
        self._log.info("all that was recognised is on the topic and recorded")
        return EXIT_OK

    def _join_shards(self) -> OSError | None:
        try:
            return append_shards(self._folder, self._folder.shards())
        except OSError as problem:  # LOGS itself is gone
            return problem

    def _close_session(self, trouble: bool) -> None:
        if self._abandoned or trouble:
            return  # the next start looks at all that came since this one began
        try:
            if self._left_over:
                self._session.begin(self._watch.since_ns)
            else:
                self._session.end()
        except OSError as problem:
            self._log.error(f"the lock file can't be written: {problem}")
