"""The record of a run: what the next one learns from it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.logs.run_record import EVERYTHING, parse_record
from dfud.logs.session import RunState, Session, last_run
from tests.helpers.folders import folder_of, take_lock


class LockFile:
    """Opens sessions in one file, as successive runs do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def open(self) -> Session:
        self.close()
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT)
        return Session(self.descriptor)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LockFile]:
    lock_file = LockFile(tmp_path / "lock")
    yield lock_file
    lock_file.close()


def test_an_orderly_end_is_recorded(file: LockFile) -> None:
    session = file.open()
    assert session.unfinished_since() is None
    for since in (1_700_000_000_000_000_000, -5, EVERYTHING):
        session.begin(since)
        assert session.unfinished_since() == since
        assert file.open().unfinished_since() == since
    session = file.open()
    session.on_last_sweep()
    assert file.open().unfinished_since() == EVERYTHING
    session = file.open()
    session.on_last_sweep()
    session.end()
    assert session.unfinished_since() is None
    assert file.open().unfinished_since() is None


def test_without_a_last_sweep_there_is_no_orderly_end(file: LockFile) -> None:
    session = file.open()
    session.begin(7)
    session.end()
    assert file.open().unfinished_since() == 7


@pytest.mark.parametrize("left", [b"\0" * 25, b"\0", b"12a", b"\xff"])
def test_a_record_that_cannot_be_read_means_that_a_run_began(file: LockFile, left: bytes) -> None:
    file.path.write_bytes(left)
    session = file.open()
    assert session.unfinished_since() == EVERYTHING


def test_a_longer_record_is_replaced_completely(file: LockFile) -> None:
    file.path.write_bytes(b"9" * 600)
    session = file.open()
    session.begin(5)
    assert file.open().unfinished_since() == 5


# What the last run could no longer see


def test_the_next_run_learns_what_an_ended_run_could_not_see(file: LockFile) -> None:
    session = file.open()
    session.begin(7, 5)
    before_ns = session.now_ns()
    session.on_last_sweep()
    after_ns = session.now_ns()
    session.end()
    missed = file.open().missed
    assert before_ns <= missed[0] <= after_ns
    assert after_ns + 2_000_000_000 <= missed[1] <= session.now_ns() + 5_000_000_000
    assert file.open().compare_since_ns == missed[0], "until then everything was seen"


def test_what_was_missed_stays_on_record_until_the_next_orderly_end(file: LockFile) -> None:
    session = file.open()
    session.begin(7)
    session.on_last_sweep()
    session.end()
    missed = file.open().missed
    for since in (10**18, 8):  # two runs that are killed
        session = file.open()
        assert session.missed == missed
        session.begin(since)
        assert (session.missed, session.compare_since_ns) == (missed, missed[0])
    session = file.open()
    assert (session.unfinished_since(), session.missed, session.compare_since_ns) == (8, missed, missed[0])
    session.on_last_sweep()
    session.end()
    assert file.open().missed != missed
    assert file.open().missed[0] >= missed[0]


@pytest.mark.parametrize("left", [b"", b"%024d\n" % 7])
def test_nothing_is_known_from_the_record_of_an_older_version(file: LockFile, left: bytes) -> None:
    file.path.write_bytes(left)
    session = file.open()
    assert (session.missed, session.compare_since_ns) == ((0, 0), 0)
    session.begin(8, 3)
    assert (session.missed, session.compare_since_ns) == ((0, 0), 3)


def test_only_what_is_moved_in_after_the_last_sweep_is_left_to_the_next_run(file: LockFile) -> None:
    session = file.open()
    session.begin(7)
    for folder in (b"early", b"twice"):
        session.add_moved_in(folder)
    session.on_last_sweep()
    session.add_moved_in(b"twice")  # moved out, and in again with other files
    session.add_moved_in(b"late")
    assert file.open().moved_in == (b"early", b"twice", b"late"), "until the end"
    session.end()
    assert file.open().moved_in == (b"twice", b"late")


def test_a_late_file_is_recorded_if_its_time_does_not_tell(file: LockFile) -> None:
    session = file.open()
    session.begin(7)
    session.on_last_sweep()
    session.add_late(b"new", session.now_ns())
    session.add_late(b"old", 5)
    session.end()
    assert file.open().moved_in == (b"old",)


def test_a_late_file_is_recorded_if_the_sweep_has_no_time(file: LockFile) -> None:
    session = file.open()
    session.begin(7)
    session.add_late(b"new", session.now_ns())
    assert file.open().moved_in == (b"new",)


