"""The lock: one program at a time, and none left behind by a process that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dfud.errors import LockedError, UsageError
from dfud.logs.lock import DirectoryLock
from dfud.logs.session import Session

HOLD = """
import sys
from dfud.logs.lock import DirectoryLock
from dfud.logs.session import Session
lock = DirectoryLock.take(sys.argv[1], "uploading DIR to topic T")
Session(lock.fileno()).begin(77)
print("held", flush=True)
sys.stdin.read()
"""


def take(path: Path) -> DirectoryLock:
    return DirectoryLock.take(str(path), "uploading DIR to topic T")


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
    assert Session(lock.fileno()).unfinished_since() == 77
    lock.close()


def test_a_lock_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot open .*/no/lock: No such file or directory; dfud must be able"):
        take(tmp_path / "no" / "lock")
