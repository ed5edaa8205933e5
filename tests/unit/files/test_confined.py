"""Nothing outside of the directory is reached."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.files.confined import ConfinedTree


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[ConfinedTree]:
    (tmp_path / "inside" / "LOGS").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    made = ConfinedTree(str(tmp_path / "inside"))
    yield made
    made.close()


def put(tree: ConfinedTree, tmp_path: Path, path: bytes) -> None:
    (tmp_path / "inside" / "LOGS" / "part").write_bytes(b"data")
    logs = os.open(tmp_path / "inside" / "LOGS", os.O_RDONLY)
    try:
        tree.place("part", logs, path)
    finally:
        os.close(logs)


def test_folders_are_made_on_the_way(tree: ConfinedTree, tmp_path: Path) -> None:
    put(tree, tmp_path, b"a/b/c")
    assert (tmp_path / "inside" / "a" / "b" / "c").read_bytes() == b"data"
    found = tree.stat_file(b"a/b/c")
    assert found is not None
    assert found.st_size == 4
    assert tree.stat_file(b"a/b") is None
    assert tree.stat_file(b"nowhere/x") is None


@pytest.mark.parametrize("path", [b"link/x", b"a/link/x"])
def test_links_are_not_followed(tree: ConfinedTree, tmp_path: Path, path: bytes) -> None:
    (tmp_path / "inside" / "a").mkdir()
    for folder in ("inside", "inside/a"):
        (tmp_path / folder / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "x").write_bytes(b"untouched")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        put(tree, tmp_path, path)
    assert tree.stat_file(path) is None
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        tree.open(path)
    assert (tmp_path / "outside" / "x").read_bytes() == b"untouched"


def test_a_link_in_the_files_own_place_is_replaced(tree: ConfinedTree, tmp_path: Path) -> None:
    (tmp_path / "outside" / "x").write_bytes(b"untouched")
    (tmp_path / "inside" / "f").symlink_to(tmp_path / "outside" / "x")
    assert tree.stat_file(b"f") is None
    with pytest.raises(OSError, match="Too many levels"):
        tree.open(b"f")
    put(tree, tmp_path, b"f")
    assert not (tmp_path / "inside" / "f").is_symlink()
    assert (tmp_path / "outside" / "x").read_bytes() == b"untouched"


def test_only_regular_files_are_opened(tree: ConfinedTree, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "inside" / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        tree.open(b"fifo")


def test_a_folder_that_was_removed_meanwhile_is_made_again(tree: ConfinedTree, tmp_path: Path) -> None:
    put(tree, tmp_path, b"d/one")
    (tmp_path / "inside" / "d" / "one").unlink()
    (tmp_path / "inside" / "d").rmdir()
    put(tree, tmp_path, b"d/two")
    assert (tmp_path / "inside" / "d" / "two").exists()


def test_the_open_folders_stay_few(tree: ConfinedTree, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(200):
        put(tree, tmp_path, b"d%d/e/f" % number)
    assert len(os.listdir("/proc/self/fd")) - before < 100
    tree.close_folders()
    assert len(os.listdir("/proc/self/fd")) == before
