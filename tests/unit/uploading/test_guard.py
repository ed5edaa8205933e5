"""What is said about files that retention takes, and which of them are sent again."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dfud.core.version import FileStamp, FileVersion
from dfud.files.links import LinkPolicy
from dfud.lagging.lag import Basis, ReceiverLag
from dfud.lagging.retention_watch import Risks
from dfud.lagging.uploaded import UploadedFile
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.layout import LogsFolder
from dfud.messages import FilesToResend, FromGuard, LookFailed, Notice, RetentionReport
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.receipts.required import Required
from dfud.uploading.guard import RetentionGuard
from dfud.uploading.guard_worker import Guard, PresentFiles
from dfud.uploading.ledger import Ledger
from dfud.uploading.options import GuardPlan

HOUR_S = 3_600.0


def plan(directory: Path, resends: bool = True) -> GuardPlan:
    folder = LogsFolder(str(directory), "T")
    return GuardPlan(folder, "R", Required(frozenset(["archive"])), 60.0, 10.0, resends, {}, "config")


class FakeWatch:
    def __init__(self) -> None:
        self.due: list[UploadedFile] = []
        self.lost: list[UploadedFile] = []

    def look(self) -> Risks:
        n_files = len(self.due) + len(self.lost)
        lag = ReceiverLag("archive\x1b", Basis.TABLES, "", n_files, 4, b"", 1.0, 5.0, len(self.lost))
        return Risks((lag,), list(self.due), 5.0, list(self.lost), "retention.ms", HOUR_S)


class Bench:
    """A guard, what it watches, and what it has said."""

    def __init__(self, directory: Path, resends: bool = True) -> None:
        self.directory = directory
        self.watch = FakeWatch()
        self.now = 0.0
        present = PresentFiles(str(directory), LinkPolicy())
        self.guard = Guard(plan(directory, resends), self.watch, present, True, lambda: self.now)

    def file(self, name: str, is_there: bool = True) -> UploadedFile:
        path = self.directory / name
        path.write_bytes(b"data")
        os.utime(path, ns=(5, 5))
        if not is_there:
            path.unlink()
        return UploadedFile(FileVersion(os.fsencode(name), 4, 5), b"", 1, 0.0, 0.0)

    def look(self) -> tuple[RetentionReport, set[bytes]]:
        """Return the report, and the paths of the files to be sent again."""
        report, resent = None, set()
        for message in self.guard.look():
            if isinstance(message, RetentionReport):
                report = message
            elif isinstance(message, FilesToResend):
                resent |= {version.path for version, _ in message.files}
        assert report is not None
        return report, resent


def test_what_is_still_there_is_sent_again_when_it_may_be_due_once_more(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.watch.due = [bench.file("due"), bench.file("removed", is_there=False), bench.file("changed")]
    bench.watch.lost = [bench.file("lost")]
    (tmp_path / "changed").write_bytes(b"more data")
    report, resent = bench.look()
    assert resent == {b"due", b"lost"}
    assert (report.n_due, report.first_due, report.n_lost, report.first_lost, report.n_gone) == (
        3, b"due", 1, b"lost", 2,
    )  # fmt: skip
    assert report.receivers[0].receiver == "archive\\x1b"
    bench.now = HOUR_S - 61
    report, resent = bench.look()
    assert (resent, report.n_lost, report.n_gone) == (set(), 0, 0)
    bench.now = HOUR_S - 60
    assert bench.look()[1] == {b"due", b"lost"}


def test_nothing_is_sent_again_unless_that_is_wanted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, resends=False)
    bench.watch.lost = [bench.file("lost")]
    report, resent = bench.look()
    assert (report.n_lost, resent) == (1, set())


def test_each_file_that_is_due_is_named_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.watch.due = [bench.file("a"), bench.file("b")]

    def named() -> set[bytes]:
        return {message.file for message in bench.guard.look() if isinstance(message, Notice)}

    assert named() == {b"a", b"b"}
    assert named() == set()


class Reports:
    """A supervisor's guard; this is its pool, its event loop and its process at once."""

    def __init__(self, directory: Path) -> None:
        recorded = RecordedVersions()
        self.version = FileVersion(b"a", 4, 5)
        recorded.add(b"a", self.version.identity(), bytes(16))
        self.ledger = Ledger(4, 1, recorded, lambda: "2026-01-01T00:00:00+00:00")
        self.now = 0.0
        self.n_started = 0
        me: Any = self
        self.process = me
        log = logging.getLogger("guard")
        self.guard = RetentionGuard(plan(directory), self.ledger, me, LinkPolicy(), log, me, lambda: self.now)
        self.guard.turn(self.now)

    def start(self, *_: object) -> Reports:
        self.n_started += 1
        return self

    def watch(self, worker: object, handler: Any, on_death: Any) -> None:
        self.on_death = on_death

    def unwatch(self, worker: object) -> None: ...
    def discard(self, worker: object) -> None: ...
    def kill(self) -> None: ...
    def cause_of_death(self) -> str:
        return "was killed by SIGKILL"

    def send(self, messages: Sequence[FromGuard]) -> None:
        """Handle messages as they come out of a channel."""
        ours, theirs = Channel.pair(links.GUARD)
        theirs.send(list(messages))
        for message in ours.receive():
            self.guard._dispatch(message)
        ours.close()
        theirs.close()


