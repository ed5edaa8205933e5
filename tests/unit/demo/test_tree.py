"""The demonstration's tree has the files that its description promises."""

from __future__ import annotations

import os
from pathlib import Path

from dfud.demo.tree import plan, write_tree


def test_the_plan_has_all_difficult_files() -> None:
    files = list(plan())
    paths = [file.path for file in files]
    assert len(files) >= 1000
    assert len(set(paths)) == len(paths)
    assert [file.size for file in files].count(0) == 1
    for needed in (b" ", b"'", b'"', b";", b"\n", b"\xff"):
        assert any(needed in os.path.basename(path) for path in paths), needed
    assert any(path.count(b"/") == 2 for path in paths)
    assert max(len(os.path.basename(path)) for path in paths) == 255
    assert not any(path.endswith(b".log") or b"/." in b"/" + path for path in paths), "they would not be uploaded"


def test_the_same_seed_writes_the_same_tree(tmp_path: Path) -> None:
    files = [file for file in plan() if file.size < 20_000][-40:]
    trees = []
    for name in ("one", "two"):
        folder = os.fsencode(tmp_path / name)
        write_tree(folder, files)
        trees.append([Path(os.fsdecode(os.path.join(folder, path))).read_bytes() for path, _ in files])
    assert trees[0] == trees[1]
    assert [len(data) for data in trees[0]] == [size for _, size in files]
