"""What LOGS shows, from tables made by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.core.ranges import RangeSet
from dfud.core.tables import CompletedRow, InProgressRow, format_table, in_progress_row
from dfud.core.version import FileVersion
from dfud.logs.in_progress_table import write_in_progress_table
from dfud.logs.layout import LogsFolder, topics
from dfud.logs.session import RunState
from dfud.logs.status import topic_status

ROW = CompletedRow("a; file", 5, 1, 1, 16384, "0" * 32, "2026-03-01T00:00:00.000+00:00", "")


def completed(number: int, at: str) -> CompletedRow:
    """Return a row of a file of 5 bytes."""
    return ROW._replace(mtime_ns=number, completed=at)


@pytest.fixture
def folder(tmp_path: Path) -> LogsFolder:
    """An empty LOGS and the names in it."""
    folder = LogsFolder(str(tmp_path), "T")
    os.mkdir(folder.path)
    return folder


def write(path: str, *rows: CompletedRow, rest: str = "") -> None:
    """Write a completed table."""
    Path(path).write_bytes((format_table(CompletedRow, rows) + rest).encode())


def test_an_empty_folder_has_no_uploads(folder: LogsFolder) -> None:
    found = topic_status(folder)
    assert found.report.run is RunState.ENDED
    assert found.in_progress == (0, 0, 0, 0, 0)
    assert found.completed == (0, 0, 0, None)
    assert found.bad_rows == []


def test_table_and_shards_are_one_and_a_row_counts_once(folder: LogsFolder) -> None:
    twice = completed(2, "2026-03-02T10:00:00.000+00:00")
    write(folder.completed, completed(1, "2026-03-01T10:00:00.000+00:00"), twice)
    # As a crash leaves them between the writing of the table and the removal of the shard.
    write(folder.shard(0, 1), twice, completed(3, "2026-03-01T11:00:00.000+00:00"))
    write(
        os.path.join(folder.path, "uploaded_to_T_p1_1.csv"), ROW._replace(rel_filepath="another", size=7)
    )  # old name
    assert topic_status(folder).completed == (2, 4, 22, "2026-03-02T10:00:00.000+00:00")


@pytest.mark.parametrize(
    ("first", "second", "last"),
    [
        pytest.param("2026-10-25T02:30:00.000+02:00", "2026-10-25T02:10:00.000+01:00", 1, id="summer-time-ends"),
        pytest.param(
            "2026-10-25T02:10:00.000+01:00", "2026-10-25T02:30:00.000+02:00", 0, id="the-other-way-round"
        ),
        pytest.param("no time", "2026-10-25T02:30:00.000+02:00", 1, id="a-time-that-is-none"),
        pytest.param("no time", "nor this", None, id="no-times"),
    ],
)
def test_the_last_one_is_the_latest(folder: LogsFolder, first: str, second: str, last: int | None) -> None:
    write(folder.completed, completed(1, first), completed(2, second))
    assert topic_status(folder).completed.last == (None if last is None else (first, second)[last])


def test_files_in_progress_are_summed_up(folder: LogsFolder) -> None:
    rows = [
        in_progress_row(FileVersion(b"one\xff", 100_000, 1), 16384, RangeSet([(2, 3)]), "now"),
        in_progress_row(FileVersion(b"two", 0, 1), 16384, RangeSet(), "now"),
    ]
    write_in_progress_table(folder, rows)
    assert topic_status(folder).in_progress == (2, 2, 100_000, 8, 6)


def test_a_file_counts_once_while_its_row_is_still_in_both_tables(folder: LogsFolder) -> None:
    """The in-progress table is written at intervals, and a shard as soon as its files are completed."""
    started = "2026-03-01T00:00:00.000+00:00"
    write_in_progress_table(
        folder,
        [
            in_progress_row(FileVersion(b"done", 10, 1), 16384, RangeSet(), started),
            in_progress_row(FileVersion(b"again", 20, 1), 16384, RangeSet(), "2026-03-01T01:00:00.000+00:00"),
            in_progress_row(FileVersion(b"changed", 30, 2), 16384, RangeSet(), started),
        ],
    )
    done, again, changed = (
        ROW._replace(rel_filepath=path, size=size, started=started, completed=started)
        for path, size in (("done", 10), ("again", 20), ("changed", 30))
    )
    write(folder.shard(0, 1), done, again, changed)
    found = topic_status(folder)
    assert found.completed == (1, 3, 60, started)
    assert found.in_progress == (2, 2, 50, 2, 2)


def test_bad_rows_are_named_with_their_table(folder: LogsFolder) -> None:
    write(folder.completed, completed(1, ""), rest="cut off,12\r\n")
    Path(folder.in_progress).write_text(format_table(InProgressRow, []) + "nonsense\n")
    found = topic_status(folder)
    assert [(table, row.number, row.text) for table, row in found.bad_rows] == [
        (folder.in_progress, 2, "nonsense"),
        (folder.completed, 3, "cut off,12"),
    ]
    assert found.completed.files == 1


def test_the_topics_of_a_folder_are_found(folder: LogsFolder, tmp_path: Path) -> None:
    assert topics(folder) == []
    for name in (
        ".upload_to_only.locked.lock",
        "upload_to_b_in_progress.csv",
        "uploaded_to_b_p0_1.csv",
        "uploaded_to_b~p0_2.csv",
        "uploaded_to_new~p0_1.csv",
        "uploaded_to_new_p1~p1_12.csv",
        "uploaded_to_new_p1.csv",
        "uploaded_to_T.csv",
        "uploaded_to_T.csv.bad",
        "uploaded_to_T_p0.csv",
        "uploaded_to_shards_p1_12.csv",
        "uploaded_to_theirs_p7f3a_1_2.csv",
        ".upload_to_c_in_progress.csv.123.tmp",
        "DataFileUploadDirectory.log",
    ):
        Path(folder.path, name).touch()
    assert topics(folder) == ["T", "b", "new", "new_p1", "only.locked", "shards", "theirs"]


def test_a_topic_may_be_called_like_a_shard(folder: LogsFolder, tmp_path: Path) -> None:
    for topic in ("T", "T_p0"):
        write_in_progress_table(LogsFolder(str(tmp_path), topic), [])
        write(LogsFolder(str(tmp_path), topic).completed, completed(len(topic), ""))
    assert topics(folder) == ["T", "T_p0"]
    assert topic_status(folder).completed.files == 1
