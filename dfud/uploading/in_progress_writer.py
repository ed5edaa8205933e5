"""Keeping the in-progress table up to date: often enough to be believed, and not so often that it costs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from dfud.logs.in_progress_table import write_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.uploading.ledger import Ledger

# With what a producer waits before it reports an acknowledgement, together well under 5 s.
_MIN_INTERVAL_S = 2.0  # s between writings, at the least
_COST_FACTOR = 25  # and so many times what a writing takes: 4 % of a core
_MAX_INTERVAL_S = 3.0  # s


class InProgressWriter:
    """Responsible for the table of what is recognised and not yet wholly acknowledged."""

    def __init__(
        self,
        folder: LogsFolder,
        ledger: Ledger,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._log = log
        self._clock = clock
        self._next = 0.0
        self.is_in_trouble = False  # what it holds now could not be written

    @property
    def due(self) -> float | None:
        """When it is to be written (s, monotonic), or None while nothing has changed."""
        return self._next if self._ledger.changed else None

    def keep(self, now: float) -> None:
        """Write the table if it is due."""
        if self._ledger.changed and now >= self._next:
            self.write()

    def write(self) -> None:
        """Write the table; a disk that does not take it is told of once, and tried again."""
        began = self._clock()
        self._ledger.changed = False
        try:
            write_in_progress_table(self._folder, self._ledger.rows())
        except OSError as problem:
            self._ledger.changed = True
            if not self.is_in_trouble:
                self.is_in_trouble = True
                self._log.error(f"the in-progress table can't be written: {problem}; it is tried again")
        else:
            if self.is_in_trouble:
                self.is_in_trouble = False
                self._log.warning("the in-progress table is written again")
        now = self._clock()
        self._next = now + min(max(_MIN_INTERVAL_S, _COST_FACTOR * (now - began)), _MAX_INTERVAL_S)
