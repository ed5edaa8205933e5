"""Asking until the broker answers: how long, how often, and with which error it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from dfud.kafka.probe import PERMANENT_ERRORS, PROBE_TIMEOUT_S, OnFailure, ProbeError, probe, reason_of

REFUSED = KafkaError(KafkaError._TRANSPORT, "connection refused")
ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")


class Broker:
    """A broker that answers the question number `answers_at`, in a time of its own."""

    def __init__(self, answers_at: int = -1, seconds: float | None = None) -> None:
        self.now = 100.0
        self.timeouts: list[float] = []
        self.reported: list[KafkaError] = []
        self._answers_at = answers_at
        self._seconds = seconds  # that a failing question takes; None for all of its timeout

    def ask(self, timeout_s: float) -> str:
        self.timeouts.append(timeout_s)
        if len(self.timeouts) == self._answers_at:
            return "answer"
        self.now += timeout_s if self._seconds is None else self._seconds
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def probe(self, on_failure: OnFailure | None = None) -> str:
        return probe(self.ask, lambda: self.reported, on_failure, lambda: self.now, self.sleep)


def test_an_answer_is_returned_at_once() -> None:
    broker = Broker(answers_at=1)
    assert broker.probe() == "answer"
    assert broker.now == 100.0


def test_questions_are_repeated_with_longer_timeouts_until_the_deadline() -> None:
    broker = Broker()
    with pytest.raises(ProbeError, match=r"^no answer$") as raised:
        broker.probe()
    assert raised.value.error is None
    assert broker.timeouts[:5] == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert broker.timeouts[5] == pytest.approx(15.0 - 7.75 - 0.4)  # until the deadline
    assert PROBE_TIMEOUT_S < broker.now - 100.0 < PROBE_TIMEOUT_S + 2.0


def test_what_fails_quickly_is_not_asked_without_a_pause() -> None:
    broker = Broker(seconds=0.0)
    with pytest.raises(ProbeError):
        broker.probe()
    assert 100 < len(broker.timeouts) < 200
    assert min(broker.timeouts) == 0.25


def test_errors_that_may_pass_are_waited_out() -> None:
    broker = Broker(answers_at=3)
    broker.reported = [ALL_DOWN, REFUSED]
    assert broker.probe() == "answer"


def test_whoever_waits_has_no_deadline_and_hears_of_each_failure() -> None:
    broker = Broker(answers_at=200)
    reasons: list[str] = []
    assert broker.probe(reasons.append) == "answer"
    assert reasons == ["no answer"] * 199
    assert broker.now > 100.0 + 60 * PROBE_TIMEOUT_S
    assert max(broker.timeouts) == 30.0, "nothing but the time of an answer is wrong"


def test_a_broker_that_is_away_is_asked_for_a_second_at_a_time() -> None:
    broker = Broker(answers_at=20)

    def on_failure(_: str) -> None:
        if len(broker.timeouts) < 10:
            broker.reported.append(KafkaError(KafkaError._TRANSPORT, "connection refused"))

    assert broker.probe(on_failure) == "answer"
    assert max(broker.timeouts[:10]) == 1.0
    assert broker.timeouts[-1] == 30.0


@pytest.mark.parametrize("code", PERMANENT_ERRORS)
def test_a_permanent_error_ends_it_after_the_first_question(code: int) -> None:
    broker = Broker()
    broker.reported = [ALL_DOWN, REFUSED, KafkaError(code, "for good")]
    with pytest.raises(ProbeError, match=r"^for good$") as raised:
        broker.probe()
    assert len(broker.timeouts) == 1
    assert raised.value.error is not None
    assert raised.value.error.code() == code


@pytest.mark.parametrize(
    ("reported", "reason"), [([ALL_DOWN], "no answer"), ([ALL_DOWN, REFUSED], "connection refused")]
)
def test_the_reason_is_the_cause_and_not_that_all_brokers_are_down(
    reported: list[KafkaError], reason: str
) -> None:
    broker = Broker()
    broker.reported = reported
    with pytest.raises(ProbeError, match=f"^{reason}$"):
        broker.probe()


def test_other_errors_are_passed_on() -> None:
    def ask(timeout_s: float) -> None:
        raise ValueError(timeout_s)

    with pytest.raises(ValueError, match=r"0\.25"):
        probe(ask, list)


@pytest.mark.parametrize(
    "make", [lambda: KafkaException(KafkaError(KafkaError._SSL, "why")), lambda: KafkaException("why"),
             lambda: ValueError("why")]
)  # fmt: skip
def test_the_reason_of_an_error(make: Callable[[], Exception]) -> None:
    assert reason_of(make()) == "why"
