"""The chunker process: reads files into the ring of its lane and passes the chunks to the producer."""

from __future__ import annotations

import contextlib
import errno
import select
from collections import deque

from dfud.core.chunking import count_chunks
from dfud.files.lease_break import lease_break_s
from dfud.files.links import LinkPolicy
from dfud.files.openat import DEFAULT_LINKS
from dfud.logs.layout import LogsFolder
from dfud.messages import (
    CanaryRead,
    CanaryTask,
    ChunkerToProducer,
    FileChanged,
    FileDropped,
    FilesRead,
    FilesTask,
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
from dfud.uploading.cohorts import each_task
from dfud.uploading.file_reader import MAX_CHUNKS_PER_RUN, FileReader, VersionChangedError
from dfud.uploading.ring import Ring
from dfud.uploading.wire import WireFormat

MAX_RUN_BYTES = 1 << 20  # that are read at once
_BATCH_MESSAGES = 256
_MAX_OPEN_FILES = 4  # of more than one run, read in turn so that none holds up the others
_MAX_CANARY_BYTES = 4096
_RESERVE_RETRY_INTERVAL_S = 0.5
_GONE = (errno.ENOENT, errno.ENOTDIR)
_LEASED = "it is held by a lease of another program (a file server's oplock?)"


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromChunker, ToChunker],
    to_producer: Channel[ChunkerToProducer, ProducerToChunker],
    ring: Ring,
    dir_fd: int,
    wire: WireFormat,
    links: LinkPolicy,
    logs: LogsFolder,
    run_bytes: int,
) -> None:
    """Run the chunker process until it is asked to exit; files are read below the open directory `dir_fd`."""
    init_worker(name, supervisor_pid)
    chunker = Chunker(to_supervisor, to_producer, ring, dir_fd, wire, links, logs, run_bytes)
    try:
        while chunker.run_once():
            pass
    except PeerGoneError:
        return  # the supervisor sees which process ended, and decides


