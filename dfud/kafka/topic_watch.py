"""Which topic a name stands for now: a topic that is deleted and made anew keeps its name, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from dfud.kafka.admin import make_admin_client

_INTERVAL_S = 2.0
_HURRIED_INTERVAL_S = 0.1
_ANSWER_TIMEOUT_S = 5.0
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # of brokers before Kafka 2.8


class TopicState(NamedTuple):
    """What the broker says of a topic."""

    topic_id: str  # of Kafka, new whenever a topic is made anew; "" if the broker does not say, or has no topic
    partitions: tuple[int, ...]  # their numbers; none if there is no such topic


ABSENT = TopicState("", ())


class Watch(Protocol):
    """What says now and then which topic is there."""

    def poll(self) -> TopicState | None:
        """Return an answer of the broker that is new, or None."""

    def hurry(self) -> None:
        """Ask as soon as possible."""


class TopicWatch:
    """Asks the broker about a topic every few seconds, and never waits for the answer."""

    def __init__(
        self, properties: Mapping[str, Any], topic: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make a client of its own."""
        self._admin = make_admin_client(properties)
        self._topic = topic
        self._clock = clock
        self._answer: Future[Any] | None = None
        self._next = clock()

    def poll(self) -> TopicState | None:
        """Return an answer of the broker that is new, or None; KafkaException if it does not answer."""
        now = self._clock()
        if self._answer is None:
            if now >= self._next:
                self._answer = _ask(self._admin, self._topic)
            return None
        if not self._answer.done():
            return None
        answer, self._answer = self._answer, None
        self._next = now + _INTERVAL_S
        return _state(answer, 0.0)

    def hurry(self) -> None:
        """Ask as soon as possible: what happens to a partition may be explained by a topic made anew."""
        self._next = min(self._next, self._clock() + _HURRIED_INTERVAL_S)


def topic_id_of(described: Any) -> str:
    """Return the id in the answer to `describe_topics`; "" if the broker does not say."""
    topic_id = str(described.topic_id)
    return "" if topic_id in (_NO_ID, "None") else topic_id


def topic_state(admin: AdminClient, topic: str) -> TopicState:
    """Return which topic is there now; KafkaException if the broker does not answer."""
    return _state(_ask(admin, topic), 2 * _ANSWER_TIMEOUT_S)


def _ask(admin: AdminClient, topic: str) -> Future[Any]:
    answer: Future[Any] = admin.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER_TIMEOUT_S)[topic]
    return answer


def _state(answer: Future[Any], timeout_s: float) -> TopicState:
    try:
        described = answer.result(timeout_s)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return ABSENT
        raise
    except FutureTimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
    return TopicState(topic_id_of(described), tuple(sorted(each.id for each in described.partitions)))
