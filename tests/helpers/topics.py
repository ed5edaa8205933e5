"""Create topics for tests."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from dfud.broker.node import KafkaNode
from dfud.kafka.broker_errors import is_unanswered

_TIMEOUT_S = 15.0
_NO_SETTINGS: Mapping[str, object] = {}
_RUN = os.urandom(3).hex()  # several runs of pytest share a broker
_numbers = itertools.count(1)


def create_topic(
    bootstrap: str, partitions: int = 4, replicas: int = 1, settings: Mapping[str, object] = _NO_SETTINGS
) -> str:
    """Create a topic with settings (``_`` for ``.`` in their names) and wait until its leaders are elected.

    The client is gone on return: a test may fork, and Python warns about forks of a process with threads.
    """
    name = f"topic_{_RUN}_{next(_numbers)}"
    config = {key.replace("_", "."): str(value) for key, value in settings.items()}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            admin.create_topics([NewTopic(name, partitions, replicas, config=config)])[name].result(_TIMEOUT_S)
            break
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.TOPIC_ALREADY_EXISTS:  # the first answer was lost as nodes came and went
                break
            if not is_unanswered(error.args[0]) or time.monotonic() > deadline:
                raise
    _wait_for_leaders(admin, name, partitions)
    return name


def _wait_for_leaders(admin: AdminClient, topic: str, count: int) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        described = admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
        if len(described) == count and all(p.leader >= 0 for p in described.values()):
            return
        assert time.monotonic() < deadline, f"{topic} has no leaders"
        time.sleep(0.02)


def add_partitions(bootstrap: str, topic: str, count: int) -> None:
    """Give a topic more partitions, `count` in all, and wait until their leaders are elected."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_partitions([NewPartitions(topic, count)])[topic].result(timeout=_TIMEOUT_S)
    _wait_for_leaders(admin, topic, count)


def delete_before(kafka: KafkaNode, topic: str, offset: int, partition: int = 0) -> None:
    """Delete the messages of a partition before an offset, or all of them (-1), as retention does."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    (deleted,) = admin.delete_records([TopicPartition(topic, partition, offset)]).values()
    assert offset in (-1, deleted.result(_TIMEOUT_S).low_watermark)


def make_anew(admin: AdminClient, topic: str, partitions: int = 4) -> None:
    """Delete a topic and create another one of its name."""
    admin.delete_topics([topic])[topic].result(_TIMEOUT_S)
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(_TIMEOUT_S)
        except KafkaException:  # the deleted one is not removed yet
            assert time.monotonic() < deadline, f"{topic} is not removed"
            time.sleep(0.02)
        else:
            return
