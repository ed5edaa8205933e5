"""The files of the tables: reading their lines, and keeping the rows that cannot be understood."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dfud.core.tables import BadRow, Row
from dfud.files.atomic import sync_folder


class RejectedRow(NamedTuple):
    """A row that could not be understood, and the table it was in."""

    table: str  # path
    row: BadRow


def read_lines(path: str) -> Iterator[str]:
    """Yield the lines of a table with their line ends; OSError if it cannot be read."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from file


def accepted_rows(rows: Iterable[Row | BadRow], table: str, rejected: list[RejectedRow]) -> Iterator[Row]:
    """Yield the rows that could be understood; the others of `table` are added to `rejected`."""
    for row in rows:
        if isinstance(row, BadRow):
            rejected.append(RejectedRow(table, row))
        else:
            yield row


def save_rejected_rows(rejected: list[RejectedRow]) -> None:
    """Append rows to the ``.bad`` files of their tables, durably; OSError if that fails."""
    for path, row in rejected:
        with open(f"{path}.bad", "a", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(row.text + "\n")
            file.flush()
            os.fsync(file.fileno())
    for folder in {os.path.dirname(path) for path, _ in rejected}:
        sync_folder(folder)
