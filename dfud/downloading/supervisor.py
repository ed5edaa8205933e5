"""The main process of a download: starts the fetchers and watches them, and knows signals and the console."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from dfud.core.names import shown
from dfud.downloading import fetcher
from dfud.downloading.counts import Counts, summary
from dfud.downloading.fetcher import FetchSettings
from dfud.downloading.gathering import Gathering, Order
from dfud.downloading.listing import Incomplete, list_incomplete, write_listing
from dfud.downloading.parts import PartsFolder
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, WorkerError
from dfud.messages import BrokerAway, CaughtUp, Fetched, Given, Holds, Leave, Message, Notice, Uncommitted
from dfud.processes.channel import Channel, PeerGone
from dfud.processes.console import CommandInput, Output
from dfud.processes.workers import Worker, Workers

_PROGRESS_EVERY = 2.0  # s
_DEATHS, _DEATHS_WITHIN = 5, 60.0  # more deaths of fetchers in so many seconds end the program
_PARTING = 60.0  # s for fetchers to put on disk what they have, and commit it
_NAMED = 20  # incomplete files that are named on the console


class DownloadRun(NamedTuple):
    """How a run goes on and ends."""

    once: bool
    update_seconds: float  # between "."; negative for none
    listing: str  # path of the table of what is incomplete


class Supervisor:
    """Responsible for one run, from the first fetcher's start to the last one's end."""

    def __init__(
        self,
        options: DownloadRun,
        settings: FetchSettings,
        folder: PartsFolder,
        workers: Workers,
        output: Output,
        commands: CommandInput,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._settings = settings
        self._folder = folder
        self._workers = workers
        self._output = output
        self._commands = commands
        self._log = log
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._registered: dict[int, int] = {}  # events asked for, by descriptor
        self._signals_in, self._signals_out = os.pipe()
        self._fetchers: list[Worker] = []
        self._gathering = Gathering()
        self._counts = Counts()
        self._caught_up: set[int] = set()
        self._uncommitted: dict[int, str] = {}  # reasons, by fetcher
        self._away: set[int] = set()
        self._leaving = False
        self._abandoned = False
        self._interrupted = False
        self._deaths: deque[float] = deque()
        self._next_dot = clock() + options.update_seconds
        self._next_progress = clock()
        self._told = Counts()

    # -- the run

    def run(self) -> int:
        """Download until told to end; return the exit status. WorkerError if fetchers die again and again."""
        self._catch_signals()
        self._start_fetchers()
        if self._commands.is_open:
            self._register(self._commands.fileno(), selectors.EVENT_READ, self._on_commands)
        try:
            while not self._leaving:
                self._turn()
            self._part()
        finally:
            self._kill_all()
        return self._finish()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._pause()):
            now_there = self._selector.get_map().get(key.fileobj)
            if now_there is not None and now_there.data is key.data:  # what came before may have closed it
                key.data()
        now = self._clock()
        if self._options.once and len(self._caught_up) == len(self._fetchers) and not self._gathering.is_busy:
            self._leaving = True
        if now >= self._next_progress:
            self._tell_progress(now)
        if self._options.update_seconds >= 0 and now >= self._next_dot:
            self._output.write_line(".")
            self._next_dot = now + self._options.update_seconds
            if self._commands.is_open:
                self._register(self._commands.fileno(), selectors.EVENT_READ, self._on_commands)
        self._ask_for_writing()

    def _pause(self) -> float | None:
        times = []
        if self._counts != self._told:
            times.append(self._next_progress)
        if self._options.update_seconds >= 0:
            times.append(self._next_dot)
        return max(0.0, min(times) - self._clock()) if times else None

    def _tell_progress(self, now: float) -> None:
        if self._counts != self._told:
            self._log.info(summary(self._counts))
            self._told = self._counts
            self._next_progress = now + _PROGRESS_EVERY

    # -- signals and commands

    def _catch_signals(self) -> None:
        os.set_blocking(self._signals_out, False)
        os.set_blocking(self._signals_in, False)
        signal.set_wakeup_fd(self._signals_out, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # left so by nohup
                signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._register(self._signals_in, selectors.EVENT_READ, self._on_signals)

    def _on_signals(self) -> None:
        for number in os.read(self._signals_in, 64):
            if number == signal.SIGINT and self._interrupted:
                self._log.warning("left at once: the next start reads again what was not committed")
                self._leaving = self._abandoned = True
            elif number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._interrupted = self._interrupted or number == signal.SIGINT
                self._quit(signal.Signals(number).name)

    def _on_commands(self) -> None:
        if self._commands.is_in_background:
            self._unregister(self._commands.fileno())  # looked at again with the next "."
            return
        for command in self._commands.read():
            if command == "quit":
                self._quit("quit")
            elif command == "check":
                self._check()
            else:
                self._output.write_line('type "check" or "c" to see what is in progress, "quit" or "q" to end')
        if not self._commands.is_open:
            self._unregister(self._commands.fileno())

    def _quit(self, why: str) -> None:
        if not self._leaving:
            self._log.info(f"{why}: ending when what was read is on disk")
            self._leaving = True

    def _check(self) -> None:
        self._output.write_line(summary(self._counts))
        self._list(self._output.write_line)

    # -- messages

    def _take(self, number: int, message: Message) -> None:
        if isinstance(message, Fetched):
            self._counts = self._counts.plus(Counts(*message.counts))
        elif isinstance(message, Holds):
            self._order(self._gathering.holds(number, message))
        elif isinstance(message, Given):
            self._order(self._gathering.given(number, message))
        elif isinstance(message, CaughtUp):
            self._caught_up.add(number)
        elif isinstance(message, Uncommitted):
            self._take_uncommitted(number, message.why)
        elif isinstance(message, BrokerAway):
            self._take_away(number, message.why)
        elif isinstance(message, Notice):
            self._log.log(message.level, message.text)

    def _order(self, orders: list[Order]) -> None:
        for number, order in orders:
            self._fetchers[number].channel.post([order])

    def _take_uncommitted(self, number: int, why: str) -> None:
        known = self._uncommitted.pop(number, "")
        if why:
            self._uncommitted[number] = why
            if why != known:
                self._log.error(f"offsets can't be committed: {why}; what was read is on disk or read again")
        elif not self._uncommitted:
            self._log.warning("offsets are committed again")

    def _take_away(self, number: int, why: str) -> None:
        before = bool(self._away)
        (self._away.add if why else self._away.discard)(number)
        if why and not before:
            self._log.warning(f"the broker is away ({why}): dfud waits for it, nothing is lost")
        elif before and not self._away:
            self._log.warning("the broker is back: downloading goes on")

    # -- fetchers

    def _start_fetchers(self) -> None:
        for number in range(self._settings.workers):
            worker = self._workers.start(f"fetcher-{number}", fetcher.run, (number, self._settings))
            self._fetchers.append(worker)
        for number, worker in enumerate(self._fetchers):
            self._watch(number, worker)

    def _watch(self, number: int, worker: Worker) -> None:
        channel = worker.channel
        self._register(channel.fileno(), selectors.EVENT_READ, lambda: self._on_channel(number, channel))
        self._register(worker.process.sentinel, selectors.EVENT_READ, lambda: self._on_death(number))

    def _on_channel(self, number: int, channel: Channel) -> None:
        channel.flush()
        try:
            for message in channel.receive(wait=False):
                self._take(number, message)
        except PeerGone:
            self._unregister(channel.fileno())  # the process's end is seen by itself

    def _on_death(self, number: int) -> None:
        """Start all fetchers anew: each finds what is on disk, and reads on from what was committed."""
        dead = self._fetchers[number]
        self._hear_out(number)
        cause = dead.cause_of_death()
        now = self._clock()
        self._deaths.append(now)
        while self._deaths[0] < now - _DEATHS_WITHIN:
            self._deaths.popleft()
        if len(self._deaths) > _DEATHS:
            raise WorkerError(
                f"{dead.name} {cause}, and fetchers have died {len(self._deaths)} times within "
                f"{_DEATHS_WITHIN:.0f} s: ending; the next start goes on from what is on disk"
            )
        self._log.warning(f"{dead.name} {cause}: others take over")
        for worker in self._fetchers:
            self._unregister(worker.process.sentinel)
            self._unregister(worker.channel.fileno())
        self._kill_all()
        for worker in self._fetchers:
            self._workers.let_go(worker.channel)
        self._fetchers.clear()
        self._caught_up.clear()
        self._uncommitted.clear()
        self._gathering = Gathering()
        self._folder.tidy()
        self._start_fetchers()

    def _hear_out(self, number: int) -> None:
        try:
            while batch := self._fetchers[number].channel.receive(wait=False):
                for message in batch:
                    self._take(number, message)
        except PeerGone:
            pass

    def _part(self) -> None:
        """Have the fetchers put on disk and commit what they have read, and end."""
        if self._abandoned:
            return
        self._uncommitted.clear()
        staying = set(range(len(self._fetchers)))
        for worker in self._fetchers:
            self._unregister(worker.process.sentinel)
            self._unregister(worker.channel.fileno())
            worker.channel.post([Leave()])
        deadline = self._clock() + _PARTING
        while staying and self._clock() < deadline and not self._abandoned:
            with selectors.DefaultSelector() as ends:
                ends.register(self._signals_in, selectors.EVENT_READ)
                for number in staying:
                    self._fetchers[number].channel.flush()
                    ends.register(self._fetchers[number].process.sentinel, selectors.EVENT_READ)
                    ends.register(self._fetchers[number].channel.fileno(), selectors.EVENT_READ, number)
                for key, _ in ends.select(1.0):
                    if key.fd == self._signals_in:
                        self._on_signals()
                    elif key.data is not None:
                        self._hear_out(key.data)
            for number in list(staying):
                process = self._fetchers[number].process
                if process.exitcode is not None:
                    self._hear_out(number)
                    staying.discard(number)
                    if process.exitcode:
                        self._uncommitted[number] = self._fetchers[number].cause_of_death()
        if staying:
            self._abandoned = True

    def _kill_all(self) -> None:
        for worker in self._fetchers:
            if worker.process.exitcode is None:
                worker.process.kill()
        for worker in self._fetchers:
            worker.process.join()

    # -- the end

    def _finish(self) -> int:
        """Tell what there was, and what is left aside."""
        if self._counts != self._told or not any(self._counts):
            self._log.info(summary(self._counts))
        if self._abandoned:
            return EXIT_UNDELIVERED
        self._folder.tidy()
        unplaced = self._list(self._log.warning)
        if self._uncommitted:
            self._log.error("not all that was read is committed: the next start reads it again")
        if unplaced:
            self._log.error(f"{unplaced} files are whole and not in their place; see {self._options.listing}")
        return EXIT_UNDELIVERED if unplaced or self._uncommitted else EXIT_OK

    def _list(self, tell: Callable[[str], None]) -> int:
        """Tell of the incomplete files and write their table; return how many are whole but not in their place."""
        number = unplaced = 0
        rows: list[Incomplete] = []
        for incomplete in list_incomplete(self._folder):
            number += 1
            unplaced += incomplete.is_whole
            rows.append(incomplete)
            if number <= _NAMED:
                tell(f"{shown(incomplete.path)} is kept aside: {incomplete.what}")
        if number > _NAMED:
            tell(f"{number - _NAMED} more files are kept aside: see {self._options.listing}")
        try:
            write_listing(self._options.listing, rows)
        except OSError as problem:
            self._log.error(f"{self._options.listing} can't be written: {problem}")
        return unplaced

    # -- the selector

    def _register(self, descriptor: int, events: int, call: Callable[[], None]) -> None:
        if descriptor not in self._registered:
            self._selector.register(descriptor, events, call)
            self._registered[descriptor] = events

    def _unregister(self, descriptor: int) -> None:
        if self._registered.pop(descriptor, 0):
            self._selector.unregister(descriptor)

    def _ask_for_writing(self) -> None:
        """Have the selector wake us where something waits to be written, and only there."""
        for worker in self._fetchers:
            descriptor = worker.channel.fileno()
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.backlog else 0)
            if self._registered.get(descriptor, wanted) != wanted:
                self._selector.modify(descriptor, wanted, self._selector.get_key(descriptor).data)
                self._registered[descriptor] = wanted
        descriptor = self._output.fileno()
        if not self._output.is_waiting:
            self._unregister(descriptor)
        else:
            self._register(descriptor, selectors.EVENT_WRITE, self._output.flush)
