"""The chunker, driven step by step: what it reports to the supervisor and passes to the producer, and when."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import xxhash

from dfud.core.version import FileStamp, FileVersion
from dfud.files.openat import DEFAULT_LINKS
from dfud.logs.layout import LogsFolder
from dfud.messages import (
    CanaryRead,
    CanaryTask,
    ChunkerToProducer,
    FileChanged,
    FileDropped,
    FilesRead,
    FileStart,
    FilesTask,
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
from dfud.processes.channel import Channel, PeerGoneError
from dfud.uploading.chunker import Chunker
from dfud.uploading.cohorts import each_task
from dfud.uploading.ring import Ring
from dfud.uploading.wire import NATIVE, OPENMSISTREAM, WireFormat
from tests.helpers.leases import leased

CHUNK = 1024


class Bench:
    """A chunker; the test takes the places of the supervisor and the producer."""

    def __init__(self, top: Path, capacity: int = 64 * CHUNK, wire: WireFormat = NATIVE) -> None:
        self.top = top
        self.wire = wire
        self.supervisor, self._to_supervisor = Channel.pair(links.CHUNKER)
        self._to_producer, self.producer = Channel.pair(links.LANE)
        self.ring = Ring(capacity)
        self.dir_fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        self.tokens = 0
        self.start()

    def start(self) -> None:
        self.chunker = Chunker(self._to_supervisor, self._to_producer, self.ring, self.dir_fd, self.wire)

    def close(self) -> None:
        for channel in (self.supervisor, self._to_supervisor, self.producer, self._to_producer):
            channel.close()
        os.close(self.dir_fd)

    def task(self, name: str, known: str = "", delivered: int = 0) -> FileTask:
        status = os.stat(self.top / name)
        version = FileVersion(os.fsencode(name), status.st_size, status.st_mtime_ns)
        self.tokens += 1
        n_chunks = max(1, -(-status.st_size // CHUNK))
        to_send = () if known else ((delivered + 1, n_chunks),)
        return FileTask(self.tokens, version, CHUNK, to_send, "now", known)

    def run(self, *tasks: FileTask | FilesTask) -> tuple[list[FromChunker], list[ChunkerToProducer]]:
        """Do the tasks; return what the supervisor and the producer received."""
        n_files = sum(len(task.versions) if isinstance(task, FilesTask) else 1 for task in tasks)
        self.supervisor.post([*tasks])
        reports: list[FromChunker] = []
        passed: list[ChunkerToProducer] = []
        while len(files_read(reports)) + sum(isinstance(message, REPORTS) for message in reports) < n_files:
            assert self.chunker.run_once()
            if not self.chunker._open and not self.chunker._small and not self.chunker._large:
                self.chunker._flush()
            passed += self.take_runs()
            while batch := self.supervisor.receive(wait=False):
                reports += batch
        return reports, passed

    def take_runs(self) -> list[ChunkerToProducer]:
        """Receive and free what a producer would."""
        passed: list[ChunkerToProducer] = []
        while batch := self.producer.receive(wait=False):
            passed += batch
            for message in batch:
                if isinstance(message, SpaceAbandoned) or (isinstance(message, RunReady) and message.n_chunks):
                    self.ring.free(message.end)
        return passed


REPORTS = (FileChanged, FileUnreadable, FileUnchanged)


def files_read(reports: list[FromChunker]) -> list[int]:
    """Return the tokens of the files that were reported as read."""
    return [token for message in reports if isinstance(message, FilesRead) for token in message.tokens]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with contextlib.closing(Bench(tmp_path)) as made:
        yield made


def test_a_file_is_passed_on_and_reported_as_read(bench: Bench) -> None:
    data = os.urandom(3 * CHUNK + 1)
    (bench.top / "file").write_bytes(data)
    task = bench.task("file", delivered=1)
    reports, passed = bench.run(task)
    assert reports == [FilesRead((1,))]
    (run,) = passed  # chunk 1 is only hashed
    assert isinstance(run, RunReady)
    assert run.file == FileStart(1, task.version, CHUNK, ((1, 1),), "now", b"")
    assert (run.first, run.n_chunks, run.xxh3_128) == (2, 3, xxhash.xxh3_128_hexdigest(data))


def test_a_file_that_the_producer_did_not_get_is_not_reported_as_read(bench: Bench) -> None:
    """The producer may die at any moment; the supervisor must never count on a file that the producer lacks."""
    (bench.top / "file").write_bytes(b"content")
    bench.supervisor.post([bench.task("file")])
    bench.producer.close()
    assert bench.chunker.run_once()
    with pytest.raises(PeerGoneError):
        bench.chunker.run_once()
    assert bench.supervisor.receive(wait=False) == ()


def test_many_small_files(bench: Bench) -> None:
    for number in range(300):
        (bench.top / f"{number}").write_bytes(b"%d" % number)
    reports, passed = bench.run(*(bench.task(f"{number}") for number in range(300)))
    assert files_read(reports) == list(range(1, 301))
    assert [message.token for message in passed if isinstance(message, RunReady)] == list(range(1, 301))
    assert bench.ring.used == 0


@pytest.mark.parametrize("run_bytes", [2 * CHUNK, CHUNK // 2], ids=["in one go", "in turn"])
def test_files_that_were_found_together_are_read_as_if_there_were_a_task_for_each(
    bench: Bench, run_bytes: int
) -> None:
    for number in range(10):
        (bench.top / f"{number}").write_bytes(bytes(number * 100))
    bench.chunker._run_bytes = run_bytes
    tasks = [bench.task(f"{number}") for number in range(10)]
    stamps = [FileStamp(status.st_ctime_ns, status.st_ino) for status in map(os.stat, sorted(bench.top.iterdir()))]
    os.chmod(bench.top / "3", 0o600)
    expected = bench.run(*tasks)
    together = FilesTask(1, [task.version for task in tasks], stamps, CHUNK, "now", is_asked=True)
    assert list(each_task(together)) == [
        msgspec.structs.replace(task, stamp=stamp) for task, stamp in zip(tasks, stamps)
    ]
    os.remove(bench.top / "7")
    reports, passed = bench.run(together)
    assert sorted(files_read(reports)) == [*range(1, 8), 9, 10]
    assert [message.token for message in reports if isinstance(message, FileUnreadable)] == [8]
    digests = {message.token: message.xxh3_64 for message in expected[1] if isinstance(message, RunReady)}
    for message in passed:
        assert isinstance(message, (RunReady, SpaceAbandoned))
        if isinstance(message, RunReady):
            assert message.xxh3_64 == digests[message.token]


@pytest.mark.parametrize("size", [CHUNK, 60 * CHUNK], ids=["small", "large"])
def test_of_a_file_that_was_in_use_before_it_was_read_nothing_is_passed_on(bench: Bench, size: int) -> None:
    (bench.top / "file").write_bytes(bytes(size))
    task = msgspec.structs.replace(bench.task("file"), is_asked=False)
    with open(bench.top / "file", "r+b"):
        reports, passed = bench.run(task)
    status = os.stat(bench.top / "file")
    stamp = FileStamp(status.st_ctime_ns, status.st_ino)
    assert reports == [FileChanged(1, task.version, being_written=True, stamp=stamp, is_untouched=True)]
    assert passed == []
    assert bench.ring.used == 0


def test_a_file_that_changed_after_a_part_of_it_was_passed_on_is_not_untouched(bench: Bench) -> None:
    (bench.top / "file").write_bytes(bytes(60 * CHUNK))
    bench.supervisor.post([msgspec.structs.replace(bench.task("file"), is_asked=False)])
    assert bench.chunker.run_once()
    with open(bench.top / "file", "ab") as file:
        file.write(b"more")
        file.flush()
        reports, _ = bench.run()
        while not reports:
            assert bench.chunker.run_once()
            reports = list(bench.supervisor.receive(wait=False))
    (changed,) = reports
    assert isinstance(changed, FileChanged)
    assert (changed.being_written, changed.is_untouched) == (True, False)


def test_large_files_take_turns(bench: Bench) -> None:
    for number in range(6):
        (bench.top / f"{number}").write_bytes(bytes(60 * CHUNK))
    (bench.top / "small").write_bytes(b"x")
    tasks = [bench.task(f"{number}") for number in range(6)]
    reports, passed = bench.run(*tasks, bench.task("small"))
    assert reports[0] == FilesRead((7,))
    order = [message.token for message in passed if isinstance(message, RunReady) and message.token < 7]
    assert set(order[:4]) == {1, 2, 3, 4}
    assert sorted(files_read(reports[1:])) == list(range(1, 7))


def test_a_file_with_a_lease_of_another_program_is_not_waited_for(bench: Bench) -> None:
    (bench.top / "file").write_bytes(b"content")
    (bench.top / "other").write_bytes(b"content")
    with leased(bench.top / "file", hold_s=60):
        reports, _ = bench.run(bench.task("file"), bench.task("other"))
    lease_s = float(Path("/proc/sys/fs/lease-break-time").read_text())
    (unreadable,) = (report for report in reports if isinstance(report, FileUnreadable))
    assert (unreadable.token, unreadable.gone) == (1, False)
    assert "lease of another program" in unreadable.reason
    assert unreadable.lease_s > lease_s
    assert files_read(reports) == [2]


def test_the_content_is_compared_if_a_digest_is_known(bench: Bench) -> None:
    (bench.top / "file").write_bytes(b"content")
    same = bench.task("file", known=xxhash.xxh3_128_hexdigest(b"content"))
    other = bench.task("file", known=xxhash.xxh3_128_hexdigest(b"contents"))
    reports, passed = bench.run(same, other)
    status = (bench.top / "file").stat()
    stamp = FileStamp(status.st_ctime_ns, status.st_ino)
    assert reports == [FileUnchanged(1), FileChanged(2, other.version, False, stamp)]
    assert passed == []


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
    reports, passed = bench.run(*tasks)
    gone = [message for message in reports if isinstance(message, FileUnreadable) and message.gone]
    assert [message.token for message in gone] == [1, 2, 3]
    assert isinstance(reports[3], FileChanged)
    assert reports[3].version.size == 2
    assert passed == []


def test_a_file_that_cannot_be_read_to_its_end_is_dropped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, without a success in between: what it reserved in the ring is released each time."""
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
        reports, passed = bench.run(bench.task("bad"))
        assert reports == [FileUnreadable(token, False, "Input/output error")]
        assert passed[-1] == FileDropped(token)
    reports, _ = bench.run(bench.task("good"))
    assert reports == [FilesRead((21,))]


