"""A consumer group that reads a topic in memory, in place of confluent_kafka's consumer."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from dfud.kafka.topic_watch import TopicState
from tests.helpers.downloading import Record
from tests.helpers.fetching import Taken


class Event:
    """What librdkafka delivers at the end of a partition, or where it cannot go on."""

    def __init__(self, number: int, offset: int, code: int) -> None:
        self._number = number
        self._offset = offset
        self._code = code

    def partition(self) -> int:
        return self._number

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError:
        return KafkaError(self._code)


class TopicConsumer:
    """Delivers the records of its partitions, each from the offset it was assigned with.

    `committed_offsets` are those of the group. While `outage` is set, every question to the broker fails with it.
    """

    def __init__(self, records: Sequence[Record], n_partitions: int = 1) -> None:
        self.logs: dict[int, list[Record]] = {number: [] for number in range(n_partitions)}
        for record in records:
            self.logs[record.partition].append(record)
        self.committed_offsets: dict[int, int] = {}
        self.committed_metadata: dict[int, str] = {}
        self.topic_id = "id"
        self.lows: dict[int, int] = {}  # by partition, the first offset that is still there
        self.positions: dict[int, int] = {}
        self.outage: KafkaError | None = None
        self.commit_error: KafkaError | None = None  # the answer to commits
        self.answers_commits = True
        self.properties: dict[str, Any] = {}
        self._at_end: set[int] = set()
        self._unanswered: list[list[TopicPartition]] = []

    def __call__(self, properties: dict[str, Any]) -> TopicConsumer:
        """Act as the factory of this consumer."""
        self.properties = properties
        return self

    # -- questions to the broker

    def list_topics(self, topic: str, timeout: float) -> Any:
        self._ask()
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=self.logs)})

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._ask()
        for each in partitions:
            each.offset = self.committed_offsets.get(each.partition, -1001)
        return [
            TopicPartition(
                each.topic, each.partition, each.offset, self.committed_metadata.get(each.partition, "")
            )
            for each in partitions
        ]

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = -1, cached: bool = False
    ) -> tuple[int, int]:
        if not cached:
            self._ask()
        return self.lows.get(partition.partition, 0), len(self.logs[partition.partition])

    def _ask(self) -> None:
        if self.outage is not None:
            raise KafkaException(self.outage)

    # -- messages

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            assert each.partition not in self.positions
            self.positions[each.partition] = each.offset

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            del self.positions[each.partition]
            self._at_end.discard(each.partition)

    def consume(self, num_messages: int, timeout: float) -> list[Any]:
        taken: list[Any] = []
        for number, position in self.positions.items():
            log = self.logs[number]
            if not self.lows.get(number, 0) <= position <= len(log):
                if number not in self._at_end:
                    self._at_end.add(number)
                    taken.append(Event(number, position, KafkaError._AUTO_OFFSET_RESET))
                continue
            if position < len(log):
                self._at_end.discard(number)
            taken += [Taken(log[at], at) for at in range(position, len(log))]
            self.positions[number] = len(log)
            if number not in self._at_end:
                self._at_end.add(number)
                taken.append(Event(number, len(log), KafkaError._PARTITION_EOF))
        return taken

    def poll(self, timeout: float) -> Any:
        if self.answers_commits:
            for offsets in self._unanswered:
                if self.commit_error is None:
                    self.committed_offsets.update({each.partition: each.offset for each in offsets})
                    self.committed_metadata.update({each.partition: str(each.metadata) for each in offsets})
                self.properties["on_commit"](self.commit_error, offsets)
            self._unanswered.clear()
        return None

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self._ask()
        self._unanswered.append(offsets)


class TopicConsumerWatch:
    """Says at once which topic the consumer has."""

    def __init__(self, consumer: TopicConsumer) -> None:
        self._consumer = consumer
        self._said: TopicState | None = None
        self._is_hurried = False

    def poll(self) -> TopicState | None:
        state = TopicState(self._consumer.topic_id, tuple(self._consumer.logs))
        if state == self._said and not self._is_hurried:
            return None
        self._is_hurried = False
        self._said = state
        return state

    def hurry(self) -> None:
        self._is_hurried = True
