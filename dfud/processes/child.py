"""Calling a function in a process of its own.

A process that has once used librdkafka must not fork any more: what has to ask Kafka something before the workers
are started does so aside.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from dfud.errors import DfudError, StoppedError
from dfud.processes.signals import SignalPipe, ending_signals_blocked
from dfud.processes.worker import init_worker

Result = TypeVar("Result")


def run_in_child(signals: SignalPipe, function: Callable[..., Result], *args: Any) -> Result:
    """Return what `function` returns, or raise the DfudError that it raises; both must be fit to be pickled.

    Raises InterruptedError if a signal asks for the end meanwhile, and DfudError if the process dies.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, os.getpid(), function, args), daemon=True)
    with ending_signals_blocked():
        process.start()
    theirs.close()
    try:
        select.select([ours.fileno(), signals.fileno()], [], [])
        asked = signals.read()
        if asked:
            raise StoppedError(f"ended by {asked[0].name} before anything was uploaded")
        succeeded, answer = ours.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        raise DfudError(f"the process that asks the broker {how}") from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if not succeeded:
        raise answer
    result: Result = answer
    return result


def _answer(to_parent: Connection, parent: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    init_worker("aside", parent)
    try:
        to_parent.send((True, function(*args)))
    except DfudError as error:
        to_parent.send((False, error))
    except OSError as problem:
        to_parent.send((False, DfudError(f"the broker can't be asked: {problem}")))
