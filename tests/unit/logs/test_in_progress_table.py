"""The in-progress table as a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.core.tables import InProgressRow
from dfud.logs.in_progress_table import read_in_progress_table, write_in_progress_table
from dfud.logs.layout import LogsFolder

ROW = InProgressRow("\udcff, \n", 10, 7, 4, 3, 1, 2, "1 3", "2026-11-24T18:00:00.000+01:00")


@pytest.fixture
def logs(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(str(tmp_path), "T")
    os.mkdir(folder.path)
    return folder


def test_a_table_is_read_back(logs: LogsFolder) -> None:
    for rows in ([ROW, ROW._replace(rel_filepath="b")], []):
        write_in_progress_table(logs, rows)
        assert read_in_progress_table(logs) == (rows, [])
    assert os.listdir(logs.path) == ["upload_to_T_in_progress.csv"]


def test_the_bytes_of_a_path_are_kept(logs: LogsFolder) -> None:
    write_in_progress_table(logs, [ROW])
    assert b'\r\n"\xff, \n",10,7,4,3,1,2,1 3,' in Path(logs.in_progress).read_bytes()


def test_without_a_table_nothing_is_unfinished(logs: LogsFolder) -> None:
    assert read_in_progress_table(logs) == ([], [])


@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"\xff\xfe"], ids=["empty", "zeros", "noise"])
def test_a_table_that_a_power_cut_spoiled_is_read(logs: LogsFolder, content: bytes) -> None:
    Path(logs.in_progress).write_bytes(content)
    rows, rejected = read_in_progress_table(logs)
    assert (rows, len(rejected)) == ([], len(content) > 0)


def test_a_bad_row_is_returned_with_its_table(logs: LogsFolder) -> None:
    write_in_progress_table(logs, [ROW])
    with open(logs.in_progress, "a") as file:
        file.write("b,1,2\r\n")
    rows, rejected = read_in_progress_table(logs)
    assert rows == [ROW]
    ((table, aside),) = rejected
    assert (table, aside.number, aside.text) == (logs.in_progress, 3, "b,1,2")


def test_what_cannot_be_read_or_written_is_an_error(logs: LogsFolder) -> None:
    os.mkdir(logs.in_progress)
    with pytest.raises(IsADirectoryError):
        read_in_progress_table(logs)
    with pytest.raises(IsADirectoryError):
        write_in_progress_table(logs, [ROW])
    assert os.listdir(logs.path) == ["upload_to_T_in_progress.csv"]
