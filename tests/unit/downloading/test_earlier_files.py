"""The files of earlier runs are found by their attribute, and hashed as they are now."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import xxhash

from dfud.core.sent import Sent
from dfud.downloading.earlier_files import EarlierFiles, FilesInPlace
from dfud.downloading.owed_receipts import PlacedFile
from dfud.downloading.placed import ATTRIBUTE, write_sent


def place(path: Path, data: bytes, topic_id: str = "id") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    with open(path, "rb") as file:
        write_sent(file.fileno(), Sent(topic_id, 0, 1, 2))


def found(top: Path, sync: list[None]) -> list[PlacedFile]:
    files = EarlierFiles(FilesInPlace(str(top)), "id", True, lambda: sync.append(None), clock=lambda: 0.0)
    try:
        return [file for batch in files for file in batch]
    finally:
        files.close()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    try:
        os.setxattr(tmp_path, ATTRIBUTE, b"")
    except OSError:
        pytest.skip("this file system has no attributes")
    return tmp_path / "top"


def test_what_was_read_from_the_topic_is_found_and_nothing_else(top: Path, tmp_path: Path) -> None:
    place(top / "f", b"1")
    place(top / "a" / "b" / "g", b"2" * 3_000_000)
    place(top / "LOGS" / "part", b"3")
    place(top / "of another topic", b"4", "other")
    (top / "of the user").write_bytes(b"5")
    place(tmp_path / "outside" / "h", b"6")
    (top / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(top / "fifo")
    synced: list[None] = []

    files = {file.path: file for file in found(top, synced)}

    assert set(files) == {b"f", b"a/b/g"}
    assert files[b"f"].xxh3_128 == xxhash.xxh3_128_hexdigest(b"1")
    assert files[b"f"].sha256 == hashlib.sha256(b"1").hexdigest()
    assert files[b"a/b/g"].size == 3_000_000
    assert len(synced) == 1


def test_what_is_replaced_before_it_is_synced_is_left_to_whoever_has_replaced_it(top: Path) -> None:
    place(top / "f", b"1")
    place(top / "g", b"2")

    def replace() -> None:
        place(top / "new", b"3")
        (top / "new").rename(top / "g")

    files = EarlierFiles(FilesInPlace(str(top)), "id", False, replace)
    assert [file.path for batch in files for file in batch] == [b"f"]
    files.close()
