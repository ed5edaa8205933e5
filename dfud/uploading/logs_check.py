"""LOGS, and all in it, is there for as long as the run lasts, whatever others remove, rename or replace."""

from __future__ import annotations

from collections.abc import Callable

from dfud.core.text import counted
from dfud.errors import DfudError, LockedError
from dfud.logs.keeper import Repairs
from dfud.uploading.context import UploadContext
from dfud.uploading.fleet import Fleet
from dfud.uploading.in_progress_writer import InProgressWriter

_INTERVAL_S = 5.0  # between checks where no event tells of a removal
# Whoever removes the directory removes LOGS with it: what is made again at once would be in the way.
_SETTLE_S = 0.25  # without an event, before LOGS is made again


class LogsCheck:
    """Responsible for making LOGS again, unless another process uploads from here now."""

    def __init__(
        self,
        context: UploadContext,
        fleet: Fleet,
        table: InProgressWriter,
        on_displaced: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """Check the LOGS of `context`; call `on_displaced` once another process has its lock."""
        self._folder, self._keeper, self._log = context.folder, context.keeper, context.log
        self._fleet = fleet
        self._table = table
        self._on_displaced = on_displaced
        self._clock = clock
        self.due = self._latest = clock() + _INTERVAL_S  # s, monotonic; of the next check
        self.trouble = ""  # why LOGS cannot be made again; empty if it is in place
        self.is_displaced = False  # another process uploads from here now

    @property
    def free_bytes(self) -> int | None:
        """How much can still be written into LOGS; None if that cannot be found out."""
        try:
            return self._folder.free_bytes
        except OSError:
            return None

    def on_disturbed(self) -> None:
        """Check soon, as something in LOGS was removed or replaced."""
        self.due = min(self._latest, self._clock() + _SETTLE_S)

    def check_if_due(self, now: float) -> None:
        """Check if it is time (s, monotonic) to."""
        if now >= self.due:
            self.check()

    def check_all(self) -> None:
        """Check until there is nothing left to make again."""
        while not self.check():
            pass

    def check(self) -> bool:
        """Make again what others have removed or replaced in LOGS, or LOGS; return False if more is to follow."""
        self.due = self._latest = self._clock() + _INTERVAL_S
        if self.is_displaced:
            return True
        trouble = ""
        repairs = Repairs()
        try:
            repairs = self._keeper.check(self._fleet.shard_copies)
        except LockedError as error:
            self.is_displaced = True
            self._log.error(f"{self._folder.path} was removed, and meanwhile {error}")
            self._on_displaced()
            return True
        except DfudError as error:
            trouble = str(error)
        except OSError as error:
            trouble = f"cannot make {error.filename or self._folder.path} again: {error.strerror}"
        if trouble and trouble != self.trouble:
            self._log.error(f"{trouble}; retrying")
        self.trouble = trouble
        if not repairs.is_complete:
            self.due = self._clock()
        self._report(repairs)
        if repairs.is_another_folder:
            self._fleet.on_logs_replaced()
        if repairs.must_check_shards:
            self._fleet.check_shards()
        self._table.write_if_displaced()
        return repairs.is_complete

    def _report(self, repairs: Repairs) -> None:
        if repairs.is_another_folder:
            self._log.warning(f"{self._folder.path} was removed or replaced: making it again, with all in it")
            if self._folder.weakness:
                self._log.warning(self._folder.weakness)
        elif repairs.files:
            more = f" and {counted(len(repairs.files) - 1, 'other file')}" if len(repairs.files) > 1 else ""
            self._log.warning(f"{repairs.files[0]}{more} removed or replaced by another program: made again")
