"""The in-progress table is written in time, not all the time, and not given up when the disk is full."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from dfud.core.version import FileVersion
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.layout import LogsFolder
from dfud.uploading.in_progress_writer import InProgressWriter
from dfud.uploading.ledger import Ledger


class Clock:
    """A clock that moves by `step` with each look at it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(os.fspath(tmp_path), "topic")
    os.makedirs(folder.path)
    return folder


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(10, 1, RecordedVersions(), lambda: "then")


@pytest.fixture
def writer(folder: LogsFolder, ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture) -> InProgressWriter:
    log = logging.Logger("test", logging.INFO)
    log.addHandler(caplog.handler)
    return InProgressWriter(folder, ledger, log, clock)


def due(writer: InProgressWriter) -> float | None:
    return writer.due


def paths(folder: LogsFolder) -> list[str]:
    lines = Path(folder.in_progress).read_text().splitlines()
    return [line.partition(",")[0] for line in lines[1:]]


def test_a_change_is_written_at_once_and_the_next_one_after_a_while(
    folder: LogsFolder, ledger: Ledger, writer: InProgressWriter, clock: Clock
) -> None:
    assert due(writer) is None
    ledger.on_found(FileVersion(b"a", 1, 1), compare=True)
    assert due(writer) == 0.0, "at once, however little a clock shows that begins with the machine"
    assert writer.is_failing is False
    writer.write_if_due(clock.now)
    assert paths(folder) == ["a"]
    assert ledger.changed is False
    assert due(writer) is None
    ledger.on_found(FileVersion(b"b", 1, 1), compare=True)
    assert due(writer) == 102.0
    writer.write_if_due(101.9)
    assert paths(folder) == ["a"]
    writer.write_if_due(102.0)
    assert paths(folder) == ["a", "b"]


@pytest.mark.parametrize(("cost", "interval"), [(0.01, 2.0), (0.1, 2.5), (1.0, 3.0)])
def test_what_takes_long_is_done_less_often(
    ledger: Ledger, writer: InProgressWriter, clock: Clock, cost: float, interval: float
) -> None:
    clock.step = cost
    writer.write()
    clock.step = 0.0
    ledger.changed = True
    assert writer.due == pytest.approx(clock.now + interval)


def test_a_failed_write_is_logged_once_and_retried_after_a_pause(
    folder: LogsFolder,
    ledger: Ledger,
    writer: InProgressWriter,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.rmtree(folder.path)
    ledger.on_found(FileVersion(b"a", 1, 1), compare=True)
    for _ in range(3):
        writer.write_if_due(clock.now)
        assert writer.is_failing is True
        assert writer.due == clock.now + 2.0, "without a pause, the supervisor would be busy with nothing else"
        clock.now += 2.0
    os.makedirs(folder.path)
    writer.write_if_due(clock.now)
    assert writer.is_failing is False
    assert paths(folder) == ["a"]
    assert caplog.messages == [
        f"cannot write {folder.in_progress}: No such file or directory; retrying",
        f"writing {folder.in_progress} works again",
    ]


def test_the_table_is_written_again_only_if_it_is_not_the_one_that_was_written(
    writer: InProgressWriter, folder: LogsFolder, ledger: Ledger
) -> None:
    table = Path(folder.in_progress)
    ledger.on_found(FileVersion(b"file", 1, 1), compare=True)
    writer.write_if_displaced()
    assert paths(folder) == ["file"]
    first = table.stat().st_ino
    writer.write_if_displaced()
    assert table.stat().st_ino == first
    table.unlink()
    writer.write_if_displaced()
    assert paths(folder) == ["file"]
    table.write_bytes(b"")
    writer.write_if_displaced()
    assert paths(folder) == ["file"]


def test_a_table_that_is_another_process_s_is_not_written(writer: InProgressWriter, folder: LogsFolder) -> None:
    writer.stop()
    writer.write()
    writer.write_if_displaced()
    assert os.listdir(folder.path) == []
    assert writer.is_failing
