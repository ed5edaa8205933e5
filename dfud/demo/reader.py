"""Read a topic as an outsider would, from the description of the messages alone: nothing here is of dfud.

The judge of the demonstration and of the tests. It holds all messages in memory, and has no mercy: whatever
contradicts the description is an error.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import xxhash
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

TIMEOUT_S = 60.0
_NO_PROPERTIES: Mapping[str, str] = {}


class NotAsDescribed(AssertionError):
    """A message contradicts the description of the messages, another message, or its own digest."""


class Message(NamedTuple):
    """A message as it is on the topic."""

    key: bytes
    value: bytes | None  # None is a null value, which dfud never sends
    headers: dict[str, bytes]
    partition: int
    offset: int  # in the partition
    timestamp_ms: int = 0  # since 1970, as the topic's message.timestamp.type has it


@dataclass
class File:
    """One version of one file, as far as its chunks have been seen."""

    key: bytes
    upload_id: str
    size: int
    mtime_ns: int
    n_chunks: int
    chunks: dict[int, bytes] = field(default_factory=dict)  # by chunk number, 1-based
    offsets: dict[int, int] = field(default_factory=dict)  # byte offsets in the file, by chunk number
    order: list[int] = field(default_factory=list)  # chunk numbers as they came, duplicates too
    partitions: set[int] = field(default_factory=set)
    xxh3_128: str | None = None  # as the last chunk states it

    @property
    def duplicates(self) -> int:
        """How many messages repeated a chunk that had been seen."""
        return len(self.order) - len(self.chunks)

    @property
    def data(self) -> bytes:
        """The bytes of all chunks seen, in the order of their numbers."""
        return b"".join(self.chunks[number] for number in sorted(self.chunks))

    @property
    def complete(self) -> bool:
        """Tell whether all chunks are there and the digest of the whole matches."""
        return len(self.chunks) == self.n_chunks and xxhash.xxh3_128_hexdigest(self.data) == self.xxh3_128


def read_topic(
    bootstrap: str, topic: str, client: Mapping[str, str] = _NO_PROPERTIES, timeout: float = TIMEOUT_S
) -> list[Message]:
    """Return all messages up to the ends of the partitions as they are now, each partition in order.

    `client` holds further librdkafka properties.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            **client,
        }
    )
    try:
        return _read(consumer, topic, time.monotonic() + timeout)
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str, deadline: float) -> list[Message]:
    """Read what ``read_topic`` returns."""
    metadata = consumer.list_topics(topic, timeout=_left(deadline)).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    starts, ends = [], {}
    for number in metadata.partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_left(deadline))
        if high > low:
            starts.append(TopicPartition(topic, number, low))
            ends[number] = high
    if starts:
        consumer.assign(starts)
    messages = []
    while ends:
        # It waits for a thousand or for the time-out, whichever is first: a long one would only hold up the end.
        for record in consumer.consume(1000, timeout=min(0.05, _left(deadline))):
            number, offset, error = _number(record.partition()), _number(record.offset()), record.error()
            if error is not None:
                # The end of a partition is an event of its own: its last offset may hold no message at all
                # (a transaction's marker).
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                # A leader that is new may for a moment not know yet how far the partition may be read.
                if number in ends and offset >= ends[number]:
                    del ends[number]
            elif number in ends:
                if offset < ends[number]:
                    messages.append(_message(record))
                if offset >= ends[number] - 1:
                    del ends[number]
    messages.sort(key=lambda message: (message.partition, message.offset))
    return messages


def _message(record: KafkaMessage) -> Message:
    """Return the client's message as ours. Raises NotAsDescribed."""
    key, headers = record.key(), list(record.headers() or [])
    texts = {str(name): value for name, value in headers if isinstance(value, bytes)}
    _require(len(texts) == len(headers), f"{key!r}: a header twice, or a null one")
    _require(isinstance(key, bytes), "a message without a key")
    place = _number(record.partition()), _number(record.offset())
    return Message(key or b"", record.value(), texts, *place, record.timestamp()[1])


