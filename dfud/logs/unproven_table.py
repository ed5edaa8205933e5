"""The table of unproven versions: those that may have replaced on the topic what the completed table has.

A version is on the topic once all of its chunks are, and recorded only later. If the run ends in between, and the
file is an earlier version again at the next start, nothing but this table says that the topic has the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from dfud.core.tables import UnprovenRow, format_row, format_rows, read_unproven, version_of
from dfud.core.version import FileVersion
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines


def read_unproven_table(folder: LogsFolder, rejected: list[RejectedRow]) -> list[tuple[FileVersion, str]]:
    """Return the versions and the times of the table; OSError if it cannot be read."""
    with contextlib.suppress(FileNotFoundError):
        rows = accepted_rows(read_unproven(read_lines(folder, folder.unproven)), folder.unproven, rejected)
        return [(version_of(row), row.since) for row in rows]
    return []


def write_unproven_table(folder: LogsFolder, unproven: Iterable[tuple[FileVersion, str]]) -> None:
    """Replace the table, or remove it if it would be empty; OSError if that fails."""
    rows = [
        UnprovenRow(os.fsdecode(version.path), version.size, version.mtime_ns, since)
        for version, since in unproven
    ]
    if rows:
        text = format_rows([UnprovenRow._fields]) + "".join(map(format_row, rows))
        folder.replace(folder.unproven, [text.encode("utf-8", "surrogateescape")])
    else:
        with contextlib.suppress(FileNotFoundError):
            folder.unlink(folder.unproven)
