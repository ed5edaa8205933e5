"""Releases beside an upload: when one begins, and what is said of it. None of them can harm the upload."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from dfud.core.sizes import shown_size
from dfud.core.text import counted
from dfud.errors import WorkerError
from dfud.logs.log_lines import about
from dfud.messages import FromReleaser, Notice, ReleaseEnded, Stop, ToReleaser
from dfud.processes import links
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop
from dfud.processes.workers import Worker, WorkerPool
from dfud.uploading import release_worker
from dfud.uploading.options import ReleasePlan

ReleaserProcess = Worker[ToReleaser, FromReleaser]
_COST_FACTOR = 20  # the pause after a release, in proportion to the CPU time that it took
_MAX_END_S = 10.0  # in which a release has to stop when the upload ends; then it is killed, and loses nothing


class Releases:
    """Responsible for one release at a time, at intervals, in a process of its own.

    A line is logged again only if the release before did not say it.
    """

    def __init__(
        self,
        plan: ReleasePlan,
        once: bool,
        pool: WorkerPool,
        log: logging.Logger,
        loop: EventLoop,
        write_tables: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Release as planned, or only at the end of an upload that goes `once` through its directory.

        `write_tables` writes what is in progress, which stays: at the end that is nothing any more.
        """
        self._plan = plan
        self._once = once
        self._pool = pool
        self._log = log
        self._loop = loop
        self._write_tables = write_tables
        self._clock = clock
        self._due_at = clock()
        self._worker: ReleaserProcess | None = None
        self._result: ReleaseEnded | None = None
        self._lines: set[str] = set()  # that this release has said
        self._lines_before: set[str] = set()
        self._trouble = ""  # of the last one
        self._kill_at: float | None = None  # s, monotonic
        self._is_closed = False  # no more are begun
        self._dispatch: Dispatcher[FromReleaser] = Dispatcher(
            FromReleaser, {Notice: self._on_notice, ReleaseEnded: self._on_result}
        )

    @property
    def is_over(self) -> bool:
        """Whether the upload need not wait for a release."""
        return self._worker is None and (self._is_closed or not self._once)

    @property
    def due(self) -> float | None:
        """When to have a turn (s, monotonic) even if nothing happens."""
        if self._worker is not None:
            return self._kill_at
        return None if self._once or self._is_closed else self._due_at

    def turn(self, now: float, has_sent_all: bool) -> None:
        """Begin a release if it is time to; `has_sent_all` if the upload has nothing more to do."""
        if self._worker is not None:
            if self._kill_at is not None and now >= self._kill_at:
                self._worker.process.kill()
        elif not self._is_closed and (has_sent_all if self._once else now >= self._due_at):
            if self._once:
                self._is_closed = True
                self._write_tables()
            self._start()

    def stop(self) -> None:
        """Begin no more, and stop the one that is running."""
        self._is_closed = True
        if self._worker is not None and self._kill_at is None:
            self._kill_at = self._clock() + _MAX_END_S
            self._worker.channel.post([Stop()])

    def _start(self) -> None:
        self._result = None
        self._lines_before, self._lines = self._lines, set()
        try:
            worker = self._pool.start("releaser", links.RELEASER, release_worker.run, (self._plan.run,))
        except WorkerError as error:
            self._on_trouble(str(error))
            self._due_at = self._clock() + self._plan.every_s
            return
        self._worker = worker
        self._loop.watch(worker, self._dispatch, self._on_end)

    def _on_notice(self, notice: Notice) -> None:
        self._lines.add(notice.text)
        if notice.text not in self._lines_before:
            self._log.log(notice.level, notice.text)

    def _on_result(self, result: ReleaseEnded) -> None:
        self._result = result

    def _on_end(self, worker: ReleaserProcess) -> None:
        self._loop.unwatch(worker)
        cause = worker.cause_of_death()
        self._pool.discard(worker)
        self._worker = None
        result, self._result = self._result, None
        is_killed = self._kill_at is not None
        self._kill_at = None
        pause_s = self._plan.every_s
        if result is None:
            if not is_killed:
                self._on_trouble(f"the process that does it {cause}")
        else:
            if result.n_files:
                what = f"{counted(result.n_files, 'file')}, {shown_size(result.n_bytes)}"
                self._log.info(f"{self._plan.done} {what}, which all receivers have")
            self._on_trouble(result.trouble)
            pause_s = max(pause_s, _COST_FACTOR * result.cpu_s)
        self._due_at = self._clock() + pause_s

    def _on_trouble(self, trouble: str) -> None:
        """Log why files cannot be released, or that they can be again, once."""
        if trouble and trouble != self._trouble:
            then = "the next run tries again" if self._once else f"retrying in {self._plan.every_s:g} s"
            self._log.warning(f"cannot release files: {trouble}; {then}", extra=about(cause=trouble))
        elif self._trouble and not trouble:
            self._log.info("files can be released again")
        self._trouble = trouble
