"""Atomic replacement: the old file or the new one, whatever fails."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.files.atomic import replace_file, sync_folder
from tests.helpers.full_disk import full_disk


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table"
    for parts in ([b"a", b"b"], [], iter([b"new"])):
        replace_file(str(path), parts)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["table"]


def test_a_file_that_is_being_copied_stays_complete(tmp_path: Path) -> None:
    path = tmp_path / "table"
    replace_file(str(path), [b"old"])
    with open(path, "rb") as copying:
        replace_file(str(path), [b"new"])
        assert copying.read() == b"old"


def test_a_full_disk_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "table"
    replace_file(str(path), [b"old"])
    with pytest.raises(OSError, match="File too large"), full_disk(1000):
        replace_file(str(path), [b"x" * 5000])
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table"]


def test_parts_that_cannot_be_read_leave_the_old_one(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"new"
        raise KeyboardInterrupt

    path = tmp_path / "table"
    replace_file(str(path), [b"old"])
    with pytest.raises(KeyboardInterrupt):
        replace_file(str(path), parts())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table"]


@pytest.mark.parametrize("where", ["no/such/folder", "file/below"])
def test_a_missing_folder_is_an_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"No such file|Not a directory"):
        replace_file(str(tmp_path / where / "table"), [b""])
    with pytest.raises(OSError, match=r"No such file|Not a directory"):
        sync_folder(str(tmp_path / where))


def test_a_failed_rename_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        replace_file(str(tmp_path / "table"), [b"x"])
    assert os.listdir(tmp_path) == ["table"]


def test_it_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    replace_file(str(tmp_path / "table"), [b""])
    (tmp_path / "other").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("table", "other")}
    assert len(modes) == 1


def test_the_new_file_is_written_beside_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    seen: list[str] = []

    def parts() -> Iterator[bytes]:
        seen.extend(os.listdir(tmp_path))
        yield b"new"

    replace_file(str(tmp_path / "table"), parts())
    assert sorted(seen) == [f".table.{os.getpid()}.tmp", "elsewhere"]


def test_the_file_is_synced_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    replace_file(str(tmp_path / "table"), [b"new"])
    assert synced == [str(tmp_path / f".table.{os.getpid()}.tmp"), str(tmp_path)]


def test_a_path_may_be_a_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    replace_file("table", [b"new"])
    assert (tmp_path / "table").read_bytes() == b"new"


def test_only_a_folder_is_synced_as_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(str(tmp_path / "file"))
