"""The first and last offsets of a topic's partitions, asked before it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from dfud.kafka.read_access import check_read_access
from dfud.kafka.topic import is_unknown
from dfud.kafka.topic_probe import OnWait, TopicProbe

_ANSWER_TIMEOUT_S = 5.0


class Partition(NamedTuple):
    """Offsets of one partition."""

    start: int  # of the first message that is still there
    end: int  # of the next message to arrive
    committed: int  # by the consumer group; -1 for none


def query_partitions(
    on_wait: OnWait | None, topic: str, properties: Mapping[str, Any], config_path: str, with_committed: bool
) -> dict[int, Partition]:
    """Return the partitions of `topic` by number; their committed offsets only if asked for.

    With `on_wait`, this waits for a broker as long as it takes. Raises UsageError if `properties` are not
    librdkafka's, or if the topic cannot be accessed or read. The calling process must not fork afterwards.
    """
    probe = TopicProbe(Consumer, topic, properties, config_path, on_wait)
    partitions = ask_partitions(probe, with_committed=False)
    check_read_access(probe, str(properties["group.id"]) if with_committed else None)
    return ask_partitions(probe, with_committed) if with_committed else partitions


def ask_partitions(probe: TopicProbe[Consumer], with_committed: bool) -> dict[int, Partition]:
    """Return the partitions of the topic as `query_partitions` does."""

    def partitions(timeout_s: float) -> dict[int, Partition]:
        metadata = probe.metadata(timeout_s)
        if is_unknown(metadata):
            raise probe.access_error("it does not exist", "check --topic_name, or upload to it first")
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return _offsets(probe, sorted(metadata.partitions), with_committed)

    return probe.ask(partitions)


def first_offsets(admin: AdminClient, topic: str, numbers: Iterable[int]) -> dict[int, int]:
    """Return the first offset that each partition still has; KafkaException if the broker does not answer."""
    asked = {TopicPartition(topic, number): OffsetSpec.earliest() for number in numbers}  # type: ignore[no-untyped-call]
    answers = admin.list_offsets(asked, request_timeout=_ANSWER_TIMEOUT_S)
    return {each.partition: answer.result().offset for each, answer in answers.items()}


def _offsets(probe: TopicProbe[Consumer], numbers: list[int], with_committed: bool) -> dict[int, Partition]:
    consumer = probe.client
    asked = [TopicPartition(probe.topic, number) for number in numbers]
    offsets = consumer.committed(asked, _ANSWER_TIMEOUT_S) if with_committed else []
    committed = {each.partition: each.offset for each in offsets}
    partitions = {}
    for each in asked:
        start, end = consumer.get_watermark_offsets(each, timeout=_ANSWER_TIMEOUT_S)
        partitions[each.partition] = Partition(start, end, max(-1, committed.get(each.partition, -1)))
    return partitions
