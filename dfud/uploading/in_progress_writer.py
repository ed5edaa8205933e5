"""When the in-progress table is written: often enough to be relied on, seldom enough to cost little."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from dfud.core.text import counted
from dfud.files.open_folder import is_same_file
from dfud.logs.in_progress_table import write_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.unproven_table import write_unproven_table
from dfud.uploading.ledger import Ledger

# With what a producer waits before it reports an acknowledgement, together well under 5 s.
_MIN_INTERVAL_S, _MAX_INTERVAL_S = 2.0, 3.0  # between writes
_COST_FACTOR = 25  # times what a write takes, within these limits: 4 % of a core


def write_tables(folder: LogsFolder, ledger: Ledger) -> int:
    """Replace the table, and return how many rows it has; OSError if that fails.

    The table of unproven versions comes first, as nothing else remembers what has left this one.
    """
    recorded = ledger.recorded
    if recorded.unproven_changed:
        write_unproven_table(folder, recorded.unproven())
        recorded.unproven_changed = False
    rows = ledger.rows()
    write_in_progress_table(folder, rows)
    ledger.on_written(rows)
    return len(rows)


class InProgressWriter:
    """Responsible for the table of the files that are detected and not yet acknowledged entirely."""

    def __init__(
        self,
        folder: LogsFolder,
        ledger: Ledger,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write the rows of `ledger` to the table in `folder`."""
        self._folder = folder
        self._ledger = ledger
        self._log = log
        self._clock = clock
        self._next_write = 0.0
        self._present: os.stat_result | None = None  # of the table, as it was written
        self._is_stopped = False
        self.is_failing = False  # the last write failed: the table is not up to date

    @property
    def due(self) -> float | None:
        """When the table is to be written (s, monotonic), or None while nothing has changed."""
        return self._next_write if self._ledger.changed else None

    def write_if_displaced(self) -> None:
        """Write the table if it is no longer the one that was written last."""
        try:
            status = self._folder.stat(self._folder.in_progress)
        except OSError:  # LOGS is missing
            status = None
        if status is None or self._present is None or not is_same_file(status, self._present):
            self._ledger.recorded.unproven_changed = True  # it may be missing, too
            self.write()

    def stop(self) -> None:
        """Never write the table again, as it is another process's now."""
        self._is_stopped = self.is_failing = True

    def write_if_due(self, now: float) -> None:
        """Write the table if something has changed and the last write was long enough ago."""
        if self._ledger.changed and now >= self._next_write:
            self.write()

    def write(self) -> None:
        """Write the table; if that fails, log it once, and let `write_if_due` retry."""
        began = self._clock()
        self._ledger.changed = False
        if self._is_stopped:
            return
        path = self._folder.in_progress
        try:
            n_rows = write_tables(self._folder, self._ledger)
            self._present = self._folder.stat(path)
        except OSError as error:
            self._ledger.changed = True
            if not self.is_failing:
                self.is_failing = True
                self._log.error(f"cannot write {path}: {error.strerror or error}; retrying")
        else:
            self._log.debug("%s written: %s", path, counted(n_rows, "row"))
            if self.is_failing:
                self.is_failing = False
                self._log.warning(f"writing {path} works again")
        now = self._clock()
        self._next_write = now + min(max(_MIN_INTERVAL_S, _COST_FACTOR * (now - began)), _MAX_INTERVAL_S)
