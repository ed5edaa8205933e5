"""Starting worker processes, and being sure that none is left."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol

from dfud.errors import WorkerError
from dfud.messages import Notice
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.links import Down, Link, Up
from dfud.processes.signals import ending_signals_blocked

_EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h


class Closeable(Protocol):
    """What a forked child must let go of."""

    def close(self) -> None: ...


class Worker(Generic[Down, Up]):
    """A process and the supervisor's end of the channel to it."""

    def __init__(self, process: BaseProcess, channel: Channel[Down, Up]) -> None:
        self.process = process
        self.channel = channel

    @property
    def name(self) -> str:
        return self.process.name

    def cause_of_death(self) -> str:
        """Return what ended the process, which must have ended."""
        self.process.join()
        code = self.process.exitcode or 0
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with status {code}"


class Workers:
    """Starts processes; each child lets go of everything that belongs to the supervisor or to another."""

    def __init__(self, lock: Closeable) -> None:
        self._context = multiprocessing.get_context("fork")  # no thread and no librdkafka handle is in our way
        self._ours: list[Closeable] = [lock]
        self._started: list[BaseProcess] = []

    def start(
        self,
        name: str,
        link: Link[Down, Up],
        run: Callable[..., None],
        args: Iterable[Any],
        theirs: Iterable[Closeable] = (),
    ) -> Worker[Down, Up]:
        """Start `run(name, our process id, channel to us, *args)`; `theirs` is what only the child keeps open.

        Raises WorkerError where the system has no process or descriptor left for it.
        """
        try:
            return self._start(name, link, run, args, theirs)
        except OSError as problem:
            raise WorkerError(
                f"{name} can't be started: {problem.strerror}; see the limits of this process (ulimit -a)"
            ) from None

    def _start(
        self,
        name: str,
        link: Link[Down, Up],
        run: Callable[..., None],
        args: Iterable[Any],
        theirs: Iterable[Closeable],
    ) -> Worker[Down, Up]:
        ours, to_supervisor = Channel.pair(link)
        kept = list(theirs)
        others = [item for item in [*self._ours, ours] if item not in kept]
        supervisor = os.getpid()

        def be_worker() -> None:
            for item in others:
                item.close()
            try:
                run(name, supervisor, to_supervisor, *args)
            except Exception as bug:  # this process ends: the supervisor is told why, and starts another
                _tell(to_supervisor, name, bug)
                os._exit(_EXIT_BUG)

        process = self._context.Process(target=be_worker, name=name, daemon=True)
        with ending_signals_blocked():
            process.start()
        self._started.append(process)
        to_supervisor.close()
        self._ours.append(ours)
        return Worker(process, ours)

    def kill_all(self) -> None:
        """Kill every process that was started and is still there, and wait for its end."""
        for process in self._started:
            process.kill()
        for process in self._started:
            process.join()
        self._started.clear()

    def keep(self, item: Closeable) -> None:
        """Have later children let go of `item`, which is not theirs."""
        self._ours.append(item)

    def let_go(self, item: Closeable) -> None:
        """Close `item`, and have later children not bother."""
        item.close()
        self._ours.remove(item)


def _tell(to_supervisor: Channel[Any, Any], name: str, bug: Exception) -> None:
    last = traceback.extract_tb(bug.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"
    text = f"{name} met an internal error, {type(bug).__name__}: {bug} ({where}); please report it"
    with contextlib.suppress(PeerGoneError):  # nobody is left to be told
        to_supervisor.send([Notice(logging.ERROR, text), Notice(logging.DEBUG, traceback.format_exc())])
