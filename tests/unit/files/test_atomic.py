"""Atomic replacement: the old file or the new one, whatever fails."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from dfud.files import atomic
from tests.helpers.full_disk import full_disk


def replace(path: Path, parts: Iterable[bytes]) -> None:
    folder_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        atomic.replace_file(folder_fd, path.name, parts)
    finally:
        os.close(folder_fd)


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table"
    for parts in ([b"a", b"b"], [], iter([b"new"])):
        replace(path, parts)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["table"]


def test_a_file_that_is_being_copied_stays_complete(tmp_path: Path) -> None:
    path = tmp_path / "table"
    replace(path, [b"old"])
    with open(path, "rb") as copying:
        replace(path, [b"new"])
        assert copying.read() == b"old"


def test_a_full_disk_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "table"
    replace(path, [b"old"])
    with pytest.raises(OSError, match="File too large"), full_disk(1000):
        replace(path, [b"x" * 5000])
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table"]


def test_parts_that_cannot_be_read_leave_the_old_one(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"new"
        raise KeyboardInterrupt

    path = tmp_path / "table"
    replace(path, [b"old"])
    with pytest.raises(KeyboardInterrupt):
        replace(path, parts())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table"]


def test_a_failed_rename_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        replace(tmp_path / "table", [b"x"])
    assert os.listdir(tmp_path) == ["table"]


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o644), (0o022, 0o644), (0o077, 0o600)])
def test_only_the_owner_can_write_it_whatever_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        replace(tmp_path / "table", [b""])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "table").stat().st_mode) == mode


@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_what_a_link_in_its_place_leads_to_is_left_alone(
    tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    for name in ("table", f".table.{os.getpid()}.tmp"):
        plant(tmp_path / "outside", tmp_path / "folder" / name)
    replace(tmp_path / "folder" / "table", [b"new"])
    assert (tmp_path / "outside").read_bytes() == b"mine"
    assert (tmp_path / "folder" / "table").read_bytes() == b"new"
    assert not (tmp_path / "folder" / "table").is_symlink()


def test_that_all_names_for_a_temporary_file_are_taken_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda _: 7)
    for number in (os.getpid(), 7):
        (tmp_path / f".table.{number}.tmp").touch()
    with pytest.raises(FileExistsError, match=r"temporary files like .*7.* are in the way"):
        replace(tmp_path / "table", [b""])


def test_the_new_file_is_written_beside_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    seen: list[str] = []

    def parts() -> Iterator[bytes]:
        seen.extend(os.listdir(tmp_path))
        yield b"new"

    replace(tmp_path / "table", parts())
    assert sorted(seen) == [f".table.{os.getpid()}.tmp", "elsewhere"]


def test_the_file_is_synced_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    replace(tmp_path / "table", [b"new"])
    assert synced == [str(tmp_path / f".table.{os.getpid()}.tmp"), str(tmp_path)]
