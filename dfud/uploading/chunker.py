"""The chunker process: reads files into the ring of its lane and tells the producer of it."""

from __future__ import annotations

import errno
import select
from collections import deque

from dfud.core.chunking import count_chunks
from dfud.messages import (
    ChunkerToProducer,
    FileChanged,
    FileDropped,
    FilesRead,
    FileTask,
    FileUnchanged,
    FileUnreadable,
    FromChunker,
    ProducerToChunker,
    RunReady,
    SpaceAbandoned,
    Stop,
    ToChunker,
)
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker
from dfud.uploading.file_reader import MAX_CHUNKS_PER_RUN, FileReader, VersionChangedError
from dfud.uploading.ring import Ring
from dfud.uploading.wire import WireFormat

RUN_BYTES = 1 << 20  # the most that is read at once
_BATCH_MESSAGES = 64
_LARGE_AT_ONCE = 4  # files of more than a run that are read in turn, so that none holds up the others
_GONE = (errno.ENOENT, errno.ENOTDIR)


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromChunker, ToChunker],
    to_producer: Channel[ChunkerToProducer, ProducerToChunker],
    ring: Ring,
    folder: int,
    wire: WireFormat,
) -> None:
    """Be the chunker process until told to leave; files are read below the open directory `folder`."""
    init_worker(name, supervisor_pid)
    chunker = Chunker(to_supervisor, to_producer, ring, folder, wire)
    try:
        while chunker.run_once():
            pass
    except PeerGoneError:
        return  # the supervisor sees which of us ended, and decides


class Chunker:
    """Responsible for the files that it is given, each from its first byte to its last."""

    def __init__(
        self,
        to_supervisor: Channel[FromChunker, ToChunker],
        to_producer: Channel[ChunkerToProducer, ProducerToChunker],
        ring: Ring,
        folder: int,
        wire: WireFormat,
    ) -> None:
        self._supervisor = to_supervisor
        self._producer = to_producer
        self._ring = ring
        self._folder = folder
        self._wire = wire
        self._run_bytes = min(RUN_BYTES, ring.capacity // 4)
        self._small: deque[FileTask] = deque()
        self._large: deque[FileTask] = deque()
        self._open: deque[FileReader] = deque()
        self._runs: list[ChunkerToProducer] = []  # for the producer
        self._read: list[int] = []  # tokens of files, for the supervisor
        self._reports: list[FromChunker] = []  # for the supervisor
        # Before us there may have been a chunker that died.
        ring.set_waiting(False)
        if ring.used:
            self._runs.append(SpaceAbandoned(ring.reserved))

    def run_once(self) -> bool:
        """Take what tasks there are and do a bit of each; False when told to leave."""
        busy = bool(self._small or self._large or self._open)
        if not busy:
            self._flush()
        for message in self._supervisor.receive(wait=not busy):
            if isinstance(message, FileTask):
                large = message.version.size > self._run_bytes
                (self._large if large else self._small).append(message)
            elif isinstance(message, Stop):
                return False
        for _ in range(min(len(self._small), _BATCH_MESSAGES)):
            self._do_small(self._small.popleft())
        while self._large and len(self._open) < _LARGE_AT_ONCE:
            reading = self._begin(self._large.popleft())
            if reading is not None:
                self._open.append(reading)
        if self._open:
            reading = self._advance(self._open.popleft())
            if reading is not None:
                self._open.append(reading)
            self._flush()
        return True

    def _do_small(self, task: FileTask) -> None:
        n_chunks = count_chunks(task.version.size, task.chunk_size)
        if task.to_send == ((1, n_chunks),) and n_chunks <= MAX_CHUNKS_PER_RUN:
            try:
                self._add_run(self._wire.reading.read_whole(task, self._ring, self._reserve, self._folder))
            except (OSError, VersionChangedError) as problem:
                self._fail(task, problem)
            else:
                self._read.append(task.token)
            return
        reading = self._begin(task)
        while reading is not None:
            reading = self._advance(reading)

    def _begin(self, task: FileTask) -> FileReader | None:
        try:
            return self._wire.reading(task, self._ring, self._run_bytes, self._folder)
        except (OSError, VersionChangedError) as problem:
            self._fail(task, problem)
            return None

    def _advance(self, reading: FileReader) -> FileReader | None:
        """Do one run; return the reading while more of the file is left."""
        task = reading.task
        try:
            ready = reading.step(self._reserve)
        except (OSError, VersionChangedError) as problem:
            reading.close()
            if not task.known_digest:
                self._runs.append(FileDropped(task.token))
            self._fail(task, problem)
            return None
        if ready is None:
            return reading
        if not task.known_digest:
            self._add_run(ready)
        if not ready.xxh3_128:
            return reading
        reading.close()
        if not task.known_digest:
            self._read.append(task.token)
        elif task.known_digest == ready.xxh3_128:
            self._report(FileUnchanged(task.token))
        else:
            self._report(FileChanged(task.token, task.version, being_written=False))
        return None

    def _fail(self, task: FileTask, problem: OSError | VersionChangedError) -> None:
        if isinstance(problem, VersionChangedError):
            self._report(FileChanged(task.token, problem.version, problem.being_written))
        else:
            gone = problem.errno in _GONE
            self._report(FileUnreadable(task.token, gone, problem.strerror or str(problem)))

    def _reserve(self, length: int) -> tuple[int, int]:
        room = self._ring.reserve(length)
        if room is None:
            self._flush()
            self._ring.set_waiting(True)
            while (room := self._ring.reserve(length)) is None:
                # The producer wakes us with a packet; the time-out only covers a processor that lets its store of
                # the counter and our store of the flag pass each other.
                select.select([self._producer], [], [], 0.5)
                self._producer.receive(wait=False)
            self._ring.set_waiting(False)
        return room

    def _add_run(self, run: RunReady) -> None:
        self._runs.append(run)
        if len(self._runs) >= _BATCH_MESSAGES:
            self._flush()

    def _report(self, report: FromChunker) -> None:
        self._reports.append(report)

    def _flush(self) -> None:
        # The producer first: the supervisor may only hear that a file is read once the producer has it.
        if self._runs:
            self._producer.send(self._runs)
            self._runs = []
        if self._read:
            self._reports.append(FilesRead(tuple(self._read)))
            self._read = []
        if self._reports:
            self._supervisor.send(self._reports)
            self._reports = []
