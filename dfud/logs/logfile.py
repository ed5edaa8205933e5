"""The program's log: lines on the console and a file in LOGS."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from dfud.errors import UsageError

FILE_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class LineHandler(logging.Handler):
    """Passes each record, as a line, to a function that never blocks."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        """Pass lines to `write_line`."""
        super().__init__()
        self._write_line = write_line

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the text of a record, with its level from WARNING on."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname}: {text}"
        self._write_line(text)


class LogFileHandler(logging.FileHandler):
    """A log file; a failure to write it, as on a full disk, is reported once on the console and stops nothing."""

    def __init__(self, path: str, report: Callable[[str], None]) -> None:
        """Append to the file at `path`; OSError if it cannot be opened."""
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter(FILE_FORMAT))
        self._report = report
        self._reported = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Report the first record that cannot be written."""
        if not self._reported:
            self._reported = True
            error = sys.exc_info()[1]
            reason = getattr(error, "strerror", None) or error
            self._report(f"WARNING: cannot write {self.baseFilename}: {reason}")


def make_log(write_line: Callable[[str], None], stream_level: int, path: str, file_level: int) -> logging.Logger:
    """Return a new logger for one run; OSError if the file at `path` cannot be opened."""
    log = logging.Logger("dfud")
    stream = LineHandler(write_line)
    stream.setLevel(stream_level)
    file = LogFileHandler(path, write_line)
    file.setLevel(file_level)
    log.addHandler(stream)
    log.addHandler(file)
    return log


def open_log(
    write_line: Callable[[str], None], stream_level: int, chosen: str | None, default: str, file_level: int
) -> logging.Logger:
    """Return a logger as `make_log` does, with the file `chosen` (or one in that folder) or the file `default`.

    Raises UsageError, which names the file, if it cannot be opened.
    """
    path = chosen or default
    if os.path.isdir(path):
        path = os.path.join(path, os.path.basename(default))
    try:
        return make_log(write_line, stream_level, path, file_level)
    except OSError as error:
        raise UsageError(f"cannot open {path}: {error.strerror}; see --logger_file_path") from None
