"""The offsets of partitions, as they are asked for before reading."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from dfud.errors import UsageError
from dfud.kafka.topic_probe import TopicProbe
from dfud.kafka.watermarks import Partition, ask_partitions
from tests.helpers.fake_topic import TOPIC, UNKNOWN, FakeClient

NONE_COMMITTED = -1001  # librdkafka's OFFSET_INVALID


def partitions_of(client: FakeClient, with_committed: bool = False) -> dict[int, Partition]:
    probe: TopicProbe[Any] = TopicProbe(client, TOPIC, {"bootstrap.servers": "host:9092"}, "file.config")
    return ask_partitions(probe, with_committed)


def test_partitions_are_returned_by_number() -> None:
    client = FakeClient({1: (5, 9, 7), 0: (0, 0, NONE_COMMITTED)})
    expected = {0: Partition(0, 0, -1), 1: Partition(5, 9, 7)}
    assert partitions_of(client, with_committed=True) == expected
    assert list(partitions_of(client)) == [0, 1]


def test_committed_offsets_are_only_asked_for_when_wanted() -> None:
    assert partitions_of(FakeClient({0: (5, 9, 7)})) == {0: Partition(5, 9, -1)}


def test_what_may_pass_is_asked_again() -> None:
    elected_soon = KafkaError(KafkaError.LEADER_NOT_AVAILABLE, "no leader")
    client = FakeClient({0: (1, 2, 1)}, [elected_soon, KafkaException(KafkaError(KafkaError._TIMED_OUT))])
    assert partitions_of(client) == {0: Partition(1, 2, -1)}
    assert client.polls == 2


def test_a_missing_topic_is_refused_at_once() -> None:
    client = FakeClient({}, [UNKNOWN])
    expected = r"cannot access topic scans at host:9092 .*: it does not exist; check --topic_name, or upload"
    with pytest.raises(UsageError, match=expected):
        partitions_of(client)
    assert client.polls == 0