def _number(number: int | None) -> int:
    """Return what every record that was consumed has."""
    return -1 if number is None else number


def _left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises TimeoutError after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the topic could not be read in time")
    return left


class _Headers(NamedTuple):
    """A message's headers as what they stand for."""

    upload_id: str
    number: int  # of the chunk, 1-based
    n_chunks: int
    offset: int  # of the chunk in the file
    size: int  # of the file, like the next
    mtime_ns: int
    xxh3_64: str
    xxh3_128: str | None

    @classmethod
    def of(cls, message: Message) -> _Headers:
        try:
            text = {name: value.decode("ascii") for name, value in message.headers.items()}
            number, n_chunks = map(int, text["chunk"].split("/"))
            offset, size, mtime_ns = (int(text[name]) for name in ("offset", "size", "mtime_ns"))
            digests = text["xxh3_64"], text.get("xxh3_128")
            return cls(text["upload_id"], number, n_chunks, offset, size, mtime_ns, *digests)
        except (KeyError, ValueError) as error:
            raise NotAsDescribed(f"{message.key!r}: headers {message.headers}: {error!r}") from error


def rebuild(messages: Iterable[Message]) -> dict[bytes, dict[str, File]]:
    """Return the files by key and upload id, checking each message against the others and its digests.

    Raises NotAsDescribed. A file that lacks chunks is none of its reasons: see `File.complete`.
    """
    files: dict[bytes, dict[str, File]] = defaultdict(dict)
    for message in messages:
        upload_id, number, n_chunks, offset, size, mtime_ns, xxh3_64, xxh3_128 = _Headers.of(message)
        where = f"{message.key!r} chunk {number}/{n_chunks}"
        identity = b"%b\0%d\0%d" % (message.key, size, mtime_ns)
        _require(upload_id == xxhash.xxh3_64_hexdigest(identity), f"{where}: upload_id")
        _require(message.value is not None, f"{where}: a null value")
        _require(xxh3_64 == xxhash.xxh3_64_hexdigest(message.value or b""), f"{where}: xxh3_64")
        _require(1 <= number <= n_chunks, where)
        _require((xxh3_128 is not None) == (number == n_chunks), f"{where}: the whole's digest is on the last")
        file = files[message.key].setdefault(upload_id, File(message.key, upload_id, size, mtime_ns, n_chunks))
        _require(file.n_chunks == n_chunks, f"{where}: {file.n_chunks} chunks before")
        _add(file, number, offset, message, where)
        if xxh3_128 is not None:
            _require(file.xxh3_128 in (None, xxh3_128), f"{where}: two digests of the whole")
            file.xxh3_128 = xxh3_128
    for versions in files.values():
        for file in versions.values():
            _check(file)
    return dict(files)


def _add(file: File, number: int, offset: int, message: Message, where: str) -> None:
    """Add a chunk, which must be as it was if it was seen before."""
    value = message.value or b""
    _require(file.chunks.setdefault(number, value) == value, f"{where}: other bytes")
    _require(file.offsets.setdefault(number, offset) == offset, f"{where}: another offset")
    file.order.append(number)
    file.partitions.add(message.partition)


def _check(file: File) -> None:
    """Check that the file lies in one partition, and that neighbouring chunks meet."""
    _require(len(file.partitions) == 1, f"{file.key!r} is in partitions {sorted(file.partitions)}")
    for number, offset in file.offsets.items():
        end = offset + len(file.chunks[number])
        _require(end == file.offsets.get(number + 1, end), f"{file.key!r}: chunk {number} ends at {end}")
        _require(number != 1 or offset == 0, f"{file.key!r} begins at {offset}")
        _require(number != file.n_chunks or end == file.size, f"{file.key!r} ends at {end}")


def _require(condition: bool, otherwise: str) -> None:
    """Raise NotAsDescribed unless the condition holds."""
    if not condition:
        raise NotAsDescribed(otherwise)
