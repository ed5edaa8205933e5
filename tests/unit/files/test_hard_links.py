"""Hard links, which a user may have made to a file that only dfud can read."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from dfud.files import hard_links
from dfud.files.confined import ConfinedTree
from dfud.files.links import LinkPolicy
from dfud.files.openat import look, open_regular_file

OTHER = 65534


@pytest.fixture
def lenient_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that lets everyone link to everything."""
    (tmp_path / "no").write_text("0\n")
    monkeypatch.setattr(hard_links, "_SETTING", str(tmp_path / "no"))


@pytest.fixture
def top(tmp_path: Path, lenient_kernel: None) -> Path:
    """The directory of another user."""
    if os.geteuid():
        pytest.skip("giving files to other users needs root")
    folder = tmp_path / "top" / "sub"
    folder.mkdir(parents=True)
    return tmp_path / "top"


def link(top: Path, mode: int = 0o600, uid: int = 0, gid: int = 0) -> None:
    secret = top.parent / "secret"
    secret.write_bytes(b"secret")
    secret.chmod(mode)
    os.chown(secret, uid, gid)
    os.link(secret, top / "sub" / "data")


def is_readable(top: Path) -> bool:
    dir_fd = os.open(top, os.O_RDONLY)
    tree = ConfinedTree(str(top))
    try:
        os.close(open_regular_file(b"sub/data", dir_fd)[0])
        os.close(tree.open(b"sub/data"))
        (top / "link").symlink_to("sub/data")
        look(dir_fd, b"link", LinkPolicy())
    except PermissionError:
        return False
    finally:
        os.close(dir_fd)
        tree.close()
    return True


def test_what_root_alone_can_make_is_read(top: Path) -> None:
    link(top)
    assert is_readable(top)


@pytest.mark.parametrize("owned", ["", "sub"])
def test_what_the_owner_of_a_folder_may_have_made_is_not_read(top: Path, owned: str) -> None:
    link(top)
    os.chown(top / owned, OTHER, OTHER)
    assert not is_readable(top)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_what_others_may_have_made_is_not_read(top: Path, mode: int) -> None:
    link(top)
    top.chmod(mode)
    assert not is_readable(top)


def test_what_everyone_the_owner_or_the_group_can_read_is_read(top: Path) -> None:
    for folder in (top, top / "sub"):
        os.chown(folder, OTHER, OTHER)
        folder.chmod(0o775)
    for mode, uid, gid, readable in (
        (0o644, 0, 0, True),
        (0o640, OTHER, OTHER, True),
        (0o600, OTHER, OTHER, False),
    ):
        link(top, mode, uid, gid)
        assert is_readable(top) is readable, oct(mode)
        (top / "link").unlink(missing_ok=True)
        (top / "sub" / "data").unlink()


def test_where_the_kernel_prevents_it_every_name_is_read(top: Path, tmp_path: Path) -> None:
    (tmp_path / "no").write_text("1\n")
    link(top)
    os.chown(top, OTHER, OTHER)
    assert is_readable(top)


def test_a_name_that_was_removed_since_the_file_was_opened_by_it_counts(
    tmp_path: Path, lenient_kernel: None
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    os.link(tmp_path / "file", tmp_path / "planted")
    for name, rest in (("planted", "file"), ("file", "")):
        descriptor = os.open(tmp_path / name, os.O_RDONLY)
        (tmp_path / name).unlink()
        try:
            assert hard_links.count_names(descriptor) == (2 if rest else 0)
        finally:
            os.close(descriptor)


def test_a_name_that_is_being_removed_counts(tmp_path: Path, lenient_kernel: None) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    planted = str(tmp_path / "folder" / "planted")
    pid = os.fork()
    if not pid:
        while True:
            os.link(tmp_path / "file", planted)
            os.unlink(planted)
    counts = []
    until = time.monotonic() + 2  # one in a thousand times comes between the count and the removal
    try:
        while time.monotonic() < until:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(planted, os.O_RDONLY)
                counts.append(hard_links.count_names(descriptor))
                os.close(descriptor)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert set(counts) == {2}


def test_a_file_of_one_name_is_told_from_one_that_lost_another(tmp_path: Path, lenient_kernel: None) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.rename(tmp_path / "file", tmp_path / "renamed")
    try:
        assert hard_links.count_names(descriptor) == 1
    finally:
        os.close(descriptor)
