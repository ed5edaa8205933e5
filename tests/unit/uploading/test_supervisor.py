"""What the supervisor decides: real channels, tables and event loop; fake workers, user and clock."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from dfud.core.names import MAX_PATH_BYTES
from dfud.core.ranges import RangeSet
from dfud.core.tables import in_progress_row
from dfud.core.version import FileStamp, FileVersion
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, WorkerError
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.completed.shard_copy import ShardCopy
from dfud.logs.in_progress_table import read_in_progress_table
from dfud.logs.keeper import LogsKeeper
from dfud.logs.layout import LogsFolder
from dfud.logs.session import Session
from dfud.logs.upload_status import (
    Acknowledged,
    Backlog,
    Cause,
    Completed,
    Failures,
    Rates,
    UploadStatus,
    WatchStatus,
    read_status,
)
from dfud.messages import (
    Allowance,
    BrokerOutage,
    BrokerSilent,
    BrokerSlow,
    ChunksAcked,
    DeliveryGivenUp,
    DirectoryGone,
    Drain,
    FileChanged,
    FileFound,
    FileLeft,
    FilesBefore,
    FilesCompleted,
    FilesFound,
    FilesRead,
    FilesScanned,
    FilesTask,
    FilesUnrecorded,
    FileTask,
    FileUndelivered,
    FileUnreadable,
    FolderMovedIn,
    LogsDisturbed,
    LogsReplaced,
    Notice,
    Reconsider,
    RowsRecorded,
    ShardsDisturbed,
    Sweep,
    SweepDone,
    TopicHarmed,
    WatchReport,
    WatchStarted,
)
from dfud.uploading.clock_steps import ClockSteps
from dfud.uploading.context import UploadContext
from dfud.uploading.entry import State
from dfud.uploading.fleet import Fleet
from dfud.uploading.ledger import Ledger
from dfud.uploading.supervisor import UploadSupervisor
from tests.helpers.fake_workers import FakeLane, FakePool, FakeUser, FakeWorker
from tests.helpers.folders import take_lock
from tests.helpers.recorded import digest_of, record
from tests.helpers.watching import watch_options

SINCE_NS = 1234
DIGEST = "ab" * 16


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.about: list[tuple[str, str | None, str]] = []  # file, chunk and cause of those that have a cause

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "cause", None):
            self.about.append((record.file, record.chunk, record.cause))  # type: ignore[attr-defined]
        self.lines.append(record.getMessage())


class Bench:
    """A supervisor with two lanes, and everything around it."""

    def __init__(
        self, directory: Path, once: bool = False, ends_at: float | None = None, level: int = logging.INFO
    ) -> None:
        self.now = 100.0
        self.folder = LogsFolder(os.fspath(directory), "topic")
        os.makedirs(self.folder.path)
        self.lock = take_lock(self.folder.lock)
        self.session = Session(self.lock.fileno())
        self.keeper = LogsKeeper(self.folder, self.lock, "uploading DIR to topic T", lambda: self.session.content)
        self.session.begin(SINCE_NS)
        self.completed = RecordedVersions()
        self.ledger = Ledger(10, 2, self.completed, lambda: "2026-01-01T00:00:00+00:00")
        log = logging.Logger("test", level)
        lines = Lines()
        log.addHandler(lines)
        self.log = lines.lines
        self.about = lines.about
        self.pool = FakePool()
        self.user = FakeUser()
        self.lanes = [FakeLane(number, self.pool) for number in range(2)]
        watch = watch_options(Path(directory), once)._replace(take_all=False, since_ns=SINCE_NS)
        self.fleet = Fleet(
            cast("Any", self.pool),
            self.folder,
            watch,
            self.pool.start_watcher(cast("Any", self.pool), watch),
            cast("Any", self.lanes),
            self.pool.start_watcher,
        )
        context = UploadContext(
            once, self.folder, self.session, SINCE_NS, self.ledger, self.completed, log, self.keeper, "", ends_at
        )
        self.clock_steps_ns = [10**18]  # the clock, which is set back and forth
        steps = ClockSteps(lambda: self.clock_steps_ns[0], lambda: 0)
        self.supervisor = UploadSupervisor(context, self.fleet, self.user.context(), lambda: self.now, steps)
        self.supervisor.start()

    @property
    def watcher(self) -> FakeWorker:
        return cast("FakeWorker", self.fleet.watcher)

    def step(self) -> None:
        """Let the supervisor handle all that was sent, without ever waiting."""
        for _ in range(3):
            self.user.send()
            self.supervisor.run_once()

    def find(self, path: bytes = b"file", size: int = 30) -> FileTask:
        """Let the watcher find a file; return the task that a chunker has received."""
        self.watcher.report(FileFound(FileVersion(path, size, 1), True, 1, 1))
        self.step()
        return self.task()

    def task(self) -> FileTask:
        ((self.lane, task),) = [
            (lane, message)
            for lane in self.lanes
            for message in lane.chunker.received()
            if isinstance(message, FileTask)
        ]
        return task

    def complete(self, task: FileTask, recorded: bool = True) -> None:
        self.lane.chunker.report(FilesRead((task.token,)))
        self.lane.producer.report(FilesCompleted(((task.token, DIGEST),), recorded))
        self.step()

    def quit(self, is_whole: bool = True) -> None:
        """Ask for the end, and let the watcher do its last sweep."""
        self.user.type("quit")
        self.step()
        self.watcher.report(SweepDone(1, is_whole))
        self.step()

    def status(self) -> UploadStatus:
        """Return what the status file says."""
        status = read_status(self.folder)
        assert status is not None
        return status

    def close_all(self) -> None:
        self.pool.close_all()
        self.user.close()
        self.lock.close()
        self.keeper.close()

    def close(self) -> int:
        assert self.supervisor.is_over
        return self.supervisor.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close_all()


# The course of a run


def test_the_status_file_follows_the_run(bench: Bench) -> None:
    bench.watcher.report(WatchStarted(), WatchReport("part", 1, 1, 2))
    small = bench.find(b"small", 25)
    bench.complete(small)
    bench.now += 10  # 12.5 B/s, in the 20 s from the first look on
    bench.step()
    other = bench.find(b"a\xff", 30)
    bench.lane.producer.report(ChunksAcked(other.token, ((3, 3),)), BrokerOutage("Connection refused"))
    bench.watcher.report(WatchReport("none", 1, 0, 0))
    bench.lanes[1].chunker.die()
    bench.step()
    bench.now += 10
    bench.step()
    status = bench.status()
    assert (status.state, status.completed) == ("running", Completed(1, 1, 25))
    assert status.acknowledged == Acknowledged(35, 4)
    assert status.rates == Rates(0.05, 1.75, 0.2, 20.0)
    assert status.backlog == Backlog(1, 1, 20, 2)
    assert status.oldest is not None
    assert (status.oldest.path, status.oldest.since) == ("a\\xff", "2026-01-01T00:00:00+00:00")
    assert (status.broker.state, status.broker.cause) == ("unreachable", "Connection refused")
    assert status.broker.last_ack is not None
    assert status.watch == WatchStatus(True, "none", 2, 1, 0)
    assert (status.restarts.number, status.restarts.last) == (1, "chunker-1 was killed by SIGKILL")
    bench.lane.producer.report(FileUndelivered(other.token, "too large"))
    bench.quit()
    assert bench.close() == EXIT_UNDELIVERED
    status = bench.status()
    assert (status.state, status.exit_status, status.backlog) == ("ended", EXIT_UNDELIVERED, Backlog())
    assert status.failures == Failures(failed=1, causes=(Cause("too large", True, 1, "a\\xff"),))


def test_a_version_that_replaces_another_is_no_other_file(bench: Bench) -> None:
    record(bench.completed, FileVersion(b"file", 30, 0), b"0" * 16)
    bench.complete(bench.find())
    bench.complete(bench.find(b"new"))
    bench.now += 10
    bench.step()
    assert bench.status().completed == Completed(1, 2, 60)


def test_a_broker_is_slow_only_while_something_is_sent(bench: Bench) -> None:
    task = bench.find()
    bench.lanes[0].producer.report(BrokerSlow("it throttles this client"))
    bench.now += 10
    bench.step()
    assert bench.status().broker.state == "slow"
    bench.complete(task)
    bench.now += 10
    bench.step()
    assert bench.status().broker.state == "reachable"


def test_a_silent_broker_is_noticed_although_nothing_is_sent(bench: Bench) -> None:
    seen = []
    for reason in ("no answer", ""):
        bench.lanes[0].producer.report(BrokerSilent(reason))
        bench.step()
        bench.now += 10
        bench.step()
        seen.append(bench.status().broker.state)
    assert seen == ["unreachable", "reachable"]


def test_a_run_from_its_start_to_its_end(bench: Bench) -> None:
    assert bench.watcher.received() == [Allowance(12_000)]
    bench.watcher.report(WatchStarted(), Notice(logging.INFO, "watching 1 folder"))
    task = bench.find()
    assert (task.version.path, task.to_send) == (b"file", ((1, 3),))
    bench.lane.producer.report(ChunksAcked(task.token, ((1, 2),)))
    bench.step()
    bench.now += 10
    bench.step()
    assert Path(bench.folder.in_progress).read_text().splitlines()[1].split(",")[5:8] == ["2", "1", "3"]
    bench.complete(task)
    assert digest_of(bench.completed, task.version) == bytes.fromhex(DIGEST)
    assert not bench.supervisor.is_over
    bench.user.send(signal.SIGTERM)
    bench.step()
    assert bench.watcher.received() == [Sweep(1)]
    assert [lane.producer.received() for lane in bench.lanes] == [[Drain()], [Drain()]]
    assert not bench.supervisor.is_over
    bench.watcher.report(SweepDone(1))
    bench.step()
    bench.now += 3.0
    assert bench.close() == EXIT_OK
    assert bench.session.unfinished_since() is None
    assert bench.log == [
        f"uploading {bench.folder.directory} to topic topic",
        "watching 1 folder",
        "file: broken into 3 chunks",
        "2 chunks acknowledged so far, 2 B/s",
        "file: all 3 chunks acknowledged",
        "SIGTERM: finishing what is enqueued",
        "summary: 1 file, 1 version, 30 bytes, 13.0 s, 2 B/s, 0 failed, 0 left",
        "all files detected are on the topic and recorded",
    ]


def test_ctrl_c_says_that_another_one_stops_immediately(bench: Bench) -> None:
    bench.find()
    bench.user.send(signal.SIGINT)
    bench.step()
    assert bench.log[-1] == "SIGINT: finishing what is enqueued; a second Ctrl-C stops immediately"
    bench.user.send(signal.SIGINT)
    bench.step()
    assert bench.log[-1] == "stopped immediately; the next run sends the rest"
    assert bench.close() == EXIT_UNDELIVERED


def test_quit_says_how_not_to_wait_for_a_broker_that_is_away(bench: Bench) -> None:
    bench.find()
    bench.lane.producer.report(BrokerOutage("refused"))
    bench.step()
    bench.user.type("quit")
    bench.step()
    assert bench.log[-1] == (
        "quit: finishing what is enqueued, which needs the broker; Ctrl-C twice stops immediately"
    )


def test_ctrl_c_after_quit_says_so_too(bench: Bench) -> None:
    bench.find()
    bench.user.type("quit")
    bench.step()
    bench.user.send(signal.SIGINT)
    bench.step()
    assert bench.log[-1] == "SIGINT: already finishing what is enqueued; a second Ctrl-C stops immediately"
    assert not bench.supervisor.is_over


def test_the_end_waits_for_what_is_open(bench: Bench) -> None:
    task = bench.find()
    bench.quit()
    assert not bench.supervisor.is_over
    bench.complete(task)
    assert bench.close() == EXIT_OK


def test_once_ends_without_being_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path, once=True)
    assert bench.watcher.received() == [Sweep(1), Allowance(12_000)]
    assert [lane.producer.received() for lane in bench.lanes] == [[Drain()], [Drain()]]
    bench.watcher.report(SweepDone(1))
    bench.step()
    assert bench.close() == EXIT_OK
    bench.close_all()


def test_debug_tells_what_each_process_does(tmp_path: Path) -> None:
    bench = Bench(tmp_path, level=logging.DEBUG)
    task = bench.find()
    bench.lane.producer.report(ChunksAcked(task.token, ((1, 2),)))
    bench.complete(task)
    expected = [
        "watcher is process 4711",
        "the watcher may report 12,000 more files",
        "1 file dispatched to chunker-0",
        "file: chunk 1-2/3 acknowledged",
        "1 file added to the completed table",
        f"{bench.folder.in_progress} written: 1 row",
    ]
    assert [line for line in expected if line not in bench.log] == []
    bench.close_all()


def test_a_failure_is_logged_with_its_file_chunk_and_cause(bench: Bench) -> None:
    task = bench.find()
    bench.lane.producer.report(FileUndelivered(task.token, "refused", chunk=2))
    bench.step()
    assert bench.about == [("file", "2/3", "refused")]


def test_the_time_limit_ends_it_as_quit_does(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ends_at=105.0)
    task = bench.find()
    bench.watcher.received()
    bench.now = 106.0
    bench.step()
    assert bench.watcher.received() == [Sweep(1)]
    bench.watcher.report(SweepDone(1))
    bench.complete(task)
    assert bench.close() == EXIT_OK
    assert "--time_limit: finishing what is enqueued" in bench.log
    bench.close_all()


def test_the_time_limit_waits_for_what_is_enqueued_but_not_for_the_rest(tmp_path: Path) -> None:
    bench = Bench(tmp_path, once=True, ends_at=105.0)
    task = bench.find()
    bench.now = 106.0
    bench.step()
    bench.watcher.received()
    bench.watcher.report(FileFound(FileVersion(b"late", 10, 1), True, 1, 1))
    bench.step()
    assert not bench.supervisor.is_over
    bench.complete(task)
    assert bench.watcher.received() == []
    assert bench.close() == EXIT_UNDELIVERED
    assert bench.session.unfinished_since() == SINCE_NS
    assert bench.log[-1] == "--time_limit is over: not everything was looked at; the next run sends the rest"
    bench.close_all()


def test_the_watcher_may_report_more_files_once_it_has_used_its_allowance(bench: Bench) -> None:
    bench.watcher.received()
    found = [FileFound(FileVersion(b"%d" % number, 1, 1), True, 1, 1) for number in range(1000)]
    bench.watcher.report(*found)
    bench.step()
    assert bench.watcher.received() == [], "they are open: 12,000 may be"
    tokens = [task.token for lane in bench.lanes for task in lane.chunker.received()]
    assert len(tokens) == 1000
    bench.lanes[0].producer.report(FilesCompleted(tuple((token, DIGEST) for token in tokens), True))
    bench.step()
    assert bench.watcher.received() == [Allowance(1000)]


def test_files_that_are_found_together_go_their_way(bench: Bench) -> None:
    bench.watcher.received()
    versions = [FileVersion(b"folder/%d" % number, 30, 1) for number in range(1000)]
    bench.watcher.report(FilesFound(versions, [FileStamp(1, 1)] * 1000, True, True))
    bench.step()
    ((lane, task),) = [(lane, task) for lane in bench.lanes for task in lane.chunker.received()]
    assert isinstance(task, FilesTask)
    assert task.versions == versions
    tokens = range(task.first, task.first + 1000)
    lane.chunker.report(FilesRead(tuple(tokens)))
    lane.producer.report(FilesCompleted(tuple((token, DIGEST) for token in tokens[:-1]), True))
    bench.step()
    assert bench.ledger.open_files == 1
    lane.producer.report(FilesCompleted(((tokens[-1], DIGEST), (4711, DIGEST)), False))
    bench.step()
    bench.now += 2
    bench.step()
    assert bench.watcher.received() == [Allowance(1000)]
    assert len(bench.completed) == 1000
    assert all(bench.ledger.is_recorded(version) for version in versions)
    assert bench.log[:2] == ["folder/0: broken into 3 chunks", "folder/1: broken into 3 chunks"]
    assert "980 more files: broken into 2,940 chunks" in bench.log
    assert "980 more files: all 2,940 chunks acknowledged" in bench.log
    assert bench.supervisor._reporter.acked_bytes == 30_000
    bench.quit()
    assert bench.close() == EXIT_UNDELIVERED  # two rows are not written


def test_files_that_are_found_together_are_taken_one_by_one_where_that_matters(bench: Bench) -> None:
    """One has too long a path, one was left before, and in the end they come too late."""
    bench.watcher.report(FileLeft(b"2", "is still being written"))
    paths = [b"1", b"2", b"3", b"x" * (MAX_PATH_BYTES + 1)]
    versions = [FileVersion(path, 30, 1) for path in paths]
    bench.watcher.report(FilesFound(versions, [FileStamp(1, 1)] * 4, True, True))
    bench.watcher.report(FilesFound([FileVersion(b"2/4", 30, 1)], [FileStamp(1, 1)], True, True))
    bench.step()
    tasks = [task for lane in bench.lanes for task in lane.chunker.received() if isinstance(task, FileTask)]
    assert [task.version.path for task in tasks] == paths[:3]
    assert bench.supervisor._detection.left == {paths[3]}
    bench.lanes[0].producer.report(FilesCompleted(tuple((task.token, DIGEST) for task in tasks), True))
    bench.step()
    ((_, task),) = [(lane, task) for lane in bench.lanes for task in lane.chunker.received()]
    assert isinstance(task, FileTask)
    bench.lanes[0].producer.report(FilesCompleted(((task.token, DIGEST),), True))
    bench.quit()
    bench.watcher.report(FilesFound([FileVersion(b"late", 30, 1)], [FileStamp(1, 1)], True, True))
    bench.step()
    assert b"late" in bench.session.moved_in
    assert bench.close() == EXIT_UNDELIVERED


def test_a_file_that_is_in_use_is_for_the_watcher_to_report_again(bench: Bench) -> None:
    version, stamp = FileVersion(b"file", 30, 1), FileStamp(1, 1)
    bench.watcher.report(FileFound(version, True, *stamp, is_asked=False))
    bench.step()
    in_use = FileChanged(bench.task().token, version, True, stamp, is_untouched=True)
    bench.watcher.received()
    bench.lane.chunker.report(in_use)
    bench.step()
    assert bench.watcher.received() == [Reconsider(b"file")]
    assert not bench.ledger.open_files
    bench.user.type("quit")
    bench.watcher.report(FilesFound([version], [stamp], True, is_asked=False))
    bench.step()
    ((lane, task),) = [(lane, task) for lane in bench.lanes for task in lane.chunker.received()]
    assert isinstance(task, FilesTask)
    lane.chunker.report(FileChanged(task.first, version, True, stamp, is_untouched=True))
    bench.step()
    assert bench.watcher.received() == [Sweep(1), Reconsider(b"file"), Sweep(2)]
    bench.watcher.report(SweepDone(1))
    bench.step()
    assert not bench.supervisor.is_over, "the watcher is asked once more"
    bench.watcher.report(FileLeft(b"file", "is still being written"), SweepDone(2))
    bench.step()
    assert bench.close() == EXIT_UNDELIVERED


def test_a_file_that_was_read_in_part_before_it_was_in_use_is_held(bench: Bench) -> None:
    version, stamp = FileVersion(b"file", 30, 1), FileStamp(1, 1)
    bench.watcher.report(FileFound(version, True, *stamp, is_asked=False))
    bench.step()
    bench.watcher.received()
    task = bench.task()
    bench.lane.chunker.report(FileChanged(task.token, version, True, stamp))
    bench.step()
    assert bench.watcher.received() == []
    assert [entry.state for entry in bench.ledger.undelivered] == [State.HELD]


@pytest.mark.parametrize("is_found", [True, False])
def test_the_next_run_finds_a_file_that_was_in_use_when_this_one_was_killed(bench: Bench, is_found: bool) -> None:
    version, stamp = FileVersion(b"file", 30, 1), FileStamp(1, 1)
    bench.ledger.on_found(version, True, stamp, is_asked=False, is_found=is_found)
    bench.step()
    task = bench.task()
    bench.lane.chunker.report(FileChanged(task.token, version, True, stamp, is_untouched=True))
    bench.step()
    assert (b"file" in bench.session.moved_in) is not is_found  # a scan finds it by its time, or all


def test_a_file_that_is_found_in_use_after_the_last_sweep_is_left(bench: Bench) -> None:
    version, stamp = FileVersion(b"file", 30, 1), FileStamp(1, 1)
    bench.watcher.report(FileFound(version, True, *stamp, is_asked=False))
    bench.step()
    task = bench.task()
    bench.quit()
    bench.watcher.received()
    bench.lane.chunker.report(FileChanged(task.token, version, True, stamp, is_untouched=True))
    bench.step()
    assert bench.watcher.received() == []
    assert "file is still being written: left for the next run" in bench.log
    assert b"file" in bench.session.moved_in
    assert bench.close() == EXIT_UNDELIVERED


def test_check(bench: Bench) -> None:
    task = bench.find()
    bench.user.type("check")
    bench.step()
    assert bench.user.lines == [
        "1 file enqueued or in progress: 0 of 3 chunks acknowledged",
        "  file: 0 bytes of 30 bytes acknowledged",
    ]
    bench.now += 2
    bench.lane.producer.report(ChunksAcked(task.token, ((1, 2),)))
    bench.user.type("check")
    bench.step()
    assert bench.user.lines[-1] == "  file: 20 bytes of 30 bytes acknowledged, 10 B/s"


def shown(bench: Bench) -> list[str]:
    return [fact.text for fact in bench.supervisor.activity(bench.now).facts]


def test_what_a_terminal_shows(bench: Bench) -> None:
    bench.step()
    assert shown(bench) == ["0 files done", "0 bytes sent", "broker reachable", "waiting for files"]
    assert bench.supervisor.activity(bench.now).is_idle
    task = bench.find()
    bench.now += 1
    assert bench.supervisor.activity(bench.now).amount == "0 bytes of 30 bytes"
    bench.lane.producer.report(ChunksAcked(task.token, ((1, 2),)), BrokerOutage("refused"))
    bench.step()
    bench.now += 1
    assert shown(bench)[0] == "20 B/s"
    bench.now += 1
    assert shown(bench) == ["10 B/s", "1 s left", "0 files done", "1 to do", "broker unreachable"]
    assert bench.supervisor.activity(bench.now).share == 20 / 30
    bench.lane.producer.report(FileUndelivered(task.token, "too large"))
    bench.step()
    bench.quit()
    bench.now += 1
    assert shown(bench) == ["0 files done", "20 bytes sent", "1 failed", "broker unreachable", "finishing"]


# What the next run must know


def test_a_file_that_is_found_after_the_last_sweep_is_left_to_the_next_run(bench: Bench) -> None:
    bench.quit()
    late_ns = bench.session.now_ns()
    bench.watcher.report(FileFound(FileVersion(b"late", 30, 1), True, late_ns, 1))
    bench.watcher.report(FileFound(FileVersion(b"late with an old time", 30, 1), True, 1, 1))
    bench.watcher.report(FolderMovedIn(b"late folder"))
    bench.step()
    assert bench.ledger.open_files == 0
    assert bench.close() == EXIT_OK
    next_session = Session(bench.lock.fileno())
    assert next_session.unfinished_since() is None
    assert next_session.missed[0] <= late_ns < next_session.missed[1]
    assert next_session.moved_in == (b"late with an old time", b"late folder")


def test_the_time_that_the_next_run_looks_at_begins_with_the_last_sweep(bench: Bench) -> None:
    bench.watcher.report(FolderMovedIn(b"folder"))
    bench.step()
    before_ns = bench.session.now_ns()
    bench.user.type("quit")
    bench.step()
    swept_ns = bench.session.now_ns()
    bench.watcher.report(SweepDone(1))
    bench.step()
    assert bench.session.unfinished_since() == SINCE_NS, "until the end"
    bench.close()
    next_session = Session(bench.lock.fileno())
    assert before_ns <= next_session.missed[0] <= swept_ns
    assert next_session.missed[1] >= bench.session.now_ns() + 2_000_000_000
    assert next_session.compare_since_ns == next_session.missed[0]
    assert next_session.moved_in == (), "it was moved in before the last sweep"


LONGEST_PATH = (b"y" * 127 + b"/") * 511 + b"y" * 127  # bytes


@pytest.mark.parametrize("path", [LONGEST_PATH + b"y", LONGEST_PATH])
def test_a_file_that_no_download_would_accept_is_left(bench: Bench, path: bytes) -> None:
    bench.watcher.report(FileFound(FileVersion(path, 30, 1), True, 1, 1))
    bench.step()
    assert (bench.ledger.open_files == 0) is (len(path) > 65535)
    assert any(
        line.endswith("has a path longer than 65,535 bytes: left for the next run") for line in bench.log
    ) is (len(path) > 65535)


def test_a_file_that_is_left_is_looked_at_by_the_next_run_however_old_it_is(bench: Bench) -> None:
    bench.watcher.report(FileLeft(b"open", "is still being written"))
    bench.quit()
    assert bench.close() == EXIT_UNDELIVERED
    next_session = Session(bench.lock.fileno())
    assert (next_session.unfinished_since(), next_session.moved_in) == (SINCE_NS, (b"open",))


def test_a_file_that_is_left_is_named_once_and_counted(bench: Bench) -> None:
    for path in (b"open", b"other", b"open"):  # a watcher that replaces another one reports it again
        bench.watcher.report(FileLeft(path, "is still being written"))
    bench.quit()
    assert bench.close() == EXIT_UNDELIVERED
    assert [line for line in bench.log if "left" in line] == [
        "open is still being written: left for the next run",
        "other is still being written: left for the next run",
        "summary: 0 files, 0 versions, 0 bytes, 0.0 s, 0 B/s, 0 failed, 2 left",
        "2 files were left: see above; the next run sends them",
    ]


def test_a_file_that_was_left_and_is_sent_after_all_does_not_count(bench: Bench) -> None:
    bench.watcher.report(FileLeft(b"file", "is still being written"))
    bench.complete(bench.find())
    bench.quit()
    bench.close()
    assert not any("file was left" in line for line in bench.log)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (0, None),
        (1, "1 file was there before and is not sent; --upload_existing sends it"),
        (3, "3 files were there before and are not sent; --upload_existing sends them"),
        (1_500, "1,500 files were there before and are not sent; --upload_existing sends them"),
    ],
)
def test_files_that_were_there_before_are_said_once(bench: Bench, number: int, line: str | None) -> None:
    recorded = FileVersion(b"recorded", 1, 1)
    record(bench.completed, recorded)
    identities = [recorded.identity(), *(FileVersion(b"%d" % each, 1, 1).identity() for each in range(number))]
    bench.watcher.report(FilesBefore(b"".join(identities[:2]), False))
    bench.watcher.report(FilesBefore(b"".join(identities[2:]), True))
    bench.step()
    assert [each for each in bench.log if "before" in each] == ([] if line is None else [line])


def test_the_watcher_is_told_which_scanned_files_are_not_recorded(bench: Bench) -> None:
    versions = [FileVersion(b"%d" % each, 1, 1) for each in range(5)]
    for recorded in (versions[0], versions[3]):
        record(bench.completed, recorded)
    bench.watcher.report(FilesScanned(7, b"".join(each.identity() for each in versions), b""))
    bench.step()
    assert FilesUnrecorded(7, (1, 2, 4)) in bench.watcher.received()


def test_files_that_were_there_before_are_counted_by_the_next_watcher_if_the_first_one_dies(bench: Bench) -> None:
    bench.watcher.report(FilesBefore(FileVersion(b"one", 1, 1).identity(), is_last=False))
    bench.step()
    bench.watcher.die()
    bench.step()
    bench.watcher.report(FilesBefore(FileVersion(b"one", 1, 1).identity(), is_last=True))
    bench.step()
    assert "1 file was there before and is not sent; --upload_existing sends it" in bench.log


def test_a_clock_that_is_set_back_lowers_what_is_new(bench: Bench) -> None:
    bench.clock_steps_ns[0] -= 1000_000_000
    bench.step()
    assert bench.session.unfinished_since() == SINCE_NS - 1000_000_000
    bench.clock_steps_ns[0] += 500_000_000
    bench.watcher.die()
    bench.step()
    assert [watch.since_ns for watch in bench.pool.watches] == [SINCE_NS, SINCE_NS - 1000_000_000]
    assert [watch.compare_since_ns for watch in bench.pool.watches] == [0, -1000_000_000]
    bench.watcher.die()
    bench.step()
    assert bench.pool.watches[-1].since_ns == SINCE_NS - 1000_000_000, "not lowered twice"


def test_a_folder_that_could_not_be_read_is_left_to_the_next_run(bench: Bench) -> None:
    bench.quit(is_whole=False)
    assert bench.close() == EXIT_UNDELIVERED
    assert bench.session.unfinished_since() == SINCE_NS
    assert bench.log[-1] == "some folders could not be read: see above; the next run tries again"


def test_rows_that_are_not_on_disk_in_the_end_are_no_orderly_end(bench: Bench) -> None:
    bench.complete(bench.find(), recorded=False)
    bench.complete(bench.find(b"other"))
    bench.quit()
    assert bench.close() == EXIT_UNDELIVERED
    assert bench.session.unfinished_since() == SINCE_NS
    assert bench.log[-1] == "some tables could not be written: the next run may send again what they lack"


def test_rows_that_are_on_disk_after_all_are_an_orderly_end(bench: Bench) -> None:
    bench.complete(bench.find(), recorded=False)
    bench.now += 10
    bench.step()
    failing = bench.status().recording.cause
    bench.lane.producer.report(RowsRecorded(1))
    bench.step()
    bench.now += 10
    bench.step()
    assert (failing, bench.status().recording.cause) == ("the tables cannot be written", "")
    bench.quit()
    assert bench.close() == EXIT_OK
    assert bench.session.unfinished_since() is None


def test_an_in_progress_table_that_cannot_be_written_is_no_orderly_end(bench: Bench) -> None:
    os.mkdir(bench.folder.in_progress)
    bench.quit()
    assert bench.close() == EXIT_UNDELIVERED
    assert bench.session.unfinished_since() == SINCE_NS
    assert any(line.startswith(f"cannot write {bench.folder.in_progress}: ") for line in bench.log)


def test_shards_that_cannot_be_merged_are_no_orderly_end(bench: Bench) -> None:
    os.mkdir(bench.folder.shard(0, 1))
    bench.quit()
    assert bench.close() == EXIT_UNDELIVERED
    assert bench.session.unfinished_since() == SINCE_NS
    assert any(line.startswith("cannot merge the completed tables: ") for line in bench.log)


def test_a_run_that_is_abandoned_is_no_orderly_end(bench: Bench) -> None:
    bench.find()
    bench.user.send(signal.SIGINT)
    bench.step()
    assert not bench.supervisor.is_over
    bench.user.send(signal.SIGINT)
    bench.step()
    assert bench.close() == EXIT_UNDELIVERED
    assert bench.session.unfinished_since() == SINCE_NS
    assert "stopped immediately; the next run sends the rest" in bench.log
    assert bench.log[-1] == "ended before everything was delivered"


def test_folders_that_were_moved_in_are_recorded(bench: Bench) -> None:
    bench.watcher.report(FolderMovedIn(b"folder"))
    bench.step()
    assert bench.session.moved_in == (b"folder",)


def test_files_that_could_not_be_delivered_are_named_at_once_and_at_the_end(bench: Bench) -> None:
    for name in (b"one", b"other"):
        task = bench.find(name)
        bench.lane.producer.report(FileUndelivered(task.token, "too large"))
        bench.step()
    bench.quit()
    assert bench.close() == EXIT_UNDELIVERED
    assert bench.log.count("one not delivered: too large") == 2
    assert bench.log[-1] == f"2 files could not be delivered; they stay in {bench.folder.in_progress}"
    assert len(Path(bench.folder.in_progress).read_text().splitlines()) == 3
    assert bench.session.unfinished_since() is None, "the table names what is left"


def test_a_file_whose_chunks_are_too_large_is_sent_again_in_smaller_ones(bench: Bench) -> None:
    version = FileVersion(b"file", 30, 1)
    entry = bench.ledger.resume(in_progress_row(version, 20, RangeSet(), "then"), version)
    bench.step()
    bench.lanes[entry.lane].producer.report(FileUndelivered(entry.token, "too large", True))
    bench.step()
    assert bench.log[-1] == "file: too large: uploading all of it again, in chunks of 10 bytes"
    assert bench.ledger.open_files == 1


def test_that_the_broker_is_slow_is_logged_once_for_all_lanes(bench: Bench) -> None:
    for lane, reason in ((0, "a quota"), (1, "a quota"), (0, ""), (1, ""), (1, "a quota")):
        bench.lanes[lane].producer.report(BrokerSlow(reason))
        bench.step()
        bench.now += 2
        bench.step()
    slow = "broker slow (nothing has been acknowledged yet): a quota; nothing is lost"
    assert bench.log == [slow, "broker no longer slow: 0.0 MB/s", slow]


def test_the_rate_of_a_slow_broker_includes_what_was_acknowledged_before_it_was_called_slow(bench: Bench) -> None:
    task = bench.find()
    bench.now += 3
    bench.lane.producer.report(BrokerSlow("a quota"))
    bench.step()
    bench.lane.producer.report(ChunksAcked(task.token, ((1, 2),)))
    bench.now += 2
    bench.step()
    bench.step()
    assert bench.log[-1] == "broker slow at 4 B/s: a quota; nothing is lost"


def test_all_is_failed_when_delivery_is_given_up(bench: Bench) -> None:
    bench.find()
    bench.quit()
    bench.lanes[1].producer.report(DeliveryGivenUp("timed out"))
    bench.step()
    assert bench.close() == EXIT_UNDELIVERED
    assert bench.log[-1] == f"1 file could not be delivered; it stays in {bench.folder.in_progress}"


def test_a_file_that_keeps_changing_ends_with_the_run(bench: Bench) -> None:
    task = bench.find()
    for mtime_ns in (2, 3):
        bench.lane.chunker.report(FileChanged(task.token, FileVersion(b"file", 30, mtime_ns), False))
        bench.step()
        if mtime_ns == 2:
            bench.now += 1.0
            bench.step()
            task = bench.task()
    assert bench.ledger.open_files == 1
    bench.quit()
    bench.step()
    task = bench.task()
    bench.lane.chunker.report(FileChanged(task.token, FileVersion(b"file", 30, 4), False))
    bench.step()
    assert bench.close() == EXIT_UNDELIVERED
    assert "file not delivered: it keeps changing while it is read" in bench.log


# Deaths


def test_a_dead_chunker_is_replaced_and_its_files_are_read_again(bench: Bench) -> None:
    task = bench.find()
    bench.lane.chunker.die()
    bench.step()
    assert bench.task() == task
    assert any(line.endswith("was killed by SIGKILL: restarting it") for line in bench.log)


def test_what_a_dead_worker_has_reported_last_counts(bench: Bench) -> None:
    task = bench.find()
    bench.lane.producer.report(FilesCompleted(((task.token, DIGEST),), True))
    bench.lane.producer.die()
    bench.step()
    assert bench.ledger.open_files == 0
    assert digest_of(bench.completed, task.version) is not None


def test_a_dead_producer_is_replaced_with_its_chunker_and_does_not_reuse_shards(bench: Bench) -> None:
    task = bench.find()
    old = bench.lane.chunker
    Path(bench.folder.shard(0, 7)).touch()
    bench.lane.producer.die()
    bench.step()
    assert bench.lane.chunker is not old
    assert bench.lane.first_shard == 8
    assert bench.task() == task
    assert bench.lane.producer.received() == [], "it need not drain yet"


@pytest.mark.parametrize("topic_id", ["new", ""])
def test_all_lanes_begin_anew_with_a_topic_that_was_made_anew(bench: Bench, topic_id: str) -> None:
    task = bench.find()
    bench.lane.producer.report(ChunksAcked(task.token, ((1, 2),)))
    bench.step()
    old = [lane.producer for lane in bench.lanes]
    for producer in old:
        producer.report(TopicHarmed("made anew", True, topic_id))
    bench.step()
    assert all(producer.process.exitcode is not None for producer in old)
    assert bench.task().to_send == ((1, 3),)
    assert bench.log.count("made anew") == 1
    assert {lane.topic_id for lane in bench.lanes} == {topic_id}
    bench.quit()
    bench.complete(task)
    assert bench.close() == EXIT_UNDELIVERED


def test_a_replacement_producer_learns_that_all_is_to_end(bench: Bench) -> None:
    task = bench.find()
    bench.quit()
    bench.lane.producer.die()
    bench.step()
    assert bench.lane.producer.received() == [Drain()]
    assert bench.task() == task
    bench.complete(task)
    assert bench.close() == EXIT_OK


def test_a_replaced_watcher_learns_what_was_moved_in_and_may_report_files(bench: Bench) -> None:
    bench.watcher.received()
    bench.watcher.report(FolderMovedIn(b"one"), FileFound(FileVersion(b"file", 30, 1), True, 1, 1))
    bench.step()
    bench.watcher.report(FolderMovedIn(b"other"))
    bench.watcher.die()
    bench.step()
    assert [watch.moved_in for watch in bench.pool.watches] == [(), (b"one", b"other")]
    assert bench.watcher.received() == [Allowance(11_999)]
    bench.task()
    bench.watcher.report(WatchStarted())
    bench.find(b"another")


@pytest.mark.parametrize("swept", [False, True])
def test_a_replaced_watcher_sweeps_if_the_last_one_has_not(bench: Bench, swept: bool) -> None:
    bench.find()
    bench.user.type("quit")
    bench.step()
    if swept:
        bench.watcher.report(SweepDone(1))
        bench.step()
    bench.watcher.die()
    bench.step()
    assert (Sweep(1) in bench.watcher.received()) is not swept


def test_deaths_without_end_are_an_error(bench: Bench) -> None:
    for _ in range(5):
        bench.lanes[0].chunker.die()
        bench.step()
    bench.lanes[0].chunker.die()
    with pytest.raises(WorkerError, match="workers have died"):
        bench.step()


def test_a_producer_that_cannot_number_its_shards_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(bench.folder, "names", fail)
    bench.lanes[0].producer.die()
    with pytest.raises(WorkerError, match="cannot read"):
        bench.step()


# What the user reads


def test_an_outage_is_logged_once_for_all_lanes(bench: Bench) -> None:
    for lane in bench.lanes:
        lane.producer.report(BrokerOutage("Connection refused"))
        bench.step()
    bench.lanes[0].producer.report(BrokerOutage("access denied", is_cause=True))
    bench.step()
    for lane in bench.lanes:
        lane.producer.report(BrokerOutage(""))
        bench.step()
    assert bench.log == [
        "broker unreachable (Connection refused): retrying; nothing is lost",
        "broker unreachable (access denied): retrying; nothing is lost",
        "broker reachable again: uploading resumed",
    ]


def test_a_new_producer_finds_out_for_itself_that_the_broker_is_unreachable(bench: Bench) -> None:
    bench.lanes[0].producer.report(BrokerOutage("Connection refused"))
    bench.step()
    bench.lanes[0].producer.die()
    bench.step()
    bench.lanes[0].producer.report(BrokerOutage("Connection refused"))
    bench.step()
    assert bench.log.count("broker unreachable (Connection refused): retrying; nothing is lost") == 2


@pytest.mark.parametrize(
    ("gone", "acked", "line"),
    [
        (False, False, "cannot read file: Input/output error; retrying"),
        (True, False, "file was removed before it could be read"),
        (True, True, "file not delivered: Input/output error"),
    ],
)
def test_a_file_that_cannot_be_read(bench: Bench, gone: bool, acked: bool, line: str) -> None:
    task = bench.find()
    if acked:
        bench.lane.producer.report(ChunksAcked(task.token, ((1, 1),)))
        bench.step()
    bench.lane.chunker.report(FileUnreadable(task.token, gone, "Input/output error"))
    bench.step()
    assert bench.log[-1] == line


def test_a_directory_that_is_gone_ends_the_run(bench: Bench) -> None:
    bench.watcher.report(DirectoryGone("/data has been removed, renamed or unmounted"))
    bench.step()
    assert Sweep(1) in bench.watcher.received()
    assert bench.log == [
        "/data has been removed, renamed or unmounted: uploading what can still be read",
        "no directory to watch: finishing what is enqueued",
    ]


# LOGS, which others may remove


def test_logs_that_was_removed_is_made_again_and_all_learn_of_it(bench: Bench) -> None:
    bench.find()
    shutil.rmtree(bench.folder.path)
    bench.watcher.received()
    bench.watcher.report(LogsDisturbed())
    bench.step()
    bench.now += 0.25
    bench.step()
    status = os.stat(bench.folder.path)
    replaced = [message for message in bench.watcher.received() if isinstance(message, LogsReplaced)]
    assert replaced == [LogsReplaced(status.st_dev, status.st_ino)]
    for lane in bench.lanes:
        assert [message for message in lane.producer.received() if isinstance(message, ShardsDisturbed)] == [
            ShardsDisturbed()
        ]
    assert [row.rel_filepath for row in read_in_progress_table(bench.folder)[0]] == ["file"]
    assert bench.log[-1] == f"{bench.folder.path} was removed or replaced: making it again, with all in it"
    bench.watcher.die()
    bench.step()
    assert bench.pool.watches[-1].logs == (status.st_dev, status.st_ino)


def test_logs_is_made_again_once_its_removal_has_come_to_an_end(bench: Bench) -> None:
    """Or else `rm -r` of the directory would find it not empty."""
    shutil.rmtree(bench.folder.path)
    for _ in range(4):
        bench.watcher.report(LogsDisturbed())
        bench.step()
        bench.now += 0.2
        bench.step()
        assert not os.path.exists(bench.folder.path)
    bench.now += 0.1
    bench.step()
    assert os.path.exists(bench.folder.path)


def test_logs_is_made_again_in_time_however_it_is_disturbed(bench: Bench) -> None:
    shutil.rmtree(bench.folder.path)
    for _ in range(30):
        bench.watcher.report(LogsDisturbed())
        bench.step()
        bench.now += 0.2
    assert os.path.exists(bench.folder.path)


def test_logs_is_looked_at_every_few_seconds(bench: Bench) -> None:
    os.unlink(bench.folder.lock)
    bench.now += 4.9
    bench.step()
    assert not os.path.exists(bench.folder.lock)
    bench.now += 0.2
    bench.step()
    assert os.path.exists(bench.folder.lock)
    assert bench.log[-1] == f"{bench.folder.lock} removed or replaced by another program: made again"


def test_what_keeps_logs_from_being_made_again_is_said_once(bench: Bench, tmp_path: Path) -> None:
    os.rename(bench.folder.path, tmp_path / "away")
    os.symlink(tmp_path, bench.folder.path)
    for _ in range(3):
        bench.now += 5.1
        bench.step()
    assert bench.log == [
        f"cannot make {bench.folder.path} again: it is a link or a file, not a folder; remove it; retrying"
    ]
    os.unlink(bench.folder.path)
    bench.now += 5.1
    bench.step()
    assert os.listdir(bench.folder.path)


def test_an_upload_whose_lock_another_has_taken_sends_what_it_has_and_leaves_the_tables_alone(
    bench: Bench,
) -> None:
    task = bench.find()
    shutil.rmtree(bench.folder.path)
    os.mkdir(bench.folder.path)
    theirs = take_lock(bench.folder.lock)
    before = os.listdir(bench.folder.path)
    bench.watcher.report(LogsDisturbed())
    bench.step()
    bench.now += 0.25
    bench.step()
    assert bench.log[-2:] == [
        f"{bench.folder.path} was removed, and meanwhile another dfud is already uploading DIR to topic T: "
        f"process {os.getpid()} has locked {bench.folder.lock}",
        "ending: finishing what is enqueued",
    ]
    bench.watcher.report(SweepDone(1, True))
    bench.complete(task)
    assert bench.close() == EXIT_UNDELIVERED
    assert os.listdir(bench.folder.path) == before
    theirs.close()


def test_a_producer_that_is_replaced_after_logs_was_removed_numbers_its_shards_on(bench: Bench) -> None:
    copy = ShardCopy(bench.folder, 0)
    copy.append(7, [b"row\r\n"])
    bench.lanes[0].copies.append(copy)
    copy.is_growing = False
    shutil.rmtree(bench.folder.path)
    bench.lanes[0].producer.die()
    bench.step()
    assert bench.lanes[0].first_shard == 8
    assert os.path.exists(bench.folder.shard(0, 7))
    copy.close()


def test_what_a_worker_says_of_a_file_keeps_the_file_and_the_cause(bench: Bench) -> None:
    bench.watcher.report(Notice(logging.WARNING, "a line", b"fi\nle", "no right"))
    bench.step()
    assert bench.about == [("fi\\nle", None, "no right")]
