"""The files of the tables: their lines, and the rows that cannot be understood and are saved beside."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from dfud.core.tables import BadRow
from dfud.files.open_folder import OpenFolder

Row = TypeVar("Row")


class RejectedRow(NamedTuple):
    """A row that cannot be understood, and the table that it is in."""

    table: str  # path
    row: BadRow


def read_lines(folder: OpenFolder, path: str) -> Iterator[str]:
    """Yield the lines of a table with their line ends; OSError if it cannot be read."""
    table = folder.open_to_read(path)
    with io.TextIOWrapper(table, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        yield from lines


def accepted_rows(rows: Iterable[Row | BadRow], table: str, rejected: list[RejectedRow]) -> Iterator[Row]:
    """Yield the rows that can be understood, and add the others of `table` to `rejected`."""
    for row in rows:
        if isinstance(row, BadRow):
            rejected.append(RejectedRow(table, row))
        else:
            yield row


def save_rejected_rows(folder: OpenFolder, rejected: list[RejectedRow]) -> None:
    """Append rows to the ``.bad`` files of their tables, durably; OSError if that fails."""
    for path, row in rejected:
        descriptor = folder.open_in_place(f"{path}.bad", os.O_WRONLY | os.O_APPEND)
        with open(descriptor, "a", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(row.text + "\n")
            file.flush()
            os.fsync(file.fileno())
    if rejected:
        folder.sync()
