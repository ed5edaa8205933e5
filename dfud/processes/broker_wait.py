"""The time before a run in which no broker answers: it is told, and the user can end the program."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from dfud.errors import DfudError, StoppedError
from dfud.logs.logfile import LogOptions, console_log
from dfud.processes.child import ChildCall
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.event_loop import EventLoop, RunContext, UserCommands
from dfud.processes.signals import SignalPipe

_OUTPUT_TIMEOUT_S = 2.0  # for a slow console at the end

Result = TypeVar("Result")


class Patience(NamedTuple):
    """How long to wait for a broker."""

    seconds: float = math.inf
    setting: str = ""  # that limits it

    def __str__(self) -> str:
        """Return this as the end of a line for the user."""
        return "" if math.isinf(self.seconds) else f" for {self.seconds:g} s ({self.setting})"


def network_patience(properties: Mapping[str, Any]) -> Patience:
    """Return how long a command waits that only reads: as long as librdkafka waits for an answer."""
    return Patience(float(properties.get("socket.timeout.ms", 60_000)) / 1000, "socket.timeout.ms")


class BrokerWait(Generic[Result]):
    """Responsible for waiting until the child that asks the broker has an answer."""

    def __init__(
        self,
        call: ChildCall[Result],
        user: RunContext,
        patience: Patience,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        on_turn: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        """Listen to `call` and to `user`; `warn` takes the lines that say what is waited for.

        `on_turn` gets such a line whenever anything has happened, and returns when it wants it again.
        """
        self._call = call
        self._patience = patience
        self._warn = warn
        self._clock = clock
        self._on_turn = on_turn
        self._deadline = clock() + patience.seconds
        self._output = user.output
        self._line = ""  # what was said last
        self._has_answer = False
        self._stopped_by = ""
        self.loop = EventLoop(user, UserCommands(self._quit, lambda: None, self._check), clock)
        self.loop.add_reader(call.fileno(), self._on_call)

    def run(self, reason: str) -> Result:
        """Return the answer; `reason` is why there is none yet.

        Raises StoppedError if the user ends the program, DfudError if the patience is at its end, and what the
        child raises.
        """
        self._say(reason)
        while not self._has_answer:
            self.loop.run_once([None if math.isinf(self._deadline) else self._deadline, self._on_turn(self._line)])
            if self._stopped_by:
                raise StoppedError(f"{self._stopped_by}: ended while waiting for a broker; the next run continues")
            if not self._has_answer and self._clock() >= self._deadline:
                raise DfudError(f"{self._line}; gave up after {self._patience.seconds:g} s")
        return self._call.result

    def _say(self, reason: str) -> None:
        self._line = f"no broker reached at {reason}"
        self._warn(f"{self._line}; retrying{self._patience}")

    def _on_call(self) -> None:
        reason = self._call.receive()
        if reason is None:
            self._has_answer = True
        else:
            self._say(reason)

    def _quit(self, request: str) -> None:
        self._stopped_by = request

    def _check(self) -> None:
        self._output.write_line(self._line)


def ask_broker(
    signals: SignalPipe, descriptor: int, patience: Patience, function: Callable[..., Result], *args: Any
) -> Result:
    """Return what `function(on_wait, *args)` returns in a child process, or raise the DfudError that it raises.

    Lines that say what is waited for are written to `descriptor`. Raises StoppedError if the user ends the program
    meanwhile, and DfudError if there is no answer for as long as `patience` has.
    """
    with ChildCall(function, *args) as call:
        reason = call.wait(signals)
        if reason is None:
            return call.result
        output = ConsoleOutput(descriptor)
        try:
            context = RunContext(signals, output, CommandInput(), -1)
            log = console_log(output, LogOptions(logging.WARNING, logging.WARNING), {})
            wait = BrokerWait(call, context, patience, log.warning)
            return wait.run(reason)
        finally:
            output.drain(_OUTPUT_TIMEOUT_S)
            output.close()