def test_a_full_ring_is_waited_for(tmp_path: Path) -> None:
    """A thread does the producer's part: it frees what it receives."""
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
        while not (reports := bench.supervisor.receive(wait=False)):
            assert bench.chunker.run_once()
        thread.join()
    assert reports == [FilesRead((1,))]
    assert sum(run.n_chunks for run in received) == 300


def test_what_a_dead_chunker_reserved_is_free_again(tmp_path: Path) -> None:
    """It may have filled the ring with what it had not passed on, which nothing else would free."""
    (tmp_path / "file").write_bytes(bytes(CHUNK))
    with contextlib.closing(Bench(tmp_path, capacity=2 * CHUNK)) as bench:
        assert bench.ring.reserve(CHUNK)
        assert bench.ring.reserve(CHUNK)
        bench.ring.set_waiting(True)
        bench.start()
        assert not bench.ring.free(0), "its successor seems to wait"
        bench.chunker._flush()
        assert bench.take_runs() == [SpaceAbandoned(2 * CHUNK)]
        reports, _ = bench.run(bench.task("file"))
    assert reports == [FilesRead((1,))]


@pytest.mark.parametrize("size", [0, 10 * CHUNK, 60 * CHUNK])
def test_for_openmsistream_the_digest_of_the_file_comes_first(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    with contextlib.closing(Bench(tmp_path, wire=OPENMSISTREAM)) as bench:
        reports, runs = bench.run(bench.task("file"))
    assert reports == [FilesRead((1,))]
    starts = [run.file for run in runs if isinstance(run, RunReady) and run.file is not None]
    assert [start.sha512 for start in starts] == [hashlib.sha512(data).digest()]
    assert sum(run.length for run in runs if isinstance(run, RunReady)) == size


def test_it_exits_when_asked_to(bench: Bench) -> None:
    bench.supervisor.post([Stop()])
    assert not bench.chunker.run_once()


def test_a_canary_is_passed_on_and_one_that_is_gone_is_not(bench: Bench) -> None:
    logs = LogsFolder(str(bench.top), "topic")
    os.mkdir(logs.path)
    Path(logs.canary).write_bytes(b"tweet")
    chunker = Chunker(
        bench._to_supervisor, bench._to_producer, bench.ring, bench.dir_fd, bench.wire, DEFAULT_LINKS, logs
    )
    for number in (1, 2):
        bench.supervisor.post([CanaryTask(number, 0)])
        assert chunker.run_once()
        Path(logs.canary).unlink(missing_ok=True)
    chunker._flush()
    assert bench.producer.receive(wait=False) == [CanaryRead(1, 0, b"tweet")]
    logs.close()
