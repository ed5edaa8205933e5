"""When the rows of completed files are written, and when the files are reported as recorded."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dfud.core.tables import CompletedRow, read_completed
from dfud.logs.completed.shards import ShardWriter
from dfud.logs.layout import MAX_ROWS_PER_SHARD, LogsFolder
from dfud.messages import FilesCompleted, FromProducer, Notice, RowsRecorded
from dfud.uploading.completed_writer import CompletedWriter
from tests.helpers.producing import events, make_upload, texts


class Rig:
    """A `CompletedWriter` with a clock, over a real folder that may be taken away."""

    def __init__(self, top: Path) -> None:
        self.now = 1000.0
        self.folder = LogsFolder(str(top), "topic")
        os.makedirs(self.folder.path)
        self.shards = ShardWriter(self.folder, 0, 1)
        self._sent: list[FromProducer] = []
        self.writer = CompletedWriter(self.shards, self._send, lambda: self.now)

    def _send(self, messages: Sequence[FromProducer]) -> None:
        self._sent.extend(messages)

    def add(self, *tokens: int) -> None:
        for token in tokens:
            self.writer.add(make_upload(token))

    def write_due(self, seconds: float = 0.0, hurry: bool = False) -> list[FromProducer]:
        """Let time pass and write what is due; return what was sent since the last time."""
        self.now += seconds
        self.writer.write_due(self.now, hurry)
        sent, self._sent = self._sent, []
        return sent

    def n_rows(self) -> int:
        """Count the rows on disk."""
        return sum(Path(path).read_text().count("\nfile") for path in self.folder.shards())

    def take_folder_away(self) -> None:
        shutil.copytree(self.folder.path, self.folder.path + ".away")
        shutil.rmtree(self.folder.path)

    def bring_folder_back(self) -> None:
        os.rename(self.folder.path + ".away", self.folder.path)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def completed(*tokens: int, recorded: bool = True) -> FilesCompleted:
    return FilesCompleted(tuple((token, f"{token:032x}") for token in tokens), recorded)


def test_rows_are_written_together_a_second_after_the_first_one(rig: Rig) -> None:
    assert rig.writer.due_at(hurry=False) is None
    rig.add(1)
    rig.now += 0.5
    rig.add(2)
    assert rig.writer.due_at(hurry=False) == 1001.0
    assert rig.write_due(0.4) == []
    assert rig.n_rows() == 0
    assert rig.write_due(0.1) == [completed(1, 2)]
    assert rig.n_rows() == 2
    assert rig.writer.due_at(hurry=False) is None
    assert rig.write_due(60) == []


def test_rows_that_fill_a_shard_are_written_at_once_and_only_their_files_reported(rig: Rig) -> None:
    tokens = range(MAX_ROWS_PER_SHARD + 3)
    rig.add(*tokens)
    assert rig.write_due() == [completed(*tokens[:MAX_ROWS_PER_SHARD])]
    assert rig.n_rows() == MAX_ROWS_PER_SHARD
    assert rig.write_due() == []
    assert rig.write_due(1.0) == [completed(*tokens[MAX_ROWS_PER_SHARD:])]
    assert rig.n_rows() == MAX_ROWS_PER_SHARD + 3


def test_rows_that_are_left_by_a_full_shard_wait_for_another_second(rig: Rig) -> None:
    rig.add(1)
    rig.now += 0.9
    rig.add(*range(2, MAX_ROWS_PER_SHARD + 2))
    rig.write_due()
    assert rig.writer.due_at(hurry=False) == 1001.9


def test_all_is_written_on_demand(rig: Rig) -> None:
    rig.add(1)
    rig.writer.write_all(rig.now)
    assert rig.n_rows() == 1
    assert rig.write_due() == [completed(1)]
    rig.writer.write_all(rig.now)
    assert rig.write_due() == []


def test_in_a_hurry_rows_wait_for_a_multiple_of_what_a_write_takes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = rig.shards.write

    def write_slowly(whole_shards: bool = False) -> None:
        rig.now += 0.01
        write(whole_shards)

    monkeypatch.setattr(rig.shards, "write", write_slowly)
    rig.add(1)
    assert rig.writer.due_at(hurry=True) == 0.0, "nothing is known of writes yet"
    assert rig.write_due(hurry=True) == [completed(1)]
    rig.add(2)
    assert rig.writer.due_at(hurry=False) == pytest.approx(rig.now + 1.0)
    assert rig.writer.due_at(hurry=True) == pytest.approx(rig.now + 0.2)
    assert rig.write_due(0.1, hurry=True) == []
    assert rig.write_due(0.1, hurry=True) == [completed(2)]


def test_a_row_has_the_time_at_which_its_file_was_completed(rig: Rig) -> None:
    began = datetime.now(timezone.utc) - timedelta(milliseconds=1)  # rows have whole milliseconds
    rig.add(1)
    ended = datetime.now(timezone.utc)
    rig.writer.write_all(rig.now)
    (shard,) = rig.folder.shards()
    (row,) = read_completed(Path(shard).read_text().splitlines(keepends=True))
    assert isinstance(row, CompletedRow)
    assert began <= datetime.fromisoformat(row.completed) <= ended


# Tables that cannot be written


def test_rows_that_cannot_be_written_are_owed_and_written_later(rig: Rig) -> None:
    rig.take_folder_away()
    rig.add(1)
    notice, report = rig.write_due(1.0)
    assert isinstance(notice, Notice)
    assert notice.level == logging.ERROR
    assert notice.text.startswith("cannot write the completed table: [Errno 2] No such file or directory")
    assert notice.text.endswith("; retrying")
    assert report == completed(1, recorded=False)
    rig.add(2)
    assert rig.write_due(2.0) == [completed(2, recorded=False)]  # without another notice
    rig.bring_folder_back()
    assert rig.write_due(2.0) == [
        Notice(logging.WARNING, "writing the completed table works again"),
        RowsRecorded(2),
    ]
    assert rig.n_rows() == 2
    rig.add(3)
    assert rig.write_due(1.0) == [completed(3)]


@pytest.mark.parametrize("hurry", [False, True], ids=["running", "hurry"])
@pytest.mark.parametrize("n_files", [1, MAX_ROWS_PER_SHARD], ids=["one row", "a full shard"])
def test_a_failed_write_is_retried_after_a_pause(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, hurry: bool, n_files: int
) -> None:
    attempts = []

    def fail(whole_shards: bool = False) -> None:
        attempts.append(rig.now)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rig.shards, "write", fail)
    rig.add(*range(n_files))
    for _ in range(60):
        due_at = rig.writer.due_at(hurry)
        assert due_at is not None
        rig.now = min(due_at, rig.now + 0.1)
        rig.write_due(hurry=hurry)
    pauses = [later - earlier for earlier, later in zip(attempts, attempts[1:])]
    assert len(pauses) >= 2
    assert pauses == pytest.approx([2.0] * len(pauses))


def test_the_last_write_that_fails_reports_the_files_as_not_recorded(rig: Rig) -> None:
    rig.take_folder_away()
    rig.add(1, 2)
    rig.writer.write_all(rig.now)
    assert events(rig.write_due()) == [completed(1, 2, recorded=False)]


def test_rows_lost_in_one_outage_are_not_counted_in_the_next(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfud.logs.completed.shards.MAX_ROWS_WAITING", 2)
    for outage in range(2):
        rig.take_folder_away()
        for number in range(4):
            rig.add(10 * outage + number)
            rig.write_due(2.1)
        rig.bring_folder_back()
        assert events(rig.write_due(2.1)) == [RowsRecorded(2)]


def test_each_outage_of_the_disk_is_notified_once(rig: Rig) -> None:
    notices: list[str] = []
    steps: list[Callable[[], None]] = [rig.take_folder_away, rig.bring_folder_back] * 2
    for token, step in enumerate(steps):
        step()
        rig.add(token)
        notices += texts(rig.write_due(2.0) + rig.write_due(2.0))
    assert [text.split()[0] for text in notices] == ["cannot", "writing"] * 2
