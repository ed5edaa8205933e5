"""The files of the tables: their lines, and the rows that cannot be understood and are saved beside."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import IO, AnyStr, NamedTuple, TypeVar

from dfud.core.tables import BadRow
from dfud.files.open_folder import OpenFolder

Row = TypeVar("Row")
MAX_LINE_CHARS = 1 << 26  # of a table; the ranges of the most scattered file of a terabyte are shorter
_MAX_REJECTED = 100_000  # rows
_MAX_BAD_BYTES = 1 << 26  # of the file beside it


class RejectedRow(NamedTuple):
    """A row that cannot be understood, and the table that it is in."""

    table: str  # path
    row: BadRow


def read_lines(folder: OpenFolder, path: str) -> Iterator[str]:
    """Yield the lines of a table with their line ends; OSError if it cannot be read, or has no lines."""
    table = folder.open_to_read(path)
    with io.TextIOWrapper(table, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        yield from bounded_lines(lines, path)


def bounded_lines(lines: IO[AnyStr], path: str) -> Iterator[AnyStr]:
    """Yield the lines of an open table; OSError if one has no end, as in a file that was made to fill memory."""
    while line := lines.readline(MAX_LINE_CHARS):
        if len(line) == MAX_LINE_CHARS:
            raise OSError(
                errno.EFBIG, f"it has a line of more than {MAX_LINE_CHARS:,} characters; move it away", path
            )
        yield line


def accepted_rows(rows: Iterable[Row | BadRow], table: str, rejected: list[RejectedRow]) -> Iterator[Row]:
    """Yield the rows that can be understood, and add the others of `table` to `rejected`.

    Raises OSError if these are too many to be anything but another file, or one that was made to fill memory.
    """
    n_chars = 0
    for row in rows:
        if isinstance(row, BadRow):
            n_chars += len(row.text)
            if len(rejected) >= _MAX_REJECTED or n_chars > MAX_LINE_CHARS:
                raise OSError(errno.EFBIG, f"{len(rejected):,} rows and more are malformed; move it away", table)
            rejected.append(RejectedRow(table, row))
        else:
            yield row


def save_rejected_rows(folder: OpenFolder, rejected: list[RejectedRow]) -> None:
    """Append rows to the ``.bad`` files of their tables, durably; OSError if that fails."""
    for path, rows in groupby(rejected, key=lambda each: each.table):
        bad = f"{path}.bad"
        descriptor = folder.open_in_place(bad, os.O_WRONLY | os.O_APPEND)
        with open(descriptor, "a", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if os.fstat(descriptor).st_size > _MAX_BAD_BYTES:
                raise OSError(errno.EFBIG, f"it has more than {_MAX_BAD_BYTES >> 20} MiB; move it away", bad)
            file.writelines(row.text + "\n" for _, row in rows)
            file.flush()
            os.fsync(descriptor)
    if rejected:
        folder.sync()
