"""One loop over the partitions of a topic, for verification, downloads and the API.

The reader in `dfud.demo` keeps a loop of its own, because it is the independent check of this one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaError, TopicPartition

if TYPE_CHECKING:
    from confluent_kafka import Consumer

_MAX_BATCH = 128  # messages: those of 16 KiB stay in the cache of a core until they are written
_NO_END = sys.maxsize  # greater than any offset


class PartitionFailure(NamedTuple):
    """A partition of which librdkafka cannot deliver what lies at an offset."""

    number: int
    offset: int
    error: KafkaError
    n_before: int  # messages of the batch that came before it; what came behind it may be no sequel


class Batch(NamedTuple):
    """What one call of `PartitionReader.read` returns."""

    messages: list[Any]  # `confluent_kafka.Message`s without an error, in the order of each partition
    next_offsets: dict[int, int]  # by partition, the offset before which nothing is left to read
    errors: list[KafkaError]  # all but ends of partitions
    failures: list[
        PartitionFailure
    ]  # those of `errors` that are about an offset of a partition that is being read
    at_end: dict[int, int]  # by partition, the offset from which on nothing can be read yet


class PartitionReader:
    """Reads assigned partitions up to their end offsets, or forever if there are none.

    The consumer belongs to the caller, who also closes it. With end offsets it needs `enable.partition.eof`:
    the last offsets before an end may have no message, because they are transaction markers or were compacted.
    """

    def __init__(self, consumer: Consumer, topic: str, ends: Mapping[int, int] | None = None) -> None:
        """Read `topic` up to `ends`: by partition, the offset after the last message to read."""
        self._consumer = consumer
        self._topic = topic
        self._ends = ends
        self._unfinished: dict[int, int] = {}  # partitions that are being read, with their ends

    def assign(self, starts: Mapping[int, int]) -> None:
        """Read these partitions from these offsets, and no others."""
        self._consumer.assign(self._partitions(starts))
        self._unfinished.clear()
        self._begin(starts)

    def add(self, starts: Mapping[int, int]) -> None:
        """Read these partitions from these offsets, too."""
        self._consumer.incremental_assign(self._partitions(starts))
        self._begin(starts)

    def remove(self, numbers: Iterable[int]) -> None:
        """Stop reading these partitions, all of which were added."""
        numbers = list(numbers)
        self._consumer.incremental_unassign([TopicPartition(self._topic, number) for number in numbers])
        for number in numbers:
            self._unfinished.pop(number, None)

    def move(self, number: int, offset: int) -> None:
        """Go on reading an added partition at another offset; nothing that was fetched ahead of it is returned."""
        self.remove([number])
        self.add({number: offset})

    @property
    def unfinished(self) -> list[int]:
        """The partitions that are being read."""
        return list(self._unfinished)

    def end_of(self, number: int) -> int:
        """Return the offset up to which a partition is being read."""
        return self._unfinished.get(number, _NO_END)

    def finish(self, number: int) -> None:
        """Wait for no more messages of a partition that has an end."""
        self._unfinished.pop(number, None)

    def set_ends(self, ends: Mapping[int, int]) -> None:
        """Read the partitions that are added from now on up to other offsets."""
        self._ends = ends

    @property
    def is_done(self) -> bool:
        """Whether every assigned partition has been read up to its end."""
        return self._ends is not None and not self._unfinished

    def read(self, timeout_s: float) -> Batch:
        """Return the messages that have been fetched; wait up to `timeout_s` for the first if there are none.

        Messages at or after a partition's end are left out. A partition with a failure is not finished, whatever
        came behind that; `on_position` does it.
        """
        received = self._consumer.consume(_MAX_BATCH, 0)
        if not received:
            first = self._consumer.poll(timeout_s)
            received = [] if first is None else [first]
        batch = Batch([], {}, [], [], {})
        messages, next_offsets = batch.messages, batch.next_offsets
        end_of = self._unfinished.get
        for message in received:
            number: int = message.partition()  # type: ignore[assignment]
            offset: int = message.offset()  # type: ignore[assignment]
            error = message.error()
            if error is not None:
                self._on_error(error, number, offset, batch)
            elif offset < end_of(number, -1):
                messages.append(message)
                next_offsets[number] = offset + 1
        failed = {failure.number for failure in batch.failures}
        for number, next_offset in next_offsets.items():
            if number not in failed:
                self.on_position(number, next_offset)
        return batch

    def on_position(self, number: int, next_offset: int) -> None:
        """Finish a partition if nothing is left to be read before its end."""
        if next_offset >= self._unfinished.get(number, _NO_END):
            del self._unfinished[number]

    def _on_error(self, error: KafkaError, number: int, offset: int | None, batch: Batch) -> None:
        is_end = error.code() == KafkaError._PARTITION_EOF
        if not is_end:
            batch.errors.append(error)
        if number not in self._unfinished or offset is None or offset < 0:
            return
        if is_end:
            batch.at_end[number] = offset
            batch.next_offsets[number] = min(offset, self._unfinished[number])
        else:
            batch.failures.append(PartitionFailure(number, offset, error, len(batch.messages)))

    def _begin(self, starts: Mapping[int, int]) -> None:
        for number, start in starts.items():
            self._unfinished[number] = _NO_END if self._ends is None else self._ends[number]
            self.on_position(number, start)

    def _partitions(self, starts: Mapping[int, int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, number, start) for number, start in starts.items()]
