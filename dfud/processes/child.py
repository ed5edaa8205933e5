"""Calling a function in a child process.

A process that has used librdkafka must not fork any more, so whatever a supervisor has to ask Kafka before it
starts its workers is asked by a child.
"""

from __future__ import annotations

import multiprocessing
import os
import select
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from dfud.errors import DfudError, StoppedError
from dfud.processes.signals import SignalPipe, ending_signals_blocked
from dfud.processes.worker import init_worker
from dfud.processes.workers import describe_exit

Result = TypeVar("Result")


def run_in_child(signals: SignalPipe, function: Callable[..., Result], *args: Any) -> Result:
    """Return what `function(*args)` returns, or raise the DfudError that it raises; either must be picklable.

    Raises StoppedError if a signal asks the program to end meanwhile, and DfudError if the child dies.
    """
    context = multiprocessing.get_context("fork")
    from_child, to_parent = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(to_parent, os.getpid(), function, args), daemon=True)
    with ending_signals_blocked():
        process.start()
    to_parent.close()
    try:
        select.select([from_child.fileno(), signals.fileno()], [], [])
        received = signals.read()
        if received:
            raise StoppedError(f"stopped by {received[0].name} before anything was transferred")
        succeeded, result = from_child.recv()
    except EOFError:
        process.join()
        raise DfudError(f"the process that queries the broker {describe_exit(process)}") from None
    finally:
        process.kill()
        process.join()
        from_child.close()
    if not succeeded:
        raise result
    returned: Result = result
    return returned


def _send_result(
    to_parent: Connection, parent_pid: int, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    init_worker("query", parent_pid)
    try:
        to_parent.send((True, function(*args)))
    except DfudError as error:
        to_parent.send((False, error))
    except OSError as error:
        to_parent.send((False, DfudError(f"cannot query the broker: {error}")))
