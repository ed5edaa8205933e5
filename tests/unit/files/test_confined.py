"""Nothing outside of the directory is reached."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.files.confined import ConfinedTree
from dfud.files.links import LinkLeavesDirectoryError, LinkPolicy
from tests.helpers.descriptors import count_descriptors


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
    before = count_descriptors()
    for number in range(200):
        put(tree, tmp_path, b"d%d/e/f" % number)
    assert count_descriptors() - before < 100
    tree.close_folders()
    assert count_descriptors() == before


def test_links_to_files_are_followed_for_reading_as_an_upload_does(tree: ConfinedTree, tmp_path: Path) -> None:
    put(tree, tmp_path, b"a/file")
    (tmp_path / "outside" / "x").write_bytes(b"secret")
    (tmp_path / "inside" / "link").symlink_to("a/file")
    (tmp_path / "inside" / "leaves").symlink_to(tmp_path / "outside" / "x")
    (tmp_path / "inside" / "folder").symlink_to("a")
    reading = ConfinedTree(str(tmp_path / "inside"), LinkPolicy())
    found = reading.stat_file(b"link")
    assert found is not None
    assert found.st_size == 4
    with open(reading.open(b"link"), "rb") as file:
        assert file.read() == b"data"
    assert reading.stat_file(b"leaves") is None
    with pytest.raises(LinkLeavesDirectoryError):
        reading.open(b"leaves")
    assert reading.stat_file(b"folder/file") is None
    reading.close()


@pytest.mark.parametrize("name", [b"d", b"d" * 200], ids=["1,200 levels", "240 kB"])
def test_a_path_may_be_deeper_and_longer_than_the_kernel_takes_at_once(
    tree: ConfinedTree, tmp_path: Path, name: bytes
) -> None:
    folder = b"/".join([name] * 1200)
    put(tree, tmp_path, folder + b"/one")
    tree.close_folders()
    put(tree, tmp_path, folder + b"/two")
    put(tree, tmp_path, b"d/three")
    for file in (folder + b"/one", folder + b"/two", b"d/three"):
        found = tree.stat_file(file)
        assert found is not None
        assert found.st_size == 4
        descriptor = tree.open(file)
        assert os.read(descriptor, 5) == b"data"
        os.close(descriptor)
    assert tree.stat_file(folder + b"/none/x") is None
    assert tree.stat_file(folder + b"/one/x") is None
    tree.close_folders()
    subprocess.run(["rm", "-rf", tmp_path / "inside"], check=True)  # pytest's own removal recurses
