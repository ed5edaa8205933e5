"""The chunker, driven turn by turn: what it tells the supervisor and the producer, and when."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from dfud.core.version import FileVersion
from dfud.messages import (
    ChunkerToProducer,
    FileChanged,
    FileDropped,
    FilesRead,
    FileStart,
    FileTask,
    FileUnchanged,
    FileUnreadable,
    FromChunker,
    RunReady,
    SpaceAbandoned,
    SpaceFreed,
    Stop,
)
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.uploading.chunker import Chunker
from dfud.uploading.ring import Ring
from dfud.uploading.wire import NATIVE, OPENMSISTREAM, WireFormat

CHUNK = 1024


class Bench:
    """A chunker with the test in the supervisor's and the producer's places."""

    def __init__(self, top: Path, capacity: int = 64 * CHUNK, wire: WireFormat = NATIVE) -> None:
        self.top = top
        self.wire = wire
        self.supervisor, self._to_supervisor = Channel.pair(links.CHUNKER)
        self._to_producer, self.producer = Channel.pair(links.LANE)
        self.ring = Ring(capacity)
        self.folder = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        self.tokens = 0
        self.start()

    def start(self) -> None:
        self.chunker = Chunker(self._to_supervisor, self._to_producer, self.ring, self.folder, self.wire)

    def close(self) -> None:
        for channel in (self.supervisor, self._to_supervisor, self.producer, self._to_producer):
            channel.close()
        os.close(self.folder)

    def task(self, name: str, known: str = "", delivered: int = 0) -> FileTask:
        found = os.stat(self.top / name)
        version = FileVersion(os.fsencode(name), found.st_size, found.st_mtime_ns)
        self.tokens += 1
        n_chunks = max(1, -(-found.st_size // CHUNK))
        to_send = () if known else ((delivered + 1, n_chunks),)
        return FileTask(self.tokens, version, CHUNK, to_send, "now", known)

    def give(self, *tasks: FileTask) -> tuple[list[FromChunker], list[ChunkerToProducer]]:
        """Have the tasks done; return what the supervisor and the producer were told."""
        self.supervisor.post([*tasks])
        told: list[FromChunker] = []
        handed: list[ChunkerToProducer] = []
        while len(files_read(told)) + sum(isinstance(message, REPORTS) for message in told) < len(tasks):
            assert self.chunker.run_once()
            if not self.chunker._open and not self.chunker._small and not self.chunker._large:
                self.chunker._flush()
            handed += self.take_runs()
            while batch := self.supervisor.receive(wait=False):
                told += batch
        return told, handed

    def take_runs(self) -> list[ChunkerToProducer]:
        """Do the producer's part."""
        handed: list[ChunkerToProducer] = []
        while batch := self.producer.receive(wait=False):
            handed += batch
            for message in batch:
                if isinstance(message, SpaceAbandoned) or (isinstance(message, RunReady) and message.n_chunks):
                    self.ring.free(message.end)
        return handed


REPORTS = (FileChanged, FileUnreadable, FileUnchanged)


def files_read(told: list[FromChunker]) -> list[int]:
    """Return the tokens of the files that were told as read."""
    return [token for message in told if isinstance(message, FilesRead) for token in message.tokens]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with contextlib.closing(Bench(tmp_path)) as made:
        yield made


def test_a_file_is_handed_on_and_then_told_as_read(bench: Bench) -> None:
    data = os.urandom(3 * CHUNK + 1)
    (bench.top / "file").write_bytes(data)
    task = bench.task("file", delivered=1)
    told, handed = bench.give(task)
    assert told == [FilesRead((1,))]
    (run,) = handed  # chunk 1 is only hashed
    assert isinstance(run, RunReady)
    assert run.file == FileStart(1, task.version, CHUNK, ((1, 1),), "now", b"")
    assert (run.first, run.n_chunks, run.xxh3_128) == (2, 3, xxhash.xxh3_128_hexdigest(data))


def test_many_small_files(bench: Bench) -> None:
    for number in range(300):
        (bench.top / f"{number}").write_bytes(b"%d" % number)
    told, handed = bench.give(*(bench.task(f"{number}") for number in range(300)))
    assert files_read(told) == list(range(1, 301))
    assert [message.token for message in handed if isinstance(message, RunReady)] == list(range(1, 301))
    assert bench.ring.used == 0


def test_large_files_take_turns(bench: Bench) -> None:
    for number in range(6):
        (bench.top / f"{number}").write_bytes(bytes(60 * CHUNK))
    (bench.top / "small").write_bytes(b"x")
    tasks = [bench.task(f"{number}") for number in range(6)]
    told, handed = bench.give(*tasks, bench.task("small"))
    assert told[0] == FilesRead((7,))
    order = [message.token for message in handed if isinstance(message, RunReady) and message.token < 7]
    assert set(order[:4]) == {1, 2, 3, 4}
    assert sorted(files_read(told[1:])) == list(range(1, 7))


