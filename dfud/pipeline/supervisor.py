"""The main process: starts the others and watches them, and decides what is done about everything that happens.

It holds no file data and no Kafka handle, never waits for anything but its selector, and is the one place that
knows signals.
"""

from __future__ import annotations

import logging
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from dfud.core.entry import Entry
from dfud.core.ledger import Ledger
from dfud.core.names import shown
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, WorkerError
from dfud.logs.consolidate import append_shards
from dfud.logs.index import CompletedIndex
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import UploadLock
from dfud.logs.unfinished import write_unfinished
from dfud.messages import (
    Allowance,
    BrokerAway,
    Closing,
    Completed,
    FileChanged,
    FilesRead,
    FileUnchanged,
    FileUnreadable,
    Found,
    GivenUp,
    Leave,
    Message,
    Notice,
    Progress,
    Recorded,
    Sweep,
    Swept,
    Undelivered,
)
from dfud.pipeline.channel import Channel, PeerGone
from dfud.pipeline.console import CommandInput, Output
from dfud.pipeline.lanes import Lane, Worker, Workers, start_watcher
from dfud.pipeline.reports import Reports, summary
from dfud.pipeline.signals import Signals
from dfud.watch.watcher import WatchOptions

# On their way at once; what else is ready waits in the directory. In each lane 1,000 may be done and wait for a
# shard to be full.
_OPEN_FILES, _OPEN_FILES_A_LANE = 2_000, 1_500
_ALLOWANCE_STEP = 1_000
_TABLE_EVERY = 2.0  # s between writings of the in-progress table, at the least
_TABLE_SHARE = 25  # and so many times what a writing takes: 4 % of a core
_TABLE_AT_MOST = 3.0  # s
_DEATHS, _DEATHS_WITHIN = 5, 60.0  # more deaths of workers in so many seconds end the program
_LONGEST_PAUSE = 86_400.0  # s; what the kernel takes for a time ends somewhere
_LOOK_AT_TERMINAL_EVERY = 1.0  # s
_PARTING = 15.0  # s for workers to end by themselves


class RunOptions(NamedTuple):
    """How a run goes on and ends."""

    once: bool
    update_seconds: float  # between "."; negative for none


