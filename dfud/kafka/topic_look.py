"""Looking at a topic: its settings, replicas, rights and clocks, asked of the broker all at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.admin._resource import ResourceType

from dfud.kafka.broker_errors import is_unanswered
from dfud.kafka.probe import reason_of
from dfud.kafka.topic_facts import ClockReading, Partition, TopicFacts
from dfud.kafka.topic_watch import topic_id_of

ANSWER_TIMEOUT_S = 5.0
_LAST_MESSAGE = "the last message on the topic"


class TopicQuestions:
    """The requests about one topic, sent together when this is made, so that each answer is waited for only once.

    `admin` has to be kept until the answers are there: without it, its futures fail.
    """

    def __init__(self, admin: AdminClient, topic: str, n_partitions: int) -> None:
        """Send the requests; none of them changes or creates anything."""
        self._topic = topic
        self._resource = ConfigResource(ResourceType.TOPIC, topic)
        self._described = admin.describe_topics(
            TopicCollection([topic]),
            include_authorized_operations=True,
            request_timeout=ANSWER_TIMEOUT_S,
        )[topic]
        self._configured = admin.describe_configs([self._resource], request_timeout=ANSWER_TIMEOUT_S)[
            self._resource
        ]
        self._newest = ask_newest(admin, topic, n_partitions)

    def facts(self, metadata: TopicMetadata, timeout_s: float) -> TopicFacts | None:
        """Return the answers, or None if they are not all there within `timeout_s`.

        Raises KafkaException if one of them, or no leader of a partition, could not be had in time.
        """
        if wait([self._described, self._configured, *self._newest.values()], timeout_s).not_done:
            return None
        clocks = clock_of(self._newest, _LAST_MESSAGE)
        topic_id, operations = self._identity()
        settings, unseen = self._settings()
        partitions = tuple(
            Partition(each.leader, len(each.replicas), len(each.isrs)) for each in metadata.partitions.values()
        )
        return TopicFacts(self._topic, topic_id, partitions, settings, operations, clocks, unseen)

    def _identity(self) -> tuple[str, frozenset[str] | None]:
        """Return the topic's id, and the operations that are allowed; "" and None if the broker says neither."""
        try:
            described = self._described.result()
        except KafkaException as error:
            _raise_unless_answer(error)
            return "", None  # an old broker: if writing is forbidden, the upload reports it
        return topic_id_of(described), operations_of(described)

    def _settings(self) -> tuple[Mapping[str, str] | None, str]:
        try:
            return settings_of(self._configured.result()), ""
        except KafkaException as error:
            _raise_unless_answer(error)
            return None, reason_of(error)


def _raise_unless_answer(error: KafkaException) -> None:
    if is_unanswered(error.args[0]):
        raise error


def operations_of(described: Any) -> frozenset[str] | None:
    """Return the names of the operations that are allowed, by the answer to `describe_topics`."""
    operations = described.authorized_operations
    return frozenset(each.name for each in operations) if operations else None


def settings_of(configured: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings in the answer to `describe_configs`."""
    return {name: entry.value for name, entry in configured.items() if entry.value is not None}


def ask_newest(admin: AdminClient, topic: str, n_partitions: int) -> dict[TopicPartition, Future[Any]]:
    """Ask each leader for the highest timestamp of its messages."""
    partitions = [TopicPartition(topic, number) for number in range(n_partitions)]
    if not partitions:
        return {}
    newest_spec = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
    newest: dict[TopicPartition, Future[Any]] = admin.list_offsets(
        dict.fromkeys(partitions, newest_spec), request_timeout=ANSWER_TIMEOUT_S
    )
    return newest


def clock_of(newest: Mapping[TopicPartition, Future[Any]], source: str) -> tuple[ClockReading, ...]:
    """Return the highest timestamp; KafkaException if no leader could be reached."""
    timestamps = []
    unreached: KafkaException | None = None
    n_answers = 0
    for future in newest.values():
        try:
            timestamps.append(future.result(2 * ANSWER_TIMEOUT_S).timestamp)
            n_answers += 1
        except KafkaException as error:
            is_answer = not is_unanswered(error.args[0])
            n_answers += is_answer
            unreached = unreached if is_answer else error
        except FutureTimeoutError:
            unreached = unreached or KafkaException(KafkaError(KafkaError._TIMED_OUT))
    if unreached is not None and not n_answers:
        raise unreached
    ours = int(time.time() * 1000)
    return tuple(
        ClockReading(max(timestamps), ours, False, source) for _ in range(max(timestamps, default=-1) > 0)
    )
