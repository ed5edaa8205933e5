"""The supervisor's side of runs: the process that puts them in their places."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dfud.core.text import counted
from dfud.downloading.runs import worker
from dfud.downloading.settings import FetchSettings
from dfud.errors import WorkerError
from dfud.logs.log_lines import about
from dfud.messages import FinishRuns, FromRunPlacer, Notice, RunsFinished, RunsWaiting, ToRunPlacer
from dfud.processes import links
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop
from dfud.processes.notices import log_notice
from dfud.processes.workers import Worker, WorkerPool

PlacerProcess = Worker[ToRunPlacer, FromRunPlacer]

_STOP_TIMEOUT_S = 3.0


class RunOutlet:
    """Responsible for the process that puts runs in their places, and for starting another one if it dies."""

    def __init__(
        self, start: Callable[[], PlacerProcess], discard: Callable[[PlacerProcess], None], log: logging.Logger
    ) -> None:
        """Use the process that `start` starts, and that `discard` forgets once it has ended."""
        self._start = start
        self._discard = discard
        self._log = log
        self._is_finishing = False
        self._n_waiting = 0
        self._n_left: int | None = None  # runs that are not in their places at the end; None before that
        self._dispatch: Dispatcher[FromRunPlacer] = Dispatcher(
            FromRunPlacer,
            {
                Notice: lambda notice: log_notice(log, notice),
                RunsWaiting: self._on_waiting,
                RunsFinished: self._on_finished,
            },
        )

    def run_in(self, loop: EventLoop) -> None:
        """Start the process, and watch it in `loop`."""
        self._loop = loop
        self._watch()

    def _watch(self) -> None:
        self._worker = self._start()
        self._loop.watch(self._worker, self._dispatch, self._on_death)
        if self._is_finishing:
            self._worker.channel.post([FinishRuns()])

    def _on_waiting(self, waiting: RunsWaiting) -> None:
        self._n_waiting = waiting.number

    def summary(self) -> str:
        """Return how many runs are not in their places."""
        return f"{counted(self._n_waiting, 'run is', 'runs are')} not whole yet"

    def _on_finished(self, finished: RunsFinished) -> None:
        self._n_left = finished.n_left

    def _on_death(self, dead: PlacerProcess) -> None:
        """Start another process, which finds on disk what there is."""
        cause = self._loop.count_death(dead)
        self._log.warning(f"{dead.name} {cause}: restarting it", extra=about(cause=cause))
        self._loop.unwatch(dead)
        self._discard(dead)
        self._watch()

    def finish(self, is_abandoned: Callable[[], bool]) -> bool:
        """Put in place what is whole, once nothing more arrives; return whether a run is left, which is logged.

        Give up as soon as the user does.
        """
        self._is_finishing = True
        self._worker.channel.post([FinishRuns()])
        try:
            while self._n_left is None and not is_abandoned():
                self._loop.run_once([])
        except WorkerError as error:
            self._log.error(f"not all runs that are whole are in their places: {error}")
            return True
        self._loop.stop_workers([self._worker], _STOP_TIMEOUT_S)
        return bool(self._n_left) or is_abandoned()


def make_outlet(settings: FetchSettings, parts_fd: int, workers: WorkerPool, log: logging.Logger) -> RunOutlet:
    """Return what puts runs in their places."""
    assert settings.runs is not None
    args = settings.directory, parts_fd, settings.topic, settings.runs

    def start() -> PlacerProcess:
        return workers.start("runs", links.RUN_PLACER, worker.run, args, outlives=True)

    return RunOutlet(start, workers.discard, log)
