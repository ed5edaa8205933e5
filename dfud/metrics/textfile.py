"""The file of metrics for the textfile collector of node_exporter: where it may be, and when it is written."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator

from dfud.errors import UsageError
from dfud.files.atomic import create_beside, replace_file
from dfud.logs.layout import LogsFolder
from dfud.logs.upload_status import UploadStatus
from dfud.metrics.families import render
from dfud.processes.workers import WorkerPool

_SUFFIX = ".prom"  # of the files that node_exporter reads
_INTERVAL_S = 10.0  # between writes
_COST_FACTOR = 25  # times what a write takes, if that is longer: 4 % of a core
_OPTION = "--metrics_file"


class MetricsFile:
    """Responsible for the file of metrics of a run, which goes on without it.

    It is replaced as a whole, and no link in its place is followed.
    """

    def __init__(self, path: str, logs: LogsFolder, clock: Callable[[], float] = time.monotonic) -> None:
        """Use `path`, which is in LOGS or outside of the directory; nothing is written yet.

        Raises UsageError if it cannot be written, or would be uploaded.
        """
        self.log = logging.Logger("dfud", logging.CRITICAL + 1)  # until the log file is open
        self._clock = clock
        self._logs = logs
        self._folder, self._name = os.path.split(os.path.abspath(path))
        self._folder = os.path.realpath(self._folder)
        self._path = os.path.join(self._folder, self._name)
        self._is_in_logs = self._folder == logs.path
        self._is_failing = False
        self.due = clock()
        self._check()

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
        content = [render(status)]
        try:
            # After a power cut it would say nothing that is still so: it need not be synced.
            if self._is_in_logs:
                self._logs.replace(self._path, content, durable=False)
            else:
                with _opened(self._folder) as dir_fd:
                    replace_file(dir_fd, self._name, content, durable=False)
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                what = error.strerror or error
                self.log.warning(f"cannot write {self._path}: {what}; retrying; uploading continues")
        else:
            if self._is_failing:
                self._is_failing = False
                self.log.warning(f"writing {self._path} works again")

    def _check(self) -> None:
        if not self._name.endswith(_SUFFIX):
            raise UsageError(
                f"{_OPTION} {self._path}: node_exporter reads only files whose names end in {_SUFFIX}; rename it"
            )
        if self._is_in_logs:
            return
        top = os.path.realpath(self._logs.directory)
        if os.path.commonpath([top, self._folder]) == top:
            raise UsageError(
                f"{_OPTION} {self._path} lies in the directory that is uploaded; choose another folder, "
                f"or {self._logs.path}"
            )
        try:
            if os.path.isdir(self._path) and not os.path.islink(self._path):
                raise IsADirectoryError(0, "it is a folder")
            with _opened(self._folder) as dir_fd:
                descriptor, temporary = create_beside(dir_fd, self._name, os.O_WRONLY)
                os.close(descriptor)
                os.unlink(temporary, dir_fd=dir_fd)
        except OSError as error:
            raise UsageError(
                f"cannot write {_OPTION} {self._path}: {error.strerror}; its folder must exist, and dfud must be "
                "able to write into it"
            ) from None


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    """Open the folder for a while, and return its descriptor."""
    dir_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield dir_fd
    finally:
        os.close(dir_fd)
