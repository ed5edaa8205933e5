"""Receipts are sent until they are acknowledged, and an older one never after a newer one of the same file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.json_fields import time_text
from dfud.core.receipt import Receipt
from dfud.receipts.sending import ReceiptProducer

TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT, "timed out")
FORBIDDEN = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")
AWAY = KafkaError(KafkaError._TRANSPORT, "kafka:9092/1: Connect to ipv4#1.2.3.4:9092 failed: Connection refused")


def receipt(path: bytes, size: int = 1) -> Receipt:
    return Receipt("T", "id", "archive", path, size, 1, "0" * 32, time_text(0))


class FakeProducer:
    """What a `ReceiptProducer` uses of librdkafka; the test says what becomes of each message."""

    def __init__(self) -> None:
        self.pending: list[tuple[Receipt, Callable[[Any, Any], None]]] = []
        self.accepted: list[Receipt] = []  # in the order of the topic
        self.fault: KafkaException | BufferError | None = None  # of the next call
        self.properties: dict[str, Any] = {}

    def __call__(self, properties: dict[str, Any]) -> FakeProducer:
        self.properties = properties
        return self

    def __len__(self) -> int:
        return len(self.pending)

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Callable[[Any, Any], None]) -> None:
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        self.pending.append((Receipt.decode(key, value), on_delivery))

    def poll(self, timeout: float) -> None:
        """Deliver nothing: the test does."""

    def answer(self, error: KafkaError | None = None) -> None:
        """Acknowledge the oldest message, or refuse it."""
        sent, on_delivery = self.pending.pop(0)
        if error is None:
            self.accepted.append(sent)
        on_delivery(error, None)


class Bench:
    def __init__(self) -> None:
        self.now = 100.0
        self.kafka = FakeProducer()
        self.settled: list[int] = []
        self.troubles: list[str] = []
        self.refused: list[bytes] = []
        self.producer = ReceiptProducer(
            "R",
            {},
            self.settled.append,
            self.troubles.append,
            lambda each, reason: self.refused.append(each.path),
            cast("type[Producer]", self.kafka),
            lambda topic, properties: "too few replicas in sync",
            lambda: self.now,
        )

    def poll(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.producer.poll(0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_batch_is_settled_once_all_of_it_is_acknowledged(bench: Bench) -> None:
    bench.producer.add(1, [receipt(b"a"), receipt(b"b")])
    bench.producer.add(2, [])
    bench.producer.add(3, [receipt(b"c")])
    assert (bench.settled, bench.producer.n_unsettled) == ([2], 3)
    bench.kafka.answer()
    assert bench.settled == [2]
    bench.kafka.answer()
    bench.kafka.answer()
    assert (bench.settled, bench.producer.n_unsettled, bench.troubles) == ([2, 1, 3], 0, [])
    assert [each.path for each in bench.kafka.accepted] == [b"a", b"b", b"c"]


def test_what_is_not_accepted_is_sent_again_later_and_the_reason_is_said_once(bench: Bench) -> None:
    bench.producer.add(1, [receipt(b"a"), receipt(b"b")])
    bench.kafka.answer(FORBIDDEN)
    bench.kafka.answer(FORBIDDEN)
    bench.poll(0.5)
    assert len(bench.kafka) == 0
    bench.poll(1.0)
    bench.kafka.answer(FORBIDDEN)
    bench.kafka.answer()
    bench.poll(2.0)
    bench.kafka.answer()
    assert bench.settled == [1]
    assert bench.troubles[0] == "this user may not write to it; grant the operation Write on the topic"
    assert bench.troubles[1:] == [""]


def test_an_older_receipt_is_not_sent_after_a_newer_one_of_the_file(bench: Bench) -> None:
    bench.producer.add(1, [receipt(b"f", 1)])
    bench.producer.add(2, [receipt(b"f", 2)])
    bench.kafka.answer(TIMED_OUT)
    bench.kafka.answer()
    bench.poll(2.0)
    assert [each.size for each in bench.kafka.accepted] == [2]
    assert sorted(bench.settled) == [1, 2]
    assert len(bench.kafka) == 0


def test_one_that_is_too_large_is_given_up_and_named(bench: Bench) -> None:
    bench.producer.add(1, [receipt(b"long"), receipt(b"b")])
    bench.kafka.answer(TOO_LARGE)
    bench.kafka.answer()
    assert (bench.refused, bench.settled) == ([b"long"], [1])


def test_a_full_queue_of_librdkafka_is_waited_for(bench: Bench) -> None:
    bench.kafka.fault = BufferError()
    bench.producer.add(1, [receipt(b"a")])
    assert len(bench.kafka) == 0
    bench.poll()
    bench.kafka.answer()
    assert bench.settled == [1]


def test_that_nothing_is_acknowledged_is_said_with_the_reason_that_is_known(bench: Bench) -> None:
    bench.producer.add(1, [receipt(b"a")])
    bench.poll(4.0)
    assert bench.troubles == []
    bench.poll(2.0)
    assert bench.troubles == ["too few replicas in sync"]
    bench.kafka.answer()
    bench.poll(60.0)
    bench.kafka.properties["error_cb"](AWAY)
    bench.producer.add(2, [receipt(b"b")])
    bench.poll(6.0)
    assert bench.troubles[1] == ""
    assert bench.troubles[2].endswith("kafka:9092: Connection refused; " + bench.troubles[2].rpartition("; ")[2])


@given(st.lists(st.one_of(st.integers(0, 2), st.sampled_from(["yes", "no", "later"])), max_size=40))
def test_in_the_end_the_last_receipt_of_each_file_is_the_newest(steps: list[int | str]) -> None:
    bench = Bench()
    newest: dict[bytes, int] = {}
    for number, step in enumerate(steps, 1):
        if isinstance(step, int):
            path = b"%d" % step
            newest[path] = number
            bench.producer.add(number, [receipt(path, number)])
        elif step == "later":
            bench.poll(2.0)
        elif bench.kafka.pending:
            bench.kafka.answer(None if step == "yes" else TIMED_OUT)
    for _ in range(2):
        bench.poll(2.0)
        while bench.kafka.pending:
            bench.kafka.answer()
    assert {each.path: each.size for each in bench.kafka.accepted} == newest
    assert sorted(bench.settled) == [number for number, step in enumerate(steps, 1) if isinstance(step, int)]
