"""Folders are counted file by file, or many files at once."""

from __future__ import annotations

from dfud.uploading.folder_counts import FolderCounts


def test_many_files_are_counted_as_if_they_came_one_by_one() -> None:
    counts, single = FolderCounts(), FolderCounts()
    counts.enter(b"a/b", 3)
    for _ in range(3):
        single.enter(b"a/b")
    assert counts == single == {b"a/b": 3, b"a": 1}
    assert counts.leave(b"a/b", 2) == []
    assert counts == {b"a/b": 1, b"a": 1}
    counts.enter(b"a", 2)
    assert counts.leave(b"a/b") == [b"a/b"]
    assert counts.leave(b"a", 2) == [b"a"]
    assert counts == {}


def test_the_directory_itself_is_not_counted() -> None:
    counts = FolderCounts()
    counts.enter(b"", 5)
    assert counts.leave(b"", 5) == []
    assert counts == {}
