"""The record of a run: it lasts until a clean end, whatever a power cut leaves of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.logs.lock import DirectoryLock
from dfud.logs.session import EVERYTHING, RunState, Session, last_run


class LockFile:
    """Opens sessions in one file, as successive runs do."""

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


def test_a_clean_end_is_recorded(file: LockFile) -> None:
    session = file.open()
    assert session.unfinished_since() is None
    for since in (1_700_000_000_000_000_000, -5, EVERYTHING):
        session.begin(since)
        assert session.unfinished_since() == since
    session.end()
    assert session.unfinished_since() is None


@pytest.mark.parametrize("left", [b"\0" * 25, b"\0", b"12a", b"\xff"])
def test_a_record_that_cannot_be_read_means_that_a_run_began(file: LockFile, left: bytes) -> None:
    file.path.write_bytes(left)
    session = file.open()
    assert session.unfinished_since() == EVERYTHING


def test_a_longer_record_is_replaced_completely(file: LockFile) -> None:
    file.path.write_bytes(b"9" * 60)
    session = file.open()
    session.begin(5)
    assert session.unfinished_since() == 5


def test_folders_that_were_moved_in_are_recorded_until_a_clean_end(file: LockFile) -> None:
    session = file.open()
    session.begin(7)
    for folder in (b"a", b"b/c", b"a/inside", b"b/c/d/e", b"b/c", b"a", b"two\nlines \xff", b"an"):
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


def test_no_folder_is_recorded_if_everything_is_scanned_anyway(file: LockFile) -> None:
    session = file.open()
    session.begin(EVERYTHING)
    session.add_moved_in(b"a")
    assert session.moved_in == ()


def test_after_too_many_folders_everything_is_scanned(file: LockFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfud.logs.session._MAX_MOVED_IN", 3)
    session = file.open()
    session.begin(7)
    for folder in (b"a", b"b", b"c"):
        session.add_moved_in(folder)
    assert session.unfinished_since() == 7
    session.add_moved_in(b"d")
    assert (session.unfinished_since(), session.moved_in) == (EVERYTHING, ())


def test_a_folder_that_a_power_cut_left_half_written_is_ignored(file: LockFile) -> None:
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


def test_a_record_is_text_that_a_later_one_overwrites_completely(file: LockFile) -> None:
    session = file.open()
    session.begin(1_700_000_000_000_000_001)
    session.add_moved_in(b"a folder")
    assert file.path.read_bytes() == b"000001700000000000000001\na%20folder\n"
    session.end()
    assert file.path.read_bytes() == b""


def test_a_record_is_durable_before_the_run_goes_on(file: LockFile, monkeypatch: pytest.MonkeyPatch) -> None:
    session = file.open()
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(file.path.read_bytes()))
    session.begin(7)
    session.add_moved_in(b"a")
    session.end()
    assert synced == [b"%024d\n" % 7, b"%024d\na\n" % 7, b""]


def test_a_record_is_never_truncated_before_it_is_overwritten(
    file: LockFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = file.open()
    session.begin(7)

    def power_cut(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError("power cut")

    monkeypatch.setattr(os, "pwrite", power_cut)
    with pytest.raises(OSError, match="power cut"):
        session.begin(8)
    assert session.unfinished_since() == 7


# What another process sees of it


def test_the_state_of_a_run_is_seen(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert last_run(path) is RunState.ENDED
    lock = DirectoryLock.take(path, "uploading DIR to topic T")
    Session(lock.fileno()).begin(123)
    assert last_run(path) is RunState.RUNNING
    lock.close()
    assert last_run(path) is RunState.UNFINISHED
    again = DirectoryLock.take(path, "uploading DIR to topic T")
    Session(again.fileno()).end()
    again.close()
    assert last_run(path) is RunState.ENDED


def test_reading_the_state_needs_no_permission_to_write_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    last_run(str(path))
    assert os.listdir(tmp_path) == []
    path.touch()
    os.chmod(path, 0o444)
    assert last_run(str(path)) is RunState.ENDED


def test_reading_the_state_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    before = os.listdir("/proc/self/fd")
    last_run(str(tmp_path / "lock"))
    assert os.listdir("/proc/self/fd") == before
