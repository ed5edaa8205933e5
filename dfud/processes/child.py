"""Calling a function in a child process.

A process that has used librdkafka must not fork any more, so whatever a supervisor has to ask Kafka before it
starts its workers is asked by a child. The child may report that it waits for a broker, for as long as that takes.
"""

from __future__ import annotations

import multiprocessing
import os
import select
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, TypeVar

from dfud.errors import DfudError, StoppedError
from dfud.processes.signals import SignalPipe, ending_signals_blocked
from dfud.processes.worker import init_worker
from dfud.processes.workers import describe_bug, describe_exit

_WAITING, _RAISED, _RETURNED = range(3)  # what a child sends

Result = TypeVar("Result")


class ChildCall(Generic[Result]):
    """A call of `function(on_wait, *args)` in a child process, which ends with the block that this is used in.

    `on_wait` takes the reason for which the function waits. What is returned or raised must be picklable.
    """

    def __init__(self, function: Callable[..., Result], *args: Any) -> None:
        """Start the child."""
        self.result: Result  # once `receive` has returned None
        context = multiprocessing.get_context("fork")
        self._from_child, to_parent = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_send_result, args=(to_parent, os.getpid(), function, args), daemon=True
        )
        with ending_signals_blocked():
            self._process.start()
        to_parent.close()

    def __enter__(self) -> ChildCall[Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()
        self._from_child.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something to `receive`."""
        return self._from_child.fileno()

    def receive(self) -> str | None:
        """Return the reason for which the child waits, or None once there is a `result`.

        Raises the DfudError that the function raises, and DfudError if the child dies.
        """
        try:
            kind, content = self._from_child.recv()
        except EOFError:
            self._process.join()
            exit_ = describe_exit(self._process)
            raise DfudError(f"the process that queries the broker {exit_}") from None
        if kind == _RAISED:
            raise content
        if kind == _RETURNED:
            self.result = content
            return None
        reason: str = content
        return reason

    def wait(self, signals: SignalPipe) -> str | None:
        """Wait for something to `receive`, and return it.

        Raises StoppedError if a signal asks the program to end meanwhile.
        """
        while True:
            ready, _, _ = select.select([self.fileno(), signals.fileno()], [], [])
            received = signals.read()
            if received:
                raise StoppedError(f"stopped by {received[0].name} before anything was transferred")
            if self.fileno() in ready:
                return self.receive()


def _send_result(
    to_parent: Connection, parent_pid: int, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    init_worker("query", parent_pid)
    try:
        to_parent.send((_RETURNED, function(lambda reason: to_parent.send((_WAITING, reason)), *args)))
    except DfudError as error:
        to_parent.send((_RAISED, error))
    except OSError as error:
        to_parent.send((_RAISED, DfudError(f"cannot query the broker: {error}")))
    except Exception as error:  # a bug, which `multiprocessing` would print with all that its text holds
        to_parent.send((_RAISED, DfudError(describe_bug("the process that queries the broker", error))))
