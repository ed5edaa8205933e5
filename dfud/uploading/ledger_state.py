"""What can be asked of a ledger: nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.ranges import RangeSet
from dfud.core.tables import InProgressRow, in_progress_row
from dfud.uploading.entries import Entries
from dfud.uploading.entry import ENDED, Entry, State


class Progress(NamedTuple):
    """How much there is to do."""

    files: int  # enqueued or in progress
    failed: int  # that will not be delivered in this run, or are held
    chunks: int  # of the files that are enqueued or in progress
    acked: int  # of those chunks


class LedgerState:
    """The files that are detected and not yet acknowledged entirely, for whoever shows or records them."""

    def __init__(self, entries: Entries) -> None:
        """Look at `entries`."""
        self._entries = entries

    @property
    def open_files(self) -> int:
        """The number of files that are neither failed nor held."""
        return len(self._entries) - self._entries.n_ended

    @property
    def busy_files(self) -> int:
        """The number of open files that are not paused: those that take room from others."""
        return self.open_files - len(self._entries.retries)

    def has_open_below(self, folder: bytes) -> bool:
        """Return whether files below `folder`, b"" for the directory, are neither failed nor held nor gone."""
        return self._entries.has_open_below(folder) if folder else self.open_files > 0

    @property
    def undelivered(self) -> list[Entry]:
        """The files that are failed or held, each in its latest version."""
        return [
            entry
            for entry in self._entries.pictures()
            if entry.state in ENDED and not self._entries.is_superseded(entry)
        ]

    def identities(self) -> set[bytes]:
        """Return the identities of all versions that are here."""
        return {entry.identity for entry in self._entries.pictures()}

    def progress(self) -> Progress:
        """Count files and chunks; this visits every entry, and is for answering a user."""
        entries = [entry for entry in self._entries.pictures() if entry.state not in ENDED]
        chunks = sum(entry.n_chunks for entry in entries)
        acked = sum(len(entry.acked) for entry in entries)
        return Progress(len(entries), len(self.undelivered), chunks, acked)

    def in_progress(self) -> Iterator[Entry]:
        """Yield the files that are to be delivered, failed or not: all but those that are only compared."""
        return (entry for entry in self._entries.pictures() if not entry.known_digest)

    def active(self) -> Iterator[Entry]:
        """Yield the files that are with a lane: being read, or read and not yet acknowledged entirely."""
        return self._entries.pictures_with_lane()

    @property
    def n_active(self) -> int:
        """The number of files that are with a lane."""
        return self._entries.n_with_lane

    def is_superseded(self, entry: Entry) -> bool:
        """Return whether there is a newer version of the file."""
        return self._entries.is_superseded(entry)

    def rows(self) -> list[InProgressRow]:
        """Return the rows of the in-progress table."""
        return [
            in_progress_row(entry.version, entry.chunk_size, self._delivered(entry), entry.started, entry.stamp)
            for entry in self.in_progress()
            if not (entry.state is State.GIVEN_UP and self._entries.is_superseded(entry))
        ]

    def _delivered(self, entry: Entry) -> RangeSet:
        """Return the chunks of `entry` that another run need not send.

        Of a version that was there before, and is there again, only what was read since: it may have been
        rewritten within a tick of the file system's clock, and its two rows are one for the next run.
        """
        latest = self._entries.latest.get(entry.version.path)
        is_back = latest is not None and latest is not entry and latest.version == entry.version
        return RangeSet() if is_back else entry.delivered
