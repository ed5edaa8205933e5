"""Renaming that replaces nothing, by renameat2(2) and where the file system does not have it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.files import renames
from dfud.files.renames import rename_aside, rename_to_new


@pytest.fixture(params=["renameat2", "links"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "links":
        monkeypatch.setattr(renames, "_renameat2", lambda *_: errno.EINVAL)
    return str(request.param)


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "a").write_bytes(b"a")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def aside(dir_fd: int, new: bytes) -> None:
    rename_aside(dir_fd, b"a", new)


def to_new(dir_fd: int, new: bytes) -> None:
    rename_to_new(dir_fd, b"a", dir_fd, new)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("rename", [aside, to_new])
def test_a_file_is_renamed_unless_there_is_anything(
    rename: Callable[[int, bytes], None], tmp_path: Path, dir_fd: int
) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").write_bytes(b"other")
    for taken in (b"link", b"file"):
        with pytest.raises(FileExistsError):
            rename(dir_fd, taken)
    assert (tmp_path / "a").read_bytes() == b"a"
    rename(dir_fd, b"b")
    assert sorted(os.listdir(tmp_path)) == ["b", "file", "link"]
    assert (tmp_path / "b").stat().st_nlink == 1
    assert (tmp_path / "file").read_bytes() == b"other"


@pytest.mark.usefixtures("kernel")
def test_what_is_not_there_is_not_renamed(dir_fd: int) -> None:
    with pytest.raises(FileNotFoundError):
        rename_aside(dir_fd, b"none", b"b")
    with pytest.raises(FileNotFoundError):
        rename_to_new(dir_fd, b"none", dir_fd, b"b")
