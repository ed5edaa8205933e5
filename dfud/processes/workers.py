"""Starting worker processes, and making sure that none outlives the supervisor."""

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
    """What a forked child must not keep open."""

    def close(self) -> None:
        """Close this process's copy."""


class Worker(Generic[Down, Up]):
    """A process and the supervisor's end of the channel to it."""

    def __init__(self, process: BaseProcess, channel: Channel[Down, Up]) -> None:
        self.process = process
        self.channel = channel

    @property
    def name(self) -> str:
        """The name that the process was started with."""
        return self.process.name

    def cause_of_death(self) -> str:
        """Return what ended the process, such as "was killed by SIGKILL"; wait for its end first."""
        self.process.join()
        return describe_exit(self.process)


class WorkerPool:
    """Starts worker processes; each child closes whatever belongs to the supervisor or to another worker."""

    def __init__(self, lock: Closeable) -> None:
        # A fork is safe: the supervisor has no threads and no librdkafka handle.
        self._context = multiprocessing.get_context("fork")
        self._close_in_children: list[Closeable] = [lock]
        self._started: list[BaseProcess] = []
        self._outliving: list[BaseProcess] = []  # those that `kill_all` leaves alone

    def start(
        self,
        name: str,
        link: Link[Down, Up],
        run: Callable[..., None],
        args: Iterable[Any],
        keep_open: Iterable[Closeable] = (),
        outlives: bool = False,
    ) -> Worker[Down, Up]:
        """Start `run(name, supervisor_pid, channel to the supervisor, *args)` in a new process.

        `keep_open` is what this child keeps although it was given to `close_in_children`. A child that `outlives`
        the others is killed only by `shut_down`. Raises WorkerError if the system has no process or descriptor
        left for it.
        """
        try:
            return self._start(name, link, run, args, keep_open, outlives)
        except OSError as error:
            raise WorkerError(
                f"cannot start {name}: {error.strerror}; see the limits of this process (ulimit -a)"
            ) from None

    def _start(
        self,
        name: str,
        link: Link[Down, Up],
        run: Callable[..., None],
        args: Iterable[Any],
        keep_open: Iterable[Closeable],
        outlives: bool,
    ) -> Worker[Down, Up]:
        ours, to_supervisor = Channel.pair(link)
        kept = list(keep_open)
        to_close = [item for item in [*self._close_in_children, ours] if item not in kept]
        supervisor_pid = os.getpid()

        def run_worker() -> None:
            for item in to_close:
                item.close()
            try:
                run(name, supervisor_pid, to_supervisor, *args)
            except Exception as error:  # a bug: report it and exit, and the supervisor starts another worker
                _report_bug(to_supervisor, name, error)
                os._exit(_EXIT_BUG)

        process = self._context.Process(target=run_worker, name=name, daemon=True)
        with ending_signals_blocked():
            process.start()
        (self._outliving if outlives else self._started).append(process)
        to_supervisor.close()
        self._close_in_children.append(ours)
        return Worker(process, ours)

    def kill_all(self) -> None:
        """Kill every process that still runs, other than those that outlive the rest, and wait for its end."""
        for process in self._started:
            process.kill()
        for process in self._started:
            process.join()

    def shut_down(self) -> None:
        """Kill what still runs, and close everything but the lock, which is held until this process ends."""
        self._started.extend(self._outliving)
        self._outliving.clear()
        self.kill_all()
        for process in self._started:
            process.close()
        self._started.clear()
        for item in self._close_in_children[1:]:
            self.close(item)

    def discard(self, worker: Worker[Any, Any]) -> None:
        """Close what this process has of `worker`, whose process has ended or been killed."""
        worker.process.join()
        worker.process.close()
        processes = self._outliving if worker.process in self._outliving else self._started
        processes.remove(worker.process)
        self.close(worker.channel)

    def close_in_children(self, item: Closeable) -> None:
        """Close `item` in every child that is started from now on, unless it is in that child's `keep_open`."""
        self._close_in_children.append(item)

    def close(self, item: Closeable) -> None:
        """Close `item`, which was given to `close_in_children` or is a worker's channel."""
        item.close()
        self._close_in_children.remove(item)


def describe_exit(process: BaseProcess) -> str:
    """Return how `process`, which has been joined, ended: "was killed by SIGKILL" or "ended with status 1"."""
    code = process.exitcode or 0
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with status {code}"


def describe_bug(name: str, error: Exception) -> str:
    """Return a line for an error that the process `name` does not expect; one of the system need not be a bug."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    location = f"{os.path.basename(last.filename)}:{last.lineno}"
    if isinstance(error, OSError):
        return f"{name} cannot go on: {error.strerror}: {error.filename or 'no file'} ({location})"
    return f"internal error in {name}: {type(error).__name__}: {error} ({location}); please report it"


def _report_bug(to_supervisor: Channel[Any, Any], name: str, error: Exception) -> None:
    text = describe_bug(name, error)
    with contextlib.suppress(PeerGoneError):
        to_supervisor.send([Notice(logging.ERROR, text), Notice(logging.DEBUG, traceback.format_exc())])
