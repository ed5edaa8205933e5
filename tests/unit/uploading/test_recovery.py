"""What is done with the tables that are in LOGS at the start."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from dfud.core.ranges import RangeSet
from dfud.core.tables import CompletedRow, InProgressRow, format_table, in_progress_row
from dfud.core.version import FileVersion
from dfud.errors import UsageError
from dfud.logs.completed.merging import parse_time
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.layout import LogsFolder
from dfud.uploading.ledger import Ledger
from dfud.uploading.recovery import distrust, merge_completed, read_in_progress, write_first_table
from tests.helpers.recorded import digest_of

VERSION = FileVersion(b"file", 10, 1)
ROW = in_progress_row(VERSION, 4, RangeSet(), "then")


@pytest.fixture
def folder(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(os.fspath(tmp_path), "topic")
    os.makedirs(folder.path)
    return folder


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    log = logging.Logger("test")
    log.addHandler(caplog.handler)
    return log


def test_rows_that_are_malformed_are_named_and_saved_before_the_table_is_replaced(
    folder: LogsFolder, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    Path(folder.in_progress).write_text(format_table(InProgressRow, [ROW]) + "nonsense\r\n")
    in_progress = read_in_progress(folder, log)
    assert in_progress.rows == [ROW]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"row 3 of {folder.in_progress} is malformed: ")
    ledger = Ledger(4, 1, RecordedVersions(), lambda: "then")
    ledger.resume(ROW, VERSION)
    write_first_table(folder, ledger, in_progress.rejected, log)
    assert "nonsense" in Path(f"{folder.in_progress}.bad").read_text()
    assert read_in_progress(folder, log) == ([ROW], [], [])


def test_a_table_that_cannot_be_read_is_a_usage_error(folder: LogsFolder, log: logging.Logger) -> None:
    os.mkdir(folder.in_progress)
    with pytest.raises(UsageError, match=r"cannot read .*in_progress"):
        read_in_progress(folder, log)
    os.mkdir(folder.completed)
    with pytest.raises(UsageError, match="cannot read the completed tables"):
        merge_completed(folder, [], [], log)


def test_a_table_that_cannot_be_written_stops_nothing(
    folder: LogsFolder, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkdir(folder.in_progress)
    write_first_table(folder, Ledger(4, 1, RecordedVersions(), lambda: "then"), [], log)
    assert caplog.messages[0].startswith(f"cannot write {folder.in_progress}: ")


def test_shards_are_merged_and_known(folder: LogsFolder, log: logging.Logger) -> None:
    row = CompletedRow("file", 10, 1, 3, 4, "ab" * 16, "then", "now")
    Path(folder.shard(0, 1)).write_bytes(format_table(CompletedRow, [row]).encode())
    recorded = merge_completed(folder, folder.shards(), read_in_progress(folder, log).unproven, log)
    assert digest_of(recorded.versions, VERSION) == b"\xab" * 16
    assert folder.shards() == []
    assert "file" in Path(folder.completed).read_text()


def test_what_was_replaced_is_remembered_until_the_path_is_recorded_again(
    folder: LogsFolder, log: logging.Logger
) -> None:
    earlier = VERSION._replace(mtime_ns=0)
    old = CompletedRow("file", 10, 0, 3, 4, "ab" * 16, "then", "2026-01-01T00:00:00.000001+00:00")
    Path(folder.shard(0, 1)).write_bytes(format_table(CompletedRow, [old]).encode())
    recorded = merge_completed(folder, folder.shards(), read_in_progress(folder, log).unproven, log).versions
    assert digest_of(recorded, earlier)
    distrust(recorded, [ROW], lambda: "2026-01-01T00:00:00.000002+00:00")
    assert digest_of(recorded, earlier) is None
    write_first_table(folder, Ledger(4, 1, recorded, lambda: "then"), [], log)
    for _ in range(2):  # whether anything is written by the run after it or not
        recorded, latest = merge_completed(folder, [], read_in_progress(folder, log).unproven, log)
        assert digest_of(recorded, earlier) is None
        assert latest == parse_time("2026-01-01T00:00:00.000002+00:00"), "what is completed next is later"
        write_first_table(folder, Ledger(4, 1, recorded, lambda: "then"), [], log)
    again = old._replace(completed="2026-01-01T00:00:00.000003+00:00")
    Path(folder.shard(0, 2)).write_bytes(format_table(CompletedRow, [again]).encode())
    recorded = merge_completed(folder, folder.shards(), read_in_progress(folder, log).unproven, log).versions
    assert digest_of(recorded, earlier)
    recorded.unproven_changed = True
    write_first_table(folder, Ledger(4, 1, recorded, lambda: "then"), [], log)
    assert not Path(folder.unproven).exists()


def test_a_row_of_an_unproven_version_that_is_malformed_is_named(
    folder: LogsFolder, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    Path(folder.unproven).write_text("rel_filepath,size,mtime_ns,since\r\n../out,1,1,then\r\n")
    in_progress = read_in_progress(folder, log)
    assert in_progress.unproven == []
    assert caplog.messages == [
        f"row 2 of {folder.unproven} is malformed: rel_filepath is not a path inside the directory; "
        f"it is kept in {folder.unproven}.bad"
    ]
    write_first_table(folder, Ledger(4, 1, RecordedVersions(), lambda: "then"), in_progress.rejected, log)
    assert "../out" in Path(f"{folder.unproven}.bad").read_text()
