"""The status file is written while things change, as a sign of life while nothing does, and never ends a run."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from dfud.logs.layout import LogsFolder
from dfud.logs.upload_status import Backlog, BrokerStatus, Rates, UploadStatus
from dfud.uploading.status_writer import StatusWriter


class Bench:
    """A writer, its clock, and a status that the test changes."""

    def __init__(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 100.0
        self.files = 0
        self.folder = LogsFolder(os.fspath(directory), "topic")
        os.mkdir(self.folder.path)
        log = logging.Logger("test")
        log.addHandler(caplog.handler)
        self.writer = StatusWriter(self.folder, False, log, lambda: self.now)

    def describe(self) -> UploadStatus:
        header = self.writer.header("running")
        return msgspec.structs.replace(header, backlog=Backlog(self.files), rates=Rates(self.now))

    def step(self, now: float, files: int = 0) -> bool:
        """Let the writer write at a time; return whether it has."""
        self.now, self.files = now, files
        before = self.folder.stat(self.folder.status)
        self.writer.turn(now, self.describe)
        after = self.folder.stat(self.folder.status)
        return after is not None and (before is None or before.st_mtime_ns != after.st_mtime_ns)

    def written(self) -> dict[str, object]:
        status = json.loads(Path(self.folder.status).read_bytes())
        assert isinstance(status, dict)
        return status


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Bench:
    return Bench(tmp_path, caplog)


def test_what_changes_is_written_every_5_s_and_what_does_not_every_30_s(bench: Bench) -> None:
    assert bench.step(100.0)
    assert not bench.step(104.9, files=1)
    assert bench.step(105.0, files=1)
    assert [bench.step(now, files=1) for now in (110.0, 115.0, 134.9)] == [False] * 3
    assert bench.writer.due == pytest.approx(139.9)
    assert bench.step(139.9, files=1), "135 s was the time, but nothing happened"


def test_the_writer_is_due_when_the_last_write_is_30_s_old(bench: Bench) -> None:
    bench.step(100.0)
    assert bench.writer.due == 130.0
    bench.step(105.0)
    assert bench.writer.due == 130.0
    assert bench.step(130.0)


def test_the_end_is_written_at_once(bench: Bench) -> None:
    bench.step(100.0)
    bench.writer.end(msgspec.structs.replace(bench.describe(), state="ended", exit_status=1))
    status = bench.written()
    assert (status["state"], status["exit_status"], status["pid"]) == ("ended", 1, os.getpid())


def test_a_write_that_fails_is_logged_once_and_tried_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(bench.folder.path)
    bench.now = 100.0
    for now in (100.0, 110.0):
        bench.writer.turn(now, bench.describe)
    bench.files = 1
    bench.writer.turn(120.0, bench.describe)
    os.mkdir(bench.folder.path)
    bench.folder.reopen()
    assert bench.step(125.0, files=2)
    assert caplog.messages == [
        f"cannot write {bench.folder.status}: No such file or directory; retrying; uploading continues",
        f"writing {bench.folder.status} works again",
    ]


def test_what_is_planted_in_its_place_is_replaced_and_not_written_through(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    os.symlink("../outside", bench.folder.status)
    bench.step(100.0)
    assert bench.written()["state"] == "running"
    assert (tmp_path / "outside").read_text() == "mine"


def test_the_file_of_another_process_is_left_alone(bench: Bench) -> None:
    bench.writer.stop()
    bench.step(100.0)
    bench.writer.end(msgspec.structs.replace(bench.describe(), state="ended", exit_status=0))
    assert os.listdir(bench.folder.path) == []


def test_a_run_that_waits_for_its_broker_says_since_when(bench: Bench) -> None:
    status = bench.writer.waiting("no broker reached at localhost:1", True)
    assert (status.state, status.watch.is_watching) == ("starting", True)
    assert status.broker == BrokerStatus("unreachable", "no broker reached at localhost:1", status.started)