def test_content_is_compared_where_a_digest_is_known(bench: Bench) -> None:
    (bench.top / "file").write_bytes(b"content")
    same = bench.task("file", known=xxhash.xxh3_128_hexdigest(b"content"))
    other = bench.task("file", known=xxhash.xxh3_128_hexdigest(b"contents"))
    told, handed = bench.give(same, other)
    assert told == [FileUnchanged(1), FileChanged(2, other.version, False)]
    assert handed == []


def test_files_that_cannot_be_opened(bench: Bench) -> None:
    (bench.top / "gone").write_bytes(b"x")
    (bench.top / "folder").mkdir()
    (bench.top / "folder" / "file").write_bytes(b"x")
    (bench.top / "fifo").write_bytes(b"x")
    (bench.top / "changed").write_bytes(b"x")
    tasks = [bench.task(name) for name in ("gone", "folder/file", "fifo", "changed")]
    (bench.top / "gone").unlink()
    (bench.top / "folder" / "file").unlink()
    (bench.top / "folder").rmdir()
    (bench.top / "folder").write_bytes(b"")
    (bench.top / "fifo").unlink()
    os.mkfifo(bench.top / "fifo")
    (bench.top / "changed").write_bytes(b"xy")
    told, handed = bench.give(*tasks)
    gone = [message for message in told if isinstance(message, FileUnreadable) and message.gone]
    assert [message.token for message in gone] == [1, 2, 3]
    assert isinstance(told[3], FileChanged)
    assert told[3].version.size == 2
    assert handed == []


def test_a_file_that_cannot_be_read_to_its_end_is_dropped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, without success in between: the room that it reserved is given back each time."""
    (bench.top / "bad").write_bytes(bytes(60 * CHUNK))
    (bench.top / "good").write_bytes(bytes(60 * CHUNK))
    bad = os.stat(bench.top / "bad").st_ino
    real = os.preadv

    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if os.fstat(descriptor).st_ino == bad and offset >= 30 * CHUNK:
            raise OSError(5, "Input/output error")  # injected
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    for token in range(1, 21):
        told, handed = bench.give(bench.task("bad"))
        assert told == [FileUnreadable(token, False, "Input/output error")]
        assert handed[-1] == FileDropped(token)
    told, _ = bench.give(bench.task("good"))
    assert told == [FilesRead((21,))]


def test_a_full_ring_is_waited_for(tmp_path: Path) -> None:
    """The producer's part is done by a thread here, which frees what it gets, as a producer does."""
    (tmp_path / "file").write_bytes(os.urandom(300 * CHUNK))
    with contextlib.closing(Bench(tmp_path, capacity=2 * CHUNK)) as bench:
        received: list[RunReady] = []

        def produce() -> None:
            while not (received and received[-1].xxh3_128):
                for message in bench.producer.receive():
                    if isinstance(message, RunReady):
                        received.append(message)
                        if bench.ring.free(message.end):
                            bench.producer.post([SpaceFreed()])

        thread = threading.Thread(target=produce)
        thread.start()
        bench.supervisor.post([bench.task("file")])
        while not (told := bench.supervisor.receive(wait=False)):
            assert bench.chunker.run_once()
        thread.join()
    assert told == [FilesRead((1,))]
    assert sum(run.n_chunks for run in received) == 300


def test_what_a_dead_chunker_reserved_is_free_again(tmp_path: Path) -> None:
    """It may have filled the ring with what it had not handed on; nobody else could free that."""
    (tmp_path / "file").write_bytes(bytes(CHUNK))
    with contextlib.closing(Bench(tmp_path, capacity=2 * CHUNK)) as bench:
        assert bench.ring.reserve(CHUNK)
        assert bench.ring.reserve(CHUNK)
        bench.ring.set_waiting(True)
        bench.start()
        assert not bench.ring.free(0), "its successor does not wait"
        bench.chunker._flush()
        assert bench.take_runs() == [SpaceAbandoned(2 * CHUNK)]
        told, _ = bench.give(bench.task("file"))
    assert told == [FilesRead((1,))]


@pytest.mark.parametrize("size", [0, 10 * CHUNK, 60 * CHUNK])
def test_openmsistream_is_told_the_digest_of_the_whole_file_first(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    with contextlib.closing(Bench(tmp_path, wire=OPENMSISTREAM)) as bench:
        told, runs = bench.give(bench.task("file"))
    assert told == [FilesRead((1,))]
    starts = [run.file for run in runs if isinstance(run, RunReady) and run.file is not None]
    assert [start.sha512 for start in starts] == [hashlib.sha512(data).digest()]
    assert sum(run.length for run in runs if isinstance(run, RunReady)) == size


def test_leaving(bench: Bench) -> None:
    bench.supervisor.post([Stop()])
    assert not bench.chunker.run_once()
