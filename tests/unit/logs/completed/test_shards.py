"""The shards of one producer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dfud.core.plain_rows import HEADER
from dfud.core.tables import CompletedRow, format_row, format_table
from dfud.logs.completed import shards as module
from dfud.logs.completed.shard_copy import ShardCopy
from dfud.logs.completed.shards import ShardWriter
from dfud.logs.layout import MAX_ROWS_PER_SHARD, LogsFolder

TIME = "2026-11-24T18:00:00.000+01:00"


def row(number: int) -> CompletedRow:
    return CompletedRow(f"\udcff, {number}", 5, 7, 1, 16384, "0" * 32, TIME, TIME)


def line(number: int) -> bytes:
    return format_row(row(number)).encode("utf-8", "surrogateescape")


@pytest.fixture
def logs(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(str(tmp_path), "T")
    os.mkdir(folder.path)
    return folder


def written(logs: LogsFolder, *sequences: int) -> list[str]:
    assert sorted(logs.shards()) == sorted(logs.shard(1, number) for number in sequences)
    return [Path(logs.shard(1, number)).read_bytes().decode("utf-8", "surrogateescape") for number in sequences]


def table(numbers: range) -> str:
    return format_table(CompletedRow, map(row, numbers))


def test_a_shard_is_a_table_that_grows(logs: LogsFolder) -> None:
    writer = ShardWriter(logs, 1, 4)
    for number in range(3):
        writer.add(line(number))
        assert writer.waiting == 1
        writer.write()
        assert writer.waiting == 0
        assert written(logs, 4) == [table(range(number + 1))]


def test_without_rows_nothing_is_written(logs: LogsFolder) -> None:
    ShardWriter(logs, 1, 1).write()
    assert os.listdir(logs.path) == []


def test_no_shard_has_more_than_1000_rows(logs: LogsFolder) -> None:
    writer = ShardWriter(logs, 1, 1)
    for number in range(2 * MAX_ROWS_PER_SHARD + 5):
        writer.add(line(number))
    writer.write()
    assert written(logs, 1, 2, 3) == [
        table(range(1000)), table(range(1000, 2000)), table(range(2000, 2005))
    ]  # fmt: skip
    before = os.stat(logs.shard(1, 2))
    writer.add(line(2005))
    writer.write()
    assert os.stat(logs.shard(1, 2)).st_ino == before.st_ino, "a full shard is written again"


def test_rows_that_could_not_be_written_are_written_later(logs: LogsFolder) -> None:
    writer = ShardWriter(logs, 1, 1)
    os.rename(logs.path, f"{logs.path}.away")
    for number in range(MAX_ROWS_PER_SHARD + 1):
        writer.add(line(number))
    with pytest.raises(FileNotFoundError):
        writer.write()
    assert writer.waiting == MAX_ROWS_PER_SHARD + 1
    os.rename(f"{logs.path}.away", logs.path)
    os.mkdir(logs.shard(1, 2))  # the first shard can be written, the second cannot
    with pytest.raises(IsADirectoryError):
        writer.write()
    assert writer.waiting == 1
    os.rmdir(logs.shard(1, 2))
    writer.write()
    assert written(logs, 1, 2) == [table(range(1000)), table(range(1000, 1001))]
    assert writer.rows_lost == 0


def test_rows_that_can_never_be_written_do_not_exhaust_the_memory(
    logs: LogsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS_WAITING", 10)
    writer = ShardWriter(logs, 1, 1)
    for number in range(13):
        writer.add(line(number))
    assert (writer.waiting, writer.rows_lost) == (10, 3)
    writer.write()
    assert written(logs, 1) == [table(range(3, 13))]


def replaced(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"stale")


@pytest.mark.parametrize("disturb", [Path.unlink, replaced], ids=["removed", "replaced"])
def test_the_present_shard_is_written_again_if_others_have_taken_it_away(
    logs: LogsFolder, disturb: Callable[[Path], None]
) -> None:
    writer = ShardWriter(logs, 1, 1)
    for number in range(MAX_ROWS_PER_SHARD + 2):
        writer.add(line(number))
    writer.write()
    writer.check()
    assert not writer.is_displaced
    disturb(Path(logs.shard(1, 2)))
    writer.check()
    assert writer.is_displaced
    writer.write()
    assert not writer.is_displaced
    assert written(logs, 1, 2)[1] == table(range(1000, 1002))
    disturb(Path(logs.shard(1, 2)))
    writer.add(line(1002))
    writer.write()
    assert written(logs, 1, 2)[1] == table(range(1000, 1003))


def test_rows_that_fill_no_shard_wait_while_a_displaced_one_does_not(logs: LogsFolder) -> None:
    writer = ShardWriter(logs, 1, 1)
    writer.add(line(0))
    writer.write()
    Path(logs.shard(1, 1)).unlink()
    writer.add(line(1))
    writer.check()
    writer.write(whole_shards=True)
    assert written(logs, 1) == [table(range(1))]
    assert writer.waiting == 1


def test_it_goes_on_in_the_folder_that_is_there_now(logs: LogsFolder) -> None:
    writer = ShardWriter(logs, 1, 1)
    writer.check()
    assert not writer.is_displaced, "there is no shard yet"
    writer.add(line(0))
    writer.write()
    shutil.rmtree(logs.path)
    writer.check()
    assert writer.is_displaced
    with pytest.raises(FileNotFoundError):
        writer.write()
    os.mkdir(logs.path)
    writer.write()
    assert written(logs, 1) == [table(range(1))]
    os.rename(logs.path, logs.path + ".old")
    os.mkdir(logs.path)
    writer.check()
    writer.write()
    assert written(logs, 1) == [table(range(1))]


def test_what_is_written_is_copied_and_nothing_twice(logs: LogsFolder) -> None:
    copy = ShardCopy(logs, 1)
    writer = ShardWriter(logs, 1, 1, copy)
    for number in range(MAX_ROWS_PER_SHARD + 2):
        writer.add(line(number))
    writer.write()
    writer.add(line(1002))
    writer.write()
    Path(logs.shard(1, 2)).unlink()
    writer.check()
    writer.write()
    for sequence in (1, 2):
        size = copy.sizes()[sequence]
        text = HEADER + b"".join(copy.rows(sequence))
        assert Path(logs.shard(1, sequence)).read_bytes() == text
        assert len(text) == len(HEADER) + size
    copy.close()
