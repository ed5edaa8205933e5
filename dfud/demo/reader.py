"""Read a topic as a stranger would, by docs/messages.md alone: nothing here imports dfud.

The demonstration and the tests check uploads with it. It holds all messages in memory, and anything that
contradicts the description is an error.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import methodcaller
from typing import NamedTuple

import xxhash
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

TIMEOUT_S = 60.0
_RETRY_INTERVAL_S = 0.05
# A broker that has just started knows of its partitions before it leads them.
_UNLED = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_NO_PROPERTIES: Mapping[str, str] = {}


class NotAsDescribedError(AssertionError):
    """A message contradicts the description of the messages, another message, or its own digest."""


class Message(NamedTuple):
    """A message on the topic."""

    key: bytes
    value: bytes | None  # None is a null value, which dfud never sends
    headers: dict[str, bytes]
    partition: int
    offset: int  # in the partition
    timestamp_ms: int = 0  # since 1970, by the topic's message.timestamp.type


@dataclass
class File:
    """One version of a file, and the chunks of it that were read."""

    key: bytes
    upload_id: str
    size: int
    mtime_ns: int
    n_chunks: int
    chunks: dict[int, bytes] = field(default_factory=dict)  # by chunk number, 1-based
    offsets: dict[int, int] = field(default_factory=dict)  # byte offsets in the file, by chunk number
    order: list[int] = field(default_factory=list)  # chunk numbers in the order of arrival, with duplicates
    partitions: set[int] = field(default_factory=set)
    xxh3_128: str | None = None  # as stated by the last chunk

    @property
    def duplicates(self) -> int:
        """The number of messages that repeat a chunk."""
        return len(self.order) - len(self.chunks)

    @property
    def data(self) -> bytes:
        """The bytes of all chunks, in the order of their numbers."""
        return b"".join(self.chunks[number] for number in sorted(self.chunks))

    @property
    def complete(self) -> bool:
        """Return whether all chunks are there and the digest of the file matches."""
        return len(self.chunks) == self.n_chunks and xxhash.xxh3_128_hexdigest(self.data) == self.xxh3_128


def read_topic(
    bootstrap: str, topic: str, client: Mapping[str, str] = _NO_PROPERTIES, timeout: float = TIMEOUT_S
) -> list[Message]:
    """Return all messages up to the present ends of the partitions, by partition and offset.

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
    """Return the messages of the topic. Raises KafkaException and TimeoutError."""
    ends = _assign(consumer, topic, deadline)
    messages = []
    while ends:
        # `consume` waits for a thousand records or the timeout; a long one would only delay the end.
        for record in consumer.consume(1000, timeout=min(0.05, _remaining(deadline))):
            is_message, number, offset = _is_message(record), _number(record.partition()), _number(record.offset())
            if number not in ends:
                continue
            if is_message:
                if offset < ends[number]:
                    messages.append(_message(record))
                offset += 1
            # A new leader may, for a moment, not know yet how far the partition may be read.
            if offset >= ends[number]:
                del ends[number]
    messages.sort(key=lambda message: (message.partition, message.offset))
    return messages


def _assign(consumer: Consumer, topic: str, deadline: float) -> dict[int, int]:
    """Assign all partitions that are not empty; return their ends. Raises KafkaException and TimeoutError."""
    metadata = consumer.list_topics(topic, timeout=_remaining(deadline)).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    starts, ends = [], {}
    for number in metadata.partitions:
        low, high = _watermarks(consumer, TopicPartition(topic, number), deadline)
        if high > low:
            starts.append(TopicPartition(topic, number, low))
            ends[number] = high
    if starts:
        consumer.assign(starts)
    return ends


def _watermarks(consumer: Consumer, partition: TopicPartition, deadline: float) -> tuple[int, int]:
    """Return the first and the next offset, once the partition has a leader. Raises as `_assign` does."""
    while True:
        try:
            low, high = consumer.get_watermark_offsets(partition, timeout=_remaining(deadline))
            return low, high
        except KafkaException as error:
            if error.args[0].code() not in _UNLED:
                raise
            time.sleep(min(_RETRY_INTERVAL_S, _remaining(deadline)))


def _is_message(record: KafkaMessage) -> bool:
    """Return whether a record is a message and not the event of a partition's end. Raises KafkaException.

    The end is an event of its own, as the last offset may hold no message (but a transaction's marker).
    """
    error = record.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return error is None


# Unlike `record.headers()`, it fails whenever the client does: for a name that is not UTF-8.
_get_headers = methodcaller("headers")


