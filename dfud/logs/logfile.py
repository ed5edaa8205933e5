"""The program's log: lines on the console and a file in LOGS."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from dfud.core.text import LAYOUT, counted, escaped
from dfud.errors import UsageError
from dfud.logs.journal import with_priority
from dfud.logs.log_files import FileInLogs, LogFile, choose_log_file
from dfud.logs.log_lines import JSON, TEXT, ConsoleFormatter, FileFormatter, JsonFormatter
from dfud.logs.rotation import Bounds, Rotation

MEGABYTE = 1_000_000


class LogOptions(NamedTuple):
    """What the user wants of the log."""

    stream_level: int
    file_level: int
    file_path: str | None = None  # None for the one in LOGS
    file_max_size: float = 10  # MB; 0 for no limit
    file_count: int = 5
    format: str = TEXT


class Console(Protocol):
    """Where lines for the user go."""

    is_journal: bool  # systemd's, which takes priorities

    def write_line(self, text: str) -> None:
        """Write a line, without ever waiting."""


class LineHandler(logging.Handler):
    """Passes each record, as a line, to the console."""

    def __init__(self, console: Console) -> None:
        """Write lines to `console`."""
        super().__init__()
        self._console = console
        self.setFormatter(ConsoleFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        text = self.format(record)
        self._console.write_line(with_priority(text, record.levelno) if self._console.is_journal else text)


class LogFileHandler(logging.Handler):
    """A log file, which is renamed when it is full, and opened again when it was removed or renamed.

    A failure to write it, as on a full disk, is reported once on the console and stops nothing. When there is room
    again, the number of the lines that are missing is written.
    """

    def __init__(
        self,
        log_file: LogFile,
        report: Callable[[str], None],
        bounds: Bounds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Append to the file; OSError if it cannot be opened."""
        self._log_file = log_file
        self._descriptor = log_file.open()
        super().__init__()
        self.setFormatter(FileFormatter())
        self._report = report
        self._rotation = Rotation(log_file, bounds, clock)
        self._missing = 0  # lines that could not be written

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line for the record."""
        try:
            self._open_the_present_one()
            if self._missing:
                text = f"{counted(self._missing, 'line')} could not be written here"
                fields = {"msg": text, "levelno": logging.WARNING, "levelname": "WARNING"}
                self._write(logging.makeLogRecord(fields))
                self._missing = 0
            self._write(record)
        except OSError:
            self.handleError(record)

    def reopen(self) -> None:
        """Use the file that is at the path, or make it; what cannot be done is reported with the next line."""
        with contextlib.suppress(OSError):
            self._open_the_present_one()

    def _write(self, record: logging.LogRecord) -> None:
        line = memoryview(f"{escaped(self.format(record), LAYOUT)}\n".encode("utf-8", "backslashreplace"))
        while line:
            line = line[os.write(self._descriptor, line) :]

    def _open_the_present_one(self) -> None:
        present, own = self._log_file.stat(), os.fstat(self._descriptor)
        if present is not None and os.path.samestat(present, own):
            if not self._rotation.is_due(own):
                return
            self._rotate()
        with contextlib.suppress(FileNotFoundError):  # LOGS is gone, and will be made again
            new = self._log_file.open()
            os.close(self._descriptor)
            self._descriptor = new

    def _rotate(self) -> None:
        try:
            self._rotation.rotate(self._descriptor)
        except OSError as error:
            path = self._log_file.path
            self._report(f"WARNING: cannot rename {path}, which is full: {error.strerror}; writing on into it")

    def handleError(self, record: logging.LogRecord) -> None:
        """Report the first record that cannot be written."""
        self._missing += 1
        if self._missing == 1:
            error = sys.exc_info()[1]
            reason = getattr(error, "strerror", None) or error
            self._report(f"WARNING: cannot write {self._log_file.path}: {reason}")


def console_log(console: Console, options: LogOptions, common: Mapping[str, Any]) -> logging.Logger:
    """Return a new logger that writes to the console alone; with JSON each record has the fields `common`."""
    log = logging.Logger("dfud", options.stream_level)
    _add(log, LineHandler(console), options.stream_level, options, common)
    return log


def open_log(
    console: Console, options: LogOptions, default: FileInLogs, directory: str, common: Mapping[str, Any]
) -> logging.Logger:
    """Return a new logger for one run of `directory`, with a log file, too: `default` unless the user chose one.

    Raises UsageError, which names the file, if that cannot be opened.
    """
    log_file = choose_log_file(options.file_path, default, directory)
    bounds = Bounds(int(options.file_max_size * MEGABYTE), options.file_count)
    log = console_log(console, options, common)

    def report(text: str) -> None:
        console.write_line(with_priority(text, logging.WARNING) if console.is_journal else text)

    try:
        handler = LogFileHandler(log_file, report, bounds)
    except OSError as error:
        raise UsageError(f"cannot open {log_file.path}: {error.strerror}; see --logger_file_path") from None
    _add(log, handler, options.file_level, options, common)
    log.setLevel(min(options.stream_level, options.file_level))  # what nobody wants costs nothing
    return log


def _add(
    log: logging.Logger, handler: logging.Handler, level: int, options: LogOptions, common: Mapping[str, Any]
) -> None:
    handler.setLevel(level)
    if options.format == JSON:
        handler.setFormatter(JsonFormatter(common))
    log.addHandler(handler)


def reopen_log(log: logging.Logger) -> None:
    """Open the log file again, as whoever has renamed it asks for."""
    for handler in log.handlers:
        if isinstance(handler, LogFileHandler):
            handler.reopen()
    log.info("log file opened again")
