"""The table of released files on disk: each removal is recorded there, durably, before it happens.

It is only appended to: a million rows cannot be replaced for each of them. Rows come in batches: what became
of the batch before, and what will be removed next. So after a crash only the last batch is open.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

from dfud.core.released import HEADER, ReleasedRow, format_released, open_rows, read_released
from dfud.errors import DfudError
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.table_files import bounded_lines

_MAX_OFFSET_CHARS = 20


class ReleasedTable:
    """Responsible for the table of one topic; there is one such process, which holds the lock.

    The lock file says where the last batch begins. After a crash that may be too early, but never too late.
    """

    def __init__(self, folder: LogsFolder, lock: DirectoryLock) -> None:
        """Open the table, and make it if there is none; OSError if that fails."""
        self._folder = folder
        self._lock = lock
        self._path = folder.released
        self._descriptor = folder.open_in_place(self._path, os.O_RDWR | os.O_APPEND)
        self._end = self._cut_off_torn_row()
        if not self._end:
            self._append(HEADER)
            folder.sync()

    def close(self) -> None:
        """Close the table."""
        os.close(self._descriptor)

    def open_rows(self) -> list[ReleasedRow]:
        """Return the rows of the files of which it is not recorded what became."""
        with open(os.dup(self._descriptor), "rb") as file:
            file.seek(self._last_batch())
            with io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="") as lines:
                return open_rows(read_released(bounded_lines(lines, self._path)))

    def record(self, done: Sequence[ReleasedRow], next_ones: Sequence[ReleasedRow]) -> None:
        """Record, durably, what became of a batch, and what will be removed next.

        Raises OSError if that fails; then nothing may be removed. DfudError if LOGS or the table was removed.
        """
        self._check_place()
        begin = self._end
        self._append(format_released([*done, *next_ones]))
        # What came before is durable now; the other way round, a crash would hide the batch before.
        text = b"%-20d\n" % begin
        os.pwrite(self._lock.fileno(), text, 0)
        os.ftruncate(self._lock.fileno(), len(text))

    def _append(self, text: bytes) -> None:
        view = memoryview(text)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._end)
            raise OSError(error.errno, error.strerror, self._path) from None
        self._end += len(text)

    def _check_place(self) -> None:
        status = self._folder.stat(self._path) if self._folder.is_in_place() else None
        if status is None or not os.path.samestat(status, os.fstat(self._descriptor)):
            raise DfudError(f"{self._path} was removed or replaced meanwhile: stopped; nothing more was released")

    def _last_batch(self) -> int:
        """Return where the rows that may be open begin: the beginning of the table if that is not known."""
        text = os.pread(self._lock.fileno(), _MAX_OFFSET_CHARS + 1, 0).strip()
        offset = int(text) if text.isdigit() and len(text) < _MAX_OFFSET_CHARS else 0
        size = os.fstat(self._descriptor).st_size
        if not len(HEADER) <= offset <= size or os.pread(self._descriptor, 2, offset - 2) != b"\r\n":
            return 0
        return offset

    def _cut_off_torn_row(self) -> int:
        """Cut off what a crash has left of a row: nothing of it was done yet. Return the size."""
        begin = end = self._last_batch()
        n_quotes = 0  # a line end within quotes is one of a path
        with open(os.dup(self._descriptor), "rb") as file:
            file.seek(begin)
            for line in bounded_lines(file, self._path):
                begin += len(line)
                n_quotes += line.count(b'"')
                if line.endswith(b"\r\n") and n_quotes % 2 == 0:
                    end = begin
        if end != begin:
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
        return end