def _message(record: KafkaMessage) -> Message:
    """Convert a message of the client. Raises NotAsDescribedError."""
    key = record.key()
    try:
        headers = list(_get_headers(record) or [])
    except (UnicodeDecodeError, SystemError):  # a name that is not UTF-8: it is another program's message
        headers = []
    texts = {str(name): value for name, value in headers if isinstance(value, bytes)}
    if _HEADERS & texts.keys():
        _require(len(texts) == len(headers), f"{key!r}: a header is repeated or null")
        _require(isinstance(key, bytes), "a message has no key")
    place = _number(record.partition()), _number(record.offset())
    return Message(key or b"", record.value(), texts, *place, record.timestamp()[1])


def _number(number: int | None) -> int:
    """Return the number, which every consumed record has."""
    return -1 if number is None else number


def _remaining(deadline: float) -> float:
    """Return the seconds until the deadline. Raises TimeoutError after it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("cannot read the topic in time")
    return seconds


class _Headers(NamedTuple):
    """The values in the headers of a message."""

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
        """Parse the headers. Raises NotAsDescribedError."""
        try:
            text = {name: value.decode("ascii") for name, value in message.headers.items()}
            number, n_chunks = map(int, text["chunk"].split("/"))
            offset, size, mtime_ns = (int(text[name]) for name in ("offset", "size", "mtime_ns"))
            digests = text["xxh3_64"], text.get("xxh3_128")
            return cls(text["upload_id"], number, n_chunks, offset, size, mtime_ns, *digests)
        except (KeyError, ValueError) as error:
            raise NotAsDescribedError(f"{message.key!r}: headers {message.headers}: {error!r}") from error


_HEADERS = frozenset(("upload_id", "chunk", "offset", "size", "mtime_ns", "xxh3_64", "xxh3_128"))


def rebuild(messages: Iterable[Message]) -> dict[bytes, dict[str, File]]:
    """Return the files by key and upload id; check each message against the others and its digests.

    A message that has none of the headers is another program's, and skipped.

    Raises NotAsDescribedError, but not for missing chunks: see `File.complete`.
    """
    files: dict[bytes, dict[str, File]] = defaultdict(dict)
    for message in messages:
        if not _HEADERS & message.headers.keys():
            continue  # another program's message
        upload_id, number, n_chunks, offset, size, mtime_ns, xxh3_64, xxh3_128 = _Headers.of(message)
        where = f"{message.key!r} chunk {number}/{n_chunks}"
        identity = b"%b\0%d\0%d" % (message.key, size, mtime_ns)
        _require(upload_id == xxhash.xxh3_64_hexdigest(identity), f"{where}: upload_id")
        _require(message.value is not None, f"{where}: a null value")
        _require(xxh3_64 == xxhash.xxh3_64_hexdigest(message.value or b""), f"{where}: xxh3_64")
        _require(1 <= number <= n_chunks, where)
        _require(
            (xxh3_128 is not None) == (number == n_chunks),
            f"{where}: only the last chunk has the digest of the file",
        )
        file = files[message.key].setdefault(upload_id, File(message.key, upload_id, size, mtime_ns, n_chunks))
        if n_chunks > file.n_chunks:  # it was begun again, in smaller chunks
            file = files[message.key][upload_id] = File(message.key, upload_id, size, mtime_ns, n_chunks)
        _require(file.n_chunks == n_chunks, f"{where}: earlier chunks say {file.n_chunks} chunks")
        _add(file, number, offset, message, where)
        if xxh3_128 is not None:
            _require(file.xxh3_128 in (None, xxh3_128), f"{where}: two digests of the file")
            file.xxh3_128 = xxh3_128
    for versions in files.values():
        for file in versions.values():
            _check(file)
    return dict(files)


def _add(file: File, number: int, offset: int, message: Message, where: str) -> None:
    """Add a chunk; a repeated one must be the same."""
    value = message.value or b""
    _require(file.chunks.setdefault(number, value) == value, f"{where}: different bytes")
    _require(file.offsets.setdefault(number, offset) == offset, f"{where}: a different offset")
    file.order.append(number)
    file.partitions.add(message.partition)


def _check(file: File) -> None:
    """Check that the file is in one partition and that its chunks are adjacent."""
    _require(len(file.partitions) == 1, f"{file.key!r} is in partitions {sorted(file.partitions)}")
    for number, offset in file.offsets.items():
        end = offset + len(file.chunks[number])
        _require(end == file.offsets.get(number + 1, end), f"{file.key!r}: chunk {number} ends at {end}")
        _require(number != 1 or offset == 0, f"{file.key!r} begins at {offset}")
        _require(number != file.n_chunks or end == file.size, f"{file.key!r} ends at {end}")


def _require(condition: bool, contradiction: str) -> None:
    """Raise NotAsDescribedError unless the condition holds."""
    if not condition:
        raise NotAsDescribedError(contradiction)
