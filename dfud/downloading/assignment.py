"""Which partitions a fetcher reads, and from where."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaException, TopicPartition

from dfud.downloading.settings import FetchSettings
from dfud.kafka.partition_reader import PartitionReader

_BROKER_TIMEOUT_S = 5.0  # for each question
_EARLIEST = ("earliest", "smallest", "beginning", "")  # values of auto.offset.reset


class Assignment:
    """Responsible for reading one fetcher's share of the partitions, each from where its group has committed.

    Partitions are shared by their numbers and not by the group's protocol, so that no restart has to wait for a
    session to time out.
    """

    def __init__(self, consumer: Consumer, reader: PartitionReader, fetcher: int, settings: FetchSettings) -> None:
        """Assign partitions to `reader`, as the fetcher with number `fetcher`."""
        self._consumer = consumer
        self._reader = reader
        self._fetcher = fetcher
        self._settings = settings
        self._assigned: set[int] = set()
        self.is_complete = False  # all partitions of this fetcher that exist are being read

    def update(self) -> None:
        """Start to read the partitions that are not read yet: all at first, then any that were added to the topic.

        Raises KafkaException if the broker does not answer, or refuses to.
        """
        self.is_complete = False
        topic, ends = self._settings.topic, self._settings.ends
        # Before any other request: once the leaders are known, none of these has to wait for librdkafka's timers.
        metadata = self._consumer.list_topics(topic, _BROKER_TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        numbers = metadata.partitions if ends is None else ends
        own = {number for number in numbers if number % self._settings.n_fetchers == self._fetcher}
        added = sorted(own - self._assigned)
        if added:
            committed = self._consumer.committed([TopicPartition(topic, n) for n in added], _BROKER_TIMEOUT_S)
            self._reader.add({each.partition: self._start(each) for each in committed})
            self._assigned.update(added)
        self.is_complete = True

    def stop(self) -> None:
        """Read no partition any more."""
        self._reader.remove(self._assigned)

    def _start(self, committed: TopicPartition) -> int:
        """Return the offset to start at, as a number: librdkafka then fetches without asking for it first."""
        if committed.error is not None:
            raise KafkaException(committed.error)
        if committed.offset >= 0:
            return committed.offset
        low, high = self._consumer.get_watermark_offsets(committed, _BROKER_TIMEOUT_S)
        reset = str(self._settings.properties.get("auto.offset.reset", ""))
        return int(low if reset in _EARLIEST else high)
