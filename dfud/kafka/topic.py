"""Checks of the topic before an upload, and when it accepts no messages."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from dfud.kafka.logger import silent_logger
from dfud.kafka.probe import reason_of
from dfud.kafka.topic_probe import TopicProbe

_ANSWER_TIMEOUT_S = 15.0
_CREATION_TIMEOUT_S = 10.0
_TROUBLE_TIMEOUT_S = 3.0


class TopicLimits(NamedTuple):
    """What the broker says about the topic."""

    partitions: int
    max_message_bytes: int | None  # None if this user may not ask


def check_topic_access(topic: str, properties: Mapping[str, Any], config_path: str) -> TopicLimits:
    """Return the limits of `topic`, which is created if it is missing and the broker allows it.

    Raises UsageError if `properties` are not librdkafka's, or if the topic cannot be accessed or written to. The
    calling process must not fork afterwards.
    """
    probe = TopicProbe(Producer, topic, properties, config_path)
    partitions = probe.ask(_PartitionCount(probe))
    admin = _admin(properties, probe.logger)  # kept until the end: without it, its futures fail
    resource = ConfigResource(ResourceType.TOPIC, topic)
    described = admin.describe_topics(TopicCollection([topic]), include_authorized_operations=True)[topic]
    configured = admin.describe_configs([resource])[resource]
    _check_write_access(described, probe)
    return TopicLimits(partitions, _max_message_bytes(configured))


class _PartitionCount:
    """The question how many partitions a topic has; a missing topic is created, once."""

    def __init__(self, probe: TopicProbe[Producer]) -> None:
        self._probe = probe
        self._has_created = False

    def __call__(self, timeout_s: float) -> int:
        """Return the number; KafkaException if there may be an answer later."""
        metadata = self._probe.metadata(timeout_s)
        if is_unknown(metadata) and not self._has_created:
            self._has_created = True
            _create(self._probe)
            metadata = self._probe.metadata(timeout_s)
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        if not metadata.partitions:
            raise KafkaException("it has no partitions")
        return len(metadata.partitions)


def is_unknown(metadata: TopicMetadata) -> bool:
    """Return whether there is no such topic."""
    return metadata.error is not None and metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def _create(probe: TopicProbe[Producer]) -> None:
    topic = probe.topic
    admin = _admin(probe.properties, probe.logger)
    try:
        created = admin.create_topics([NewTopic(topic)], operation_timeout=_CREATION_TIMEOUT_S)[topic]
        created.result(_ANSWER_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise probe.access_error(
                f"it does not exist, and cannot be created: {reason_of(error)}", "create it, or check --topic_name"
            ) from None
    except FutureTimeoutError:
        raise probe.access_error("it does not exist, and creating it timed out", "try again") from None


def _check_write_access(described: Future[Any], probe: TopicProbe[Producer]) -> None:
    """Raise UsageError if the broker says that this user may not write to the topic."""
    # This user may not ask, or the broker is too old or slow: if writing is forbidden, the upload will report it.
    with contextlib.suppress(KafkaException, FutureTimeoutError):
        allowed = described.result(_ANSWER_TIMEOUT_S).authorized_operations
        if allowed and AclOperation.WRITE not in allowed:
            raise probe.access_error(
                "its ACLs do not allow this user to write", "grant the operation Write on the topic"
            )


def _max_message_bytes(configured: Future[Any]) -> int | None:
    with contextlib.suppress(KafkaException, KeyError, FutureTimeoutError):
        return int(configured.result(_ANSWER_TIMEOUT_S)["max.message.bytes"].value)
    return None


def topic_trouble(topic: str, properties: Mapping[str, Any]) -> str:
    """Return why the topic may accept no messages at the moment, or "" if no reason is known.

    This waits for the broker, up to 3 s, with a client of its own: on a connection on which the broker has not
    answered a message, it answers nothing else either.
    """
    admin = _admin(properties, silent_logger())
    try:
        return trouble_in(admin.list_topics(topic, timeout=_TROUBLE_TIMEOUT_S).topics[topic])
    except KafkaException as error:
        return reason_of(error)


def trouble_in(metadata: TopicMetadata) -> str:
    """Return why a topic with this metadata may accept no messages, or ""."""
    if metadata.error is not None:
        return str(metadata.error.str())
    partitions = metadata.partitions.values()
    leaderless = sum(each.leader < 0 for each in partitions)
    if leaderless:
        return f"{leaderless} of its {len(partitions)} partitions have no leader"
    behind = sum(len(each.isrs) < len(each.replicas) for each in partitions)
    return f"{behind} of its {len(partitions)} partitions have too few replicas in sync" if behind else ""


def _admin(properties: Mapping[str, Any], logger: Any) -> AdminClient:
    return AdminClient({**properties, "logger": logger})
