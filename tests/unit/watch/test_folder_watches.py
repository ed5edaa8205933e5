"""Which folder each inotify watch is on, with the kernel's own watches."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from inotify_simple import flags

from dfud.watch.folder_watches import FolderWatches


class Bench:
    """Watches on the folders below a directory."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.watches = FolderWatches()

    def add(self, path: str) -> bool:
        dir_fd = os.open(self.top / path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return self.watches.add(os.fsencode(path), dir_fd, os.fsencode(self.top / path))
        finally:
            os.close(dir_fd)

    def written(self) -> list[tuple[str | None, str]]:
        """Return the folders and names of the files that were closed after writing."""
        return [
            (None if (path := self.watches.path(event.wd)) is None else os.fsdecode(path), event.name)
            for event in self.watches.read()
            if event.mask & flags.CLOSE_WRITE
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    for path in ("a/sub", "ab"):
        (tmp_path / path).mkdir(parents=True)
    made = Bench(tmp_path)
    with contextlib.closing(made.watches):
        yield made


def test_events_name_the_folder(bench: Bench) -> None:
    assert [bench.add(path) for path in ("a", "a/sub", "ab")] == [True, True, True]
    assert len(bench.watches) == 3
    (bench.top / "a" / "sub" / "file").write_bytes(b"x")
    (bench.top / "ab" / "file").write_bytes(b"x")
    assert bench.written() == [("a/sub", "file"), ("ab", "file")]


def test_a_folder_is_new_once(bench: Bench) -> None:
    assert bench.add("a")
    assert not bench.add("a")
    assert len(bench.watches) == 1


def test_a_renamed_folder_has_its_new_path(bench: Bench) -> None:
    """It keeps its watch: the kernel watches the folder, not the path."""
    bench.add("a")
    (bench.top / "a").rename(bench.top / "b")
    assert bench.add("b")
    (bench.top / "b" / "file").write_bytes(b"x")
    assert bench.written() == [("b", "file")]
    bench.watches.remove_tree(b"a")
    assert len(bench.watches) == 1


def test_a_tree_is_removed_with_all_below_it_and_nothing_else(bench: Bench) -> None:
    for path in ("a", "a/sub", "ab"):
        bench.add(path)
    bench.watches.remove_tree(b"a")
    for path in ("a", "a/sub", "ab"):
        (bench.top / path / "file").write_bytes(b"x")
    assert bench.written() == [("ab", "file")]
    assert len(bench.watches) == 1


def test_a_watch_that_the_kernel_removed_is_forgotten(bench: Bench) -> None:
    bench.add("ab")
    (bench.top / "ab").rmdir()
    (removed,) = [event.wd for event in bench.watches.read() if event.mask & flags.IGNORED]
    assert bench.watches.path(removed) == b"ab"
    bench.watches.forget(removed)
    bench.watches.forget(removed)
    assert bench.watches.path(removed) is None
    assert len(bench.watches) == 0


def test_forgetting_an_old_watch_keeps_a_new_one_on_the_same_path(bench: Bench) -> None:
    """As when a folder replaces one that was removed but was still in use."""
    bench.add("ab")
    (bench.top / "ab").rmdir()
    (bench.top / "ab").mkdir()
    (old,) = [event.wd for event in bench.watches.read() if event.mask & flags.IGNORED]
    assert bench.add("ab")
    bench.watches.forget(old)
    bench.watches.remove_tree(b"ab")
    (bench.top / "ab" / "file").write_bytes(b"x")
    assert bench.written() == []
