"""Read a topic as an outsider would, from the description of the messages alone: no import of dfud."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import xxhash
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

TIMEOUT_S = 60.0


class Message(NamedTuple):
    """A message as it is on the topic."""

    key: bytes
    value: bytes | None  # None is a null value, which dfud never sends
    headers: dict[str, bytes]
    partition: int
    offset: int  # in the partition


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


def read_topic(bootstrap: str, topic: str, timeout: float = TIMEOUT_S, **client: str) -> list[Message]:
    """Return all messages up to the ends of the partitions as they are now, each partition in order.

    ``client`` holds further librdkafka properties, ``_`` for ``.`` in their names.
    """
    settings = {key.replace("_", "."): value for key, value in client.items()}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            **settings,
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
        for record in consumer.consume(1000, timeout=min(1.0, _left(deadline))):
            number, error = record.partition(), record.error()
            if error is not None:
                # The end of a partition is an event of its own: its last offset may hold no message at all
                # (a transaction's marker).
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                ends.pop(number, None)
            elif number in ends:
                if record.offset() < ends[number]:
                    messages.append(_message(record))
                if record.offset() >= ends[number] - 1:
                    del ends[number]
    messages.sort(key=lambda message: (message.partition, message.offset))
    return messages


def _message(record: KafkaMessage) -> Message:
    """Return the client's message as ours."""
    headers = record.headers() or []
    assert len(dict(headers)) == len(headers), f"{record.key()!r}: a header twice"
    return Message(record.key(), record.value(), dict(headers), record.partition(), record.offset())


def _left(deadline: float) -> float:
    """Return the seconds until the deadline; fail after it."""
    left = deadline - time.monotonic()
    assert left > 0, "the topic could not be read in time"
    return left


def rebuild(messages: Iterable[Message]) -> dict[bytes, dict[str, File]]:
    """Return the files by key and upload id, checking each message against the others and its digests."""
    files: dict[bytes, dict[str, File]] = defaultdict(dict)
    for message in messages:
        headers = {name: value.decode("ascii") for name, value in message.headers.items()}
        where = f"{message.key!r} chunk {headers.get('chunk')}"
        number, n_chunks = map(int, headers["chunk"].split("/"))
        size, mtime_ns, upload_id = int(headers["size"]), int(headers["mtime_ns"]), headers["upload_id"]
        identity = b"%b\0%d\0%d" % (message.key, size, mtime_ns)
        assert upload_id == xxhash.xxh3_64_hexdigest(identity), f"{where}: upload_id"
        assert message.value is not None, f"{where}: a null value"
        assert headers["xxh3_64"] == xxhash.xxh3_64_hexdigest(message.value), f"{where}: xxh3_64"
        assert 1 <= number <= n_chunks, where
        assert ("xxh3_128" in headers) == (number == n_chunks), f"{where}: the whole's digest is on the last"
        file = files[message.key].setdefault(upload_id, File(message.key, upload_id, size, mtime_ns, n_chunks))
        assert file.n_chunks == n_chunks, f"{where}: {file.n_chunks} chunks before"
        _add(file, number, int(headers["offset"]), message, where)
        if number == n_chunks:
            assert file.xxh3_128 in (None, headers["xxh3_128"]), f"{where}: two digests of the whole"
            file.xxh3_128 = headers["xxh3_128"]
    for versions in files.values():
        for file in versions.values():
            _check(file)
    return dict(files)


def _add(file: File, number: int, offset: int, message: Message, where: str) -> None:
    """Add a chunk, which must be as it was if it was seen before."""
    assert message.value is not None
    assert file.chunks.setdefault(number, message.value) == message.value, f"{where}: other bytes"
    assert file.offsets.setdefault(number, offset) == offset, f"{where}: another offset"
    file.order.append(number)
    file.partitions.add(message.partition)


def _check(file: File) -> None:
    """Check that the file lies in one partition, and that neighbouring chunks meet."""
    assert len(file.partitions) == 1, f"{file.key!r} is in partitions {sorted(file.partitions)}"
    for number, offset in file.offsets.items():
        end = offset + len(file.chunks[number])
        assert end == file.offsets.get(number + 1, end), f"{file.key!r}: chunk {number} ends at {end}"
        assert number != 1 or offset == 0, f"{file.key!r} begins at {offset}"
        assert number != file.n_chunks or end == file.size, f"{file.key!r} ends at {end}"
