"""A look at the partitions of a topic before it is read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dfud.errors import UsageError
from dfud.kafka.topic import PERMANENT_ERRORS, reason, silent_logger

_BROKER_TIMEOUT_S = 15.0  # s for the broker to answer


class Partition(NamedTuple):
    """Offsets of one partition."""

    start: int  # of the first message that there is
    end: int  # of the next message that comes
    committed: int  # by the consumer group; -1 for nothing


def query_partitions(
    topic: str, properties: Mapping[str, Any], config_path: str, committed: bool
) -> dict[int, Partition]:
    """Return the partitions of `topic` by number; what is `committed` only where that is asked.

    To be called aside: it uses librdkafka. Raises UsageError if `properties` are no properties of librdkafka, or
    there is no such topic.
    """
    errors: list[KafkaError] = []
    try:
        consumer = Consumer({**properties, "error_cb": errors.append, "logger": silent_logger()})
    except (KafkaException, ValueError, TypeError) as problem:
        raise UsageError(f"{config_path} can't be used: {reason(problem)}") from None
    return retry_query_partitions(consumer, topic, properties, config_path, committed, errors)


def retry_query_partitions(
    consumer: Consumer,
    topic: str,
    properties: Mapping[str, Any],
    config_path: str,
    committed: bool,
    errors: list[KafkaError],
) -> dict[int, Partition]:
    """Return what `query_partitions` does, of a consumer that is there; its errors are put into `errors`."""
    deadline = time.monotonic() + _BROKER_TIMEOUT_S
    while True:
        try:
            return _ask(consumer, topic, config_path, committed)
        except KafkaException as problem:
            why = reason(problem)
        consumer.poll(0)
        hopeless = next((error for error in errors if error.code() in PERMANENT_ERRORS), None)
        if hopeless or time.monotonic() > deadline:
            told = hopeless or next((e for e in errors if e.code() != KafkaError._ALL_BROKERS_DOWN), None)
            servers = properties.get("bootstrap.servers", properties.get("metadata.broker.list"))
            raise UsageError(
                f"topic {topic} can't be had from bootstrap.servers = {servers} of {config_path}: "
                f"{told.str() if told else why}"
            )
        time.sleep(0.1)


def _ask(consumer: Consumer, topic: str, config_path: str, committed: bool) -> dict[int, Partition]:
    metadata = consumer.list_topics(topic, timeout=2.0).topics[topic]
    error = metadata.error
    if error is not None and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise UsageError(f"there is no topic {topic}; check --topic_name, or upload to it first")
    if error is not None and error.code() in PERMANENT_ERRORS:
        raise UsageError(f"topic {topic} can't be had: {error.str()}; have the user of {config_path} allowed")
    if error is not None:
        raise KafkaException(error)
    numbers = [TopicPartition(topic, number) for number in sorted(metadata.partitions)]
    offsets = {each.partition: each.offset for each in consumer.committed(numbers, 5.0)} if committed else {}
    found = {}
    for each in numbers:
        start, end = consumer.get_watermark_offsets(each, timeout=5.0)
        found[each.partition] = Partition(start, end, max(-1, offsets.get(each.partition, -1)))
    return found
