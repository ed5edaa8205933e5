"""A power cut at every instant of writing tables: a start reads whatever a journalling file system may leave.

The file operations of the real code are recorded, and replayed into every state that may be left of them: names
change in order (the journal), as far as any point that is not before the folder was last synced; of the content
of a file that was not synced there is any part, or nothing, or zeros.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dfud.core.tables import BadRow, CompletedRow, InProgressRow, format_row, format_table, read_completed
from dfud.files import atomic, open_folder
from dfud.logs import session, table_files
from dfud.logs.completed import consolidation
from dfud.logs.completed.shards import ShardWriter
from dfud.logs.in_progress_table import read_in_progress_table, write_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.run_record import EVERYTHING
from dfud.logs.session import Session
from tests.helpers.folders import take_lock

TIME = "2026-11-24T18:00:00.000+01:00"
Files = dict[str, bytes]  # by name


def completed(name: str) -> CompletedRow:
    return CompletedRow(name, 5, 7, 1, 16384, "0" * 32, TIME, TIME)


def in_progress(name: str) -> InProgressRow:
    return InProgressRow(name, 5, 7, 4, 2, 1, 1, "2", TIME)


class Disk:
    """Records what is done to the files of one folder, by standing in for the `os` of the modules that do it."""

    def __init__(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.before = {name: Path(folder, name).read_bytes() for name in os.listdir(folder)}
        self.done: list[tuple[str, ...]] = []
        self._content: list[bytes] = []
        for module in (atomic, consolidation, open_folder, session, table_files):
            monkeypatch.setattr(module, "os", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT and not os.path.exists(os.path.join(self.folder, name)):
            self.done.append(("create", name))
        return os.open(name, flags, mode, dir_fd=dir_fd)

    def _note_content(self, name: str) -> None:
        self._content.append(Path(self.folder, name).read_bytes())
        self.done.append(("write", name, str(len(self._content) - 1)))

    def fsync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self.done.append(("sync folder",))
        else:
            self._note_content(os.path.basename(path))
            self.done.append(("sync", os.path.basename(path)))
        os.fsync(descriptor)

    def replace(self, old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if ("sync", old) not in self.done:
            self._note_content(old)
        self.done.append(("rename", old, new))
        os.replace(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        self.done.append(("unlink", name))
        os.unlink(name, dir_fd=dir_fd)

    def states(self) -> Iterator[Files]:
        """Give the files that a power cut may leave, for each instant at which it may come."""
        seen = set()
        for end in range(len(self.done) + 1):
            for state in self._states_of(self.done[:end]):
                key = tuple(sorted(state.items()))
                if key not in seen:
                    seen.add(key)
                    yield state

    def _states_of(self, done: list[tuple[str, ...]]) -> Iterator[Files]:
        changes = [at for at, (what, *_) in enumerate(done) if what in ("create", "rename", "unlink")]
        synced = max((at for at, (what, *_) in enumerate(done) if what == "sync folder"), default=-1)
        surely = sum(at < synced for at in changes)
        for kept in range(surely, len(changes) + 1):
            journal = set(changes[:kept])
            for torn in (None, *range(5)):
                yield self._replay(done, journal, torn)

    def _replay(self, done: list[tuple[str, ...]], journal: set[int], torn: int | None) -> Files:
        inodes = dict(enumerate(self.before.values()))
        names = dict(zip(self.before, inodes))  # as they are on the disk
        running = dict(names)  # as the program sees them
        for at, (what, *words) in enumerate(done):
            for view in (running, names) if at in journal else (running,):
                if what == "create":
                    view[words[0]] = len(inodes) if view is running else running[words[0]]
                    inodes.setdefault(view[words[0]], b"")
                elif what == "rename":
                    view[words[1]] = view.pop(words[0])
                elif what == "unlink":
                    view.pop(words[0], None)
            if what == "write":
                new = self._content[int(words[1])]
                if ("sync", words[0]) in done[at:]:
                    inodes[running[words[0]]] = new
                elif torn is not None:
                    inodes[running[words[0]]] = [new, new[: len(new) // 2], new[:1], b"\0" * len(new), b""][torn]
        return {name: inodes[inode] for name, inode in names.items()}


@pytest.fixture
def logs(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(str(tmp_path), "T")
    os.mkdir(folder.path)
    return folder


@pytest.fixture
def record(logs: LogsFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Disk]:
    return lambda: Disk(logs.path, monkeypatch)


def read_completed_tables(logs: LogsFolder, paths: list[str]) -> tuple[list[CompletedRow], list[BadRow]]:
    found = [row for path in paths for row in read_completed(table_files.read_lines(logs, path))]
    return [row for row in found if isinstance(row, CompletedRow)], [
        row for row in found if isinstance(row, BadRow)
    ]


def put_back(folder: LogsFolder, state: Files) -> None:
    for name in os.listdir(folder.path):
        os.unlink(os.path.join(folder.path, name))
    for name, content in state.items():
        Path(folder.path, name).write_bytes(content)


def test_the_in_progress_table_is_the_old_or_the_new_one(logs: LogsFolder, record: Callable[[], Disk]) -> None:
    old, new = [in_progress("old"), in_progress("a\nb")], [in_progress("new")]
    write_in_progress_table(logs, old)
    disk = record()
    write_in_progress_table(logs, new)
    states = list(disk.states())
    assert len(states) > 3
    found = []
    for state in states:
        put_back(logs, state)
        rows, bad = read_in_progress_table(logs)
        assert not bad
        found.append(rows)
        for leftover in logs.leftovers():
            os.unlink(leftover)
        assert os.listdir(logs.path) == [os.path.basename(logs.in_progress)]
    assert all(rows in (old, new) for rows in found)
    assert old in found
    assert found[-1] == new, "what was reported as durable is not"


def test_a_table_that_is_not_synced_would_be_found_out(logs: LogsFolder, record: Callable[[], Disk]) -> None:
    """A check of the simulation that the other tests rely on."""
    write_in_progress_table(logs, [in_progress("old")])
    disk = record()
    with open(disk.open(".new", os.O_WRONLY | os.O_CREAT, dir_fd=logs.dir_fd), "wb") as file:
        file.write(format_table(InProgressRow, [in_progress("new")]).encode())
    name = os.path.basename(logs.in_progress)
    disk.replace(".new", name, src_dir_fd=logs.dir_fd, dst_dir_fd=logs.dir_fd)
    found = set()
    for state in disk.states():
        put_back(logs, state)
        rows, bad = read_in_progress_table(logs)
        found.add((len(rows), len(bad) > 0))
    assert {(1, False), (0, False), (0, True)} <= found


def test_no_row_of_a_shard_is_lost_once_it_was_durable(logs: LogsFolder, record: Callable[[], Disk]) -> None:
    shards = ShardWriter(logs, 0, 1)
    shards.add(format_row(completed("one")).encode())
    shards.write()
    disk = record()
    shards.add(format_row(completed("two")).encode())
    shards.write()
    durable = len(disk.done)
    for end in range(durable + 1):
        for state in disk._states_of(disk.done[:end]):
            put_back(logs, state)
            rows, bad = read_completed_tables(logs, logs.shards())
            assert rows in ([completed("one")], [completed("one"), completed("two")])
            assert not bad
            assert end < durable or len(rows) == 2


@pytest.mark.parametrize("before", [[], ["old", "older"]])
@pytest.mark.parametrize("garbage", ["", "garbage\r\n"])
def test_every_row_is_there_once_whenever_consolidation_is_cut_off(
    logs: LogsFolder, record: Callable[[], Disk], before: list[str], garbage: str
) -> None:
    if before:
        Path(logs.completed).write_bytes(format_table(CompletedRow, map(completed, before)).encode())
    for number in (1, 2):
        text = format_table(CompletedRow, [completed(f"{number}"), completed(f"{number}, too")]) + garbage
        Path(logs.shard(0, number)).write_bytes(text.encode())
    disk = record()
    consolidation.consolidate(logs, logs.shards())
    states = list(disk.states())
    assert len(states) > 5
    wanted = sorted([*before, "1", "1, too", "2", "2, too"])
    for state in states:
        put_back(logs, state)
        done = consolidation.consolidate(logs, logs.shards())
        assert done.error is None
        assert len(done.completed) == len(wanted)
        rows, bad = read_completed_tables(logs, [logs.completed])
        assert sorted(row.rel_filepath for row in rows) == wanted
        assert not bad
        assert not logs.shards()
        kept = b"".join(path.read_bytes() for path in Path(logs.path).glob("*.bad"))
        assert kept.count(b"garbage") >= 2 * bool(garbage), "a bad row is nowhere any more"


def test_a_time_in_the_lock_file_is_never_lost_on_the_way_to_the_next(tmp_path: Path) -> None:
    """What is left of it always means a run that began, and no later than it did."""
    path = tmp_path / "lock"
    lock = take_lock(path)
    run = Session(lock.fileno())
    run.begin(1_700_000_000_000_000_000)
    first = path.read_bytes()
    run.begin(EVERYTHING)
    second = path.read_bytes()
    assert len(first) == len(second)
    for left in (first, second, b"\0" * len(first), first[:9], first[:1]):
        path.write_bytes(left)
        since = Session(lock.fileno()).unfinished_since()
        assert since is not None
        assert since <= 1_700_000_000_000_000_000
    lock.close()


def test_a_lock_file_is_not_cut_off_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = take_lock(tmp_path / "lock")
    run = Session(lock.fileno())
    run.begin(5)
    lengths = []

    class Watching:
        def __getattr__(self, name: str) -> Any:
            if name in ("pwrite", "ftruncate", "fsync"):
                lengths.append(os.path.getsize(tmp_path / "lock"))
            return getattr(os, name)

    monkeypatch.setattr(session, "os", Watching())
    run.begin(6)
    assert len(lengths) == 3
    assert all(lengths)
    assert run.unfinished_since() == 6
    lock.close()
