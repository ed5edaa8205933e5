"""A producer that is replaced when it has failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from dfud.uploading.delivery import FailureAction
from dfud.uploading.renewable_producer import RenewableProducer
from tests.helpers.producing import ALL_DOWN, FATAL, FORBIDDEN, TIMED_OUT, FakeProducer

TOO_LARGE_FOR = 10  # bytes of a message


class Rig:
    """A `RenewableProducer` with a clock; it records what is made, logged and reported."""

    def __init__(self, **properties: Any) -> None:
        self.now = 1000.0
        self.made: list[FakeProducer] = []
        self.errors: list[KafkaError] = []
        self.throttled: list[float] = []  # s
        self.logged: list[tuple[int, str]] = []
        self.served: list[int] = []  # how many producers there were when reports may have arrived
        self.client = RenewableProducer(
            self._make,  # type: ignore[arg-type]
            properties,
            self.errors.append,
            self.throttled.append,
            lambda level, text: self.logged.append((level, text)),
            lambda: self.served.append(len(self.made)),
            lambda: self.now,
        )

    def _make(self, properties: dict[str, Any]) -> FakeProducer:
        self.made.append(FakeProducer(dict(properties)))
        return self.made[-1]

    def warnings(self) -> list[str]:
        return [text for level, text in self.logged if level == logging.WARNING]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def produce_for(client: RenewableProducer, on_delivery: Callable[[Any, Any], None]) -> None:
    """Produce a message."""
    client.producers[0].produce("topic", b"value", b"key", -1, on_delivery, None, 0, [("chunk", b"1/1")])


def produce(client: RenewableProducer, reports: list[KafkaError | None]) -> None:
    """Produce a message and have its delivery report appended to `reports`."""
    produce_for(client, lambda error, message: reports.append(error))


def test_errors_that_a_producer_survives_are_passed_on(rig: Rig) -> None:
    rig.made[0].properties["error_cb"](ALL_DOWN)
    assert rig.errors == [ALL_DOWN]
    assert not rig.client.is_spent


@pytest.mark.parametrize("call", ["poll", "flush"])
def test_a_fatal_error_that_a_call_raises_spends_the_producer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(seconds: float) -> int:
        raise KafkaException(FATAL)

    monkeypatch.setattr(rig.made[0], call, fail)
    getattr(rig.client, call)()
    assert rig.client.is_spent
    assert rig.client.failure is FATAL
    assert rig.errors == []


def test_the_first_fatal_error_is_the_failure(rig: Rig) -> None:
    purged = KafkaError(KafkaError._PURGE_QUEUE, "purged")
    rig.client.on_failure(purged)
    rig.client.on_failure(FATAL)
    rig.client.on_failure(purged)
    rig.client.on_failure(KafkaError(KafkaError._FATAL, "another", fatal=True))
    assert rig.client.failure is FATAL


def test_renewal_reports_what_the_old_one_held_and_makes_a_new_one(rig: Rig) -> None:
    reports: list[KafkaError | None] = []
    produce(rig.client, reports)
    rig.made[0].acknowledges = False
    rig.client.on_failure(FATAL)
    rig.client.renew()
    assert [error and error.code() for error in reports] == [KafkaError._PURGE_QUEUE]
    assert len(rig.made) == 2
    current: object = rig.client.producers[0]
    assert current is rig.made[1]
    assert len(rig.client) == 0
    assert not rig.client.is_spent


def test_failures_that_the_purge_reports_do_not_spend_the_new_one(rig: Rig) -> None:
    produce_for(rig.client, lambda error, message: rig.client.on_failure(error))
    rig.client.on_failure(FATAL)
    rig.client.renew()
    assert not rig.client.is_spent
    assert rig.client.failure is FATAL


def test_what_the_purge_reports_is_not_the_failure(rig: Rig) -> None:
    produce_for(rig.client, lambda error, message: rig.client.on_failure(error))
    rig.client.renew(quietly=True)
    assert rig.client.failure is None


def test_only_the_first_renewal_in_a_row_is_logged(rig: Rig) -> None:
    for _ in range(3):
        rig.client.on_failure(FATAL)
        rig.client.renew()
    text = "the producer failed permanently (epoch gone (_FATAL)) and was replaced; what it held is sent again"
    assert rig.warnings() == [text]
    rig.client.on_acked()
    rig.client.on_failure(FATAL)
    rig.client.renew()
    assert rig.warnings() == [text, text]


def test_it_is_hopeless_after_eight_renewals_without_an_acknowledgement(rig: Rig) -> None:
    for _ in range(7):
        rig.client.renew()
        assert rig.client.is_failing
        assert not rig.client.is_hopeless
    rig.client.renew()
    assert rig.client.is_hopeless
    rig.client.on_acked()
    assert not rig.client.is_failing
    assert not rig.client.is_hopeless


def test_the_next_one_is_promising_unless_the_last_one_was_futile(rig: Rig) -> None:
    assert not rig.client.is_next_promising  # there will be none
    rig.client.on_failure(FATAL)
    assert rig.client.is_next_promising
    rig.client.renew()
    rig.client.on_failure(FATAL)
    assert not rig.client.is_next_promising


def test_a_producer_that_is_refused_is_replaced_quietly(rig: Rig) -> None:
    refusal = KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed", fatal=True)
    rig.made[0].properties["error_cb"](refusal)
    assert rig.client.is_spent
    assert rig.client.refusal is refusal
    rig.client.renew()
    assert rig.client.refusal is None
    assert rig.warnings() == []
    assert not rig.client.is_failing


def test_a_refusal_may_be_stale_after_a_second(rig: Rig) -> None:
    rig.now += 1.0
    assert not rig.client.may_be_stale(FORBIDDEN)
    rig.now += 0.1
    assert rig.client.may_be_stale(FORBIDDEN)
    assert not rig.client.may_be_stale(TIMED_OUT)
    rig.client.renew(quietly=True)
    assert not rig.client.may_be_stale(FORBIDDEN)
    assert rig.logged == []
    assert not rig.client.is_failing


def test_batches_are_halved_until_a_message_is_alone() -> None:
    rig = Rig(**{"batch.size": 100, "message.max.bytes": 80})
    sizes = []
    while rig.client.on_batch_too_large(TOO_LARGE_FOR) is FailureAction.RENEW:
        assert rig.client.on_batch_too_large(TOO_LARGE_FOR) is FailureAction.RENEW  # of the same producer
        rig.client.on_failure(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        assert rig.client.is_next_promising
        rig.client.renew()
        sizes.append(rig.made[-1].properties["batch.size"])
    assert sizes == [40, 20, 10]
    assert rig.client.on_batch_too_large(TOO_LARGE_FOR) is FailureAction.REFUSED
    assert rig.warnings() == ["the broker refuses batches of this size: reducing batches until it accepts them"]
    assert not rig.client.is_failing


def test_it_says_when_a_renewal_has_served_delivery_reports(rig: Rig) -> None:
    reports: list[KafkaError | None] = []
    produce(rig.client, reports)
    rig.client.renew(quietly=True)
    assert len(reports) == 1
    assert rig.served == [1], "before there was another producer"