class Supervisor:
    """Responsible for one run, from the first worker's start to the last one's end."""

    def __init__(
        self,
        options: RunOptions,
        watch: WatchOptions,
        folder: LogsFolder,
        lock: UploadLock,
        workers: Workers,
        watcher: Worker,
        lanes: list[Lane],
        ledger: Ledger,
        index: CompletedIndex,
        signals: Signals,
        output: Output,
        commands: CommandInput,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._watch = watch
        self._folder = folder
        self._lock = lock
        self._workers = workers
        self._watcher = watcher
        self._lanes = lanes
        self._ledger = ledger
        self._index = index
        self._signals = signals
        self._output = output
        self._commands = commands
        self._log = log
        self._clock = clock
        self._reports = Reports(log)
        self._selector = selectors.DefaultSelector()
        self._registered: dict[int, int] = {}  # events asked for, by descriptor
        self._most_open = _OPEN_FILES + _OPEN_FILES_A_LANE * len(lanes)
        self._allowed = 0  # files that the watcher may still report
        self._draining = False
        self._swept = False
        self._left_over = False  # files came after the last sweep, or lie where it could not look
        self._abandoned = False
        self._interrupted = False  # once: a second time leaves at once
        self._away = False
        self._unrecorded = 0  # rows of the completed table that are not on disk
        self._table_trouble = False
        self._next_table = 0.0
        self._next_dot = clock() + options.update_seconds
        self._next_look_at_terminal: float | None = None  # while we are in its background
        self._deaths: deque[float] = deque()

    # -- the run

    def run(self) -> int:
        """Upload until told to end, or until workers die again and again; return the exit status."""
        self._register(self._signals.fileno(), selectors.EVENT_READ, self._on_signals)
        self._watch_worker(self._watcher)
        for lane in self._lanes:
            for worker in lane.workers:
                self._watch_worker(worker)
        if self._commands.is_open:
            self._register(self._commands.fileno(), selectors.EVENT_READ, self._on_commands)
        if self._options.once:
            self._drain()
        self._allow()
        try:
            while not self._is_over():
                self._turn()
            self._part()
        except WorkerError as error:
            self._log.error(str(error))
            self._ledger.give_up("the program ended early")
            self._abandoned = True
        finally:
            self._workers.kill_all()
        return self._finish()

    def _is_over(self) -> bool:
        return self._abandoned or (self._draining and self._swept and not self._ledger.open_files)

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._pause()):
            # What was called before may have taken a dead worker's channel away, and its number may be another's.
            now_there = self._selector.get_map().get(key.fd)
            if now_there is not None and now_there.data is key.data:
                key.data()
        now = self._clock()
        self._ledger.resume_paused(now)
        if self._draining and self._swept:
            for entry in self._ledger.stop_pausing():
                self._tell_failure(entry)
        self._dispatch()
        self._allow()
        if self._ledger.changed and now >= self._next_table:
            self._write_table()
        self._reports.tick(now, self._ledger.open_files > 0)
        self._dot(now)
        self._look_at_terminal(now)
        self._ask_for_writing()

    def _pause(self) -> float | None:
        busy = self._ledger.open_files > 0
        due = [self._ledger.next_resumption, self._reports.due(busy), self._next_look_at_terminal]
        if self._ledger.changed:
            due.append(self._next_table)
        if self._options.update_seconds >= 0:
            due.append(self._next_dot)
        times = [time for time in due if time is not None]
        return min(max(0.0, min(times) - self._clock()), _LONGEST_PAUSE) if times else None

    # -- signals and commands

    def _on_signals(self) -> None:
        for number in self._signals.read():
            if number == signal.SIGINT and self._interrupted:
                self._log.warning("left at once: the next start sends what is missing")
                self._abandoned = True
            else:
                self._interrupted = self._interrupted or number == signal.SIGINT
                self._quit(number.name)

    def _on_commands(self) -> None:
        if self._commands.is_in_background:
            self._unregister(self._commands.fileno())
            self._next_look_at_terminal = self._clock() + _LOOK_AT_TERMINAL_EVERY
            return
        for command in self._commands.read():
            if command == "quit":
                self._quit("quit")
            elif command == "check":
                self._output.write_line(summary(self._ledger.count()))
            else:
                self._output.write_line('type "check" or "c" to see what is in progress, "quit" or "q" to end')
        if not self._commands.is_open:
            self._unregister(self._commands.fileno())

    def _quit(self, why: str) -> None:
        if not self._draining:
            self._log.info(f"{why}: ending when all that is enqueued is delivered")
            self._drain()

    def _drain(self) -> None:
        self._draining = True
        self._watcher.channel.post([Sweep(1)])
        for lane in self._lanes:
            lane.producer.channel.post([Closing()])

    # -- messages

    def _watch_worker(self, worker: Worker) -> None:
        self._register(worker.channel.fileno(), selectors.EVENT_READ, lambda: self._on_channel(worker.channel))
        self._register(worker.process.sentinel, selectors.EVENT_READ, lambda: self._on_death(worker))

    def _on_channel(self, channel: Channel) -> None:
        channel.flush()
        try:
            for message in channel.receive(wait=False):
                self._take(message)
        except PeerGone:
            self._unregister(channel.fileno())  # the process's end is seen by itself

    def _take(self, message: Message) -> None:
        now = self._clock()
        ledger = self._ledger
        if isinstance(message, Found):
            self._found(message, now)
        elif isinstance(message, Completed):
            self._completed(message, now)
        elif isinstance(message, FilesRead):
            for token in message.tokens:
                ledger.was_read(token)
        elif isinstance(message, Progress):
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
        elif isinstance(message, Undelivered):
            self._tell_failure(ledger.is_undelivered(message.token, message.why))
        elif isinstance(message, GivenUp):
            for entry in ledger.give_up(message.why):
                self._tell_failure(entry)
        elif isinstance(message, BrokerAway):
            self._broker_away(message.why)
        elif isinstance(message, Recorded):
            self._unrecorded -= message.rows
        elif isinstance(message, Swept):
            self._swept = True
            self._left_over = self._left_over or not message.is_whole
        elif isinstance(message, Notice):
            self._log.log(message.level, message.text)

    def _found(self, message: Found, now: float) -> None:
        self._allowed -= 1
        if self._swept:
            self._left_over = True
            return
        entry = self._ledger.find(message.version, message.by_event)
        if entry is not None and not entry.known_digest:
            self._reports.enqueued(entry, now)

    def _completed(self, message: Completed, now: float) -> None:
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

    def _acked(self, message: Progress) -> None:
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

    def _broker_away(self, why: str) -> None:
        if bool(why) == self._away:
            return
        self._away = bool(why)
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

    def _write_table(self) -> None:
        began = self._clock()
        self._ledger.changed = False
        try:
            write_unfinished(self._folder, self._ledger.rows())
        except OSError as problem:
            self._ledger.changed = True
            if not self._table_trouble:
                self._table_trouble = True
                self._log.error(f"the in-progress table can't be written: {problem}; it is tried again")
        else:
            if self._table_trouble:
                self._table_trouble = False
                self._log.warning("the in-progress table is written again")
        now = self._clock()
        self._next_table = now + min(max(_TABLE_EVERY, _TABLE_SHARE * (now - began)), _TABLE_AT_MOST)

    def _dot(self, now: float) -> None:
        if self._options.update_seconds < 0 or now < self._next_dot:
            return
        self._output.write_line(".")
        self._next_dot = now + self._options.update_seconds

    def _look_at_terminal(self, now: float) -> None:
        """Take commands again where the shell has given us the terminal back; it does not say so."""
        if self._next_look_at_terminal is not None and now >= self._next_look_at_terminal:
            self._next_look_at_terminal = None
            self._register(self._commands.fileno(), selectors.EVENT_READ, self._on_commands)

    # -- the selector

    def _register(self, descriptor: int, events: int, call: Callable[[], None]) -> None:
        self._selector.register(descriptor, events, call)
        self._registered[descriptor] = events

    def _unregister(self, descriptor: int) -> None:
        if self._registered.pop(descriptor, 0):
            self._selector.unregister(descriptor)

    def _ask_for_writing(self) -> None:
        """Have the selector wake us where something waits to be written, and only there."""
        for worker in self._all_workers():
            descriptor = worker.channel.fileno()
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.backlog else 0)
            if self._registered.get(descriptor, wanted) != wanted:
                self._selector.modify(descriptor, wanted, self._selector.get_key(descriptor).data)
                self._registered[descriptor] = wanted
        descriptor = self._output.fileno()
        if not self._output.is_waiting:
            self._unregister(descriptor)
        elif descriptor not in self._registered:
            self._register(descriptor, selectors.EVENT_WRITE, self._output.flush)

    # -- deaths and the end

    def _all_workers(self) -> list[Worker]:
        return [self._watcher, *(worker for lane in self._lanes for worker in lane.workers)]

    def _on_death(self, worker: Worker) -> None:
        """Take what a dead worker has told last, and start another in its place."""
        self._unregister(worker.process.sentinel)
        self._unregister(worker.channel.fileno())
        self._hear_out(worker)
        cause = worker.cause_of_death()
        now = self._clock()
        self._deaths.append(now)
        while self._deaths[0] < now - _DEATHS_WITHIN:
            self._deaths.popleft()
        if len(self._deaths) > _DEATHS:
            raise WorkerError(
                f"{worker.name} {cause}, and {len(self._deaths)} workers have died within {_DEATHS_WITHIN:.0f} s: "
                "ending; the next start sends what is not delivered"
            )
        self._log.warning(f"{worker.name} {cause}: another one takes over")
        if worker is self._watcher:
            self._replace_watcher()
            return
        lane = next(lane for lane in self._lanes if worker in lane.workers)
        if worker is lane.chunker:
            lane.replace_chunker()
            self._watch_worker(lane.chunker)
            again = self._ledger.lane_died(lane.number, producer=False)
        else:
            self._unregister(lane.chunker.process.sentinel)
            self._unregister(lane.chunker.channel.fileno())
            self._hear_out(lane.chunker)
            lane.replace_both(self._folder.next_sequence())
            for each in lane.workers:
                self._watch_worker(each)
            again = self._ledger.lane_died(lane.number, producer=True)
            if self._draining:
                lane.producer.channel.post([Closing()])
        self._log.debug(f"{again} files are begun again")

    def _hear_out(self, worker: Worker) -> None:
        try:
            while batch := worker.channel.receive(wait=False):
                for message in batch:
                    self._take(message)
        except PeerGone:
            pass

    def _replace_watcher(self) -> None:
        """Start another watcher; what happened meanwhile it finds by its first scan."""
        self._workers.let_go(self._watcher.channel)
        self._watcher = start_watcher(self._workers, self._watch)
        self._watch_worker(self._watcher)
        self._allowed = 0
        if self._draining and not self._swept:
            self._watcher.channel.post([Sweep(1)])

    def _part(self) -> None:
        """Have the workers end by themselves, and hear what they have to say."""
        if self._abandoned:
            return
        staying = set(self._all_workers())
        for worker in staying:
            self._unregister(worker.process.sentinel)
            worker.channel.post([Leave()])
        deadline = self._clock() + _PARTING
        while staying and self._clock() < deadline:
            for worker in list(staying):
                if worker.process.exitcode is not None:
                    self._hear_out(worker)
                    self._unregister(worker.channel.fileno())
                    staying.discard(worker)
            if staying:
                with selectors.DefaultSelector() as ends:
                    for worker in staying:
                        worker.channel.flush()
                        ends.register(worker.process.sentinel, selectors.EVENT_READ)
                        ends.register(worker.channel.fileno(), selectors.EVENT_READ, worker)
                    for key, _ in ends.select(1.0):
                        if key.data is not None:
                            self._hear_out(key.data)

    def _finish(self) -> int:
        """Leave LOGS as the next start wants it, and say how it went."""
        self._reports.flush()
        self._write_table()
        undelivered = self._ledger.undelivered
        for entry in undelivered:
            self._log.error(f"NOT delivered: {shown(entry.version.path)}: {entry.failure}")
        trouble = self._table_trouble or self._unrecorded > 0
        if not self._abandoned:
            problem = append_shards(self._folder, self._folder.shards())
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
