"""The table of released files: what a crash leaves of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfud.core.released import KEPT, RELEASED, RELEASING, ReleasedRow
from dfud.errors import DfudError
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.releasing import released_table
from dfud.releasing.released_table import ReleasedTable


def row(name: str, state: str = RELEASING) -> ReleasedRow:
    return ReleasedRow(name, 5, 7, "1" * 32, 3, '["r"]', "", state, "2026-03-01T11:00:00.123+00:00")


@pytest.fixture
def logs(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(str(tmp_path), "T")
    folder.make()
    return folder


@pytest.fixture
def lock(logs: LogsFolder) -> Iterator[DirectoryLock]:
    taken = DirectoryLock.take(logs, logs.release_lock, "releasing")
    yield taken
    taken.close()


def open_names(logs: LogsFolder, lock: DirectoryLock) -> list[str]:
    table = ReleasedTable(logs, lock)
    names = [each.rel_filepath for each in table.open_rows()]
    table.close()
    return names


ODD = 'c, "d"\r\ne\n'


def test_the_open_rows_are_known_wherever_the_table_is_cut_off(logs: LogsFolder, lock: DirectoryLock) -> None:
    table = ReleasedTable(logs, lock)
    table.record([], [row("a"), row(ODD)])
    first = os.path.getsize(logs.released)
    table.record([row("a", RELEASED), row(ODD, KEPT)], [row("f")])
    table.close()
    whole = Path(logs.released).read_bytes()
    assert open_names(logs, lock) == ["f"]
    assert Path(logs.released).read_bytes() == whole
    for size in range(first, len(whole)):
        os.pwrite(lock.fileno(), b"%-20d\n" % (whole.index(b"a,5")), 0)  # the second batch was not recorded yet
        Path(logs.released).write_bytes(whole[:size])
        n_whole = whole[:size].count(b"+00:00\r\n") - 2
        assert open_names(logs, lock) == [["a", ODD], [ODD], [], ["f"]][n_whole]
        assert whole.startswith(Path(logs.released).read_bytes())
        assert Path(logs.released).read_bytes().endswith(b"+00:00\r\n")


@pytest.mark.parametrize("hint", [b"", b"x" * 30, b"1", b"99999999", b"-5", b"12"])
def test_a_place_that_cannot_be_is_not_believed(logs: LogsFolder, lock: DirectoryLock, hint: bytes) -> None:
    table = ReleasedTable(logs, lock)
    table.record([], [row("a")])
    table.close()
    os.ftruncate(lock.fileno(), 0)
    os.pwrite(lock.fileno(), hint, 0)
    assert open_names(logs, lock) == ["a"]


def test_rows_that_do_not_fit_on_the_disk_leave_the_table_as_it_was(
    logs: LogsFolder, lock: DirectoryLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = ReleasedTable(logs, lock)
    table.record([], [row("a")])
    before = Path(logs.released).read_bytes()

    class FullDisk:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def write(self, descriptor: int, data: memoryview) -> int:
            if len(data) < 50:
                raise OSError(errno.ENOSPC, "No space left on device")
            return os.write(descriptor, data[:50])

    with monkeypatch.context() as patch:
        patch.setattr(released_table, "os", FullDisk())
        with pytest.raises(OSError, match="No space left"):
            table.record([row("a", RELEASED)], [row("b")])
    assert Path(logs.released).read_bytes() == before
    assert [each.rel_filepath for each in table.open_rows()] == ["a"]
    table.record([row("a", RELEASED)], [row("b")])
    assert [each.rel_filepath for each in table.open_rows()] == ["b"]
    table.close()


def test_nothing_is_recorded_in_a_table_that_was_taken_away(logs: LogsFolder, lock: DirectoryLock) -> None:
    table = ReleasedTable(logs, lock)
    os.unlink(logs.released)
    with pytest.raises(DfudError, match="was removed or replaced"):
        table.record([], [row("a")])
    table.close()
