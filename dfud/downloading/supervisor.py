"""The main process of a download: starts the fetchers and watches them; it decides what their deaths mean."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from dfud.core.text import printable
from dfud.downloading import fetcher
from dfud.downloading.counts import DownloadCounts, summary
from dfud.downloading.fetcher import FetchSettings
from dfud.downloading.incomplete_table import IncompletePart, list_incomplete, write_incomplete_table
from dfud.downloading.part_merger import Order, PartMerger
from dfud.downloading.parts import PartsFolder
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, WorkerError
from dfud.messages import (
    BrokerOutage,
    CaughtUp,
    CommitFailed,
    Fetched,
    FromFetcher,
    Notice,
    PartReport,
    Released,
    ToFetcher,
)
from dfud.processes import links
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop, RunContext, UserCommands
from dfud.processes.workers import Worker, WorkerPool

_PROGRESS_INTERVAL_S = 2.0  # s
_STOP_TIMEOUT_S = 60.0  # s for fetchers to put on disk what they have, and commit it
_NAMED = 20  # incomplete files that are named on the console


class DownloadSupervisor:
    """Responsible for one run, from the first fetcher's start to the last one's end."""

    def __init__(
        self,
        listing: str,
        settings: FetchSettings,
        folder: PartsFolder,
        workers: WorkerPool,
        surroundings: RunContext,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`listing` is the path of the table of what is incomplete."""
        self._listing = listing
        self._settings = settings
        self._folder = folder
        self._workers = workers
        self._output = surroundings.output
        self._log = log
        self._clock = clock
        self._loop = EventLoop(surroundings, UserCommands(self._quit, self._abandon, self._check), clock)
        self._fetchers: list[Worker[ToFetcher, FromFetcher]] = []
        self._merger = PartMerger()
        self._counts = DownloadCounts()
        self._told = DownloadCounts()
        self._next_progress = clock()
        self._caught_up: set[int] = set()
        self._uncommitted: dict[int, str] = {}  # reasons, by fetcher
        self._away: set[int] = set()
        self._leaving = False
        self._abandoned = False

    # -- the run

    def run(self) -> int:
        """Download until told to end, or until fetchers die again and again; return the exit status."""
        try:
            self._start_fetchers()
            while not self._leaving:
                self._turn()
            if not self._abandoned:
                self._part()
        except WorkerError as error:
            self._log.error(str(error))
            self._abandoned = True
        finally:
            self._workers.kill_all()
        return self._finish()

    def _turn(self) -> None:
        self._loop.run_once([self._next_progress if self._counts != self._told else None])
        if self._settings.ends is not None and len(self._caught_up) == len(self._fetchers):
            self._leaving = self._leaving or not self._merger.is_busy
        now = self._clock()
        if now >= self._next_progress and self._counts != self._told:
            self._log.info(summary(self._counts))
            self._told = self._counts
            self._next_progress = now + _PROGRESS_INTERVAL_S

    def _part(self) -> None:
        """Have the fetchers put on disk and commit what they have read, and end."""
        self._uncommitted.clear()
        self._loop.stop_workers(self._fetchers, _STOP_TIMEOUT_S)
        for number, worker in enumerate(self._fetchers):
            if worker.process.exitcode is None:
                self._uncommitted[number] = "it did not end"
            elif worker.process.exitcode:
                self._uncommitted[number] = worker.cause_of_death()

    # -- what the user wishes

    def _quit(self, why: str) -> None:
        if not self._leaving:
            self._log.info(f"{why}: ending when what was read is on disk")
            self._leaving = True

    def _abandon(self) -> None:
        self._log.warning("left at once: the next start reads again what was not committed")
        self._leaving = self._abandoned = True

    def _check(self) -> None:
        self._output.write_line(summary(self._counts))
        self._list(self._output.write_line)

    # -- messages

    def _dispatcher(self, number: int) -> Dispatcher[FromFetcher]:
        """Return what handles the messages of fetcher `number`."""
        return Dispatcher(
            FromFetcher,
            {
                Fetched: self._on_fetched,
                PartReport: lambda report: self._send_orders(self._merger.on_report(number, report)),
                Released: lambda released: self._send_orders(self._merger.on_released(number, released)),
                CaughtUp: lambda _: self._caught_up.add(number),
                CommitFailed: lambda failed: self._on_commit_failed(number, failed.why),
                BrokerOutage: lambda outage: self._on_outage(number, outage.why),
                Notice: lambda notice: self._log.log(notice.level, notice.text),
            },
        )

    def _on_fetched(self, fetched: Fetched) -> None:
        self._counts = self._counts.plus(DownloadCounts(*fetched.counts))

    def _send_orders(self, orders: list[Order]) -> None:
        if not self._leaving:  # else nothing is merged any more
            for number, order in orders:
                self._fetchers[number].channel.post([order])

    def _on_commit_failed(self, number: int, why: str) -> None:
        known = self._uncommitted.pop(number, "")
        if why:
            self._uncommitted[number] = why
            if why != known:
                self._log.error(f"offsets can't be committed: {why}; what was read is on disk or read again")
        elif not self._uncommitted:
            self._log.warning("offsets are committed again")

    def _on_outage(self, number: int, why: str) -> None:
        before = bool(self._away)
        (self._away.add if why else self._away.discard)(number)
        if why and not before:
            self._log.warning(f"the broker is away ({why}): dfud waits for it, nothing is lost")
        elif before and not self._away:
            self._log.warning("the broker is back: downloading goes on")

    # -- fetchers

    def _start_fetchers(self) -> None:
        for number in range(self._settings.workers):
            worker = self._workers.start(f"fetcher-{number}", links.FETCHER, fetcher.run, (number, self._settings))
            self._fetchers.append(worker)
        for number, worker in enumerate(self._fetchers):
            self._loop.watch(worker, self._dispatcher(number), self._on_death)

    def _on_death(self, dead: Worker[ToFetcher, FromFetcher]) -> None:
        """Start all fetchers anew: each finds what is on disk, and reads on from what was committed."""
        cause = self._loop.count_death(dead)
        for worker in self._fetchers:
            self._loop.unwatch(worker)
        self._log.warning(f"{dead.name} {cause}: others take over")
        self._workers.kill_all()
        for worker in self._fetchers:
            self._workers.close(worker.channel)
        self._fetchers.clear()
        self._caught_up.clear()
        self._uncommitted.clear()
        self._merger = PartMerger()
        self._folder.tidy()
        self._start_fetchers()

    # -- the end

    def _finish(self) -> int:
        """Tell what there was, and what is left aside."""
        if self._counts != self._told or not any(self._counts):
            self._log.info(summary(self._counts))
        if self._abandoned:
            return EXIT_UNDELIVERED
        self._folder.tidy()
        unplaced = self._list(self._log.warning)
        if self._uncommitted:
            self._log.error("not all that was read is committed: the next start reads it again")
        if unplaced:
            self._log.error(f"{unplaced} files are whole and not in their place; see {self._listing}")
        return EXIT_UNDELIVERED if unplaced or self._uncommitted else EXIT_OK

    def _list(self, tell: Callable[[str], None]) -> int:
        """Tell of the incomplete files and write their table; return how many are whole but not in their place."""
        number = unplaced = 0
        rows: list[IncompletePart] = []
        for incomplete in list_incomplete(self._folder):
            number += 1
            unplaced += incomplete.is_whole
            rows.append(incomplete)
            if number <= _NAMED:
                tell(f"{printable(incomplete.path)} is kept aside: {incomplete.what}")
        if number > _NAMED:
            tell(f"{number - _NAMED} more files are kept aside: see {self._listing}")
        try:
            write_incomplete_table(self._listing, rows)
        except OSError as problem:
            self._log.error(f"{self._listing} can't be written: {problem}")
        return unplaced
