"""When the broker is called slow, and when no longer."""

from __future__ import annotations

from dfud.messages import BrokerSlow, FromProducer
from dfud.uploading.slowness import THROTTLED, SlownessReporter


def make() -> tuple[SlownessReporter, list[FromProducer]]:
    sent: list[FromProducer] = []
    return SlownessReporter(sent.extend), sent


def test_a_throttled_client_is_told_of_once_and_of_its_end_once() -> None:
    reporter, sent = make()
    for second in range(60):
        reporter.on_throttled(0.8, 1000.0 + second)
        reporter.on_acked(0.1, 1000.5 + second)
    assert sent == [BrokerSlow(THROTTLED)]
    reporter.on_acked(0.1, 1080.0)
    reporter.on_acked(0.1, 1081.0)
    assert sent == [BrokerSlow(THROTTLED), BrokerSlow("")]


def test_a_short_throttle_is_not_worth_a_line() -> None:
    reporter, sent = make()
    for number in range(20):
        reporter.on_throttled(0.2, 1000.0 + number)
    assert sent == []


def test_slow_acknowledgements_are_told_of_until_they_are_quick() -> None:
    reporter, sent = make()
    reporter.on_acked(4.9, 1000.0)
    assert sent == []
    reporter.on_acked(7.0, 1010.0)
    reporter.on_acked(9.0, 1020.0)
    assert sent == [BrokerSlow("an acknowledgement took 7 s")]
    reporter.on_acked(0.1, 1025.0)
    assert len(sent) == 1
    reporter.on_acked(0.1, 1031.0)
    assert sent[1:] == [BrokerSlow("")]


def test_a_throttle_explains_silence() -> None:
    reporter, _ = make()
    reporter.on_throttled(12.0, 1000.0)
    assert 1012.0 <= reporter.explains_until < 1020.0
