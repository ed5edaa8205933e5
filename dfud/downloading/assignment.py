"""Which partitions a fetcher reads, and from where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from dfud.core.receiver_mark import split_mark
from dfud.downloading.offsets import Position
from dfud.downloading.settings import FetchSettings
from dfud.kafka.partition_reader import PartitionReader

_BROKER_TIMEOUT_S = 5.0  # for each question


class Assignment:
    """Responsible for reading one fetcher's share of the partitions, each from where its group has committed.

    Partitions are shared by their numbers and not by the group's protocol, so that no restart has to wait for a
    session to time out. What the group has committed of an earlier topic of this name does not count. Without a
    committed offset a partition is read from its beginning: it was added later, or its topic was made anew.
    """

    interval_s = math.inf  # between calls of `update`, unless something has changed

    def __init__(self, consumer: Consumer, reader: PartitionReader, fetcher: int, settings: FetchSettings) -> None:
        """Assign partitions to `reader`, as the fetcher with number `fetcher`."""
        self._consumer = consumer
        self._reader = reader
        self._fetcher = fetcher
        self._topic = settings.topic
        self._n_fetchers = settings.n_fetchers
        self._assigned: set[int] = set()
        self.topic_id = settings.topic_id
        self.ends = settings.ends  # by partition; None to read forever; empty until the broker is asked for them
        self.is_complete = False  # all partitions of this fetcher that exist are being read

    def update(self) -> dict[int, int]:
        """Start to read the partitions that are not read yet: all at first, then any that were added to the topic.

        Returns from which offset each is read. Raises KafkaException if the broker does not answer, or refuses to.
        """
        self.is_complete = False
        # Before any other request: once the leaders are known, none of these has to wait for librdkafka's timers.
        metadata = self._consumer.list_topics(self._topic, _BROKER_TIMEOUT_S).topics[self._topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        if self.ends is not None and not self.ends:
            self.ends = ask_ends(self._consumer, self._topic, metadata.partitions)
            self._reader.set_ends(self.ends)
        numbers = metadata.partitions if self.ends is None else self.ends
        added = self.missing(numbers)
        starts: dict[int, int] = {}
        if added:
            asked = [TopicPartition(self._topic, number) for number in added]
            committed = self._consumer.committed(asked, _BROKER_TIMEOUT_S)
            starts = {each.partition: self._start(each) for each in committed}
            self._reader.add(starts)
            self._assigned.update(added)
        self.is_complete = True
        return starts

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Return those of the partitions that this fetcher has to read, and does not."""
        own = {number for number in numbers if number % self._n_fetchers == self._fetcher}
        return sorted(own - self._assigned)

    def restart(self, topic_id: str) -> None:
        """Read no partition any more, and then those of another topic of the same name."""
        self.stop()
        self._assigned.clear()
        self.topic_id = topic_id
        self.ends = None if self.ends is None else {}
        self.is_complete = False

    def retry(self, positions: Mapping[int, Position]) -> None:
        """Fetch each partition again from its position: librdkafka does so late where it was refused."""
        for number in self._assigned:
            self._reader.move(number, positions[number].offset)

    def stop(self) -> None:
        """Read no partition any more."""
        self._reader.remove(self._assigned)

    def _start(self, committed: TopicPartition) -> int:
        """Return the offset to start at, as a number: librdkafka then fetches without asking for it first."""
        if committed.error is not None:
            raise KafkaException(committed.error)
        topic_id, _ = split_mark(committed.metadata or "")
        is_of_topic = not (topic_id and self.topic_id) or topic_id == self.topic_id
        return max(0, committed.offset) if is_of_topic else 0


def ask_ends(consumer: Consumer, topic: str, numbers: Iterable[int]) -> dict[int, int]:
    """Return by partition the offset after its last message; KafkaException if the broker does not answer."""
    partitions = (TopicPartition(topic, number) for number in numbers)
    return {each.partition: int(consumer.get_watermark_offsets(each, _BROKER_TIMEOUT_S)[1]) for each in partitions}