class Chunker:
    """Responsible for reading the files of its tasks, each from the first byte to the last."""

    def __init__(
        self,
        to_supervisor: Channel[FromChunker, ToChunker],
        to_producer: Channel[ChunkerToProducer, ProducerToChunker],
        ring: Ring,
        dir_fd: int,
        wire: WireFormat,
        links: LinkPolicy = DEFAULT_LINKS,
        logs: LogsFolder | None = None,
        run_bytes: int = MAX_RUN_BYTES,
    ) -> None:
        """`dir_fd` is the open directory that the paths of the tasks are relative to; `logs` has the canary.

        At most `run_bytes` are read at once.
        """
        self._supervisor = to_supervisor
        self._producer = to_producer
        self._ring = ring
        self._dir_fd = dir_fd
        self._wire = wire
        self._links = links
        self._logs = logs
        self._run_bytes = min(run_bytes, ring.capacity // 4)
        self._small: deque[FileTask] = deque()  # files of at most one run
        self._large: deque[FileTask] = deque()
        self._open: deque[FileReader] = deque()
        # What the next flush sends:
        self._runs: list[ChunkerToProducer] = []
        self._files_read: list[int] = []  # tokens
        self._reports: list[FromChunker] = []
        # A chunker that died may have used the ring before.
        ring.set_waiting(False)
        if ring.used:
            self._runs.append(SpaceAbandoned(ring.reserved))

    def run_once(self) -> bool:
        """Receive tasks and do a part of each; return False when asked to exit."""
        busy = bool(self._small or self._large or self._open)
        if not busy:
            self._flush()
        for message in self._supervisor.receive(wait=not busy):
            if isinstance(message, Stop):
                return False
            self._on_message(message)
        for _ in range(min(len(self._small), _BATCH_MESSAGES)):
            self._read_small(self._small.popleft())
        while self._large and len(self._open) < _MAX_OPEN_FILES:
            reader = self._open_file(self._large.popleft())
            if reader is not None:
                self._open.append(reader)
        if self._open:
            reader = self._open.popleft()
            if self._read_run(reader):
                self._open.append(reader)
            self._flush()
        return True

    def _on_message(self, message: ToChunker) -> None:
        if isinstance(message, FileTask):
            self._add_task(message)
        elif isinstance(message, FilesTask):
            for task in each_task(message):
                self._add_task(task)
        elif isinstance(message, CanaryTask):
            self._read_canary(message)

    def _add_task(self, task: FileTask) -> None:
        (self._large if task.version.size > self._run_bytes else self._small).append(task)

    def _read_small(self, task: FileTask) -> None:
        n_chunks = count_chunks(task.version.size, task.chunk_size)
        if task.to_send == ((1, n_chunks),) and n_chunks <= MAX_CHUNKS_PER_RUN:
            try:
                run = self._wire.reading.read_whole(task, self._ring, self._reserve, self._dir_fd)
            except VersionChangedError as error:
                self._report_failure(task, error, is_untouched=True)
                return
            except OSError:
                pass  # it may be a link; the other way finds out what is wrong
            else:
                self._add_run(run)
                self._files_read.append(task.token)
                return
        reader = self._open_file(task)
        while reader is not None and self._read_run(reader):
            pass

    def _read_canary(self, task: CanaryTask) -> None:
        if self._logs is not None:
            with contextlib.suppress(OSError):  # it will not come round, which the supervisor notices
                self._logs.reopen()
                with self._logs.open_to_read(self._logs.canary) as file:
                    self._add_run(CanaryRead(task.number, task.lane, file.read(_MAX_CANARY_BYTES)))

    def _open_file(self, task: FileTask) -> FileReader | None:
        try:
            return self._wire.reading(task, self._ring, self._run_bytes, self._dir_fd, self._links)
        except (OSError, VersionChangedError) as error:
            self._report_failure(task, error, is_untouched=True)
            return None

    def _read_run(self, reader: FileReader) -> bool:
        """Read one run; return whether there is more to read. Otherwise the file is closed and reported."""
        task = reader.task
        try:
            run = reader.step(self._reserve)
        except (OSError, VersionChangedError) as error:
            reader.close()
            if not task.known_digest:
                self._runs.append(FileDropped(task.token))
            self._report_failure(task, error)
            return False
        if run is None:
            return True
        if not task.known_digest:
            self._add_run(run)
        if not run.xxh3_128:
            return True
        reader.close()
        if not task.known_digest:
            self._files_read.append(task.token)
        elif task.known_digest == run.xxh3_128:
            self._reports.append(FileUnchanged(task.token))
        else:
            self._reports.append(FileChanged(task.token, task.version, False, reader.stamp))
        return False

    def _report_failure(
        self, task: FileTask, error: OSError | VersionChangedError, is_untouched: bool = False
    ) -> None:
        if isinstance(error, VersionChangedError):
            found = error.version, error.being_written, error.stamp
            self._reports.append(FileChanged(task.token, *found, is_untouched))
        elif error.errno == errno.EAGAIN:
            self._reports.append(FileUnreadable(task.token, False, _LEASED, lease_break_s()))
        else:
            gone = error.errno in _GONE
            self._reports.append(FileUnreadable(task.token, gone, error.strerror or str(error)))

    def _reserve(self, length: int) -> tuple[int, int]:
        """Reserve bytes in the ring, waiting until the producer has freed enough."""
        room = self._ring.reserve(length)
        if room is None:
            self._flush()
            self._ring.set_waiting(True)
            while (room := self._ring.reserve(length)) is None:
                # The producer wakes us with a packet. The timeout covers the one case in which it does not: the
                # processor reordered its store to the counter and our store to the flag.
                select.select([self._producer], [], [], _RESERVE_RETRY_INTERVAL_S)
                self._producer.receive(wait=False)
            self._ring.set_waiting(False)
        return room

    def _add_run(self, run: RunReady | CanaryRead) -> None:
        self._runs.append(run)
        if len(self._runs) >= _BATCH_MESSAGES:
            self._flush()

    def _flush(self) -> None:
        # The producer first: the supervisor must not learn that a file was read before the producer has it.
        if self._runs:
            self._producer.send(self._runs)
            self._runs = []
        if self._files_read:
            self._reports.append(FilesRead(tuple(self._files_read)))
            self._files_read = []
        if self._reports:
            self._supervisor.send(self._reports)
            self._reports = []
