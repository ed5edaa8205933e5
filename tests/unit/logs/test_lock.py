from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfud.errors import LockedError, UsageError
from dfud.logs.lock import EVERYTHING, DirectoryLock

HOLD = """
import sys
from dfud.logs.lock import DirectoryLock
lock = DirectoryLock.take(sys.argv[1], "DIR", "T")
lock.begin(77)
print("held", flush=True)
sys.stdin.read()
"""


def take(path: Path) -> DirectoryLock:
    return DirectoryLock.take(str(path), "DIR", "T")


def test_a_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    first = take(tmp_path / "lock")
    with pytest.raises(LockedError, match="already uploading DIR to topic T"):
        take(tmp_path / "lock")
    take(tmp_path / "other").close()
    first.close()
    take(tmp_path / "lock").close()


def test_the_lock_is_free_when_its_process_is_killed_and_remembers_its_run(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError):
            take(path)
        holder.kill()
        holder.wait()
    lock = take(path)
    assert lock.unfinished_since() == 77
    lock.close()


def test_an_orderly_end_is_remembered(tmp_path: Path) -> None:
    lock = take(tmp_path / "lock")
    assert lock.unfinished_since() is None
    for since in (1_700_000_000_000_000_000, -5, EVERYTHING):
        lock.begin(since)
        assert lock.unfinished_since() == since
    lock.end()
    assert lock.unfinished_since() is None
    lock.close()


@pytest.mark.parametrize("left", [b"\0" * 25, b"\0", b"12a", b"\xff"])
def test_what_cannot_be_read_means_that_a_run_began(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "lock").write_bytes(left)
    lock = take(tmp_path / "lock")
    assert lock.unfinished_since() == EVERYTHING
    lock.close()


def test_a_longer_content_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"9" * 60)
    lock = take(tmp_path / "lock")
    lock.begin(5)
    assert lock.unfinished_since() == 5
    lock.close()


def test_folders_that_were_moved_in_are_remembered_until_an_orderly_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = take(path)
    lock.begin(7)
    for folder in (b"a", b"b/c", b"a/inside", b"a", b"two\nlines \xff", b"an"):
        lock.add_moved_in(folder)
    told = (b"a", b"b/c", b"two\nlines \xff", b"an")
    assert lock.moved_in == told
    lock.close()
    lock = take(path)
    assert (lock.unfinished_since(), lock.moved_in) == (7, told)
    lock.begin(6)
    lock.close()
    lock = take(path)
    assert (lock.unfinished_since(), lock.moved_in) == (6, told)
    lock.end()
    assert lock.moved_in == ()
    lock.close()
    lock = take(path)
    assert (lock.unfinished_since(), lock.moved_in) == (None, ())
    lock.close()


def test_where_everything_is_looked_at_no_folder_need_be_remembered(tmp_path: Path) -> None:
    lock = take(tmp_path / "lock")
    lock.begin(EVERYTHING)
    lock.add_moved_in(b"a")
    assert lock.moved_in == ()
    lock.close()


def test_after_too_many_folders_everything_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfud.logs.lock._MAX_MOVED_IN", 3)
    lock = take(tmp_path / "lock")
    lock.begin(7)
    for folder in (b"a", b"b", b"c"):
        lock.add_moved_in(folder)
    assert lock.unfinished_since() == 7
    lock.add_moved_in(b"d")
    assert (lock.unfinished_since(), lock.moved_in) == (EVERYTHING, ())
    lock.close()


def test_a_folder_that_a_power_cut_left_half_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"%024d\nwhole\nhal" % 7)
    lock = take(tmp_path / "lock")
    assert (lock.unfinished_since(), lock.moved_in) == (7, (b"whole",))
    lock.close()


def test_the_time_is_that_of_the_file_system(tmp_path: Path) -> None:
    lock = take(tmp_path / "lock")
    (tmp_path / "before").touch()
    now = lock.now_ns()
    (tmp_path / "after").touch()
    assert os.stat(tmp_path / "before").st_ctime_ns <= now <= os.stat(tmp_path / "after").st_ctime_ns
    assert abs(now - time.time_ns()) < 10**10
    lock.close()


def test_a_lock_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be opened: No such file or directory; dfud must be able"):
        take(tmp_path / "no" / "lock")
