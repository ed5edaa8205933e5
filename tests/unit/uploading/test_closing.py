"""The last lines of a run, its exit status, and what it leaves on record."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfud.core.version import FileVersion
from dfud.display.summary import Summary
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.keeper import LogsKeeper
from dfud.logs.layout import LogsFolder
from dfud.logs.session import Session
from dfud.uploading.closing import Outcome, close_run
from dfud.uploading.context import UploadContext
from dfud.uploading.in_progress_writer import InProgressWriter
from dfud.uploading.ledger import Ledger
from tests.helpers.folders import take_lock

CLEAN = Outcome(abandoned=False, left_over=False, unrecorded=0)


class Bench:
    def __init__(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.folder = LogsFolder(os.fspath(directory), "topic")
        os.makedirs(self.folder.path)
        self.lock = take_lock(self.folder.lock)
        self.session = Session(self.lock.fileno())
        self.keeper = LogsKeeper(self.folder, self.lock, "uploading DIR to topic T", lambda: self.session.content)
        self.session.begin(1234)
        self.session.on_last_sweep()
        self.ledger = Ledger(10, 1, RecordedVersions(), lambda: "then")
        self.log = logging.Logger("test", logging.INFO)
        self.log.addHandler(caplog.handler)
        self.caplog = caplog

    def close(self, outcome: Outcome) -> tuple[int, list[str], bool]:
        """Return the exit status, the lines, and whether the end is on record."""
        context = UploadContext(
            False, self.folder, self.session, 1234, self.ledger, RecordedVersions(), self.log, self.keeper
        )
        table = InProgressWriter(self.folder, self.ledger, self.log)
        status = close_run(context, table, outcome, lambda failed, left: Summary(2, 3, 4_000, 2.0, failed, left))
        n_failed = len(self.ledger.undelivered)
        summary = (
            f"summary: 2 files, 3 versions, 4.0 kB, 2.0 s, 2.0 kB/s, {n_failed} failed, {outcome.n_left} left"
        )
        level = next(record.levelno for record in self.caplog.records if record.getMessage() == summary)
        assert level == (logging.WARNING if status else logging.INFO)
        lines = [line for line in self.caplog.messages if line != summary]
        return status, lines, self.session.unfinished_since() is None


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    bench = Bench(tmp_path, caplog)
    yield bench
    bench.lock.close()
    bench.keeper.close()


@pytest.mark.parametrize(
    ("changes", "status", "line", "is_ended"),
    [
        ({}, 0, "all files detected are on the topic and recorded", True),
        ({"n_left": 1, "left_over": True}, 1, "1 file was left: see above; the next run sends it", False),
        ({"n_left": 2, "left_over": True}, 1, "2 files were left: see above; the next run sends them", False),
        (
            {"left_over": True},
            1,
            "not everything could be recorded: see above; the next run looks for it",
            False,
        ),
        (
            {"is_whole": False, "left_over": True},
            1,
            "some folders could not be read: see above; the next run tries again",
            False,
        ),
        (
            {"directory_gone": True, "left_over": True},
            1,
            "DIR is gone: what was not detected before is not uploaded",
            False,
        ),
        (
            {"unrecorded": 1},
            1,
            "some tables could not be written: the next run may send again what they lack",
            False,
        ),
        (
            {"is_cut_short": True, "left_over": True},
            1,
            "--time_limit is over: not everything was looked at; the next run sends the rest",
            False,
        ),
        ({"abandoned": True}, 1, "ended before everything was delivered", False),
    ],
)
def test_the_result_is_one_line(
    bench: Bench, changes: dict[str, Any], status: int, line: str, is_ended: bool
) -> None:
    line = line.replace("DIR", bench.folder.directory)
    assert bench.close(CLEAN._replace(**changes)) == (status, [line], is_ended)


def test_what_was_left_is_said_beside_what_could_not_be_delivered(bench: Bench) -> None:
    entry = bench.ledger.on_found(FileVersion(b"file", 1, 1), False)
    assert entry is not None
    bench.ledger.give_up("timed out")
    status, lines, _ = bench.close(CLEAN._replace(n_left=1, left_over=True))
    assert status == 1
    assert lines == [
        "file not delivered: timed out",
        f"1 file could not be delivered; it stays in {bench.folder.in_progress}",
        "1 file was left: see above; the next run sends it",
    ]


def test_the_end_is_recorded_last(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[list[str]] = []
    monkeypatch.setattr(bench.session, "end", lambda: lines.append(list(bench.caplog.messages)))
    bench.close(CLEAN)
    assert [each[-1] for each in lines] == ["all files detected are on the topic and recorded"]


def test_all_that_was_left_is_said(bench: Bench) -> None:
    outcome = CLEAN._replace(left_over=True, n_left=1, is_whole=False, directory_gone=True)
    assert bench.close(outcome) == (
        1,
        [
            "1 file was left: see above; the next run sends it",
            "some folders could not be read: see above; the next run tries again",
            f"{bench.folder.directory} is gone: what was not detected before is not uploaded",
        ],
        False,
    )
