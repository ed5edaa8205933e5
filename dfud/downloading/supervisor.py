"""The main process of a download: starts the fetchers, watches them, and decides what their deaths mean."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dfud.core.names import LOGS
from dfud.core.text import counted, printable
from dfud.downloading import fetcher
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.download_activity import DownloadActivity
from dfud.downloading.incomplete_table import IncompleteTable, list_incomplete
from dfud.downloading.part_merger import Order, PartMerger
from dfud.downloading.parts_folder import PartsFolder
from dfud.downloading.receipt_outlet import ReceiptOutlet
from dfud.downloading.run_options import open_reading
from dfud.downloading.settings import FetchSettings
from dfud.downloading.shortfalls import Shortfalls
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, WorkerError
from dfud.logs.log_lines import about
from dfud.messages import (
    BrokerOutage,
    CaughtUp,
    CommitFailed,
    Fetched,
    FilesPlaced,
    FromFetcher,
    Gap,
    Hidden,
    Notice,
    PartReport,
    ReadRefused,
    ReceiptsSent,
    Released,
    ToFetcher,
    TopicGone,
    TopicReplaced,
    UnfinishedElsewhere,
)
from dfud.processes import links
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop, RunContext, UserCommands, second_interrupt
from dfud.processes.notices import log_notice
from dfud.processes.workers import Worker, WorkerPool

if TYPE_CHECKING:
    from dfud.downloading.runs.outlet import RunOutlet

_PROGRESS_INTERVAL_S = 2.0
_STOP_TIMEOUT_S = 60.0  # for fetchers to put on disk what they have, and commit it
_MAX_NAMED = 20  # incomplete files that are named on the console


class DownloadSupervisor:
    """Responsible for one run, from the start of the first fetcher to the end of the last one."""

    def __init__(
        self,
        table: IncompleteTable,
        settings: FetchSettings,
        folder: PartsFolder,
        workers: WorkerPool,
        context: RunContext,
        log: logging.Logger,
        shortfalls: Shortfalls,
        on_topic_replaced: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        receipts: ReceiptOutlet | None = None,
        runs: RunOutlet | None = None,
    ) -> None:
        """`table` is that of incomplete files; `on_topic_replaced` gets the id of a topic that was made anew.

        `receipts` gets what is in place, if receipts are wanted. `runs` puts runs in their places, if files are
        to be staged until their runs are whole.
        """
        self._table = table
        self._settings = settings
        self._folder = folder
        self._workers = workers
        self._output = context.output
        self._log = log
        self._shortfalls = shortfalls
        self._record_topic = on_topic_replaced
        self._clock = clock
        self._receipts = receipts
        self._runs = runs
        self._loop = EventLoop(context, UserCommands(self._quit, self._abandon, self._check), clock)
        self._fetchers: list[Worker[ToFetcher, FromFetcher]] = []
        self._merger = PartMerger()
        self._counts = DownloadCounts()
        self.activity = DownloadActivity(self._counts, lambda: self._is_stopping, clock())
        if receipts is not None:
            self.activity.receipt_trouble = lambda: receipts.shown_trouble
        self._logged_counts = DownloadCounts()
        self._next_progress = clock()
        self._caught_up: set[int] = set()  # numbers of fetchers
        self._commit_failures: dict[int, str] = {}  # reasons, by number of the fetcher
        self._outages: set[int] = set()  # numbers of fetchers that cannot reach the broker
        self._owes_receipts = False  # at the end
        self._has_runs_left = False  # that are not in their places, at the end
        self._is_stopping = False
        self._is_abandoned = False

    # -- the run

    def run(self) -> int:
        """Download until asked to end, or until too many fetchers have died; return the exit status."""
        try:
            if self._receipts is not None:
                self._receipts.run_in(self._loop, self._on_receipts_sent)
            if self._runs is not None:
                self._runs.run_in(self._loop)
            self._start_fetchers()
            while not self._is_stopping:
                self._run_once()
            if not self._is_abandoned:
                self._stop_fetchers()
        except WorkerError as error:
            self._log.error(str(error))
            self._is_abandoned = True
        finally:
            self._workers.shut_down()
        return self._finish()

    def _run_once(self) -> None:
        self._check_folder()
        has_news = self._counts != self._logged_counts
        waits_until = self._receipts and self._receipts.waits_until(self._clock())
        self._loop.run_once([self._next_progress if has_news else None, waits_until or None])
        if self._settings.ends is not None and len(self._caught_up) == len(self._fetchers):
            waits = self._receipts is not None and self._receipts.waits_until(self._clock()) is not None
            self._is_stopping = self._is_stopping or not (self._merger.is_busy or waits)
        now = self._clock()
        if now >= self._next_progress and self._counts != self._logged_counts:
            self._log_counts()
            self._next_progress = now + _PROGRESS_INTERVAL_S

    def _check_folder(self) -> None:
        """Raise WorkerError if the parts are gone: what was read of them must not be committed."""
        if self._folder.is_removed:
            name = os.path.join(self._settings.directory, os.fsdecode(LOGS), self._settings.parts_folder)
            raise WorkerError(f"{name} was removed while it was in use: ending; start the download again")

    def _log_counts(self) -> None:
        self._log.info(self._counts.summary())
        self._logged_counts = dataclasses.replace(self._counts)

    # -- commands

    def _quit(self, cause: str) -> None:
        hint = second_interrupt(cause)
        if not self._is_stopping:
            self._log.info(f"{cause}: saving what was read{hint}")
            self._is_stopping = True
        elif hint:
            self._log.info(f"{cause}: already saving what was read{hint}")

    def _abandon(self) -> None:
        self._log.warning("stopped immediately; the next run reads again what was not committed")
        self._is_stopping = self._is_abandoned = True

    def _check(self) -> None:
        self._output.write_line(self._counts.summary())
        self._output.write_line(f"  {', '.join(fact.text for fact in self.activity(self._clock()).facts)}")
        if self._receipts is not None:
            self._output.write_line(self._receipts.summary())
        if self._runs is not None:
            self._output.write_line(self._runs.summary())
        self._list_incomplete(lambda text, _: self._output.write_line(text))

    # -- messages

    def _dispatcher(self, number: int) -> Dispatcher[FromFetcher]:
        """Return what handles the messages of fetcher `number`."""
        return Dispatcher(
            FromFetcher,
            {
                Fetched: lambda fetched: self._on_fetched(number, fetched),
                PartReport: lambda report: self._send_orders(self._merger.on_report(number, report)),
                Released: lambda released: self._send_orders(self._merger.on_released(number, released)),
                CaughtUp: lambda _: self._caught_up.add(number),
                CommitFailed: lambda failed: self._on_commit_failed(number, failed.reason),
                BrokerOutage: lambda outage: self._on_outage(number, outage.reason),
                Gap: self._shortfalls.add_gap,
                Hidden: self._shortfalls.set_hidden,
                TopicReplaced: lambda replaced: self._on_topic_replaced(replaced.topic_id),
                TopicGone: lambda gone: self._shortfalls.set_gone(number, gone.is_gone),
                UnfinishedElsewhere: self._shortfalls.add_unfinished,
                ReadRefused: lambda refused: self._shortfalls.set_refusal(number, refused.reason),
                FilesPlaced: lambda placed: self._on_files_placed(number, placed),
                Notice: self._on_notice,
            },
        )

    def _on_fetched(self, number: int, fetched: Fetched) -> None:
        self._counts.add(fetched.counts)
        if self._settings.ends is not None:
            self.activity.to_read[number] = fetched.to_read

    def _on_files_placed(self, number: int, placed: FilesPlaced) -> None:
        if self._receipts is not None:
            self._receipts.send(number, placed)

    def _on_receipts_sent(self, number: int, sent: ReceiptsSent) -> None:
        self._fetchers[number].channel.post([sent])

    def _send_orders(self, orders: list[Order]) -> None:
        if not self._is_stopping:  # nothing is merged any more after that
            for number, order in orders:
                self._fetchers[number].channel.post([order])

    def _on_commit_failed(self, number: int, reason: str) -> None:
        """Report when a fetcher's commits fail, and when all fetchers' commits succeed again."""
        is_known = reason in self._commit_failures.values()
        self._commit_failures.pop(number, None)
        if reason:
            self._commit_failures[number] = reason
            if not is_known:
                text = f"cannot commit offsets: {reason}; the next run reads again what was not committed"
                self._log.error(text)
        elif not self._commit_failures:
            self._log.warning("committing offsets works again")

    def _on_topic_replaced(self, topic_id: str) -> None:
        """Have fetchers that are started later read the topic that is there now, up to where it ends then."""
        if self._shortfalls.add_replaced(topic_id):
            ends: dict[int, int] | None = None if self._settings.ends is None else {}
            self._settings = self._settings._replace(topic_id=topic_id, ends=ends)
            try:
                self._record_topic(topic_id)
            except OSError as error:
                self._log.error(f"cannot record that the topic was made anew: {error.strerror or error}")

    def _on_outage(self, number: int, reason: str) -> None:
        was_away = bool(self._outages)
        (self._outages.add if reason else self._outages.discard)(number)
        self.activity.is_broker_away = bool(self._outages)
        if reason and not was_away:
            self._log.warning(f"broker unreachable ({reason}): retrying; nothing is lost")
        elif was_away and not self._outages:
            self._log.warning("broker reachable again: downloading resumed")

    # -- fetchers

    def _start_fetchers(self) -> None:
        for number in range(self._settings.n_fetchers):
            worker = self._workers.start(f"fetcher-{number}", links.FETCHER, fetcher.run, (number, self._settings))
            self._fetchers.append(worker)
        for number, worker in enumerate(self._fetchers):
            self._loop.watch(worker, self._dispatcher(number), self._on_death)

    def _on_death(self, dead: Worker[ToFetcher, FromFetcher]) -> None:
        """Restart all fetchers: each finds what is on disk, and continues from what was committed."""
        cause = self._loop.count_death(dead)
        self._check_folder()
        for worker in self._fetchers:
            self._loop.unwatch(worker)
        self._log.warning(f"{dead.name} {cause}: restarting all fetchers", extra=about(cause=cause))
        self._workers.kill_all()
        for worker in self._fetchers:
            self._workers.discard(worker)
        self._fetchers.clear()
        self._caught_up.clear()
        self._commit_failures.clear()
        self._shortfalls.on_fetchers_restarted()
        if self._receipts is not None:
            self._receipts.forget()
        self._merger = PartMerger()
        self._folder.remove_leftovers()
        self._start_fetchers()

    def _stop_fetchers(self) -> None:
        """Make the fetchers put on disk and commit what they have read, and exit."""
        helpers = [] if self._receipts is None else [self._receipts.worker]
        self._loop.stop_workers(self._fetchers, _STOP_TIMEOUT_S, helpers)
        for number, worker in enumerate(self._fetchers):
            if worker.process.exitcode is None:
                self._commit_failures[number] = "it did not exit"
            elif worker.process.exitcode:
                self._commit_failures[number] = worker.cause_of_death()
        if self._receipts is not None:
            self._owes_receipts = self._receipts.finish()
        if self._runs is not None:
            self._has_runs_left = self._runs.finish(lambda: self._is_abandoned)

    def _on_notice(self, notice: Notice) -> None:
        log_notice(self._log, notice)

    def _warn_of(self, text: str, path: bytes) -> None:
        self._log.warning(text, extra=about(path or None))

    # -- the end

    def _finish(self) -> int:
        """Log what was done and what is incomplete; return the exit status."""
        if self._counts != self._logged_counts or self._counts == DownloadCounts():
            self._log_counts()
        if self._is_abandoned:
            self._sum_up(0, EXIT_UNDELIVERED)
            return EXIT_UNDELIVERED
        self._folder.remove_leftovers()
        n_incomplete, n_unplaced = self._list_incomplete(self._warn_of, is_over=True)
        if self._commit_failures:
            self._log.error("some offsets could not be committed: the next run reads those messages again")
        if n_unplaced:
            files = counted(n_unplaced, "complete file")
            self._log.error(f"{files} could not be put in place; see {self._table.path}")
        if n_incomplete:
            files = counted(n_incomplete, "file is", "files are")
            self._log.error(f"{files} incomplete on the topic; see {self._table.path}")
        is_short = self._shortfalls.finish()
        counts = self._counts
        left = n_incomplete + n_unplaced + counts.dropped + counts.undecided
        owes = self._owes_receipts or self._has_runs_left
        status = EXIT_UNDELIVERED if left or self._commit_failures or owes or is_short else EXIT_OK
        self._sum_up(n_incomplete + n_unplaced, status)
        return status

    def _sum_up(self, n_incomplete: int, status: int) -> None:
        level = logging.WARNING if status else logging.INFO
        self._log.log(level, self.activity.sum_up(self._clock(), n_incomplete).line())

    def _list_incomplete(self, write_line: Callable[[str, bytes], None], is_over: bool = False) -> tuple[int, int]:
        """List the incomplete files and write their table.

        Return how many are incomplete, and how many are complete but not in place.
        """
        with contextlib.closing(open_reading(self._settings, self._folder.dir_fd)) as tree:
            rows = list(list_incomplete(self._folder, tree, is_over))
        for row in rows[:_MAX_NAMED]:
            write_line(f"{printable(row.path)} {row.description}", row.path)
        if len(rows) > _MAX_NAMED:
            write_line(f"{counted(len(rows) - _MAX_NAMED, 'more file')}: see {self._table.path}", b"")
        try:
            self._table.write(rows)
        except OSError as error:
            self._log.error(f"cannot write {self._table.path}: {error.strerror or error}")
        n_unplaced = sum(row.is_complete for row in rows)
        return len(rows) - n_unplaced, n_unplaced
