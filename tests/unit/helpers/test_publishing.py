from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import publishing
from tests.helpers.publishing import WAYS, content, parts


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_end_with_the_same_files(way: str, tmp_path: Path) -> None:
    words = [sys.executable, publishing.__file__, str(tmp_path), way, "a", "5", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "Operation not supported" in done.stderr:
        pytest.skip("the file system has no O_TMPFILE")
    assert done.returncode == 0, done.stderr
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert files == {f"a{number}": content("a", number, "1") for number in range(5)}
    assert all(os.stat(path).st_nlink == 1 for path in tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1000])
def test_what_is_appended_is_the_whole(size: int) -> None:
    data = os.urandom(size)
    assert b"".join(parts(data)) == data
