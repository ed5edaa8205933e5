"""The in-progress table: what an earlier run left, and what this one would leave."""

from __future__ import annotations

import contextlib

from dfud.core.tables import InProgressRow, format_row, format_rows, read_in_progress
from dfud.files.atomic import replace_file
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines


def read_in_progress_table(folder: LogsFolder) -> tuple[list[InProgressRow], list[RejectedRow]]:
    """Return the in-progress table's rows, and those that can't be understood; OSError if it can't be read."""
    rows: list[InProgressRow] = []
    bad: list[RejectedRow] = []
    with contextlib.suppress(FileNotFoundError):
        rows.extend(accepted_rows(read_in_progress(read_lines(folder.in_progress)), folder.in_progress, bad))
    return rows, bad


def write_in_progress_table(folder: LogsFolder, rows: list[InProgressRow]) -> None:
    """Replace the in-progress table; OSError if that fails, and the old one stays."""
    text = format_rows([InProgressRow._fields]) + "".join(map(format_row, rows))
    replace_file(folder.in_progress, [text.encode("utf-8", "surrogateescape")])
