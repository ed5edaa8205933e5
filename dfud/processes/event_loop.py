"""Waits for everything that a supervisor reacts to: workers, signals, commands, the console and the clock.

By hand, because a supervisor forks workers in the middle of a run, which asyncio does not support, and handles a
dead worker's last messages before it replaces it; `selectors` and the next deadline are all that it needs.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from dfud.display.activity import Describe
from dfud.errors import WorkerError
from dfud.logs.log_lines import TEXT
from dfud.logs.logfile import LogOptions
from dfud.messages import Stop
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.console import HINT, CommandInput, ConsoleOutput
from dfud.processes.links import Up
from dfud.processes.signals import SignalPipe
from dfud.processes.workers import Worker

_MAX_DEATHS, _DEATH_WINDOW_S = 5, 60.0  # more deaths of workers within this time end the program
_MAX_PAUSE_S = 86_400.0  # epoll_wait(2) overflows at about 24 days
_TERMINAL_CHECK_INTERVAL_S = 1.0
_STOP_TIMEOUT_S = 15.0  # for workers to exit on their own
_STOP_CHECK_INTERVAL_S = 0.5


class RunContext(NamedTuple):
    """What connects a supervisor to its user."""

    signals: SignalPipe
    output: ConsoleOutput
    commands: CommandInput
    update_seconds: float  # between "."; negative for none

    def show_hint(self, level: int) -> None:
        """Say which commands there are, to a user who can type them now and sees lines of `level` INFO."""
        is_typing = self.commands.is_terminal and not self.commands.is_in_background
        if level <= logging.INFO and self.output.is_terminal and is_typing:
            self.output.write_line(HINT)

    def show_live(self, log: LogOptions, describe: Describe) -> None:
        """Show at a terminal what goes on, to a user who wants lines of level INFO, and wants them to read."""
        if log.stream_level <= logging.INFO and log.format == TEXT and self.output.show_live(describe):
            self.signals.watch_terminal(self.output.on_continued)


class UserCommands(NamedTuple):
    """What is called when the user asks for something."""

    quit: Callable[[str], None]  # finish in an orderly way; gets what asked for it: "quit" or a signal's name
    abandon: Callable[[], None]  # stop immediately: a second SIGINT
    check: Callable[[], None]  # show what is in progress


def second_interrupt(request: str) -> str:
    """Return what a user who has pressed Ctrl-C may want to know; "" for other requests to end."""
    return "; a second Ctrl-C stops immediately" if request == signal.SIGINT.name else ""


class EventLoop:
    """Responsible for waiting, and for calling the handler of what happens; it decides nothing."""

    def __init__(
        self, context: RunContext, user_commands: UserCommands, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start to listen to the signals and the commands of `context`."""
        self._signals, self._output, self._commands, self._update_seconds = context
        self._user_commands = user_commands
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._registered: dict[int, int] = {}  # events waited for, by descriptor
        self._channels: dict[int, Channel[Any, Any]] = {}  # of the watched workers, by descriptor
        self._handlers: dict[Worker[Any, Any], Callable[[Any], None]] = {}  # of their messages
        self._interrupted = False  # a SIGINT has arrived; the next one abandons the run
        self._deaths: deque[float] = deque()  # times of recent ones
        self._next_dot = clock() + self._update_seconds
        self._next_terminal_check: float | None = None  # while we are in the terminal's background
        self._register(self._signals.fileno(), selectors.EVENT_READ, self._on_signals)
        if self._commands.is_open:
            self._register(self._commands.fileno(), selectors.EVENT_READ, self._on_commands)

    # -- waiting

    def run_once(self, due: Iterable[float | None]) -> None:
        """Wait until something happens, or the first of the times `due` (monotonic, s), and call the handlers."""
        self._update_write_interest()
        events = self._selector.select(self._timeout(due))
        if events:
            self._output.wake()
        for key, _ in events:
            # An earlier handler may have closed a dead worker's channel, and the descriptor may be in use again.
            registered = self._selector.get_map().get(key.fd)
            if registered is not None and registered.data is key.data:
                key.data()
        now = self._clock()
        if self._update_seconds >= 0 and self._next_dot <= now:
            self._output.write_line(".")
            self._next_dot = now + self._update_seconds
        if self._next_terminal_check is not None and self._next_terminal_check <= now:
            # The shell may have moved us to the foreground again, which no event reports.
            self._next_terminal_check = None
            self._register(self._commands.fileno(), selectors.EVENT_READ, self._on_commands)
        self._output.turn(now)

    def _timeout(self, due: Iterable[float | None]) -> float | None:
        times = [time for time in (*due, self._next_terminal_check, self._output.due) if time is not None]
        if self._update_seconds >= 0:
            times.append(self._next_dot)
        return min(max(0.0, min(times) - self._clock()), _MAX_PAUSE_S) if times else None

    def _update_write_interest(self) -> None:
        """Wait for writability where something waits to be written, and only there."""
        for descriptor, channel in self._channels.items():
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.backlog else 0)
            if self._registered.get(descriptor, events) != events:
                self._selector.modify(descriptor, events, self._selector.get_key(descriptor).data)
                self._registered[descriptor] = events
        descriptor = self._output.fileno()
        if not self._output.has_pending:
            self._unregister(descriptor)
        elif descriptor not in self._registered:
            self._register(descriptor, selectors.EVENT_WRITE, self._output.flush)

    def _register(self, descriptor: int, events: int, handler: Callable[[], None]) -> None:
        self._selector.register(descriptor, events, handler)
        self._registered[descriptor] = events

    def _unregister(self, descriptor: int) -> None:
        if self._registered.pop(descriptor, 0):
            self._selector.unregister(descriptor)

    def add_reader(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call `handler` whenever `descriptor` is readable."""
        self._register(descriptor, selectors.EVENT_READ, handler)

    # -- the user

    def _on_signals(self) -> None:
        for number in self._signals.read():
            if number == signal.SIGINT and self._interrupted:
                self._user_commands.abandon()
            else:
                self._interrupted = self._interrupted or number == signal.SIGINT
                self._user_commands.quit(number.name)

    def _on_commands(self) -> None:
        if self._commands.is_in_background:
            self._unregister(self._commands.fileno())
            self._next_terminal_check = self._clock() + _TERMINAL_CHECK_INTERVAL_S
            return
        commands = self._commands.read()
        self._output.on_enter(self._commands.n_echoed)
        for command in commands:
            if command == "quit":
                self._user_commands.quit("quit")
            elif command == "check":
                self._user_commands.check()
            else:
                self._output.write_line(f"dfud has no such command; {HINT}")
        if not self._commands.is_open:
            self._unregister(self._commands.fileno())

    # -- workers

    def watch(
        self, worker: Worker[Any, Up], handler: Callable[[Up], None], on_death: Callable[[Worker[Any, Up]], None]
    ) -> None:
        """Call `handler` with each message of `worker`, and `on_death` when its process has ended."""
        channel = worker.channel
        self._handlers[worker] = handler
        self._channels[channel.fileno()] = channel
        self._register(channel.fileno(), selectors.EVENT_READ, lambda: self._on_channel(worker))
        self._register(worker.process.sentinel, selectors.EVENT_READ, lambda: on_death(worker))

    def unwatch(self, worker: Worker[Any, Any]) -> None:
        """Stop watching `worker`, which has ended or is about to; its last messages are handled first."""
        self._unregister(worker.process.sentinel)
        self._unregister(worker.channel.fileno())
        self._channels.pop(worker.channel.fileno(), None)
        self._handle_all(worker)
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

    def stop_workers(
        self,
        workers: Iterable[Worker[Any, Any]],
        timeout_s: float = _STOP_TIMEOUT_S,
        helpers: Sequence[Worker[Any, Any]] = (),
    ) -> None:
        """Ask `workers` to exit, and handle their last messages; some may still be running after `timeout_s`.

        Until then, messages of their `helpers` are handled, too.
        """
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
                with selectors.DefaultSelector() as selector:
                    for worker in running:
                        worker.channel.flush()
                        selector.register(worker.process.sentinel, selectors.EVENT_READ)
                        selector.register(worker.channel.fileno(), selectors.EVENT_READ, worker)
                    for helper in helpers:
                        helper.channel.flush()
                        if helper.process.exitcode is None:
                            selector.register(helper.channel.fileno(), selectors.EVENT_READ, helper)
                    for key, _ in selector.select(_STOP_CHECK_INTERVAL_S):
                        if key.data is not None:
                            self._handle_all(key.data)
                self._output.turn(self._clock())

    def _on_channel(self, worker: Worker[Any, Any]) -> None:
        channel, handler = worker.channel, self._handlers[worker]
        channel.flush()
        try:
            for message in channel.receive(wait=False):
                handler(message)
        except PeerGoneError:
            self._unregister(channel.fileno())  # the end of the process is an event of its own

    def _handle_all(self, worker: Worker[Any, Any]) -> None:
        """Handle what has arrived from `worker` and was not received yet."""
        handler = self._handlers[worker]
        with contextlib.suppress(PeerGoneError):
            while batch := worker.channel.receive(wait=False):
                for message in batch:
                    handler(message)
