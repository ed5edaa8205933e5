"""The program's log: lines on the console and a file in LOGS."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Protocol

from dfud.core.text import LAYOUT, escaped
from dfud.errors import UsageError
from dfud.files.open_folder import OpenFolder, open_regular
from dfud.files.openat import open_folder

FILE_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_APPEND = os.O_WRONLY | os.O_APPEND


class LogFile(Protocol):
    """Where the log file is."""

    path: str

    def open(self) -> int:
        """Return the descriptor of the file, which is created if necessary; OSError if that fails."""

    def stat(self) -> os.stat_result | None:
        """Return the status of what is at the path now, or None; OSError if that cannot be found out."""


class ChosenFile:
    """A log file of the user's choice, which may be a link or a device."""

    def __init__(self, path: str) -> None:
        """Use the file at `path`."""
        self.path = path

    def open(self) -> int:
        """Open the file."""
        return os.open(self.path, _APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def stat(self) -> os.stat_result | None:
        """Follow links, as `open` does."""
        try:
            return os.stat(self.path)
        except FileNotFoundError:
            return None


class FileBelow:
    """A log file of the user's choice below the directory, where others may have put something in its place."""

    def __init__(self, directory: str, path: str) -> None:
        """Use the file at `path`, relative to `directory`."""
        self.path = os.path.join(directory, path)
        self._directory = directory
        self._folder, self._name = map(os.fsencode, os.path.split(path))

    def open(self) -> int:
        """Open the file, if it is one."""
        with self._open_folder() as folder_fd:
            return open_regular(os.fsdecode(self._name), _APPEND | os.O_CREAT, folder_fd)

    def stat(self) -> os.stat_result | None:
        """Follow no link."""
        try:
            with self._open_folder() as folder_fd:
                return os.stat(self._name, dir_fd=folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _open_folder(self) -> Iterator[int]:
        dir_fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            folder_fd = open_folder(dir_fd, self._folder)
        finally:
            os.close(dir_fd)
        try:
            yield folder_fd
        finally:
            os.close(folder_fd)


class FileInLogs:
    """A log file in LOGS, where others may have put something in its place."""

    def __init__(self, folder: OpenFolder, path: str) -> None:
        """Use the file at `path` in `folder`."""
        self.path = path
        self._folder = folder

    def open(self) -> int:
        """Open the file, if it is one."""
        return self._folder.open_in_place(self.path, _APPEND)

    def stat(self) -> os.stat_result | None:
        """Follow no link."""
        return self._folder.stat(self.path)


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


class LogFileHandler(logging.Handler):
    """A log file, which is opened again when it was removed or renamed.

    A failure to write it, as on a full disk, is reported once on the console and stops nothing.
    """

    def __init__(self, log_file: LogFile, report: Callable[[str], None]) -> None:
        """Append to the file; OSError if it cannot be opened."""
        self._log_file = log_file
        self._descriptor = log_file.open()
        super().__init__()
        self.setFormatter(logging.Formatter(FILE_FORMAT))
        self._report = report
        self._reported = False

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line for the record."""
        try:
            self._reopen_if_replaced()
            line = memoryview(f"{escaped(self.format(record), LAYOUT)}\n".encode("utf-8", "backslashreplace"))
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            self.handleError(record)

    def _reopen_if_replaced(self) -> None:
        status = self._log_file.stat()
        if status is not None and os.path.samestat(status, os.fstat(self._descriptor)):
            return
        with contextlib.suppress(FileNotFoundError):  # LOGS is gone, and will be made again
            new = self._log_file.open()
            os.close(self._descriptor)
            self._descriptor = new

    def handleError(self, record: logging.LogRecord) -> None:
        """Report the first record that cannot be written."""
        if not self._reported:
            self._reported = True
            error = sys.exc_info()[1]
            reason = getattr(error, "strerror", None) or error
            self._report(f"WARNING: cannot write {self._log_file.path}: {reason}")


def make_log(
    write_line: Callable[[str], None], stream_level: int, log_file: LogFile, file_level: int
) -> logging.Logger:
    """Return a new logger for one run; OSError if `log_file` cannot be opened."""
    log = logging.Logger("dfud")
    stream = LineHandler(write_line)
    stream.setLevel(stream_level)
    file = LogFileHandler(log_file, write_line)
    file.setLevel(file_level)
    log.addHandler(stream)
    log.addHandler(file)
    return log


def _path_below(path: str, directory: str) -> str | None:
    """Return a path relative to the directory; None if it does not lie below it."""
    for top in (os.path.abspath(directory), os.path.realpath(directory)):
        relative = os.path.relpath(os.path.abspath(path), top)
        if relative.split(os.sep)[0] not in (os.pardir, os.curdir):
            return relative
    return None


def open_log(
    write_line: Callable[[str], None],
    stream_level: int,
    chosen: str | None,
    default: FileInLogs,
    file_level: int,
    directory: str,
) -> logging.Logger:
    """Return a logger as `make_log` does, with the file `chosen` (or one in that folder) or the file `default`.

    No link in `directory` is followed, as others may write into it. Raises UsageError, which names the file, if
    that cannot be opened.
    """
    log_file: LogFile = default
    if chosen:
        path = os.path.join(chosen, os.path.basename(default.path)) if os.path.isdir(chosen) else chosen
        below = _path_below(path, directory)
        log_file = ChosenFile(path) if below is None else FileBelow(os.path.abspath(directory), below)
    try:
        return make_log(write_line, stream_level, log_file, file_level)
    except OSError as error:
        raise UsageError(f"cannot open {log_file.path}: {error.strerror}; see --logger_file_path") from None
