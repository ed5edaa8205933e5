"""How far away a cluster is, with a client that the test answers for."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from dfud.kafka.cluster_questions import ClusterQuestions


class Probe:
    """Stands in for `TopicProbe`: its client takes so long for each answer (s), and gives none after that."""

    topic = "T"
    addresses = ("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1")  # where nothing listens
    properties: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, durations_s: list[float]) -> None:
        self.now = 0.0
        self.durations_s = durations_s

    @property
    def client(self) -> Probe:
        return self

    admin = client

    def list_topics(self, _topic: str, timeout: float) -> None:
        if not self.durations_s:
            self.now += timeout
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        self.now += self.durations_s.pop(0)

    def describe_topics(self, *_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


@pytest.mark.parametrize(
    ("durations_s", "round_trip_s"), [([0.5, 0.05], 0.05), ([0.05, 0.5], 0.05), ([0.05], 0.05), ([], 0.0)]
)
def test_the_quicker_answer_tells_how_far_away_the_broker_is(
    durations_s: list[float], round_trip_s: float
) -> None:
    probe = Probe(durations_s)
    found_s, clocks = ClusterQuestions(probe, lambda: probe.now).answers()  # type: ignore[arg-type]
    assert found_s == pytest.approx(round_trip_s)
    assert clocks == ()
