"""Whether the brokers that lead a topic's partitions answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from dfud.kafka.admin import make_admin_client
from dfud.kafka.probe import reason_of

_TIMEOUT_S = 3.0


def leader_trouble(topic: str, properties: Mapping[str, Any]) -> str:
    """Return why the leader of a partition does not answer, or "" if all do.

    This waits for them, up to 3 s, with a client of its own: on a connection on which a broker has not answered a
    message, it answers nothing else either.
    """
    admin = make_admin_client(properties)
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        partitions = admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, number): latest for number in partitions}
        answers = admin.list_offsets(asked, request_timeout=_TIMEOUT_S)
    except KafkaException as error:
        return reason_of(error)
    for partition, answer in answers.items():
        try:
            answer.result(max(0.1, deadline - time.monotonic()))
        except (KafkaException, FutureTimeoutError) as error:
            reason = reason_of(error) or "no answer"
            return f"the broker that leads partition {partition.partition} does not answer: {reason}"
    return ""
