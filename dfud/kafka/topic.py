"""A look at the topic before anything is recognised."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from dfud.errors import UsageError

_BROKER_TIMEOUT_S = 15.0  # s for the broker to answer
PERMANENT_ERRORS = (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.TOPIC_AUTHORIZATION_FAILED)
_ADVICE = {
    KafkaError._AUTHENTICATION: "; check sasl.username, sasl.password and sasl.mechanism",
    KafkaError._SSL: "; check ssl.ca.location and security.protocol",
}


class TopicLimits(NamedTuple):
    """What the broker says of the topic."""

    partitions: int
    max_message_bytes: int | None  # None where we may not ask


def check_topic_access(topic: str, properties: Mapping[str, Any], config_path: str) -> TopicLimits:
    """Return the limits of `topic`, which is created if there is none and the broker allows it.

    Raises UsageError if `properties` are no properties of librdkafka, or the topic can't be had. The process that
    has called it must not fork any more.
    """
    errors: list[KafkaError] = []
    logger = silent_logger()
    hang_ups = _HangUps()
    logger.addHandler(hang_ups)
    try:
        producer = Producer({**properties, "error_cb": errors.append, "logger": logger})
    except (KafkaException, ValueError, TypeError) as problem:
        raise UsageError(f"{config_path} can't be used: {reason(problem)}") from None
    deadline = time.monotonic() + _BROKER_TIMEOUT_S
    asked_to_create = False
    patience = 0.5  # s; little at first, so that what is hopeless is told soon
    while True:
        patience = min(2 * patience, max(1.0, deadline - time.monotonic()))
        problem_text = ""
        try:
            metadata = producer.list_topics(topic, timeout=patience).topics[topic]
            error = metadata.error
            if error is None and metadata.partitions:
                return _limits(topic, len(metadata.partitions), properties, config_path, logger)
            if error is not None and error.code() in PERMANENT_ERRORS:
                raise UsageError(
                    f"topic {topic} can't be had: {error.str()}; have the user of {config_path} allowed"
                )
            if error is not None and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART and not asked_to_create:
                asked_to_create = True
                _create(topic, properties, logger)
                continue
            problem_text = error.str() if error else "it has no partitions"
        except KafkaException as problem:
            problem_text = reason(problem)
        with contextlib.suppress(KafkaException):  # a fatal error: what it is of is told by the topic
            producer.poll(0)
        hopeless = next((error for error in errors if error.code() in PERMANENT_ERRORS), None)
        if hopeless or time.monotonic() > deadline:
            told = hopeless or next(
                (error for error in errors if error.code() != KafkaError._ALL_BROKERS_DOWN), None
            )
            servers = properties.get("bootstrap.servers", properties.get("metadata.broker.list"))
            raise UsageError(
                f"topic {topic} can't be had from bootstrap.servers = {servers} of {config_path}: "
                f"{told.str() if told else problem_text}{_advice(told, hang_ups)}"
            )
        time.sleep(0.1)


class _HangUps(logging.Handler):
    """Notices in librdkafka's log that a server takes connections and closes them."""

    there_are = False

    def emit(self, record: logging.LogRecord) -> None:
        self.there_are = self.there_are or "Disconnected" in record.getMessage()


def _advice(told: KafkaError | None, hang_ups: _HangUps) -> str:
    if told is not None and told.code() in _ADVICE:
        return _ADVICE[told.code()]
    return "; it takes connections and hangs up: check security.protocol" if hang_ups.there_are else ""


def topic_trouble(topic: str, properties: Mapping[str, Any]) -> str:
    """Return why the topic may take nothing at the moment, "" if there seems to be no reason.

    This waits for the broker, 3 s at the most, and uses a client of its own: on a connection where the broker has
    not answered a message, nothing else is answered either.
    """
    admin = _admin(properties, silent_logger())
    try:
        return trouble_in(admin.list_topics(topic, timeout=3.0).topics[topic])
    except KafkaException as problem:
        return reason(problem)


def trouble_in(found: TopicMetadata) -> str:
    """Return why a topic that is described so may take nothing, or ""."""
    if found.error is not None:
        return str(found.error.str())
    partitions = found.partitions.values()
    leaderless = sum(each.leader < 0 for each in partitions)
    if leaderless:
        return f"{leaderless} of its {len(partitions)} partitions have no leader"
    behind = sum(len(each.isrs) < len(each.replicas) for each in partitions)
    return f"{behind} of its {len(partitions)} partitions have too few replicas in sync" if behind else ""


def _create(topic: str, properties: Mapping[str, Any], logger: Any) -> None:
    admin = _admin(properties, logger)
    try:
        admin.create_topics([NewTopic(topic)], operation_timeout=10)[topic].result(15)
    except KafkaException as problem:
        error = problem.args[0]
        if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise UsageError(
                f"there is no topic {topic}, and the broker does not let us create it: {error.str()}; "
                "have it created, or check --topic_name"
            ) from None
    except FutureTimeout:
        raise UsageError(
            f"there is no topic {topic}, and the broker took too long to create it; try again"
        ) from None


def _limits(
    topic: str, partitions: int, properties: Mapping[str, Any], config_path: str, logger: Any
) -> TopicLimits:
    """Ask what the topic takes, and whether it takes anything of ours; UsageError if it does not."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = _admin(properties, logger)  # to be kept: without it its futures fail
    described = admin.describe_topics(TopicCollection([topic]), include_authorized_operations=True)[topic]
    configured = admin.describe_configs([resource])[resource]
    max_message_bytes = None
    # Not allowed to ask, too old a broker or a slow one: a refusal will tell.
    with contextlib.suppress(KafkaException, KeyError, FutureTimeout):
        allowed = described.result(15).authorized_operations
        if allowed and AclOperation.WRITE not in allowed:
            raise UsageError(
                f"topic {topic} can't be written to: its ACLs do not allow the user of {config_path} to; "
                "have the operation Write allowed"
            )
    with contextlib.suppress(KafkaException, KeyError, FutureTimeout):
        max_message_bytes = int(configured.result(15)["max.message.bytes"].value)
    return TopicLimits(partitions, max_message_bytes)


def _admin(properties: Mapping[str, Any], logger: Any) -> AdminClient:
    return AdminClient({**properties, "logger": logger})


def reason(problem: Exception) -> str:
    error = problem.args[0] if problem.args else problem
    return error.str() if isinstance(error, KafkaError) else str(error)


def silent_logger() -> Any:
    """Return a logger that keeps librdkafka's own lines off the console."""
    logger = logging.Logger("librdkafka")
    logger.addHandler(logging.NullHandler())
    return logger