def test_after_too_many_late_folders_everything_is_scanned(
    file: LockFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfud.logs.session._MAX_MOVED_IN", 2)
    session = file.open()
    session.begin(7)
    session.on_last_sweep()
    for folder in (b"a", b"b"):
        session.add_moved_in(folder)
    session.end()
    assert file.open().unfinished_since() is None
    session.begin(7)
    session.on_last_sweep()
    for folder in (b"a", b"b", b"c", b"d"):
        session.add_moved_in(folder)
    session.end()
    assert file.open().unfinished_since() == EVERYTHING


# The clock


def test_the_times_on_record_follow_a_clock_that_is_set_back(file: LockFile) -> None:
    session = file.open()
    session.begin(1000, 900)
    session.on_set_back(100)
    assert (file.open().unfinished_since(), session.compare_since_ns) == (900, 800)
    session.on_set_back(150)
    session.begin(1000)  # something was left
    session = file.open()
    assert (session.unfinished_since(), session.compare_since_ns) == (850, 750)


def test_everything_stays_everything_when_the_clock_is_set_back(file: LockFile) -> None:
    session = file.open()
    session.begin(EVERYTHING, 900)
    session.on_set_back(100)
    assert file.open().unfinished_since() == EVERYTHING


def test_a_clock_that_is_set_back_after_the_last_sweep_makes_the_time_longer(file: LockFile) -> None:
    session = file.open()
    session.begin(7)
    session.on_last_sweep()
    now_ns = session.now_ns()
    session.on_set_back(10**12)
    session.end()
    assert file.open().missed[0] <= now_ns - 10**12


def test_the_time_that_was_missed_never_ends_before_it_begins(
    file: LockFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = file.open()
    session.begin(7)
    times = iter([10**18, 10**17])
    monkeypatch.setattr(session, "now_ns", lambda: next(times))
    session.on_last_sweep()
    session.end()
    missed = file.open().missed
    assert missed[0] <= 10**17 < missed[1]


# What was moved in


def test_folders_that_were_moved_in_are_recorded_until_an_orderly_end(file: LockFile) -> None:
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
    session.on_last_sweep()
    session.end()
    assert session.moved_in == ()
    session = file.open()
    assert (session.unfinished_since(), session.moved_in) == (None, ())


def test_folders_are_recorded_later_if_everything_is_scanned_for_now(file: LockFile) -> None:
    session = file.open()
    session.begin(EVERYTHING)
    session.add_moved_in(b"a")
    assert file.open().moved_in == ()
    session.begin(7)
    assert file.open().moved_in == (b"a",)


def test_after_too_many_folders_everything_is_scanned(file: LockFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfud.logs.session._MAX_MOVED_IN", 3)
    session = file.open()
    session.begin(7)
    for folder in (b"a", b"b", b"c"):
        session.add_moved_in(folder)
    assert file.open().unfinished_since() == 7
    for folder in (b"d", b"e"):
        session.add_moved_in(folder)
        assert (session.unfinished_since(), session.moved_in) == (EVERYTHING, ())
    session = file.open()
    assert (session.unfinished_since(), session.moved_in) == (EVERYTHING, ())


def test_too_many_folders_are_not_forgotten_when_something_is_left(
    file: LockFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfud.logs.session._MAX_MOVED_IN", 1)
    session = file.open()
    session.begin(7)
    for folder in (b"a", b"b", b"c"):
        session.add_moved_in(folder)
    session.begin(7)
    assert file.open().unfinished_since() == EVERYTHING


def test_a_folder_that_a_power_cut_left_half_written_is_ignored(file: LockFile) -> None:
    file.path.write_bytes(b"%024d\nwhole\nhal" % 7)
    session = file.open()
    assert (session.unfinished_since(), session.moved_in) == (7, (b"whole",))


# The file


def test_the_time_is_that_of_the_file_system(file: LockFile) -> None:
    session = file.open()
    (file.path.parent / "before").touch()
    now = session.now_ns()
    (file.path.parent / "after").touch()
    assert (
        os.stat(file.path.parent / "before").st_ctime_ns <= now <= os.stat(file.path.parent / "after").st_ctime_ns
    )
    assert abs(now - time.time_ns()) < 10**10


def test_a_record_is_durable_before_the_run_goes_on(file: LockFile, monkeypatch: pytest.MonkeyPatch) -> None:
    session = file.open()
    session.on_last_sweep()
    synced: list[tuple[int | None, tuple[bytes, ...]]] = []

    def note(_: int) -> None:
        record, paths = parse_record(file.path.read_bytes())
        assert record is not None
        synced.append((None if record.is_ended else record.since_ns, tuple(paths)))

    monkeypatch.setattr(os, "fsync", note)
    session.begin(7)
    session.add_moved_in(b"a")
    session.end()
    assert synced == [(7, ()), (7, (b"a",)), (None, (b"a",))]


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
    assert file.open().unfinished_since() == 7


# What another process sees of it


def test_the_state_of_a_run_is_seen(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert last_run(folder_of(path), path) is RunState.ENDED
    lock = take_lock(path)
    Session(lock.fileno()).begin(123)
    assert last_run(folder_of(path), path) is RunState.RUNNING
    lock.close()
    assert last_run(folder_of(path), path) is RunState.UNFINISHED
    again = take_lock(path)
    session = Session(again.fileno())
    session.on_last_sweep()
    session.end()
    again.close()
    assert last_run(folder_of(path), path) is RunState.ENDED


def test_reading_the_state_needs_no_permission_to_write_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    last_run(folder_of(path), str(path))
    assert os.listdir(tmp_path) == []
    path.touch()
    os.chmod(path, 0o444)
    assert last_run(folder_of(path), str(path)) is RunState.ENDED


def test_reading_the_state_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    before = os.listdir("/proc/self/fd")
    last_run(folder_of(tmp_path / "lock"), str(tmp_path / "lock"))
    assert os.listdir("/proc/self/fd") == before


def test_a_lock_file_that_was_made_to_fill_memory_is_that_of_an_interrupted_run(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "lock")
    os.truncate(tmp_path / "lock", 1 << 40)
    session = Session(lock.fileno())
    assert session.unfinished_since() == EVERYTHING
    session.begin(5)
    assert (tmp_path / "lock").stat().st_size < 1000
    lock.close()
