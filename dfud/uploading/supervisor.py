"""The main process: starts the others and watches them, and decides what is done about everything that happens.

It holds no file data and no Kafka handle, and waits for nothing but its hub.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from dfud.core.names import shown
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, WorkerError
from dfud.logs.completed.consolidation import append_shards
from dfud.logs.completed.index import CompletedIndex
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
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
    Message,
    Notice,
    RowsRecorded,
    Sweep,
    SweepDone,
    WatchStarted,
)
from dfud.processes.event_loop import EventLoop, RunContext, UserCommands
from dfud.processes.workers import Worker, Workers
from dfud.uploading.entry import Entry
from dfud.uploading.in_progress_writer import InProgressWriter
from dfud.uploading.lanes import Lane, start_watcher
from dfud.uploading.ledger import Ledger
from dfud.uploading.reports import Reports, summary
from dfud.watch.watcher import WatchOptions

# On their way at once; what else is ready waits in the directory. In each lane 1,000 may be done and wait for a
# shard to be full.
_OPEN_FILES, _OPEN_FILES_A_LANE = 2_000, 1_500
_ALLOWANCE_STEP = 1_000


class UploadSupervisor:
    """Responsible for one run, from the first worker's start to the last one's end."""

    def __init__(
        self,
        once: bool,
        watch: WatchOptions,
        folder: LogsFolder,
        lock: DirectoryLock,
        workers: Workers,
        watcher: Worker,
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
        self._lock = lock
        self._workers = workers
        self._watcher = watcher
        self._lanes = lanes
        self._ledger = ledger
        self._index = index
        self._output = surroundings.output
        self._log = log
        self._clock = clock
        self._hub = EventLoop(surroundings, UserCommands(self._quit, self._abandon, self._check), clock)
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

    # -- the run

    def run(self) -> int:
        """Upload until told to end, or until workers die again and again; return the exit status."""
        for worker in self._all_workers():
            self._hub.watch(worker, self._take, self._on_death)
        if self._once:
            self._drain()
        self._allow()
        try:
            while not self._is_over():
                self._turn()
            if not self._abandoned:
                self._hub.part(self._all_workers(), self._take)
        except WorkerError as error:
            self._log.error(str(error))
            self._ledger.give_up("the program ended early")
            self._abandoned = True
        finally:
            self._workers.kill_all()
        return self._finish()

    def _all_workers(self) -> list[Worker]:
        return [self._watcher, *(worker for lane in self._lanes for worker in lane.workers)]

    def _is_over(self) -> bool:
        return self._abandoned or (self._draining and self._swept and not self._ledger.open_files)

    def _turn(self) -> None:
        busy = self._ledger.open_files > 0
        self._hub.run_once((self._ledger.next_resumption, self._reports.due(busy), self._table.due))
        now = self._clock()
        self._ledger.resume_paused(now)
        if self._draining and self._swept:
            for entry in self._ledger.stop_pausing():
                self._tell_failure(entry)
        self._dispatch()
        self._allow()
        self._table.keep(now)
        self._reports.tick(now, self._ledger.open_files > 0)

    # -- what the user wishes

    def _check(self) -> None:
        self._output.write_line(summary(self._ledger.count()))

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

    def _take(self, message: Message) -> None:
        now = self._clock()
        ledger = self._ledger
        if isinstance(message, FileFound):
            self._found(message, now)
        elif isinstance(message, FilesCompleted):
            self._completed(message, now)
        elif isinstance(message, FilesRead):
            for token in message.tokens:
                ledger.was_read(token)
        elif isinstance(message, ChunksAcked):
            self._acked(message)
        elif isinstance(message, FileChanged):
            entry = ledger.has_changed(message.token, message.version, message.being_written, now)
            self._log.debug(f"{shown(message.version.path)} has changed while it was read: it is sent again")
            if entry is not None:
                self._reports.enqueued(entry, now)
        elif isinstance(message, FileUnchanged):
            ledger.was_unchanged(message.token)
        elif isinstance(message, FileUnreadable):
            self._unreadable(message, now)
        elif isinstance(message, FileUndelivered):
            self._tell_failure(ledger.is_undelivered(message.token, message.why))
        elif isinstance(message, DeliveryGivenUp):
            for entry in ledger.give_up(message.why):
                self._tell_failure(entry)
        elif isinstance(message, BrokerOutage):
            self._broker_away(message)
        elif isinstance(message, RowsRecorded):
            self._unrecorded -= message.rows
        elif isinstance(message, SweepDone):
            self._swept = True
            self._left_over = self._left_over or not message.is_whole
        elif isinstance(message, DirectoryGone):
            self._log.error(f"{message.why}: dfud delivers what it can, and ends")
            self._quit("nothing more can be found")
        elif isinstance(message, WatchStarted):
            self._tell_uploading()
        elif isinstance(message, FolderMovedIn):
            self._note_moved_in(message)
        elif isinstance(message, Notice):
            self._log.log(message.level, message.text)

    def _tell_uploading(self) -> None:
        if not self._told_uploading:
            self._told_uploading = True
            self._log.info(f"uploading {self._folder.directory} to topic {self._folder.topic}")

    def _note_moved_in(self, message: FolderMovedIn) -> None:
        try:
            self._lock.add_moved_in(message.path)
        except OSError as problem:
            self._log.error(f"the lock file can't be written: {problem}; uploading goes on")

    def _found(self, message: FileFound, now: float) -> None:
        self._allowed -= 1
        if self._swept:
            self._left_over = True
            return
        entry = self._ledger.find(message.version, message.by_event)
        if entry is not None and not entry.known_digest:
            self._reports.enqueued(entry, now)

    def _completed(self, message: FilesCompleted, now: float) -> None:
        if not message.recorded:
            self._unrecorded += len(message.files)
        for token, xxh3_128 in message.files:
            entry = self._ledger.entry(token)
            if entry is None:
                continue
            self._index.add(entry.identity, bytes.fromhex(xxh3_128))
            self._ledger.is_complete(token)
            chunks = entry.n_chunks - len(entry.acked)
            self._reports.acked(chunks, min(chunks * entry.chunk_size, entry.version.size))
            self._reports.done(entry, now)

    def _acked(self, message: ChunksAcked) -> None:
        self._ledger.was_acked(message.token, message.chunks)
        entry = self._ledger.entry(message.token)
        if entry is not None:
            chunks = sum(last - first + 1 for first, last in message.chunks)
            self._reports.acked(chunks, chunks * entry.chunk_size)

    def _unreadable(self, message: FileUnreadable, now: float) -> None:
        entry = self._ledger.is_unreadable(message.token, message.gone, message.why, now)
        if entry is None:
            return
        if message.gone and not entry.failure:
            self._log.info(f"{shown(entry.version.path)} was gone before it could be read")
        elif message.gone:
            self._tell_failure(entry)
        else:
            self._log.warning(f"{shown(entry.version.path)} can't be read: {message.why}; it is tried again")

    def _broker_away(self, message: BrokerOutage) -> None:
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
            self._log.error(f"{shown(entry.version.path)} is not delivered: {entry.failure}")

    # -- what goes out

    def _dispatch(self) -> None:
        batches: list[list[Message]] = [[] for _ in self._lanes]
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

    def _on_death(self, worker: Worker) -> None:
        """Take what a dead worker has told last, and start another in its place."""
        self._hub.let_go(worker, self._take)
        cause = self._hub.count_death(worker)
        self._log.warning(f"{worker.name} {cause}: another one takes over")
        if worker is self._watcher:
            self._replace_watcher()
            return
        lane = next(lane for lane in self._lanes if worker in lane.workers)
        if worker is lane.chunker:
            lane.replace_chunker()
            self._hub.watch(lane.chunker, self._take, self._on_death)
            again = self._ledger.lane_died(lane.number, producer=False)
        else:
            self._hub.let_go(lane.chunker, self._take)
            lane.replace_both(self._next_shard())
            for each in lane.workers:
                self._hub.watch(each, self._take, self._on_death)
            again = self._ledger.lane_died(lane.number, producer=True)
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
        self._workers.let_go(self._watcher.channel)
        self._watch = self._watch._replace(moved_in=self._lock.moved_in)
        self._watcher = start_watcher(self._workers, self._watch)
        self._hub.watch(self._watcher, self._take, self._on_death)
        self._allowed = 0
        if self._draining and not self._swept:
            self._watcher.channel.post([Sweep(1)])

    def _finish(self) -> int:
        """Leave LOGS as the next start wants it, and say how it went."""
        self._reports.flush()
        self._table.write()
        undelivered = self._ledger.undelivered
        for entry in undelivered:
            self._log.error(f"NOT delivered: {shown(entry.version.path)}: {entry.failure}")
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
                self._lock.begin(self._watch.since_ns)
            else:
                self._lock.end()
        except OSError as problem:
            self._log.error(f"the lock file can't be written: {problem}")
