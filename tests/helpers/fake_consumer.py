"""A consumer over partitions that a test fills, in the place of confluent_kafka's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, TopicPartition


class FakeMessage(NamedTuple):
    """A message, or an event of its partition, with the methods of `confluent_kafka.Message`."""

    number: int
    at: int
    failure: KafkaError | None = None

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at

    def error(self) -> KafkaError | None:
        return self.failure


class FakeConsumer:
    """Delivers the messages of its assigned partitions in order, and an event at the end of each of them.

    `log` holds the offsets that have a message, which may leave gaps; `high` the offset of the next message of
    each partition. `failures` come first, `arriving` only to a `poll` that waits.
    """

    def __init__(self, log: dict[int, list[int]], high: dict[int, int] | None = None) -> None:
        self.log = log
        self.high = high or {number: offsets[-1] + 1 if offsets else 0 for number, offsets in log.items()}
        self.positions: dict[int, int] = {}
        self.failures: list[FakeMessage] = []
        self.arriving: list[FakeMessage] = []
        self.timeouts: list[float] = []  # of each `poll`
        self.calls: list[tuple[str, dict[int, int]]] = []
        self._at_end: set[int] = set()  # partitions whose end has been reported

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._record("assign", partitions)
        self.positions = {}
        self._start(partitions)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self._record("incremental_assign", partitions)
        self._start(partitions)

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        self._record("incremental_unassign", partitions)
        for each in partitions:
            del self.positions[each.partition]

    def consume(self, num_messages: int, timeout: float) -> list[FakeMessage]:
        assert timeout == 0, "only `poll` may wait"
        return self._take(num_messages)

    def poll(self, timeout: float) -> FakeMessage | None:
        self.timeouts.append(timeout)
        taken = self._take(1)
        if taken:
            return taken[0]
        return self.arriving.pop(0) if self.arriving else None

    def _take(self, most: int) -> list[FakeMessage]:
        taken, self.failures = self.failures[:most], self.failures[most:]
        for number, position in self.positions.items():
            offsets = [offset for offset in self.log[number] if offset >= position][: most - len(taken)]
            taken += [FakeMessage(number, offset) for offset in offsets]
            if offsets:
                self.positions[number] = offsets[-1] + 1
            if len(taken) < most and number not in self._at_end:
                self._at_end.add(number)
                self.positions[number] = self.high[number]
                taken.append(FakeMessage(number, self.high[number], KafkaError(KafkaError._PARTITION_EOF)))
        return taken

    def _start(self, partitions: Iterable[TopicPartition]) -> None:
        for each in partitions:
            self.positions[each.partition] = each.offset
            self._at_end.discard(each.partition)

    def _record(self, name: str, partitions: list[Any]) -> None:
        self.calls.append((name, {each.partition: each.offset for each in partitions}))
