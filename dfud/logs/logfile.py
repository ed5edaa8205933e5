"""The program's log: to the console's lines, and to a file in LOGS."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from dfud.errors import UsageError

FILE_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class LineHandler(logging.Handler):
    """Hands each record to a function that takes a line and never waits."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        super().__init__()
        self._write_line = write_line

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname}: {text}"
        self._write_line(text)


class LogFileHandler(logging.FileHandler):
    """A log file whose trouble (a full disk) is told once on the console and never stops the program."""

    def __init__(self, path: str, tell: Callable[[str], None]) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter(FILE_FORMAT))
        self._tell = tell
        self._told = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._told:
            self._told = True
            self._tell(f"WARNING: the log file {self.baseFilename} can't be written")


def make_log(write_line: Callable[[str], None], stream_level: int, path: str, file_level: int) -> logging.Logger:
    """Return a logger of its own for one run; OSError if the file can't be opened."""
    log = logging.Logger("dfud")
    stream = LineHandler(write_line)
    stream.setLevel(stream_level)
    file = LogFileHandler(path, write_line)
    file.setLevel(file_level)
    log.addHandler(stream)
    log.addHandler(file)
    return log


def open_log(
    write_line: Callable[[str], None], stream_level: int, given: str | None, usual: str, file_level: int
) -> logging.Logger:
    """Return a logger as `make_log` does, to the file or in the folder `given`, or to `usual`.

    Raises UsageError, which names the file, if that can't be opened.
    """
    path = given or usual
    if os.path.isdir(path):
        path = os.path.join(path, os.path.basename(usual))
    try:
        return make_log(write_line, stream_level, path, file_level)
    except OSError as problem:
        raise UsageError(
            f"the log file {path} can't be opened: {problem.strerror}; see --logger_file_path"
        ) from None
