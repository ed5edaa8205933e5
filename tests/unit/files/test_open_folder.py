"""One open folder: whatever others plant in it, nothing outside is written, emptied or read."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dfud.files.open_folder import OpenFolder, is_same_file


@pytest.fixture
def folder(tmp_path: Path) -> OpenFolder:
    made = OpenFolder(str(tmp_path), "LOGS")
    made.make()
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.write_bytes(b"somebody else's")
    path.chmod(0o600)
    return path


def symlink(outside: Path, name: str) -> None:
    os.symlink(outside, name)


def dangling(outside: Path, name: str) -> None:
    os.symlink(f"{outside}.new", name)


def fifo(_: Path, name: str) -> None:
    os.mkfifo(name)


def unix_socket(_: Path, name: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(name)


def directory(_: Path, name: str) -> None:
    os.mkdir(name)


PLANTED = [
    pytest.param(symlink, "it is a link, which is not followed here; remove it", id="link"),
    pytest.param(dangling, "it is a link, which is not followed here; remove it", id="dangling"),
    pytest.param(fifo, "it is not a regular file; remove it", id="fifo"),
    pytest.param(unix_socket, "it is not a regular file; remove it", id="socket"),
    pytest.param(directory, "Is a directory", id="folder"),
]


@pytest.mark.parametrize(("plant", "reason"), PLANTED)
def test_nothing_but_a_regular_file_is_opened(
    folder: OpenFolder, outside: Path, plant: Callable[[Path, str], None], reason: str
) -> None:
    path = folder.file("file")
    plant(outside, path)
    n_open = len(os.listdir("/proc/self/fd"))
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(OSError, match=reason) as refused:
            folder.open_in_place(path, flags)
        assert refused.value.filename == path
    with pytest.raises(OSError, match=reason) as refused:
        folder.open_to_read(path)
    assert refused.value.filename == path
    assert len(os.listdir("/proc/self/fd")) == n_open
    assert not Path(f"{outside}.new").exists()


def test_a_file_with_another_name_is_not_written_in_place(folder: OpenFolder, outside: Path) -> None:
    path = folder.file("file")
    os.link(outside, path)
    with pytest.raises(OSError, match="it has other names"):
        folder.open_in_place(path, os.O_RDWR)
    folder.replace(path, [b"ours"])
    assert outside.read_bytes() == b"somebody else's"
    assert Path(path).read_bytes() == b"ours"


def test_a_private_file_with_another_name_is_not_read_where_others_may_link(
    folder: OpenFolder, outside: Path
) -> None:
    path = folder.file("file")
    os.link(outside, path)
    with folder.open_to_read(path) as file:
        assert file.read() == b"somebody else's", "nobody else can have put it there"
    os.chmod(folder.path, 0o777)
    with pytest.raises(OSError, match="it has other names"):
        folder.open_to_read(path)
    outside.chmod(0o644)
    folder.open_to_read(path).close()


@pytest.mark.parametrize("umask", [0, 0o022])
def test_what_is_made_can_be_written_by_its_owner_alone(tmp_path: Path, umask: int) -> None:
    tmp_path.chmod(0o777)
    folder = OpenFolder(str(tmp_path), "LOGS")
    before = os.umask(umask)
    try:
        folder.make()
        os.close(folder.open_in_place(folder.file("in place"), os.O_RDWR))
        folder.replace(folder.file("replaced"), [b""])
        os.close(folder.open_folder_in("below"))
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [*tmp_path.iterdir(), *Path(folder.path).iterdir()]
    }
    assert modes == {"LOGS": 0o755, "in place": 0o644, "replaced": 0o644, "below": 0o755}


def test_what_was_opened_to_all_is_closed_to_them(folder: OpenFolder) -> None:
    path = Path(folder.file("file"))
    path.touch()
    path.chmod(0o666)
    Path(folder.path).chmod(0o777)
    folder.make()
    os.close(folder.open_in_place(str(path), os.O_RDWR))
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o775
    assert folder.weakness.endswith("LOGS can be written by its group, who can change its tables: chmod go-w it")
    os.chmod(folder.path, 0o755)
    assert folder.weakness == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_named(folder: OpenFolder) -> None:
    os.chown(folder.path, 4321, 4321)
    assert folder.weakness.endswith("LOGS belongs to user 4321, who can change its tables: chown it")
    os.chown(os.path.dirname(folder.path), 4321, 4321)
    assert folder.weakness == "", "whose the directory is, that user's are its files"


@pytest.mark.parametrize(
    "plant", [symlink, fifo, lambda outside, name: Path(name).touch()], ids=["link", "fifo", "file"]
)
def test_only_a_folder_is_used_as_one(tmp_path: Path, plant: Callable[[Path, str], None]) -> None:
    (tmp_path / "elsewhere").mkdir()
    plant(tmp_path / "elsewhere", str(tmp_path / "LOGS"))
    folder = OpenFolder(str(tmp_path), "LOGS")
    with pytest.raises(OSError, match="it is a link or a file, not a folder; remove it") as refused:
        folder.make()
    assert refused.value.filename == str(tmp_path / "LOGS")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    folder = OpenFolder(str(tmp_path), "LOGS")
    with pytest.raises(FileNotFoundError) as missing:
        folder.names()
    assert missing.value.filename == str(tmp_path / "LOGS")
    with pytest.raises(FileNotFoundError, match=r"no/where"):
        OpenFolder(str(tmp_path / "no/where"), "LOGS").make()


def test_a_folder_that_was_replaced_is_noticed(folder: OpenFolder) -> None:
    first = folder.identity
    assert folder.is_in_place()
    assert not folder.reopen()
    os.rename(folder.path, f"{folder.path}.old")
    assert not folder.is_in_place()
    with pytest.raises(FileNotFoundError):
        folder.reopen()
    assert folder.identity == first, "it is still used where it is"
    os.mkdir(folder.path)
    assert not folder.is_in_place()
    assert folder.reopen()
    assert folder.is_in_place()
    assert folder.identity != first


def test_a_folder_whose_place_is_taken_by_a_link_is_still_used_where_it_is(
    folder: OpenFolder, tmp_path: Path
) -> None:
    os.rename(folder.path, f"{folder.path}.old")
    os.symlink(tmp_path, folder.path)
    assert not folder.is_in_place()
    with pytest.raises(OSError, match="it is a link or a file"):
        folder.make()
    folder.replace(folder.file("table"), [b"x"])
    assert os.listdir(f"{folder.path}.old") == ["table"]


def test_the_end_of_the_directory_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    folder = OpenFolder(str(tmp_path / "data"), "LOGS")
    folder.make()
    assert not folder.parent_is_removed
    shutil.rmtree(tmp_path / "data")
    assert folder.parent_is_removed
    (tmp_path / "data").mkdir()
    assert folder.parent_is_removed


def test_a_file_without_a_name_can_be_read_whatever_is_removed(
    folder: OpenFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.open

    def without_tmpfile(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE and dir_fd is not None:
            raise OSError(95, "Operation not supported")
        return original(path, flags, mode, dir_fd=dir_fd)

    for is_supported in (True, False):
        if not is_supported:
            monkeypatch.setattr(os, "open", without_tmpfile)
        assert folder.has_nameless_files == is_supported
        descriptor = folder.open_nameless()
        assert os.listdir(folder.path) == []
        os.write(descriptor, b"first ")
        os.pread(descriptor, 3, 0)
        os.write(descriptor, b"second")
        assert os.pread(descriptor, 100, 0) == b"first second"
        os.close(descriptor)


@pytest.mark.parametrize("has_hard_links", [True, False])
def test_a_file_is_renamed_only_where_nothing_is(
    folder: OpenFolder, monkeypatch: pytest.MonkeyPatch, has_hard_links: bool
) -> None:
    if not has_hard_links:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    descriptor, temporary = folder.open_beside(folder.file("file"))
    os.write(descriptor, b"new")
    os.close(descriptor)
    Path(folder.file("file")).write_bytes(b"old")
    with pytest.raises(FileExistsError):
        folder.rename_to_new(temporary, folder.file("file"))
    assert Path(folder.file("file")).read_bytes() == b"old"
    folder.unlink(folder.file("file"))
    folder.rename_to_new(temporary, folder.file("file"))
    assert os.listdir(folder.path) == ["file"]
    assert Path(folder.file("file")).read_bytes() == b"new"


def test_a_file_is_another_if_its_inode_is_used_again(folder: OpenFolder) -> None:
    path = Path(folder.file("file"))
    path.write_bytes(b"one")
    first = path.stat()
    assert is_same_file(path.stat(), first)
    path.write_bytes(b"a longer one")
    assert not is_same_file(path.stat(), first)