def report(n_due: int, n_lost: int = 0) -> RetentionReport:
    return RetentionReport(
        (), n_due, b"x\x1b" if n_due else b"", 5.0, n_lost, b"y" if n_lost else b"", "retention.ms"
    )


def test_an_episode_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reports = Reports(tmp_path)
    reports.send([report(2), report(3), report(0, n_lost=3), report(0), report(1)])
    assert [(record.levelname, record.message.split(";")[0]) for record in caplog.records] == [
        (
            "WARNING",
            "2 files may be deleted from topic T before all receivers have them, the first in 5 s (x\\x1b)",
        ),
        ("ERROR", "3 files are gone from topic T before all receivers had them (first: y)"),
        ("INFO", "nothing is about to be deleted from topic T before it is received any more"),
        (
            "WARNING",
            "1 file may be deleted from topic T before all receivers have them, the first in 5 s (x\\x1b)",
        ),
    ]
    assert reports.guard.risk


def test_a_guard_that_dies_is_replaced_unless_the_upload_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reports = Reports(tmp_path)
    for _ in range(2):
        reports.on_death(reports)
        reports.guard.turn(reports.now)
        assert reports.guard.due == reports.now + 10
        reports.now += 10
        reports.guard.turn(reports.now)
    assert reports.n_started == 3
    reports.guard.end()
    reports.on_death(reports)
    assert reports.guard.due is None
    assert [record.message for record in caplog.records] == [
        "cannot see what receivers lack of topic T: the process that looks was killed by SIGKILL; retrying"
    ]


def test_what_cannot_be_seen_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reports = Reports(tmp_path)
    reports.send([LookFailed("no broker"), LookFailed("no broker"), LookFailed(""), report(0)])
    assert len(caplog.records) == 2


def test_a_recorded_file_is_sent_again_and_is_the_same_version(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    stamp = FileStamp(7, 8)
    versions = reports.version, FileVersion(b"a", 5, 6), FileVersion(b"never sent", 4, 5)
    reports.send([FilesToResend(tuple((version, stamp) for version in versions))])
    reports.guard.turn(0.0)
    ((_, task),) = reports.ledger.dispatch()
    assert (task.version, task.known_digest) == (reports.version, "")
    reports.send([FilesToResend(((reports.version, stamp),))])
    reports.guard.turn(0.0)
    assert list(reports.ledger.dispatch()) == []
    assert reports.ledger.on_completed(task.token) is not None
    assert reports.ledger.open_files == 0
