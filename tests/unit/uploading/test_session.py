"""Which files a run has to look at, depending on how the last one ended."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.logs.session import EVERYTHING, Session
from dfud.uploading.session import begin_session, end_session

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


def test_after_an_orderly_end_only_what_comes_from_now_on_is_taken(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(descriptor)
    before = os.fstat(descriptor).st_ctime_ns
    scope = begin_session(session, False, log)
    assert not scope.everything
    assert before <= scope.since_ns <= os.fstat(descriptor).st_ctime_ns
    assert session.unfinished_since() == scope.since_ns
    assert caplog.messages == []
    end_session(session, None, log)
    assert session.unfinished_since() is None


def test_after_any_other_end_what_has_come_since_that_run_began_is_taken(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(descriptor)
    session.begin(1234)
    assert begin_session(session, False, log) == (False, 1234)
    assert session.unfinished_since() == 1234, "this run may be killed, too"
    assert len(caplog.messages) == 1


def test_everything_is_taken_when_asked_for(descriptor: int, log: logging.Logger) -> None:
    session = Session(descriptor)
    session.begin(1234)
    assert begin_session(session, True, log) == (True, 1234)
    assert session.unfinished_since() == EVERYTHING


def test_everything_is_taken_when_the_clock_has_been_set_back(
    descriptor: int, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(descriptor)
    session.begin(LATER_NS)
    assert begin_session(session, False, log) == (True, EVERYTHING)
    assert "clock" in caplog.messages[1]


def test_what_is_left_over_is_the_next_runs(descriptor: int, log: logging.Logger) -> None:
    session = Session(descriptor)
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
        scope = begin_session(session, False, log)
        assert scope == ((True, EVERYTHING) if unfinished is None else (False, unfinished))
        end_session(session, None, log)
    finally:
        os.close(descriptor)
    assert sum(message.startswith("cannot write the lock file: ") for message in caplog.messages) == 2
