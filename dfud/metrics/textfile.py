"""The file of metrics for the textfile collector of node_exporter: where it may be, and when it is written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from dfud.errors import UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.replaced_file import ReplacedFile
from dfud.logs.upload_status import UploadStatus
from dfud.metrics.families import render
from dfud.processes.workers import WorkerPool

_SUFFIX = ".prom"  # of the files that node_exporter reads
_INTERVAL_S = 10.0  # between writes
_COST_FACTOR = 25  # times what a write takes, if that is longer: 4 % of a core
_OPTION = "--metrics_file"


class MetricsFile:
    """Responsible for the file of metrics of a run, which goes on without it."""

    def __init__(self, path: str, logs: LogsFolder, clock: Callable[[], float] = time.monotonic) -> None:
        """Use `path`, which is in LOGS or outside of the directory; nothing is written yet.

        Raises UsageError if it cannot be written, or would be uploaded.
        """
        self.log = logging.Logger("dfud", logging.CRITICAL + 1)  # until the log file is open
        self._clock = clock
        self._file = ReplacedFile(path, logs)
        self._is_failing = False
        self.due = clock()
        if not self._file.name.endswith(_SUFFIX):
            raise UsageError(
                f"{_OPTION} {self._file.path}: node_exporter reads only files whose names end in {_SUFFIX}; "
                "rename it"
            )
        self._file.check(_OPTION)

    def use(self, pool: WorkerPool) -> None:
        """Do nothing: no process is needed."""

    def turn(self, now: float, describe: Callable[[], UploadStatus]) -> None:
        """Write the file if it is due."""
        if now < self.due:
            return
        began = self._clock()
        self.end(describe())
        self.due = now + max(_INTERVAL_S, _COST_FACTOR * (self._clock() - began))

    def end(self, status: UploadStatus) -> None:
        """Write `status` into the file."""
        try:
            self._file.replace([render(status)])
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                what = error.strerror or error
                self.log.warning(f"cannot write {self._file.path}: {what}; retrying; uploading continues")
        else:
            if self._is_failing:
                self._is_failing = False
                self.log.warning(f"writing {self._file.path} works again")
