"""Which files a run has to look at, depending on how the last one ended."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfud.logs.layout import LogsFolder
from dfud.logs.run_record import EVERYTHING
from dfud.logs.session import Session
from dfud.uploading.session import Scope, begin_session, end_session, newest_table_ns, record

LATER_NS = 10**20  # after any clock


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    log = logging.Logger("test")
    log.addHandler(caplog.handler)
    return log


def begin(session: Session, log: logging.Logger, **changes: Any) -> Scope:
    arguments: dict[str, Any] = {"take_all": False, "file_system": "ext4", "newest_table_ns": None, **changes}
    return begin_session(session, log=log, **arguments)


def test_the_first_run_takes_only_what_comes_from_now_on(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(descriptor)
    before = os.fstat(descriptor).st_ctime_ns
    scope = begin(session, log)
    assert scope == Scope(False, scope.since_ns, (0, 0), scope.since_ns)
    assert before <= scope.since_ns <= os.fstat(descriptor).st_ctime_ns
    assert session.unfinished_since() == scope.since_ns
    assert caplog.messages == []


def test_after_an_orderly_end_what_that_run_could_not_see_is_taken_too(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(descriptor)
    begin(session, log)
    session.on_last_sweep()
    end_session(session, None, log)
    session = Session(descriptor)
    missed = session.missed
    scope = begin(session, log, newest_table_ns=5)
    assert scope == Scope(False, scope.since_ns, missed, missed[0])
    assert 0 < missed[0] <= scope.since_ns
    assert caplog.messages == []
    # This run is killed; the next one has to look at the same files.
    session = Session(descriptor)
    again = begin(session, log, newest_table_ns=5)
    assert again == scope
    assert len(caplog.messages) == 1


def test_after_any_other_end_what_has_come_since_that_run_began_is_taken(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(descriptor)
    session.begin(1234, 1000)
    assert begin(session, log) == Scope(False, 1234, (0, 0), 1000)
    assert session.unfinished_since() == 1234, "this run may be killed, too"
    said = "the last run was interrupted, or left files: looking for what has changed since it began"
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.INFO, said)]


def test_everything_is_taken_when_asked_for(descriptor: int, log: logging.Logger) -> None:
    session = Session(descriptor)
    session.begin(1234, 1000)
    assert begin(session, log, take_all=True) == Scope(True, 1234, (0, 0), 1000)
    assert session.unfinished_since() == EVERYTHING
    assert Session(descriptor).compare_since_ns == 1000


@pytest.mark.parametrize("unfinished", [None, 1234])
def test_without_a_time_from_which_to_compare_the_tables_have_one(
    descriptor: int, log: logging.Logger, unfinished: int | None
) -> None:
    session = Session(descriptor)
    if unfinished is not None:
        session.begin(unfinished)  # as an older version did
    assert begin(session, log, newest_table_ns=900).compare_since_ns == 900
    assert Session(descriptor).compare_since_ns == 900, "it stays, whatever tables this run writes"


def test_everything_is_taken_and_compared_when_the_clock_has_been_set_back(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(descriptor)
    session.begin(LATER_NS, LATER_NS)
    assert begin(session, log) == Scope(True, EVERYTHING, (0, 0), 1)
    assert "clock" in caplog.messages[1]


def test_all_recorded_files_are_compared_when_the_clock_was_set_back_after_an_orderly_end(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(descriptor)
    session.begin(1234)
    monkeypatch.setattr(session, "now_ns", lambda: LATER_NS)
    session.on_last_sweep()
    session.end()
    session = Session(descriptor)
    scope = begin(session, log)
    assert (scope.everything, scope.compare_since_ns) == (False, 1)
    assert caplog.messages == ["the clock has been set back since the last run: comparing all files"]


@pytest.mark.parametrize("file_system", ["vfat", "msdos", "exfat", "fuseblk"])
def test_everything_is_checked_where_a_ctime_says_nothing(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture, file_system: str
) -> None:
    session = Session(descriptor)
    assert not begin(session, log, file_system=file_system).everything, "after no run, or an orderly end"
    session = Session(descriptor)
    assert begin(session, log, file_system=file_system)[:2] == (True, EVERYTHING)
    assert caplog.messages[1] == (
        f"the file system {file_system} does not keep times of change: checking all files"
    )
    assert Session(descriptor).unfinished_since() == EVERYTHING


def test_what_is_left_over_is_the_next_runs(descriptor: int, log: logging.Logger) -> None:
    session = Session(descriptor)
    session.on_last_sweep()
    end_session(session, 1234, log)
    assert session.unfinished_since() == 1234


@pytest.mark.parametrize("unfinished", [None, 1234])
def test_a_lock_file_that_cannot_be_written_stops_nothing(
    tmp_path: Path, unfinished: int | None, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"" if unfinished is None else b"%d\n" % unfinished)
    descriptor = os.open(path, os.O_RDONLY)  # the write fails
    try:
        session = Session(descriptor)
        scope = begin(session, log)
        assert scope[:2] == ((True, EVERYTHING) if unfinished is None else (False, unfinished))
        assert record(log, session.on_last_sweep), "the time can be read"
        assert not record(log, lambda: session.add_moved_in(b"a")) or unfinished is None
        end_session(session, None, log)
    finally:
        os.close(descriptor)
    failures = [message for message in caplog.messages if message.startswith("cannot write the lock file: ")]
    assert len(failures) == (2 if unfinished is None else 3)


def test_when_the_tables_were_last_written(tmp_path: Path) -> None:
    folder = LogsFolder(os.fspath(tmp_path), "topic")
    assert newest_table_ns(folder) is None
    os.mkdir(folder.path)
    assert newest_table_ns(folder) is None
    for path, time_ns in ((folder.completed, 3000), (folder.shard(0, 1), 5000), (folder.shard(1, 1), 4000)):
        Path(path).touch()
        os.utime(path, ns=(time_ns, time_ns))
    Path(folder.in_progress).touch()
    assert newest_table_ns(folder) == 5000
