"""The comparison finds each way in which a topic can differ from a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash

from dfud.demo.compare import compare
from dfud.demo.reader import File

DATA = b"all of it"
Topic = dict[bytes, dict[str, File]]


def on_topic(folder: Path) -> Topic:
    """Return the folder's files as a reader would return them."""
    files: Topic = {}
    for path in (path for path in folder.rglob("*") if path.is_file()):
        key, data, stat = os.fsencode(path.relative_to(folder)), path.read_bytes(), path.stat()
        digest = xxhash.xxh3_128_hexdigest(data)
        file = File(key, "id", stat.st_size, stat.st_mtime_ns, 1, chunks={1: data}, xxh3_128=digest)
        files[key] = {"id": file}
    return files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two files, one with a name that is not UTF-8."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a file").write_bytes(DATA)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff;\n")).write_bytes(b"")
    return tmp_path


def test_equal_files_are_counted(folder: Path) -> None:
    files = on_topic(folder)
    (folder / "LOGS").mkdir()
    (folder / "LOGS" / "a table").touch()
    assert compare(os.fsencode(folder), files) == (2, 2, [])


def forget(files: Topic) -> None:
    del files[b"sub/a file"]


def add_another(files: Topic) -> None:
    files[b"another"] = files[b"sub/a file"]


def add_a_version(files: Topic) -> None:
    files[b"sub/a file"]["newer"] = files[b"sub/a file"]["id"]


def lose_a_chunk(files: Topic) -> None:
    files[b"sub/a file"]["id"].chunks.clear()


def flip_a_byte(files: Topic) -> None:
    file = files[b"sub/a file"]["id"]
    file.chunks[1] = b"all of IT"
    file.xxh3_128 = xxhash.xxh3_128_hexdigest(file.chunks[1])


def change_the_time(files: Topic) -> None:
    files[b"sub/a file"]["id"].mtime_ns += 1


@pytest.mark.parametrize(
    ("change", "same", "difference"),
    [
        pytest.param(forget, 1, "b'sub/a file' is not on the topic", id="missing"),
        pytest.param(add_another, 2, "b'another' is on the topic and not in the folder", id="another"),
        pytest.param(add_a_version, 1, "b'sub/a file' is on the topic in 2 versions", id="versions"),
        pytest.param(lose_a_chunk, 1, "b'sub/a file' is incomplete: 0 of 1 chunks", id="incomplete"),
        pytest.param(flip_a_byte, 1, "b'sub/a file' differs", id="content"),
        pytest.param(change_the_time, 1, "b'sub/a file' has another size or time", id="time"),
    ],
)
def test_differences_are_named(folder: Path, change: Callable[[Topic], None], same: int, difference: str) -> None:
    files = on_topic(folder)
    change(files)
    assert compare(os.fsencode(folder), files) == (2, same, [difference])
