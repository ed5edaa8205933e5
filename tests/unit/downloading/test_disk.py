"""Writing to a disk that is full for a while."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dfud.downloading.disk import Disk, DiskReporter


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_what_may_pass_is_retried_and_what_will_not_is_raised() -> None:
    waits: list[int | None] = []
    disk = Disk(lambda error: waits.append(error.errno))
    outcomes: list[OSError | int] = [error(errno.ENOSPC), error(errno.EIO), 7, error(errno.EACCES)]

    def call() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    assert disk.retry(call) == 7
    assert waits == [errno.ENOSPC, errno.EIO]
    with pytest.raises(PermissionError):
        disk.retry(call)
    assert waits == [errno.ENOSPC, errno.EIO]


@pytest.mark.parametrize("first", [0, 1, 5, 12])
def test_a_write_that_the_disk_takes_in_steps_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """The disk takes `first` bytes of what is written, then three at a time."""
    pwrite = os.pwrite

    def some(descriptor: int, chunks: Sequence[bytes], offset: int) -> int:
        return pwrite(descriptor, b"".join(chunks)[:first], offset)

    monkeypatch.setattr(os, "pwritev", some)
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: pwrite(descriptor, data[:3], offset))
    with open(tmp_path / "f", "wb") as file:
        Disk(lambda error: None).write(file.fileno(), [b"0123", b"4567", b"89ab"], 2)
    assert (tmp_path / "f").read_bytes() == b"\0\0" + b"0123456789ab"


def test_a_copy_ends_where_its_source_does(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"0123456789")
    with open(tmp_path / "source", "rb") as source, open(tmp_path / "target", "wb") as target:
        disk = Disk(lambda error: None)
        disk.copy(source.fileno(), target.fileno(), 2, 3)
        assert (tmp_path / "target").read_bytes() == b"\0\0" + b"234"
        disk.copy(source.fileno(), target.fileno(), 8, 100)
    assert (tmp_path / "target").read_bytes() == b"\0\0" + b"234" + b"\0\0\0" + b"89"


def test_failures_are_reported_when_they_begin_change_and_end() -> None:
    reports: list[tuple[int, str]] = []
    reporter = DiskReporter("DIR", lambda level, text, *_, **__: reports.append((level, text)))
    reporter.on_success()
    assert reports == []
    for failure in (error(errno.ENOSPC), error(errno.ENOSPC), error(errno.EIO), OSError("odd")):
        reporter.on_failure(failure)
    for _ in range(2):
        reporter.on_success()
    assert reports == [
        (logging.ERROR, "cannot write DIR: No space left on device; retrying"),
        (logging.ERROR, "cannot write DIR: Input/output error; retrying"),
        (logging.ERROR, "cannot write DIR: odd; retrying"),
        (logging.WARNING, "writing DIR works again"),
    ]
