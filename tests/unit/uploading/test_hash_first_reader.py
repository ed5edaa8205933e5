"""Reading a file whose SHA-512 is needed first: real files, a real ring."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from dfud.core.chunking import count_chunks
from dfud.core.version import FileVersion
from dfud.messages import FileTask, Ranges, RunReady
from dfud.uploading.file_reader import VersionChangedError
from dfud.uploading.hash_first_reader import HashFirstReader
from dfud.uploading.ring import Ring

CHUNK = 16
RUN = 64


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


class Reader:
    """Reads one file to its end, and assembles what is passed on."""

    def __init__(self, path: Path, dir_fd: int, to_send: Ranges | None = None, known_digest: str = "") -> None:
        status = path.stat()
        version = FileVersion(os.fsencode(path.name), status.st_size, status.st_mtime_ns)
        if to_send is None:
            to_send = ((1, count_chunks(status.st_size, CHUNK)),)
        self.ring = Ring(1 << 16)
        self.reading = HashFirstReader(
            FileTask(1, version, CHUNK, to_send, "", known_digest), self.ring, RUN, dir_fd
        )
        self.runs: list[RunReady] = []
        self.data: dict[int, bytes] = {}
        self.hashing_steps = 0

    def step(self) -> bool:
        """Do one step; return False if it was the last."""
        ready = self.reading.step(self.reserve)
        if ready is None:
            self.hashing_steps += not self.runs
            return True
        self.runs.append(ready)
        for at in range(ready.n_chunks):
            start = ready.start + at * CHUNK
            end = min(start + CHUNK, ready.start + ready.length)
            self.data[ready.first + at] = bytes(self.ring.view(start, end - start))
        return not ready.xxh3_128

    def reserve(self, length: int) -> tuple[int, int]:
        room = self.ring.reserve(length)
        assert room is not None
        return room

    def run(self) -> None:
        while self.step():
            pass
        self.reading.close()


def write(tmp_path: Path, size: int) -> tuple[Path, bytes]:
    content = random.Random(size).randbytes(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    return path, content


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 64, 65, 128, 200, 1000])
def test_digests_are_known_with_the_first_run(tmp_path: Path, dir_fd: int, size: int) -> None:
    path, content = write(tmp_path, size)
    reader = Reader(path, dir_fd)
    while reader.step():
        assert not reader.runs or reader.reading.sha512 == hashlib.sha512(content).digest()
    reader.reading.close()
    assert reader.reading.sha512 == hashlib.sha512(content).digest()
    assert reader.runs[-1].xxh3_128 == xxhash.xxh3_128_hexdigest(content)
    assert b"".join(reader.data[number] for number in sorted(reader.data)) == content
    assert reader.hashing_steps > 0


@pytest.mark.parametrize("to_send", [((2, 2),), ((1, 1),), ((4, 4),), ((1, 2), (4, 4))])
def test_a_file_that_is_sent_in_part_has_the_digest_of_the_whole_file(
    tmp_path: Path, dir_fd: int, to_send: Ranges
) -> None:
    path, content = write(tmp_path, 60)
    reader = Reader(path, dir_fd, to_send)
    reader.run()
    assert reader.reading.sha512 == hashlib.sha512(content).digest()
    assert reader.runs[-1].xxh3_128 == xxhash.xxh3_128_hexdigest(content)
    assert set(reader.data) == {number for first, last in to_send for number in range(first, last + 1)}
    assert all(data == content[(number - 1) * CHUNK : number * CHUNK] for number, data in reader.data.items())


def test_a_file_that_is_only_compared_is_read_once(tmp_path: Path, dir_fd: int) -> None:
    path, content = write(tmp_path, 1000)
    reader = Reader(path, dir_fd, (), known_digest="0" * 32)
    reader.run()
    assert reader.reading.sha512 == b""
    assert reader.runs[-1].xxh3_128 == xxhash.xxh3_128_hexdigest(content)


@pytest.mark.parametrize("at", [0, 500, 999])
@pytest.mark.parametrize("keep_time", [False, True])
def test_a_change_between_the_readings_is_detected_before_the_last_run(
    tmp_path: Path, dir_fd: int, at: int, keep_time: bool
) -> None:
    path, _ = write(tmp_path, 1000)
    before = path.stat()
    reader = Reader(path, dir_fd)
    while not reader.reading.sha512:
        reader.step()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([file.peek(1)[0] ^ 1]))
    times = (before.st_mtime_ns, before.st_mtime_ns + (not keep_time) * 10**9)
    os.utime(path, ns=times)
    with pytest.raises(VersionChangedError) as changed:
        reader.run()
    reader.reading.close()
    assert changed.value.version == FileVersion(b"file", 1000, times[1])
    assert len(reader.data) < count_chunks(1000, CHUNK)


def test_a_change_during_the_first_reading_is_detected_at_once(tmp_path: Path, dir_fd: int) -> None:
    path, _ = write(tmp_path, 1000)
    reader = Reader(path, dir_fd)
    os.utime(path, ns=(0, 0))
    with pytest.raises(VersionChangedError):
        reader.run()
    reader.reading.close()
    assert reader.runs == []
