"""A file that is looked at before it goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.core.version import FileVersion
from dfud.files.confined import ConfinedTree
from dfud.files.scan import ScannedFile
from dfud.releasing.source_file import StaysError, open_source
from dfud.watch.leases import WriteLeases
from tests.helpers.releasing import LOCAL


def scanned(path: Path) -> ScannedFile:
    status = path.stat()
    version = FileVersion(os.fsencode(path.name), status.st_size, status.st_mtime_ns)
    return ScannedFile(version, status.st_ctime_ns, status.st_ino, status.st_dev)


@pytest.mark.parametrize(("after_ms", "stays"), [(-5, True), (1, True), (19, True), (21, False)])
def test_what_changed_within_a_tick_of_the_kernels_clock_stays(tmp_path: Path, after_ms: int, stays: bool) -> None:
    """What comes next may bear the same time."""
    path = tmp_path / "a"
    path.write_bytes(b"data")
    file, tree = scanned(path), ConfinedTree(str(tmp_path))

    def look() -> None:
        clock_ns = file.ctime_ns + after_ms * 1_000_000
        open_source(tree, file, WriteLeases(), lambda *_: LOCAL, lambda: clock_ns).close()

    if stays:
        with pytest.raises(StaysError, match="just now"):
            look()
    else:
        look()
    tree.close()


def test_each_trait_of_the_file_that_was_found_counts(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"data")
    file, tree = scanned(path), ConfinedTree(str(tmp_path))
    for other in (
        file._replace(version=file.version._replace(size=5)),
        file._replace(version=file.version._replace(mtime_ns=1)),
        file._replace(ctime_ns=1),
        file._replace(inode=1),
        file._replace(device=1),
    ):
        with pytest.raises(StaysError, match="it has changed"):
            open_source(tree, other, WriteLeases(), lambda *_: LOCAL)
    tree.close()
