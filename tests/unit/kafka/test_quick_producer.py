"""A producer that is idempotent is made to look for its producer id at once; nothing else depends on that."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from dfud.kafka import quick_producer as module
from dfud.kafka.quick_producer import quick_producer

IDEMPOTENT = {"enable.idempotence": True}


class Asked:
    """In place of a producer: says in a queue what it is asked for, and that nobody asks any more."""

    def __init__(self, answers: list[KafkaException | None]) -> None:
        self.asked: queue.Queue[str] = queue.Queue()
        self._answers = answers

    def __call__(self, properties: Mapping[str, Any]) -> Asked:
        return self

    def list_topics(self, topic: str, timeout: float) -> None:
        answer = self._answers.pop(0)
        self.asked.put(topic)
        if answer is not None:
            raise answer


def test_it_asks_for_the_metadata_of_its_topic_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Asked([None, None])
    monkeypatch.setattr(module, "Producer", producer)
    assert quick_producer(IDEMPOTENT, "topic") is producer  # type: ignore[comparison-overlap]
    assert [producer.asked.get(timeout=60) for _ in range(2)] == ["topic", "topic"]


def test_it_asks_no_more_if_no_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Asked([KafkaException(KafkaError(KafkaError._TRANSPORT)), None])
    monkeypatch.setattr(module, "Producer", producer)
    module._ask(producer, "topic")  # type: ignore[arg-type]
    assert producer.asked.qsize() == 1


def test_a_producer_that_is_not_idempotent_needs_no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Asked([])
    monkeypatch.setattr(module, "Producer", producer)
    monkeypatch.setattr(threading, "Thread", None)
    quick_producer({"enable.idempotence": "false"}, "topic")


def test_refused_settings_are_raised() -> None:
    with pytest.raises(KafkaException):
        quick_producer({**IDEMPOTENT, "no.such.property": "1"}, "topic")


def test_nothing_waits_for_a_broker_that_does_not_answer() -> None:
    producer = quick_producer({**IDEMPOTENT, "bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "topic")
    producer.produce("topic", b"data")
    producer.purge()
    while len(producer):  # the questions are not counted
        producer.poll(1.0)
