"""The in-progress table is written in time, not all the time, and not given up when the disk is full."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from dfud.core.version import FileVersion
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
    return Ledger(10, 1, lambda identity: None, lambda: "then")


@pytest.fixture
def writer(folder: LogsFolder, ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture) -> InProgressWriter:
    log = logging.Logger("test")
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
    ledger.on_found(FileVersion(b"a", 1, 1), by_event=True)
    assert (due(writer) or 0.0) <= clock.now
    assert due(writer) is not None
    writer.write_if_due(clock.now)
    assert paths(folder) == ["a"]
    assert due(writer) is None
    ledger.on_found(FileVersion(b"b", 1, 1), by_event=True)
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
    ledger.on_found(FileVersion(b"a", 1, 1), by_event=True)
    for _ in range(3):
        writer.write_if_due(clock.now)
        assert writer.is_failing
        assert writer.due == clock.now + 2.0, "without a pause, the supervisor would be busy with nothing else"
        clock.now += 2.0
    os.makedirs(folder.path)
    writer.write_if_due(clock.now)
    assert not writer.is_failing
    assert paths(folder) == ["a"]
    assert caplog.messages == [
        f"cannot write {folder.in_progress}: No such file or directory; retrying",
        f"writing {folder.in_progress} works again",
    ]
