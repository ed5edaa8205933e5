"""What a main process waits for: its workers, signals, commands, the console's reader and the clock."""

from __future__ import annotations

import contextlib
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from dfud.errors import WorkerError
from dfud.messages import Stop
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.links import Up
from dfud.processes.signals import SignalPipe
from dfud.processes.workers import Worker

_MAX_DEATHS, _DEATH_WINDOW_S = 5, 60.0  # more deaths of workers in so many seconds end the program
_MAX_PAUSE_S = 86_400.0  # s; what the kernel takes for a time ends somewhere
_TERMINAL_CHECK_INTERVAL_S = 1.0  # s
_STOP_TIMEOUT_S = 15.0  # s for workers to end by themselves


class RunContext(NamedTuple):
    """Where a main process hears its user, and is heard."""

    signals: SignalPipe
    output: ConsoleOutput
    commands: CommandInput
    update_seconds: float  # between "."; negative for none


class UserCommands(NamedTuple):
    """What the user may ask for."""

    quit: Callable[[str], None]  # to end in an orderly way, and by what it was asked
    abandon: Callable[[], None]  # to leave at once: a second SIGINT
    check: Callable[[], None]


class EventLoop:
    """Responsible for waiting, and for calling whoever has something to do; it decides nothing."""

    def __init__(
        self, surroundings: RunContext, wishes: UserCommands, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._signals, self._output, self._commands, self._update_seconds = surroundings
        self._wishes = wishes
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._registered: dict[int, int] = {}  # events asked for, by descriptor
        self._channels: dict[int, Channel[Any, Any]] = {}  # of the watched workers, by descriptor
        self._handlers: dict[Worker[Any, Any], Callable[[Any], None]] = {}  # of their messages
        self._interrupted = False  # once: a second time leaves at once
        self._deaths: deque[float] = deque()
        self._next_dot = clock() + self._update_seconds
        self._next_look_at_terminal: float | None = None  # while we are in its background
        self._register(self._signals.fileno(), selectors.EVENT_READ, self._on_signals)
        if self._commands.is_open:
            self._register(self._commands.fileno(), selectors.EVENT_READ, self._on_commands)

    # -- waiting

    def run_once(self, due: Iterable[float | None]) -> None:
        """Wait for something, at most until the first of the times `due` (s, monotonic), and have it done."""
        self._ask_for_writing()
        for key, _ in self._selector.select(self._pause(due)):
            # What was called before may have taken a dead worker's channel away, and its number may be another's.
            now_there = self._selector.get_map().get(key.fd)
            if now_there is not None and now_there.data is key.data:
                key.data()
        now = self._clock()
        if self._update_seconds >= 0 and self._next_dot <= now:
            self._output.write_line(".")
            self._next_dot = now + self._update_seconds
        if self._next_look_at_terminal is not None and self._next_look_at_terminal <= now:
            # The shell may have given us the terminal back; it does not say so.
            self._next_look_at_terminal = None
            self._register(self._commands.fileno(), selectors.EVENT_READ, self._on_commands)

    def _pause(self, due: Iterable[float | None]) -> float | None:
        times = [time for time in (*due, self._next_look_at_terminal) if time is not None]
        if self._update_seconds >= 0:
            times.append(self._next_dot)
        return min(max(0.0, min(times) - self._clock()), _MAX_PAUSE_S) if times else None

    def _ask_for_writing(self) -> None:
        """Have the selector wake us where something waits to be written, and only there."""
        for descriptor, channel in self._channels.items():
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.backlog else 0)
            if self._registered.get(descriptor, wanted) != wanted:
                self._selector.modify(descriptor, wanted, self._selector.get_key(descriptor).data)
                self._registered[descriptor] = wanted
        descriptor = self._output.fileno()
        if not self._output.has_pending:
            self._unregister(descriptor)
        elif descriptor not in self._registered:
            self._register(descriptor, selectors.EVENT_WRITE, self._output.flush)

    def _register(self, descriptor: int, events: int, call: Callable[[], None]) -> None:
        self._selector.register(descriptor, events, call)
        self._registered[descriptor] = events

    def _unregister(self, descriptor: int) -> None:
        if self._registered.pop(descriptor, 0):
            self._selector.unregister(descriptor)

    # -- the user

    def _on_signals(self) -> None:
        for number in self._signals.read():
            if number == signal.SIGINT and self._interrupted:
                self._wishes.abandon()
            else:
                self._interrupted = self._interrupted or number == signal.SIGINT
                self._wishes.quit(number.name)

    def _on_commands(self) -> None:
        if self._commands.is_in_background:
            self._unregister(self._commands.fileno())
            self._next_look_at_terminal = self._clock() + _TERMINAL_CHECK_INTERVAL_S
            return
        for command in self._commands.read():
            if command == "quit":
                self._wishes.quit("quit")
            elif command == "check":
                self._wishes.check()
            else:
                self._output.write_line('type "check" or "c" to see what is in progress, "quit" or "q" to end')
        if not self._commands.is_open:
            self._unregister(self._commands.fileno())

    # -- workers

    def watch(
        self, worker: Worker[Any, Up], handle: Callable[[Up], None], on_death: Callable[[Worker[Any, Up]], None]
    ) -> None:
        """Call `handle` with each message of `worker`, and `on_death` when its process has ended."""
        channel = worker.channel
        self._handlers[worker] = handle
        self._channels[channel.fileno()] = channel
        self._register(channel.fileno(), selectors.EVENT_READ, lambda: self._on_channel(worker))
        self._register(worker.process.sentinel, selectors.EVENT_READ, lambda: on_death(worker))

    def unwatch(self, worker: Worker[Any, Any]) -> None:
        """Stop watching `worker`, which has ended or is about to; its last messages are still handled."""
        self._unregister(worker.process.sentinel)
        self._unregister(worker.channel.fileno())
        self._channels.pop(worker.channel.fileno(), None)
        self._drain(worker)
        del self._handlers[worker]

    def count_death(self, worker: Worker[Any, Any]) -> str:
        """Return what ended `worker`; WorkerError if too many workers have died recently."""
        cause = worker.cause_of_death()
        now = self._clock()
        self._deaths.append(now)
        while self._deaths[0] < now - _DEATH_WINDOW_S:
            self._deaths.popleft()
        if len(self._deaths) > _MAX_DEATHS:
            raise WorkerError(
                f"{worker.name} {cause}, and {len(self._deaths)} workers have died within "
                f"{_DEATH_WINDOW_S:.0f} s: ending; the next run continues from here"
            )
        return cause

    def stop_workers(self, workers: Iterable[Worker[Any, Any]], timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Ask `workers` to exit, and handle their last messages; some may still be running after `timeout_s`."""
        running = set(workers)
        for worker in running:
            self._unregister(worker.process.sentinel)
            worker.channel.post([Stop()])
        deadline = self._clock() + timeout_s
        while running and self._clock() < deadline:
            for worker in list(running):
                if worker.process.exitcode is not None:
                    self.unwatch(worker)
                    running.discard(worker)
            if running:
                with selectors.DefaultSelector() as ends:
                    for worker in running:
                        worker.channel.flush()
                        ends.register(worker.process.sentinel, selectors.EVENT_READ)
                        ends.register(worker.channel.fileno(), selectors.EVENT_READ, worker)
                    for key, _ in ends.select(1.0):
                        if key.data is not None:
                            self._drain(key.data)

    def _on_channel(self, worker: Worker[Any, Any]) -> None:
        channel, handle = worker.channel, self._handlers[worker]
        channel.flush()
        try:
            for message in channel.receive(wait=False):
                handle(message)
        except PeerGoneError:
            self._unregister(channel.fileno())  # the end of the process is an event of its own

    def _drain(self, worker: Worker[Any, Any]) -> None:
        """Handle what has arrived from `worker` and was not read yet."""
        handle = self._handlers[worker]
        with contextlib.suppress(PeerGoneError):
            while batch := worker.channel.receive(wait=False):
                for message in batch:
                    handle(message)
