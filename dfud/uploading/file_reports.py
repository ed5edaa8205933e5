"""What follows from what chunkers and producers report of single files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from dfud.core.text import counted, printable
from dfud.logs.log_lines import about
from dfud.messages import (
    ChunksAcked,
    DeliveryGivenUp,
    FileChanged,
    FilesCompleted,
    FilesRead,
    FileUnchanged,
    FileUndelivered,
    FileUnreadable,
    RowsRecorded,
)
from dfud.uploading.cohorts import Cohort
from dfud.uploading.context import UploadContext
from dfud.uploading.entry import NO_CHUNKS, Entry
from dfud.uploading.reporter import UploadReporter


class FileReports:
    """Responsible for the ledger, the index of what is recorded, the counts and the log agreeing on each file."""

    def __init__(
        self,
        context: UploadContext,
        reporter: UploadReporter,
        on_in_use: Callable[[bytes, bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the ledger of `context` up to date.

        `on_in_use` gets the path of a file that is not ready yet, and whether a scan has found it.
        """
        self._on_in_use = on_in_use
        self._ledger, self._completed, self._log = context.ledger, context.completed, context.log
        self._is_debugging = context.log.isEnabledFor(logging.DEBUG)
        self._reporter = reporter
        self._clock = clock
        self.unrecorded = 0  # rows of the completed table that are not on disk

    # -- messages of chunkers

    def on_read(self, message: FilesRead) -> None:
        """Note files of which the producer has all."""
        self._ledger.mark_all_read(message.tokens)

    def on_unchanged(self, message: FileUnchanged) -> None:
        """Forget a file of which the topic has the content already."""
        self._ledger.on_unchanged(message.token)

    def on_changed(self, message: FileChanged) -> None:
        """Begin again with a file that changed while it was read; with one that is in use once it is ready."""
        returned = None
        if message.being_written and message.is_untouched:
            returned = self._ledger.take_back(message.token)
        if returned is not None:
            self._on_in_use(message.version.path, returned.is_found)
            return
        now = self._clock()
        entry = self._ledger.on_changed(message.token, message.version, message.being_written, now, message.stamp)
        path = message.version.path
        self._log.debug(f"{printable(path)} changed while it was read: sending it again", extra=about(path))
        if entry is not None:
            self._reporter.on_enqueued(entry, now)

    def on_unreadable(self, message: FileUnreadable) -> None:
        """Retry, fail or forget a file that could not be read."""
        entry = self._ledger.on_read_error(
            message.token, message.gone, message.reason, self._clock(), message.lease_s
        )
        if entry is None:
            return
        path = entry.version.path
        name = printable(path)
        if not message.gone:
            entry.named = message.reason
            fields = about(path, cause=message.reason)
            self._log.warning(f"cannot read {name}: {message.reason}; retrying", extra=fields)
        elif entry.failure:
            self.log_failure(entry)
        else:
            self._log.info(f"{name} was removed before it could be read", extra=about(path))

    # -- messages of producers

    def on_acked(self, message: ChunksAcked) -> None:
        """Note chunks that were acknowledged."""
        self._ledger.on_acked(message.token, message.chunks)
        entry = self._ledger.entry(message.token)
        if entry is not None:
            if self._is_debugging:
                self._log_acked(entry, message.chunks)
            chunks = sum(last - first + 1 for first, last in message.chunks)
            n_bytes = chunks * entry.chunk_size
            if message.chunks[-1][1] == entry.n_chunks:  # which may be shorter
                n_bytes -= entry.n_chunks * entry.chunk_size - entry.version.size
            self._reporter.on_acked(chunks, n_bytes)

    def on_completed(self, message: FilesCompleted) -> None:
        """Note files of which every chunk is acknowledged, and the row written."""
        now = self._clock()
        self._log.debug("%s added to the completed table", counted(len(message.files), "file"))
        if not message.recorded:
            self.unrecorded += len(message.files)
        for cohort, digests in self._ledger.by_cohort(dict(message.files)):
            if cohort is not None:
                self._on_completed_together(cohort, digests, now)
            else:
                self._on_completed(digests, now)

    def _on_completed_together(self, cohort: Cohort, digests: Mapping[int, str], now: float) -> None:
        """Note files of a cohort, by their tokens."""
        places = [token - cohort.first for token in digests]
        versions = [cohort.versions[at] for at in places]
        records = [cohort.identities[at] + bytes.fromhex(each) for at, each in zip(places, digests.values())]
        self._completed.add_together([version.path for version in versions], records)
        self._ledger.on_completed_together(cohort, list(digests))
        n_chunks = self._reporter.on_completed_together(versions, cohort.chunk_size, now)
        self._reporter.on_acked(n_chunks, sum(version.size for version in versions))

    def _on_completed(self, digests: Mapping[int, str], now: float) -> None:
        n_chunks = n_bytes = 0  # that were not reported as acknowledged before
        for token, xxh3_128 in digests.items():
            entry = self._ledger.entry(token)
            if entry is None:
                continue
            self._completed.add(entry.version.path, entry.identity, bytes.fromhex(xxh3_128))
            self._ledger.on_completed(token)
            n_chunks += entry.n_chunks
            n_bytes += entry.version.size
            if entry.acked is not NO_CHUNKS:
                n_chunks -= len(entry.acked)
                n_bytes -= entry.acked_bytes
            self._reporter.on_completed(entry, now)
        self._reporter.on_acked(n_chunks, n_bytes)

    def on_undelivered(self, message: FileUndelivered) -> None:
        """Fail a file that the broker refuses, or begin it again in smaller chunks."""
        smaller = self._ledger.send_smaller(message.token) if message.is_too_large else None
        if smaller is not None:
            path = smaller.version.path
            self._log.warning(
                f"{printable(path)}: {message.reason}: uploading all of it again, in chunks of "
                f"{smaller.chunk_size} bytes",
                extra=about(path, cause=message.reason),
            )
            return
        self.log_failure(self._ledger.on_undelivered(message.token, message.reason), message.chunk)

    def on_given_up(self, message: DeliveryGivenUp) -> None:
        """Fail all that is open."""
        for entry in self._ledger.give_up(message.reason):
            self.log_failure(entry)

    def on_rows_recorded(self, message: RowsRecorded) -> None:
        """Note that rows are on disk that could not be written earlier."""
        self.unrecorded -= message.rows

    # -- the log

    def log_failure(self, entry: Entry | None, chunk: int = 0) -> None:
        """Log why a file failed, with the `chunk` that could not be delivered, or 0."""
        if entry is not None and entry.failure:
            entry.named = entry.failure
            path = entry.version.path
            fields = about(path, f"{chunk}/{entry.n_chunks}" if chunk else None, entry.failure)
            self._log.error(f"{printable(path)} not delivered: {entry.failure}", extra=fields)

    def _log_acked(self, entry: Entry, chunks: Iterable[tuple[int, int]]) -> None:
        path = entry.version.path
        for first, last in chunks:
            which = f"{first}-{last}/{entry.n_chunks}" if last > first else f"{first}/{entry.n_chunks}"
            self._log.debug(f"{printable(path)}: chunk {which} acknowledged", extra=about(path, which))
