"""How far away a cluster is, and what time it has: asked beside the questions about a topic.

Over a long line each answer takes a while, so none of these questions waits for another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from dfud.kafka.asking import ask
from dfud.kafka.quorum_clock import quorum_clock
from dfud.kafka.topic_facts import ClockReading
from dfud.kafka.topic_look import ANSWER_TIMEOUT_S, ask_newest, clock_of
from dfud.kafka.topic_probe import TopicProbe
from dfud.kafka.topic_rules import BROKERS_RECORD

_N_ROUND_TRIPS = 2  # the quicker one counts: the other may have waited for a processor
_ROUND_TRIP_TIMEOUT_S = 3.0
_MAX_ASKED_BROKERS = 2  # for the time
_OFFSETS_TOPIC = "__consumer_offsets"  # its messages are written, and stamped, by brokers


class ClusterQuestions:
    """Asks as soon as it is made, in threads of its own; for a process that forks no other."""

    def __init__(self, probe: TopicProbe[Any], clock: Callable[[], float] = time.monotonic) -> None:
        """Ask the brokers that `probe` has had an answer from."""
        self._probe = probe
        self._clock = clock
        self._round_trip = ask(self._ask_round_trip)
        self._present = ask(self._ask_quorum)
        self._recorded = ask(lambda: _brokers_clock(probe.admin))

    def answers(self) -> tuple[float, tuple[ClockReading, ...]]:
        """Return how long a request takes (s, 0 without an answer), and what times brokers say or have written."""
        return self._round_trip.result(), (*self._recorded.result(), *self._present.result())

    def _ask_round_trip(self) -> float:
        quickest_s = 0.0
        for _ in range(_N_ROUND_TRIPS):
            began = self._clock()
            try:
                self._probe.client.list_topics(self._probe.topic, timeout=_ROUND_TRIP_TIMEOUT_S)
            except KafkaException:
                return quickest_s
            taken_s = self._clock() - began
            quickest_s = min(quickest_s or taken_s, taken_s)
        return quickest_s

    def _ask_quorum(self) -> tuple[ClockReading, ...]:
        for address in self._probe.addresses[:_MAX_ASKED_BROKERS]:
            reading = quorum_clock(address, self._probe.properties)
            if reading is not None:
                return (reading,)
        return ()


def _brokers_clock(admin: AdminClient) -> tuple[ClockReading, ...]:
    """Return the latest time at which a broker has written an offset that a consumer group committed, if any has.

    The broker's clock shows that time or a later one.
    """
    try:
        asked = admin.describe_topics(TopicCollection([_OFFSETS_TOPIC]), request_timeout=ANSWER_TIMEOUT_S)
        n_partitions = len(asked[_OFFSETS_TOPIC].result(2 * ANSWER_TIMEOUT_S).partitions)
        return clock_of(ask_newest(admin, _OFFSETS_TOPIC, n_partitions), BROKERS_RECORD)
    except (KafkaException, FutureTimeoutError):  # it does not exist, or this user may not see it
        return ()
