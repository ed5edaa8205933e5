"""What is told of a topic that takes nothing."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from dfud.broker.ports import HOST, free_ports
from dfud.kafka.topic import topic_trouble, trouble_in


def described(*partitions: dict[str, Any], error: KafkaError | None = None) -> Any:
    whole = {"leader": 1, "replicas": [1, 2, 3], "isrs": [1, 2, 3]}
    return SimpleNamespace(
        error=error, partitions={at: SimpleNamespace(**{**whole, **each}) for at, each in enumerate(partitions)}
    )


@pytest.mark.parametrize(
    ("found", "trouble"),
    [
        pytest.param(described({}, {}), "", id="none"),
        pytest.param(described(error=KafkaError(KafkaError._MSG_TIMED_OUT, "no such")), "no such", id="error"),
        pytest.param(described({}, {"leader": -1}), "1 of its 2 partitions have no leader", id="leader"),
        pytest.param(
            described({"isrs": [1]}, {"isrs": [2, 3]}),
            "2 of its 2 partitions have too few replicas in sync",
            id="replicas",
        ),
    ],
)
def test_the_trouble_with_a_topic(found: Any, trouble: str) -> None:
    assert trouble_in(found) == trouble


def test_a_broker_that_is_not_there_is_not_waited_for_long() -> None:
    began = time.monotonic()
    assert topic_trouble("topic", {"bootstrap.servers": f"{HOST}:{free_ports(1)[0]}"})
    assert time.monotonic() - began < 10
