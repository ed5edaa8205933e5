"""Reading a topic by several processes, to the end of all of its partitions."""

from __future__ import annotations

import selectors
import time

from dfud.errors import StoppedError, WorkerError
from dfud.messages import FromReader, ReaderDone, ToReader
from dfud.processes import links
from dfud.processes.channel import PeerGoneError
from dfud.processes.console import ConsoleOutput
from dfud.processes.signals import SignalPipe
from dfud.processes.worker import tune_gc
from dfud.processes.workers import Worker, WorkerPool
from dfud.verifying import reader
from dfud.verifying.collector import Collector
from dfud.verifying.reader import ReadSettings

_DISPLAY_INTERVAL_S = 0.25  # between looks at whether something is to be shown


class _NoLock:
    """In the place of a lock: a verification writes nothing, so it locks nothing."""

    def close(self) -> None:
        """Do nothing."""


def read_topic(
    settings: ReadSettings, signals: SignalPipe, collector: Collector, output: ConsoleOutput | None = None
) -> None:
    """Run the readers until all have finished, and pass what they report to `collector`.

    Meanwhile `output` shows how far that is. Raises WorkerError if one of them dies, StoppedError if a signal asks
    to end.
    """
    tune_gc()
    workers = WorkerPool(_NoLock())
    readers = [
        workers.start(f"reader-{n}", links.READER, reader.run, (n, settings)) for n in range(settings.workers)
    ]
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(signals.fileno(), selectors.EVENT_READ)
            for worker in readers:
                selector.register(worker.channel.fileno(), selectors.EVENT_READ, worker)
            while len(selector.get_map()) > 1:
                for key, _ in selector.select(None if output is None else _DISPLAY_INTERVAL_S):
                    if key.data is None:
                        for number in signals.read():
                            raise StoppedError(f"{number.name}: stopped before everything was compared")
                    elif _receive(key.data, collector):
                        selector.unregister(key.fileobj)
                if output is not None:
                    output.wake()
                    output.flush()
                    output.turn(time.monotonic())
    finally:
        workers.shut_down()


def _receive(worker: Worker[ToReader, FromReader], collector: Collector) -> bool:
    """Pass on what a reader has sent; return whether it has finished."""
    try:
        messages = worker.channel.receive(wait=False)
    except PeerGoneError:
        cause = worker.cause_of_death()
        raise WorkerError(f"{worker.name} {cause} before it had read its partitions; try again") from None
    for message in messages:
        collector.handle(message)
    return any(isinstance(message, ReaderDone) for message in messages)
