"""Tables that were made to fill memory or disks: they are refused by name, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.core.tables import BadRow, read_completed
from dfud.logs import table_files
from dfud.logs.completed.consolidation import consolidate
from dfud.logs.layout import LogsFolder
from dfud.logs.status import topic_status
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines, save_rejected_rows

TERABYTE = 1 << 40


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogsFolder:
    monkeypatch.setattr(table_files, "MAX_LINE_CHARS", 100_000)
    monkeypatch.setattr(table_files, "_MAX_REJECTED", 100)
    folder = LogsFolder(str(tmp_path), "T")
    folder.make()
    return folder


def test_a_line_without_end_is_refused(logs: LogsFolder) -> None:
    with open(logs.completed, "wb") as table:
        table.truncate(TERABYTE)
    for read in (
        lambda: list(read_lines(logs, logs.completed)),
        lambda: consolidate(logs, []),
        lambda: topic_status(logs),
    ):
        with pytest.raises(OSError, match=r"more than 100,000 characters; move it away: .*uploaded_to_T\.csv"):
            read()


def test_too_many_rows_that_make_no_sense_are_refused(logs: LogsFolder) -> None:
    Path(logs.completed).write_text("nonsense\n" * 101)
    for read in (lambda: consolidate(logs, []), lambda: topic_status(logs)):
        with pytest.raises(OSError, match=r"rows and more are malformed; move it away: .*uploaded_to_T\.csv"):
            read()
    assert not os.path.exists(f"{logs.completed}.bad")


def test_long_rows_that_make_no_sense_are_refused(logs: LogsFolder) -> None:
    rows = (BadRow(number, "x" * 10_000, "") for number in range(50))
    with pytest.raises(OSError, match="malformed"):
        list(accepted_rows(rows, logs.completed, []))


def test_a_quote_that_is_never_closed_takes_bounded_memory() -> None:
    lines = ['"' + "x" * (1 << 20) + "\n"] * 200
    taken = 0

    def count() -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += len(line)
            yield line

    next(read_completed(count()))
    assert taken < 70 << 20


def test_what_is_kept_beside_a_table_does_not_grow_without_end(
    logs: LogsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_files, "_MAX_BAD_BYTES", 100)
    rejected = [RejectedRow(logs.completed, BadRow(number, "x" * 50, "")) for number in range(3)]
    save_rejected_rows(logs, rejected)
    with pytest.raises(OSError, match=r"MiB; move it away: .*uploaded_to_T\.csv\.bad"):
        save_rejected_rows(logs, rejected)
    assert os.path.getsize(f"{logs.completed}.bad") == 153
