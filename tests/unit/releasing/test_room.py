"""The oldest files go until there is room, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfud.releasing import room
from dfud.releasing.room import Room
from tests.helpers.releasing import OLD_NS, UploadedDirectory

BLOCK, BLOCKS = 4096, 1000


class Disk:
    """A file system on which nothing else is; some say only later that something was freed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 100  # blocks
        status = lambda _: SimpleNamespace(f_blocks=BLOCKS, f_bavail=self.free, f_frsize=BLOCK)  # noqa: E731
        monkeypatch.setattr(room, "os", SimpleNamespace(fstatvfs=status, fstat=os.fstat))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_what_was_freed_counts_at_once(disk: Disk, dir_fd: int) -> None:
    wanted = Room(dir_fd, 20)
    assert wanted.lacking == 100 * BLOCK
    wanted.add(60 * BLOCK)
    assert wanted.lacking == 40 * BLOCK
    disk.free = 160  # the same ones
    assert wanted.lacking == 40 * BLOCK
    disk.free = 200
    assert wanted.lacking == 0


def test_the_oldest_go_until_there_is_room(disk: Disk, tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / "data").mkdir()
    uploaded = UploadedDirectory(tmp_path / "data")
    for age in (3, 1, 4, 2, 5):
        path = uploaded.add(f"f{age}", b"x" * BLOCK * 10)
        uploaded.receipts.pop()
        uploaded._rows.pop()
        os.utime(path, ns=(OLD_NS, OLD_NS - age))
        uploaded.record(path)
        uploaded.receive(path)
    on_disk = path.stat().st_blocks * 512
    disk.free = BLOCKS * 20 // 100 - 2 * on_disk // BLOCK
    uploaded.room = Room(dir_fd, 20)
    assert uploaded.release().files == 2
    assert uploaded.names() == ["f1", "f2", "f3"]
