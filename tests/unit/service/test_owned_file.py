"""What somebody has changed is kept, what nobody has is renewed, and nothing is written through links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.service.owned_file import OwnedFile, Present, keep_changed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file"


def owned(path: Path, text: str = "A=1\n") -> OwnedFile:
    return OwnedFile(os.fspath(path), text, 0o600)


def test_it_is_known_whether_somebody_has_changed_a_file(path: Path) -> None:
    assert owned(path).present() is Present.NOTHING
    owned(path).write()
    assert (path.stat().st_mode & 0o777, os.listdir(path.parent)) == (0o600, ["file"])
    assert owned(path).present() is Present.SAME
    assert owned(path, "A=2\n").present() is Present.OLDER
    path.write_bytes(path.read_bytes() + b"B=2\n")
    assert owned(path).present() is Present.OTHER
    path.write_text("somebody else's\n")
    assert owned(path).present() is Present.OTHER


def test_what_somebody_has_changed_is_kept_when_it_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("mine\n")
    owned(path).write()
    assert path.with_suffix(".bak").read_text() == "mine\n"
    assert owned(path).present() is Present.SAME
    assert not keep_changed(os.fspath(path))


def test_nothing_is_read_or_written_through_a_link(path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    path.parent.mkdir()
    path.symlink_to(outside)
    with pytest.raises(UsageError, match="file: it is a link"):
        owned(path).present()
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(tmp_path)
    with pytest.raises(UsageError, match="folder: it is a link"):
        owned(path).present()
    assert outside.read_text() == "x"
