"""When an outage is reported, and when its end."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError

from dfud.messages import BrokerOutage, BrokerSlow, FromProducer, Notice
from dfud.uploading.outage import OutageDetector, OutageReporter
from tests.helpers.producing import ALL_DOWN, REFUSED, types

DISCONNECTED = KafkaError(KafkaError._TRANSPORT, "disconnected")
REJECTED = KafkaError(KafkaError._AUTHENTICATION, "wrong password (after 312ms in state AUTH_REQ)")


class Rig:
    """An `OutageReporter` with a clock, and messages that wait for acknowledgements."""

    def __init__(self, trouble: str = "no answer") -> None:
        self.now = 1000.0
        self.last_ack = 1000.0
        self.trouble = trouble
        self.n_asked = 0
        self._sent: list[FromProducer] = []
        self.reporter = OutageReporter(self._send, self._find_trouble)

    def _send(self, messages: Sequence[FromProducer]) -> None:
        self._sent.extend(messages)

    def _find_trouble(self, silent_s: float, was_disturbed: bool) -> str:
        self.asked_with = silent_s, was_disturbed
        self.n_asked += 1
        return self.trouble

    def error(self, error: KafkaError) -> None:
        self.reporter.on_error(error, self.now)

    def ack(self, latency_s: float = 0.1) -> None:
        self.last_ack = self.now
        self.reporter.on_acked(latency_s, self.now)

    def check(self, seconds: float = 0.0, is_waiting: bool = True) -> list[FromProducer]:
        """Let time pass and check; return what was sent since the last check."""
        self.now += seconds
        self.reporter.check(self.now, self.last_ack, is_waiting)
        sent, self._sent = self._sent, []
        return sent


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_lost_connection_is_an_outage_after_a_second_and_reported_once(rig: Rig) -> None:
    rig.check()
    rig.error(ALL_DOWN)
    rig.error(REFUSED)
    rig.check()
    assert rig.check(0.9) == []  # most are back at once
    assert rig.check(0.1) == [BrokerOutage("cannot connect to 127.0.0.1:1: Connection refused")]
    assert rig.check(60) == []
    rig.ack()
    assert rig.check() == [BrokerOutage("")]
    assert rig.n_asked == 0


def test_a_broker_whose_connections_have_ended_is_asked_before_it_is_called_unreachable(rig: Rig) -> None:
    rig.trouble = ""
    rig.check()
    rig.error(ALL_DOWN)
    assert rig.check(2) == []
    rig.trouble = "no answer"
    rig.error(ALL_DOWN)
    assert rig.check(1.9) == []
    assert rig.check(0.1) == [BrokerOutage("1/1 brokers are down")]
    assert rig.n_asked == 2


def test_silence_is_an_outage_after_five_seconds(rig: Rig) -> None:
    rig.check()
    assert rig.check(4.9) == []
    assert rig.check(0.1) == [BrokerOutage("nothing has been acknowledged for 5 s: no answer")]
    assert rig.check(60) == []
    assert rig.n_asked == 1


def test_the_trouble_of_the_topic_is_reported_with_silence() -> None:
    rig = Rig("no leader")
    rig.check()
    assert rig.check(6) == [BrokerOutage("nothing has been acknowledged for 6 s: no leader")]


def test_time_counts_from_when_something_waits(rig: Rig) -> None:
    rig.check(is_waiting=False)
    assert rig.check(100, is_waiting=False) == []
    assert rig.check() == []
    assert rig.check(4.9) == []
    assert rig.check(0.1) != []


def test_time_starts_anew_after_nothing_waited(rig: Rig) -> None:
    rig.check()
    assert rig.check(4) == []
    assert rig.check(is_waiting=False) == []
    assert rig.check(60) == []
    assert rig.check(4.9) == []
    assert rig.check(0.1) != []


def test_a_broker_that_was_down_while_nothing_waited_is_not_an_outage(rig: Rig) -> None:
    rig.error(ALL_DOWN)
    assert rig.check(10, is_waiting=False) == []
    assert rig.check() == []
    rig.now += 0.5
    rig.ack()
    assert rig.check(1.5) == []


def test_each_acknowledgement_starts_the_time_anew(rig: Rig) -> None:
    rig.check()
    for _ in range(10):
        assert rig.check(4) == []
        rig.ack()


def test_a_slow_network_is_not_reported_again_and_again(rig: Rig) -> None:
    rig.check()
    outages = []
    for _ in range(20):  # an acknowledgement every 8 s
        outages += rig.check(7)
        rig.now += 1
        rig.ack()
        outages += rig.check()
    assert outages == [BrokerOutage("nothing has been acknowledged for 7 s: no answer"), BrokerOutage("")]
    assert rig.check(20) == [BrokerOutage("nothing has been acknowledged for 20 s: no answer")]


def test_patience_with_a_slow_network_ends_at_a_minute(rig: Rig) -> None:
    rig.check()
    for seconds in (5, 10, 20, 40):
        assert len(rig.check(seconds)) == 1
        rig.ack()
        assert rig.check() == [BrokerOutage("")]
    for _ in range(3):
        assert rig.check(59.9) == []
        assert len(rig.check(0.1)) == 1
        rig.ack()
        rig.check()


def test_nodes_that_die_again_and_again_are_reported_each_time(rig: Rig) -> None:
    rig.check()
    for _ in range(4):
        rig.error(DISCONNECTED)
        assert rig.check() == [Notice(logging.DEBUG, "librdkafka: disconnected")]
        assert len(rig.check(7)) == 1
        rig.now += 1
        rig.ack()
        assert rig.check() == [BrokerOutage("")]


def test_after_a_long_outage_the_next_one_is_reported_as_soon(rig: Rig) -> None:
    rig.check()
    for _ in range(3):
        assert len(rig.check(6)) == 1
        rig.now += 60
        rig.ack()
        assert rig.check() == [BrokerOutage("")]


def test_a_rejected_connection_is_reported_once_with_its_cause(rig: Rig) -> None:
    rig.check()
    outages = []
    for _ in range(10):
        rig.error(REJECTED)
        rig.error(ALL_DOWN)
        outages += rig.check(1)
    assert outages == [BrokerOutage("it refuses the connection: wrong password", is_cause=True)]


def test_a_cause_that_is_found_during_an_outage_is_reported_too(rig: Rig) -> None:
    rig.check()
    rig.error(ALL_DOWN)
    assert rig.check(1) == [BrokerOutage("1/1 brokers are down")]
    rig.check()
    rig.error(REJECTED)
    assert rig.check() == [BrokerOutage("it refuses the connection: wrong password", is_cause=True)]
    assert rig.check(1) == []


def test_errors_that_an_outage_is_reported_for_are_not_logged_as_well(rig: Rig) -> None:
    rig.error(ALL_DOWN)
    rig.error(REJECTED)
    rig.error(KafkaError(KafkaError._RESOLVE, "no such host"))
    assert rig.check() == [Notice(logging.DEBUG, "librdkafka: no such host")]


def test_an_acknowledgement_clears_what_was_known_of_connections() -> None:
    detector = OutageDetector()
    detector.on_disconnected("wrong password", 10.0, is_cause=True)
    assert detector.check(10.0, 9.0, is_waiting=True) == ""
    assert (detector.disconnection, detector.has_new_cause) == ("wrong password", True)
    assert detector.check(12.0, 11.0, is_waiting=True) == ""
    assert (detector.disconnection, detector.has_new_cause) == ("", False)


def test_a_broker_that_answers_is_slow_and_is_asked_ever_more_seldom(rig: Rig) -> None:
    rig.trouble = ""
    rig.check()
    sent = [message for _ in range(60) for message in rig.check(1)]
    assert sent == [BrokerSlow("it answers, but has acknowledged nothing for 5 s")]
    assert rig.n_asked == 4, "after 5, 10, 20 and 40 s"
    rig.trouble = "no answer"
    assert types([message for _ in range(60) for message in rig.check(1)]) == [BrokerOutage]


def test_what_is_slow_is_not_an_outage_as_soon(rig: Rig) -> None:
    rig.check()
    rig.now += 10
    rig.ack(latency_s=10)
    assert types(rig.check()) == [BrokerSlow]
    assert rig.check(29) == []
    assert types(rig.check(1)) == [BrokerOutage]


def test_silence_is_no_outage_while_the_broker_throttles_this_client(rig: Rig) -> None:
    rig.check()
    rig.reporter.on_throttled(20, rig.now)
    assert types(rig.check(24)) == [BrokerSlow]
    assert rig.n_asked == 0
    assert types(rig.check(2)) == [BrokerOutage]
