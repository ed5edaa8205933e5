"""LOGS and what is in it, made again after others have removed or replaced it."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.core.plain_rows import HEADER
from dfud.errors import LockedError
from dfud.logs.completed.shard_copy import ShardCopy
from dfud.logs.keeper import LogsKeeper, Repairs
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.owner import owner_file, record_owner
from dfud.logs.session import RunState, Session, last_run
from tests.helpers.folders import take_lock

ACTIVITY = "uploading DIR to topic T"


class Bench:
    """A run's LOGS: table, an old shard, the owner's name, a lock with a record, and two shards of a producer."""

    def __init__(self, top: Path) -> None:
        (top / "data").mkdir()
        (top / "state").mkdir()
        self.folder = LogsFolder(str(top / "data"), "T", str(top / "state"))
        self.folder.make()
        record_owner(self.folder)
        self.write(self.folder.completed, HEADER + b"table\r\n" * 300_000)
        self.write(self.folder.shard(1, 1), HEADER + b"old\r\n")
        self.lock = DirectoryLock.take(self.folder, self.folder.lock, ACTIVITY)
        self.session = Session(self.lock.fileno())
        self.session.begin(77)
        self.session.add_moved_in(b"moved in")
        self.keeper = LogsKeeper(self.folder, self.lock, ACTIVITY, lambda: self.session.content)
        self.copy = ShardCopy(self.folder, 0)
        for sequence in (2, 3):
            row = b"row %d\r\n" % sequence
            self.write(self.folder.shard(0, sequence), HEADER + row)
            self.copy.append(sequence, [row])

    @staticmethod
    def write(path: str, content: bytes) -> None:
        Path(path).write_bytes(content)

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in Path(self.folder.path).iterdir()}

    def check(self) -> Repairs:
        return self.keeper.check([self.copy])

    def close(self) -> None:
        self.keeper.close()
        self.lock.close()
        self.copy.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def names(paths: tuple[str, ...]) -> set[str]:
    return set(map(os.path.basename, paths))


def test_nothing_is_done_where_nothing_is_missing(bench: Bench) -> None:
    inodes = {path: path.stat().st_ino for path in Path(bench.folder.path).iterdir()}
    assert bench.check() == Repairs()
    assert {path: path.stat().st_ino for path in Path(bench.folder.path).iterdir()} == inodes


def remove(bench: Bench) -> None:
    shutil.rmtree(bench.folder.path)


def rename(bench: Bench) -> None:
    os.rename(bench.folder.path, bench.folder.path + ".old")


def replace(bench: Bench) -> None:
    """A mirror puts back what it had: an empty lock file and an older table."""
    rename(bench)
    os.mkdir(bench.folder.path)
    for path in (bench.folder.lock, bench.folder.completed, bench.folder.shard(0, 2)):
        Path(path).touch()


@pytest.mark.parametrize("how", [remove, rename, replace])
def test_the_folder_is_made_again_with_all_in_it(bench: Bench, how: Callable[[Bench], None]) -> None:
    before = bench.contents()
    for _ in range(2):
        first = bench.folder.identity
        how(bench)
        repairs = bench.check()
        assert repairs.is_another_folder
        assert repairs.must_check_shards
        current = os.path.basename(bench.folder.shard(0, 3))  # its producer writes it
        assert names(repairs.files) == before.keys() - {current}
        assert bench.contents() == {name: content for name, content in before.items() if name != current}
        assert bench.folder.identity != first
        assert bench.check() == Repairs(must_check_shards=True)
        bench.write(bench.folder.shard(0, 3), before[current])
        assert bench.check() == Repairs()
        shutil.rmtree(bench.folder.path + ".old", ignore_errors=True)


@pytest.mark.parametrize(
    "path_of",
    [
        lambda folder: folder.lock,
        lambda folder: folder.completed,
        lambda folder: folder.shard(1, 1),
        lambda folder: folder.shard(0, 2),
        owner_file,
    ],
    ids=["lock", "table", "old shard", "full shard", "owner"],
)
@pytest.mark.parametrize("planted", ["nothing", "empty", "link", "fifo"])
def test_a_file_is_made_again(
    bench: Bench, path_of: Callable[[LogsFolder], str], planted: str, tmp_path: Path
) -> None:
    before = bench.contents()
    path = path_of(bench.folder)
    (tmp_path / "outside").write_bytes(b"somebody else's")
    os.unlink(path)
    if planted == "empty":
        Path(path).touch()
    elif planted == "link":
        os.symlink(tmp_path / "outside", path)
    elif planted == "fifo":
        os.mkfifo(path)
    assert bench.check() == Repairs(files=(path,))
    assert bench.contents() == before
    assert not os.path.islink(path)
    assert (tmp_path / "outside").read_bytes() == b"somebody else's"
    assert bench.check() == Repairs()


def test_a_second_instance_is_refused_and_finds_the_record(bench: Bench) -> None:
    for _ in range(3):
        os.unlink(bench.folder.lock)
        bench.check()
        with pytest.raises(LockedError):
            take_lock(bench.folder.lock)
        assert last_run(bench.folder, bench.folder.lock) is RunState.RUNNING
        bench.session.add_moved_in(b"later")
    bench.lock.close()
    again = take_lock(bench.folder.lock)
    session = Session(again.fileno())
    assert session.unfinished_since() == 77
    assert session.moved_in == (b"moved in", b"later")
    bench.lock = again


def test_a_lock_that_another_process_has_taken_meanwhile_stays_its_own(bench: Bench) -> None:
    os.unlink(bench.folder.lock)
    theirs = take_lock(bench.folder.lock)
    before = bench.contents()
    for _ in range(2):
        with pytest.raises(LockedError):
            bench.check()
    assert bench.contents() == before
    theirs.close()


def test_the_shard_of_a_dead_producer_is_made_again(bench: Bench) -> None:
    path = bench.folder.shard(0, 3)
    content = Path(path).read_bytes()
    os.unlink(path)
    assert bench.check() == Repairs(must_check_shards=True)
    bench.copy.is_growing = False
    assert bench.check() == Repairs(files=(path,))
    assert Path(path).read_bytes() == content


def test_a_shard_that_has_more_rows_than_are_known_is_left(bench: Bench) -> None:
    path = bench.folder.shard(0, 2)
    with open(path, "ab") as file:
        file.write(b"more\r\n")
    assert bench.check() == Repairs()


def test_what_takes_the_place_of_the_folder_is_named_until_it_goes(bench: Bench, tmp_path: Path) -> None:
    rename(bench)
    os.symlink(tmp_path, bench.folder.path)
    for _ in range(2):
        with pytest.raises(OSError, match="it is a link or a file, not a folder; remove it"):
            bench.check()
    os.unlink(bench.folder.path)
    assert bench.check().is_another_folder


def test_nothing_is_made_where_the_directory_is_gone(bench: Bench, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "state")
    assert bench.check() == Repairs()


def test_no_descriptor_is_left_open(bench: Bench) -> None:
    bench.check()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        remove(bench)
        bench.check()
        bench.write(bench.folder.shard(0, 3), HEADER + b"row 3\r\n")
    assert len(os.listdir("/proc/self/fd")) == before


def test_many_shards_are_made_again_in_several_steps(bench: Bench) -> None:
    bench.copy.is_growing = False
    for sequence in range(4, 124):
        bench.copy.append(sequence, [b"row\r\n"])
    n_made = []
    while True:
        repairs = bench.check()
        n_made.append(len(repairs.files))
        if repairs.is_complete:
            break
    assert n_made == [50, 50, 20]
    assert bench.check() == Repairs()
