"""The lock: one program at a time, and none left behind by a process that was killed."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dfud.errors import LockedError, UsageError
from dfud.logs import lock as module
from dfud.logs.lock import is_locked, wait_for_lock
from dfud.logs.session import Session
from tests.helpers.folders import folder_of
from tests.helpers.folders import take_lock as take

HOLD = """
import sys
from dfud.logs.session import Session
from tests.helpers.folders import take_lock
lock = take_lock(sys.argv[1])
Session(lock.fileno()).begin(77)
print("held", flush=True)
sys.stdin.read()
"""

TAKE_WHENEVER_IT_IS_THERE = """
import contextlib, fcntl, os, sys
print("begun", flush=True)
while True:
    with contextlib.suppress(FileNotFoundError, BlockingIOError), open(sys.argv[1], "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), os.stat(sys.argv[1])):
            print("taken", flush=True)
"""


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    first = take(tmp_path / "lock")
    with pytest.raises(
        LockedError, match=rf"^another dfud is already uploading DIR to topic T: process {os.getpid()} has "
    ):
        take(tmp_path / "lock")
    take(tmp_path / "other").close()
    first.close()
    take(tmp_path / "lock").close()


def test_a_lock_that_a_stranger_keeps_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open() as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        with pytest.raises(OSError, match=rf"process {os.getpid()} keeps it locked"):
            wait_for_lock(one.fileno(), 0.01)
        fcntl.flock(stranger, fcntl.LOCK_UN)
        wait_for_lock(one.fileno(), 0.01)
        assert is_locked(stranger.fileno())


def test_a_killed_process_leaves_no_lock_but_the_record_of_its_run(tmp_path: Path) -> None:
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
    assert Session(lock.fileno()).unfinished_since() == 77
    lock.close()


def test_a_lock_file_that_cannot_be_opened_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"^cannot open .*/no/lock: No such file or directory; dfud must be able to write into LOGS$",
    ):
        take(tmp_path / "no" / "lock")


def test_a_file_that_cannot_be_locked_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", failing)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(UsageError, match=r"^cannot lock .*/lock: No locks available$"):
        take(tmp_path / "lock")
    assert os.listdir("/proc/self/fd") == before


def test_a_refusal_leaves_no_descriptor_open(tmp_path: Path) -> None:
    lock = take(tmp_path / "lock")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(LockedError):
        take(tmp_path / "lock")
    assert os.listdir("/proc/self/fd") == before
    lock.close()


def test_the_file_is_the_owners_to_write_and_everyones_to_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        lock = take(tmp_path / "lock")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "lock").st_mode) == 0o644
    assert not os.get_inheritable(lock.fileno())
    os.pwrite(lock.fileno(), b"record", 0)
    assert os.pread(lock.fileno(), 9, 0) == b"record"
    lock.close()


def test_the_lock_is_waited_for_while_another_process_tests_it(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    testing = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(testing, fcntl.LOCK_SH)
    leave = threading.Timer(0.05, os.close, [testing])
    leave.start()
    take(tmp_path / "lock").close()
    leave.join()


def test_the_wait_for_the_lock_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = [100.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    lock = take(tmp_path / "lock")
    assert pauses == []
    with pytest.raises(LockedError):
        take(tmp_path / "lock")
    assert set(pauses) == {0.01}
    assert 0.2 <= sum(pauses) < 0.23
    pauses.clear()
    monkeypatch.setattr(module, "_RETRY_FOR_S", 0.25)
    monkeypatch.setattr(module, "_RETRY_PAUSE_S", 0.125)
    now[0] = 100.0
    with pytest.raises(LockedError):
        take(tmp_path / "lock")
    assert pauses == [0.125] * 3, "the last attempt is not after the deadline"
    lock.close()


def test_a_lock_is_seen_without_being_taken(tmp_path: Path) -> None:
    lock = take(tmp_path / "lock")
    other = os.open(tmp_path / "lock", os.O_RDONLY)
    assert is_locked(other)
    lock.close()
    assert not is_locked(other)
    take(tmp_path / "lock").close()  # the test of the lock has released it
    os.close(other)


def test_a_lock_whose_file_was_replaced_while_it_was_waited_for_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that is locked must be the one that the next process opens."""
    original = fcntl.flock
    calls: list[int] = []

    def replace_first(descriptor: int, operation: int) -> None:
        if not calls:
            (tmp_path / "new").touch()
            (tmp_path / "new").rename(tmp_path / "lock")
        calls.append(descriptor)
        original(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace_first)
    lock = take(tmp_path / "lock")
    assert len(calls) == 2
    assert lock.is_at(folder_of(tmp_path / "lock"), str(tmp_path / "lock"))
    with pytest.raises(LockedError):
        take(tmp_path / "lock")
    lock.close()


def test_a_lock_file_has_two_names_for_an_instant_while_it_is_put_again(tmp_path: Path) -> None:
    lock = take(tmp_path / "lock")
    os.link(tmp_path / "lock", tmp_path / "second name")
    remove = threading.Timer(0.05, os.unlink, [tmp_path / "second name"])
    remove.start()
    with pytest.raises(LockedError):
        take(tmp_path / "lock")
    remove.join()
    os.link(tmp_path / "lock", tmp_path / "second name")
    with pytest.raises(UsageError, match="it has other names"):
        take(tmp_path / "lock")
    lock.close()


def test_a_lock_that_is_put_again_is_never_free(tmp_path: Path) -> None:
    path, folder = tmp_path / "lock", folder_of(tmp_path / "lock")
    lock = take(path)
    Session(lock.fileno()).begin(77)
    number = lock.fileno()
    program = TAKE_WHENEVER_IT_IS_THERE
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"begun\n"
        for _ in range(50):
            path.rename(tmp_path / "away")
            lock.retake(folder, str(path), "uploading DIR to topic T", b"record")
            assert lock.fileno() == number
            assert path.read_bytes() == b"record"
        other.kill()
        assert other.stdout.read() == b""
    lock.close()


def test_what_cannot_be_put_again_leaves_the_present_lock(tmp_path: Path) -> None:
    path, folder = tmp_path / "lock", folder_of(tmp_path / "lock")
    lock = take(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        lock.retake(folder, str(path), "uploading DIR to topic T", b"record")
    assert os.listdir(tmp_path) == ["lock"]
    os.pwrite(lock.fileno(), b"record", 0)
    lock.close()
