"""The files of a topic as an iterator: ``dfud.read_files``."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from confluent_kafka import Consumer, KafkaException

from dfud.api import Path
from dfud.core.assembly import Assembly
from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.decode import read_chunk
from dfud.errors import DfudError
from dfud.kafka.config import read_config
from dfud.kafka.partition_reader import PartitionReader
from dfud.kafka.properties import consumer_properties
from dfud.kafka.topic_probe import TopicProbe
from dfud.kafka.watermarks import ask_partitions

_SPOOL_BYTES = 8 << 20  # of a file in memory; larger files go to a temporary file
_IDLE_TIMEOUT_S = 0.25  # to wait for a message


class TopicFile(NamedTuple):
    """A file of a topic, complete and intact."""

    path: str  # relative, "/"-separated; bytes that are not UTF-8 become surrogates, as by `os.fsdecode`
    size: int  # bytes
    mtime_ns: int | None  # nanoseconds since 1970-01-01 UTC; None if the sender did not state it
    digest: str  # "xxh3_128:…" or "sha512:…", in hex digits
    file: IO[bytes]  # open at its start, valid until the next file is requested


def read_files(
    config: Path,
    topic: str,
    *,
    follow: bool = False,
    consumer_group_id: str | None = None,
    spool_bytes: int = _SPOOL_BYTES,
) -> Iterator[TopicFile]:
    """Yield the files of a topic from its start, each as soon as it is complete and its digest is verified.

    This ends with what was on the topic when it began; with `follow` it never ends. A file that is on the topic in
    several versions is yielded once for each. If `consumer_group_id` has committed offsets, reading begins there;
    nothing is committed here. At most `spool_bytes` of each file are held in memory.

    >>> for path, size, mtime_ns, digest, file in read_files("kafka.config", "scans"):  # doctest: +SKIP
    ...     print(path, size, file.read(4))
    """
    files: dict[bytes, _SpooledFile] = {}  # by identity of their version
    try:
        for message in _messages(config, topic, follow, consumer_group_id):
            try:
                chunk = read_chunk(message.key(), message.value(), message.headers())
            except (ForeignMessageError, BadMessageError):
                continue
            identity = chunk.identity()
            spooled = files.get(identity)
            if spooled is None:
                spooled = files[identity] = _SpooledFile(chunk, spool_bytes)
            try:
                spooled.add(chunk)
            except OSError as error:
                if error.errno not in (errno.EFBIG, errno.EINVAL):
                    raise
                files.pop(identity).close()  # the message claims an offset that no file system supports
                continue
            if spooled.is_due(chunk) and spooled.verify():
                del files[identity]
                yield spooled.result(chunk)
                spooled.close()
    finally:
        for spooled in files.values():
            spooled.close()


class _SpooledFile:
    """The chunks of one version of a file, in memory or in a temporary file."""

    def __init__(self, chunk: Chunk, spool_bytes: int) -> None:
        """Begin with no chunk of the version that `chunk` is of."""
        self._file = tempfile.SpooledTemporaryFile(spool_bytes)  # noqa: SIM115 (our owner calls `close`)
        self._assembly = Assembly(chunk.algorithm, chunk.size)
        self._is_mixed = False  # all bytes were there, but not of one content: it is being sent again

    def close(self) -> None:
        """Delete the data."""
        self._file.close()

    def add(self, chunk: Chunk) -> None:
        """Add a chunk; OSError if it cannot be stored."""
        assembly = self._assembly
        assembly.digest = chunk.digest or assembly.digest
        if assembly.size is None:
            assembly.size = chunk.size
        if chunk.data:
            self._file.seek(0, os.SEEK_END)  # which returns nothing before Python 3.11
            if chunk.offset > self._file.tell():
                self._file.rollover()  # a gap takes memory, but no space on disk
            self._file.seek(chunk.offset)
            self._file.write(chunk.data)
            assembly.add(chunk.offset, chunk.data)

    def is_due(self, chunk: Chunk) -> bool:
        """Return whether the digest is to be verified, now that `chunk` was added."""
        return self._assembly.is_whole and (not self._is_mixed or chunk.number == chunk.n_chunks)

    def verify(self) -> bool:
        """Return whether the bytes have their digest."""

        def read(length: int, offset: int) -> bytes:
            self._file.seek(offset)
            return self._file.read(length)

        is_right = self._assembly.verify(read)
        if not is_right:
            self._is_mixed = True
            self._assembly.restart_hash()
        return is_right

    def result(self, chunk: Chunk) -> TopicFile:
        """Return the file, open at its start; `chunk` is any chunk of it."""
        self._file.seek(0)
        size = self._assembly.size or 0
        digest = f"{chunk.algorithm}:{self._assembly.digest}"
        return TopicFile(os.fsdecode(chunk.path), size, chunk.mtime_ns, digest, self._file)


def _messages(config: Path, topic: str, follow: bool, group: str | None) -> Iterator[Any]:
    """Yield the messages of a topic, those of each partition in order."""
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
