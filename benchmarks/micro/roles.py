"""What one small file costs each process in Python: python -m benchmarks.micro.roles.

One thread drives the real parts of an upload one after another; each gets what the one before it has produced.
A stub that acknowledges every message takes the place of librdkafka.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.datasets import KIB, Dataset, make
from benchmarks.micro.timing import show
from dfud.core.names import UploadFilter
from dfud.files.scan import WatchedTree
from dfud.logs.completed.recorded import RecordedVersions
from dfud.logs.completed.shards import ShardWriter
from dfud.logs.layout import LogsFolder
from dfud.logs.times import IsoClock
from dfud.messages import FilesCompleted, FilesFound, FilesRead, Message
from dfud.processes import links
from dfud.processes.packing import pack
from dfud.uploading.chunker import Chunker
from dfud.uploading.file_reports import FileReports
from dfud.uploading.last_ack import LastAck
from dfud.uploading.ledger import Ledger
from dfud.uploading.producer import ProducerSettings, ProducerWorker
from dfud.uploading.reporter import UploadReporter
from dfud.uploading.ring import Ring
from dfud.uploading.wire import NATIVE
from dfud.watch.before import FilesLeftBefore
from dfud.watch.file_systems import FileSystems, read_mountinfo
from dfud.watch.inspector import Inspector
from dfud.watch.once import OnceSource
from dfud.watch.readiness import Readiness
from dfud.watch.together import together

_FILES = 20_000
_CHUNK = 16384
_BATCH = 256  # messages, as the watcher sends them


class _Sink:
    """A channel without another end: it packs what is sent, and keeps the packets."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self._socket = socket.socket()

    def send(self, batch: Sequence[Message]) -> None:
        if batch:
            self.packets.append(pack(batch))

    post = send

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self, wait: bool = True) -> Sequence[Message]:
        return ()


class _Delivered:
    """A message that was delivered."""

    def __init__(self, length: int, offset: int) -> None:
        self._length = length
        self._offset = offset

    def __len__(self) -> int:
        return self._length

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def latency(self) -> float:
        return 0.001


class _Acknowledger:
    """A producer that accepts every message, and acknowledges all of them at the next poll."""

    def __init__(self) -> None:
        self._reports: list[tuple[Callable[..., None], int]] = []
        self._offset = 0  # of the next message

    def __len__(self) -> int:
        return len(self._reports)

    def produce(
        self, topic: str, value: bytes, key: bytes, partition: int, on_delivery: Callable[..., None], *more: Any
    ) -> None:
        self._reports.append((on_delivery, len(value)))

    def poll(self, seconds: float) -> int:
        reports, self._reports = self._reports, []
        for report, length in reports:
            report(None, _Delivered(length, self._offset))
            self._offset += 1
        return len(reports)


def _timed(name: str, do: Callable[[], Any]) -> Any:
    began = time.thread_time()
    made = do()
    show(name, (time.thread_time() - began) / _FILES * 1e6)
    return made


def _watch(tree: WatchedTree) -> list[bytes]:
    sink, batch = _Sink(), []
    file_systems = FileSystems(tree.directory, read_mountinfo())
    inspector = Inspector(tree, Readiness(), file_systems.traits, asks_all=False)
    before = FilesLeftBefore(lambda messages: None, lambda n_files: "")
    for file in OnceSource(tree, inspector, before).ready_files():
        if file is not None:
            batch.append(file)
        if len(batch) >= _BATCH:
            sink.send(list(together(batch)))
            batch = []
    sink.send(list(together(batch)))
    return sink.packets


def _find(ledger: Ledger, reporter: UploadReporter, packets: list[bytes]) -> list[bytes]:
    """Enqueue the files, and make a task for each, as many at a time as a chunker gets."""
    sink = _Sink()
    for packet in packets:
        for message in links.WATCHER.decode_up(packet):
            assert isinstance(message, FilesFound)
            cohort = ledger.on_found_together(message.versions, message.stamps, message.is_asked)
            assert cohort is not None
            reporter.on_enqueued_together(message.versions, cohort.chunk_size, time.monotonic())
        tasks = [task for _, task in ledger.dispatch_together()]
        sink.send(tasks)
        for task in tasks:
            for token in range(task.first, task.first + len(task.versions)):
                ledger.mark_read(token)
    return sink.packets


def _read(chunker: Chunker, packets: list[bytes]) -> None:
    for packet in packets:
        for task in links.CHUNKER.decode_down(packet):
            chunker._on_message(task)
    while chunker._small:
        chunker._read_small(chunker._small.popleft())
    chunker._flush()


def _produce(lane: ProducerWorker, packets: list[bytes]) -> None:
    for packet in packets:
        for message in links.LANE.decode_down(packet):
            lane._from_chunker(message)
        lane._sender.produce()
        lane._sender.poll(is_idle=False)
        lane._files.write_due(time.monotonic(), hurry=False)
    lane._files.write_all(time.monotonic())


def _complete(reports: FileReports, read: list[bytes], completed: list[bytes]) -> None:
    for packet in read:
        for report in links.CHUNKER.decode_up(packet):
            assert isinstance(report, FilesRead)
            reports.on_read(report)
    for packet in completed:
        for message in links.PRODUCER.decode_up(packet):
            if isinstance(message, FilesCompleted):
                reports.on_completed(message)


def main() -> None:
    """Run the benchmark."""
    gc.disable()  # as in the processes of an upload, nearly
    with tempfile.TemporaryDirectory() as work:
        folder = make(Dataset(_FILES, KIB), Path(work))
        logs = LogsFolder(work, "topic")
        os.makedirs(logs.path)
        tree = WatchedTree(os.fsencode(folder), UploadFilter())
        recorded = RecordedVersions()
        ledger = Ledger(_CHUNK, 1, recorded, IsoClock())
        log = logging.getLogger("benchmark")
        reporter = UploadReporter(log)
        context: Any = SimpleNamespace(ledger=ledger, completed=recorded, log=log)
        ring = Ring(2 * _FILES * KIB)
        to_supervisor, to_producer, from_producer = _Sink(), _Sink(), _Sink()
        chunker = Chunker(to_supervisor, to_producer, ring, tree.dir_fd, NATIVE)  # type: ignore[arg-type]
        lane = ProducerWorker(
            from_producer, _Sink(), ring, ShardWriter(logs, 0, 1),  # type: ignore[arg-type]
            ProducerSettings("topic", {}, True, NATIVE, LastAck()),
            lambda properties: _Acknowledger(),  # type: ignore[arg-type,return-value]
        )  # fmt: skip

        found = _timed("watcher: list, stat, report", lambda: _watch(tree))
        tasks = _timed("supervisor: detect, enqueue, dispatch", lambda: _find(ledger, reporter, found))
        _timed("chunker: open, read, lease, hash, close, report", lambda: _read(chunker, tasks))
        _timed("producer: messages, acknowledgements, rows", lambda: _produce(lane, to_producer.packets))
        read, completed = to_supervisor.packets, from_producer.packets
        reports = FileReports(context, reporter, lambda path, is_found: None)
        _timed("supervisor: read, complete", lambda: _complete(reports, read, completed))
        assert len(recorded) == reporter.completed_files == _FILES


if __name__ == "__main__":
    main()
