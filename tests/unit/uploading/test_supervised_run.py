"""The order of a run's steps, with no process and no Kafka."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, cast

import pytest

from dfud.announcing.start import Announcements
from dfud.core.ranges import RangeSet
from dfud.core.tables import CompletedRow, InProgressRow, format_table, in_progress_row
from dfud.core.version import FileStamp, FileVersion
from dfud.display.activity import Activity
from dfud.errors import UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.logfile import LogOptions
from dfud.messages import FileFound
from dfud.processes.event_loop import RunContext
from dfud.uploading import supervised_run
from dfud.uploading.chunk_limit import ChunkLimit
from dfud.uploading.context import UploadContext
from dfud.uploading.lanes import LaneSettings
from dfud.uploading.last_ack import LastAck
from dfud.uploading.options import UploadOptions
from dfud.uploading.producer import ProducerSettings
from dfud.uploading.status_writer import StatusWriter
from dfud.uploading.supervised_run import Reports
from dfud.uploading.wire import NATIVE
from dfud.watch.settled import Settled
from dfud.watch.watcher import WatchOptions
from tests.helpers.folders import take_lock
from tests.helpers.recorded import digest_of

OTHER = CompletedRow("other", 1, 1, 1, 4, "ab" * 16, "then", "now")


class Bench:
    """Everything that a run starts, in the place of the real things."""

    def __init__(self, directory: Path) -> None:
        self.steps: list[str] = []
        self.folder = LogsFolder(os.fspath(directory), "topic")
        os.makedirs(self.folder.path)
        self.lanes: list[LaneSettings] = []
        self.watch: WatchOptions | None = None
        self.context: UploadContext | None = None

    def pool(self, _: DirectoryLock) -> Bench:
        return self

    def shut_down(self) -> None:
        self.steps.append("kill")

    def start_watcher(self, _: Any, options: WatchOptions, settled: Settled) -> None:
        self.steps.append("watcher")
        self.watch = options

    def lane(self, number: int, first_shard: int, _: Any, settings: LaneSettings) -> None:
        self.steps.append(f"lane {number}")
        self.lanes.append(settings)
        path = self.folder.shard(number, first_shard)
        Path(path).write_text(format_table(CompletedRow, [OTHER]))

    def supervisor(
        self,
        context: UploadContext,
        fleet: Any,
        user: Any,
        status: StatusWriter,
        outlets: Any,
        makers: Any,
    ) -> Bench:
        self.context = context
        return self

    def hold(self, markers: list[FileFound]) -> None:
        self.markers = markers

    def activity(self, now: float) -> Activity:
        raise AssertionError("there is no terminal")

    def run(self) -> int:
        self.steps.append("run")
        return 0

    def start(self, **changes: Any) -> int:
        options = UploadOptions(
            os.fspath(self.folder.directory),
            "topic",
            False,
            2,
            None,
            4,
            1.0,
            -1,
            False,
            False,
            0,
            False,
            LogOptions(0, 0),
        )._replace(**changes)
        lock = take_lock(self.folder.lock)
        log = logging.Logger("test", logging.CRITICAL + 1)
        try:
            return supervised_run.supervise(
                options,
                ProducerSettings("topic", {}, True, NATIVE, LastAck()),
                ChunkLimit("topic", None, {}),
                self.folder,
                lock,
                RunContext(cast("Any", None), cast("Any", None), cast("Any", None), -1),
                Reports(log, StatusWriter(self.folder, False, log), (), Announcements((), self.folder, log)),
            )
        finally:
            lock.close()
            for settings in self.lanes[:1]:
                os.close(settings.dir_fd)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path)
    monkeypatch.setattr(supervised_run, "WorkerPool", bench.pool)
    monkeypatch.setattr(supervised_run, "start_watcher", bench.start_watcher)
    monkeypatch.setattr(supervised_run, "Lane", bench.lane)
    monkeypatch.setattr(supervised_run, "UploadSupervisor", bench.supervisor)
    monkeypatch.setattr(supervised_run, "tune_gc", lambda: None)
    monkeypatch.setattr(RunContext, "show_hint", lambda *_: None)
    monkeypatch.setattr(RunContext, "show_live", lambda *_: None)
    return bench


def test_workers_are_started_before_and_killed_after_everything(bench: Bench) -> None:
    assert bench.start() == 0
    assert bench.steps == ["watcher", "lane 0", "lane 1", "run", "kill"]


def test_only_the_shards_of_earlier_runs_are_merged(bench: Bench) -> None:
    row = CompletedRow("file", 10, 1, 3, 4, "ab" * 16, "then", "now")
    Path(bench.folder.shard(0, 7)).write_text(format_table(CompletedRow, [row]))
    bench.start()
    assert bench.folder.shards() == [bench.folder.shard(0, 8), bench.folder.shard(1, 8)]
    assert bench.context is not None
    assert digest_of(bench.context.completed, FileVersion(b"file", 10, 1)) is not None
    assert digest_of(bench.context.completed, FileVersion(b"other", 1, 1)) is None


def test_no_worker_outlives_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise UsageError("cannot read something")

    monkeypatch.setattr(supervised_run, "LogsKeeper", fail)
    with pytest.raises(UsageError):
        bench.start()
    assert bench.steps == ["watcher", "lane 0", "lane 1", "kill"]


def test_the_rings_have_room_for_the_chunks_of_earlier_runs(bench: Bench) -> None:
    size = 1_000_000
    version = FileVersion(b"file", size, 1)
    row = in_progress_row(version, size, RangeSet(), "then")
    Path(bench.folder.in_progress).write_text(format_table(InProgressRow, [row]))
    bench.start()
    assert [settings.ring_bytes for settings in bench.lanes] == [2 * size] * 2
    assert all(settings.producer.properties["message.max.bytes"] > size for settings in bench.lanes)


def test_a_file_of_an_earlier_run_is_resumed_and_its_row_kept(bench: Bench) -> None:
    path = Path(bench.folder.directory) / "file"
    path.write_bytes(bytes(10))
    status = path.stat()
    version, stamp = FileVersion(b"file", 10, status.st_mtime_ns), FileStamp(status.st_ctime_ns, status.st_ino)
    row = in_progress_row(version, 4, RangeSet([(1, 1)]), "then", stamp)
    Path(bench.folder.in_progress).write_text(format_table(InProgressRow, [row]))
    bench.start()
    assert bench.context is not None
    assert bench.context.ledger.rows() == [row]


def test_a_marker_of_an_earlier_run_is_held_back_and_on_record(bench: Bench) -> None:
    path = Path(bench.folder.directory) / "run7" / "Done"
    path.parent.mkdir()
    path.write_bytes(bytes(10))
    status = path.stat()
    version = FileVersion(b"run7/Done", 10, status.st_mtime_ns)
    row = in_progress_row(version, 4, RangeSet([(1, 1)]), "then")
    Path(bench.folder.in_progress).write_text(format_table(InProgressRow, [row]))
    bench.start(run_marker=("Done",))
    assert bench.context is not None
    assert bench.context.ledger.rows() == []
    assert bench.markers == [FileFound(version, False, status.st_ctime_ns, status.st_ino)]
    assert b"run7/Done" in bench.context.session.moved_in


@pytest.mark.parametrize(
    ("changes", "everything"), [({}, False), ({"once": True}, True), ({"upload_existing": True}, True)]
)
def test_what_is_there_already_is_uploaded_if_asked_for(
    bench: Bench, changes: dict[str, bool], everything: bool
) -> None:
    bench.start(**changes)
    assert bench.watch is not None
    assert bench.watch.take_all is everything
    assert bench.context is not None
    assert bench.context.since_ns == bench.watch.since_ns > 0
