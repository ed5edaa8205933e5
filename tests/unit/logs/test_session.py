"""The record of a run: it is there until an orderly end, whatever a power cut leaves of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.logs.session import EVERYTHING, Session


class LockFile:
    """Opens sessions in one file, as runs one after another do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def open(self) -> Session:
        self.close()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT)
        return Session(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LockFile]:
    lock_file = LockFile(tmp_path / "lock")
    yield lock_file
    lock_file.close()


def test_an_orderly_end_is_remembered(file: LockFile) -> None:
    session = file.open()
    assert session.unfinished_since() is None
    for since in (1_700_000_000_000_000_000, -5, EVERYTHING):
        session.begin(since)
        assert session.unfinished_since() == since
    session.end()
    assert session.unfinished_since() is None


@pytest.mark.parametrize("left", [b"\0" * 25, b"\0", b"12a", b"\xff"])
def test_what_cannot_be_read_means_that_a_run_began(file: LockFile, left: bytes) -> None:
    file.path.write_bytes(left)
    session = file.open()
    assert session.unfinished_since() == EVERYTHING


def test_a_longer_content_is_replaced_as_a_whole(file: LockFile) -> None:
    file.path.write_bytes(b"9" * 60)
    session = file.open()
    session.begin(5)
    assert session.unfinished_since() == 5


def test_folders_that_were_moved_in_are_remembered_until_an_orderly_end(file: LockFile) -> None:
    session = file.open()
    session.begin(7)
    for folder in (b"a", b"b/c", b"a/inside", b"a", b"two\nlines \xff", b"an"):
        session.add_moved_in(folder)
    recorded = (b"a", b"b/c", b"two\nlines \xff", b"an")
    assert session.moved_in == recorded
    session = file.open()
    assert (session.unfinished_since(), session.moved_in) == (7, recorded)
    session.begin(6)
    session = file.open()
    assert (session.unfinished_since(), session.moved_in) == (6, recorded)
    session.end()
    assert session.moved_in == ()
    session = file.open()
    assert (session.unfinished_since(), session.moved_in) == (None, ())


def test_where_everything_is_looked_at_no_folder_need_be_remembered(file: LockFile) -> None:
    session = file.open()
    session.begin(EVERYTHING)
    session.add_moved_in(b"a")
    assert session.moved_in == ()


def test_after_too_many_folders_everything_is_looked_at(file: LockFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfud.logs.session._MAX_MOVED_IN", 3)
    session = file.open()
    session.begin(7)
    for folder in (b"a", b"b", b"c"):
        session.add_moved_in(folder)
    assert session.unfinished_since() == 7
    session.add_moved_in(b"d")
    assert (session.unfinished_since(), session.moved_in) == (EVERYTHING, ())


def test_a_folder_that_a_power_cut_left_half_written_is_none(file: LockFile) -> None:
    file.path.write_bytes(b"%024d\nwhole\nhal" % 7)
    session = file.open()
    assert (session.unfinished_since(), session.moved_in) == (7, (b"whole",))


def test_the_time_is_that_of_the_file_system(file: LockFile) -> None:
    session = file.open()
    (file.path.parent / "before").touch()
    now = session.now_ns()
    (file.path.parent / "after").touch()
    assert (
        os.stat(file.path.parent / "before").st_ctime_ns <= now <= os.stat(file.path.parent / "after").st_ctime_ns
    )
    assert abs(now - time.time_ns()) < 10**10
