"""dfud from Python: the commands as functions, and a topic's files as an iterator.

Kafka is imported only by what uses it, so that ``import dfud`` stays cheap.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Union

from dfud.core.assembly import Assembly
from dfud.errors import EXIT_LOCKED, EXIT_USAGE, DfudError, LockedError, UsageError

if TYPE_CHECKING:
    from dfud.core.chunk import Chunk

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_SPOOL_BYTES = 8 << 20  # of a file in memory; what is larger goes to a temporary file
_IDLE_TIMEOUT_S = 0.25
_ERRORS: dict[int, type[DfudError]] = {EXIT_USAGE: UsageError, EXIT_LOCKED: LockedError}


class TopicFile(NamedTuple):
    """A file of a topic, whole and right."""

    path: str  # relative, "/"-separated; bytes that are not UTF-8 are surrogates, as `os.fsdecode` has them
    size: int  # bytes
    mtime_ns: int | None  # nanoseconds since 1970-01-01 UTC; None where the sender has not told it
    digest: str  # "xxh3_128:…" or "sha512:…", in hex digits
    file: IO[bytes]  # open at its start, valid until the next one is asked for


def upload(
    directory: Path,
    config: Path,
    topic_name: str,
    *,
    once: bool = True,
    upload_existing: bool = False,
    n_threads: int = 2,
    upload_regex: str | None = None,
    chunk_size: int = 16384,
    queue_max_size: float = 500,
    update_seconds: float = -1,
    use_polling_observer: bool = False,
    logger_stream_level: str | int = "warning",
    logger_file_level: str | int = "info",
    logger_file_path: Path | None = None,
) -> None:
    """Upload the files of `directory` to a topic; return when all is there.

    Does what ``dfud upload`` does, in a process of its own, and with its options. With `once` off it goes on until
    KeyboardInterrupt, which ends it in an orderly way and is raised again. Raises UsageError for what can't be,
    LockedError where another upload is running, and DfudError where some files could not be delivered: their
    names are in the error's text.
    """
    options: dict[str, Any] = {
        "once": once,
        "upload_existing": upload_existing,
        "n_threads": n_threads,
        "upload_regex": upload_regex,
        "chunk_size": chunk_size,
        "queue_max_size": queue_max_size,
        "update_seconds": update_seconds,
        "use_polling_observer": use_polling_observer,
        "logger_stream_level": logger_stream_level,
        "logger_file_level": logger_file_level,
        "logger_file_path": logger_file_path,
    }
    _run("upload", directory, config, topic_name, options)


def download(
    directory: Path,
    config: Path,
    topic_name: str,
    *,
    once: bool = True,
    n_threads: int = 2,
    download_regex: str | None = None,
    consumer_group_id: str | None = None,
    update_seconds: float = -1,
    logger_stream_level: str | int = "warning",
    logger_file_level: str | int = "info",
    logger_file_path: Path | None = None,
) -> None:
    """Rebuild the files of a topic below `directory`; return when what is on the topic has been read.

    Does what ``dfud download`` does, in a process of its own, and with its options. With `once` off it goes on
    until KeyboardInterrupt, which ends it in an orderly way and is raised again. Raises UsageError for what can't
    be, LockedError where another download is running, and DfudError where some files are not in their place.
    """
    options: dict[str, Any] = {
        "once": once,
        "n_threads": n_threads,
        "download_regex": download_regex,
        "consumer_group_id": consumer_group_id,
        "update_seconds": update_seconds,
        "logger_stream_level": logger_stream_level,
        "logger_file_level": logger_file_level,
        "logger_file_path": logger_file_path,
    }
    _run("download", directory, config, topic_name, options)


def _run(command: str, directory: Path, config: Path, topic_name: str, options: dict[str, Any]) -> None:
    """Run a command; a process of its own leaves the caller's signals, threads and Kafka clients alone."""
    words = [
        sys.executable,
        "-m",
        "dfud",
        command,
        f"--config={os.fsdecode(config)}",
        f"--topic_name={topic_name}",
    ]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value is not None and value is not False:
            words.append(f"--{name}={os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else value}")
    process = subprocess.Popen(
        [*words, "--", os.fsdecode(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is ours to pass on
    )
    try:
        output = _last_lines(process)
        status = process.wait()
    except BaseException:
        process.send_signal(signal.SIGTERM)
        process.communicate()
        raise
    if status:
        raise _ERRORS.get(status, DfudError)(output or f"dfud {command} ended with status {status}")


def _last_lines(process: subprocess.Popen[bytes]) -> str:
    """Show what a process puts out, and return the last of it."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        text = line.decode("utf-8", "replace").rstrip("\n")
        print(text, flush=True)
        lines = [*lines[-19:], text]
    process.stdout.close()
    return "\n".join(lines)


def read_files(
    config: Path,
    topic: str,
    *,
    follow: bool = False,
    consumer_group_id: str | None = None,
    spool_bytes: int = _SPOOL_BYTES,
) -> Iterator[TopicFile]:
    """Give the files of a topic, each as soon as it is whole and its digest is right, from the topic's start.

    Ends with what is on the topic at the start; with `follow` it goes on for ever. A file that is on the topic in
    several versions is given as often. With a `consumer_group_id` that has committed offsets it begins there;
    nothing is committed here. No more than `spool_bytes` of a file are held in memory.

    >>> for path, size, mtime_ns, digest, file in read_files("kafka.config", "scans"):  # doctest: +SKIP
    ...     print(path, size, file.read(4))
    """
    from dfud.core.chunk import BadMessageError, ForeignMessageError
    from dfud.core.decode import read_chunk

    files: dict[bytes, _Gathered] = {}
    try:
        for message in _messages(config, topic, follow, consumer_group_id):
            try:
                piece = read_chunk(message.key(), message.value(), message.headers())
            except (ForeignMessageError, BadMessageError):
                continue
            identity = piece.identity()
            gathered = files.get(identity)
            if gathered is None:
                gathered = files[identity] = _Gathered(piece, spool_bytes)
            try:
                is_whole = gathered.add(piece)
            except OSError as problem:
                if problem.errno not in (errno.EFBIG, errno.EINVAL):
                    raise
                files.pop(identity).file.close()  # no file system holds what it claims
                continue
            if is_whole:
                del files[identity]
                if gathered.is_right():
                    yield gathered.result(piece)
                gathered.file.close()
    finally:
        for gathered in files.values():
            gathered.file.close()


class _Gathered:
    """The chunks of one version of a file."""

    def __init__(self, piece: Chunk, spool_bytes: int) -> None:
        self.file = tempfile.SpooledTemporaryFile(spool_bytes)  # noqa: SIM115 (closed by whoever holds us)
        self.assembly = Assembly(piece.algorithm, piece.size)

    def add(self, piece: Chunk) -> bool:
        """Add a chunk; tell whether all are there."""
        assembly = self.assembly
        assembly.digest = piece.digest or assembly.digest
        if assembly.size is None:
            assembly.size = piece.size
        if piece.data:
            if piece.offset > self._end():  # a gap in memory is a gap that is filled: leave it to the disk
                self.file.rollover()
            self.file.seek(piece.offset)
            self.file.write(piece.data)
            assembly.add(piece.offset, piece.data)
        return assembly.is_whole or (assembly.size == 0 and bool(assembly.digest))

    def _end(self) -> int:
        return self.file.seek(0, os.SEEK_END) or self.file.tell()

    def is_right(self) -> bool:
        def read(length: int, offset: int) -> bytes:
            self.file.seek(offset)
            return self.file.read(length)

        return self.assembly.verify(read)

    def result(self, piece: Chunk) -> TopicFile:
        self.file.seek(0)
        size = self.assembly.size or 0
        digest = f"{piece.algorithm}:{self.assembly.digest}"
        return TopicFile(os.fsdecode(piece.path), size, piece.mtime_ns, digest, self.file)


def _messages(config: Path, topic: str, follow: bool, group: str | None) -> Iterator[Any]:
    """Yield the messages of a topic, those of each partition in order."""
    from confluent_kafka import Consumer, KafkaException

    from dfud.kafka.config import read_config
    from dfud.kafka.partition_reader import PartitionReader
    from dfud.kafka.properties import consumer_properties
    from dfud.kafka.topic_probe import TopicProbe
    from dfud.kafka.watermarks import ask_partitions

    config_path = os.fsdecode(config)
    properties = consumer_properties(read_config(config_path, "consumer"), group or "dfud-read")
    probe = TopicProbe(Consumer, topic, {**properties, "enable.partition.eof": not follow}, config_path)
    try:
        partitions = ask_partitions(probe, with_committed=group is not None)
        ends = None if follow else {number: each.end for number, each in partitions.items()}
        reader = PartitionReader(probe.client, topic, ends)
        reader.assign({number: max(each.start, each.committed) for number, each in partitions.items()})
        while not reader.is_done:
            batch = reader.read(_IDLE_TIMEOUT_S)
            yield from batch.messages
            for error in batch.errors:
                if not error.retriable():
                    raise DfudError(f"cannot read topic {topic}: {error.str()}") from KafkaException(error)
    finally:
        probe.client.close()
