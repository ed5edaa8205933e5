"""Why a message of a client that is no upload is not on its topic, in words for the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError

from dfud.kafka.broker_errors import trouble_of
from dfud.kafka.client_errors import hide_secrets

_REASONS = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: "it does not exist; create it",
    KafkaError._UNKNOWN_TOPIC: "it does not exist; create it",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "this user may not write to it; grant the operation Write on the topic",
    KafkaError.TOPIC_EXCEPTION: "Kafka allows no such name",
}
_TOO_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)


def connection_reason(error: KafkaError, properties: Mapping[str, Any]) -> str:
    """Return what an error of a client says about its connection; "" if it is the consequence of another."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        return ""
    return hide_secrets(trouble_of(error).describe(), properties)


def delivery_reason(error: KafkaError, trouble: str, properties: Mapping[str, Any]) -> str:
    """Return why a message was not delivered; `trouble` is that of the connection, if there is any."""
    if error.code() in (KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT) and trouble:
        return trouble
    return _REASONS.get(error.code()) or hide_secrets(error.str(), properties)


def is_too_large(error: KafkaError) -> bool:
    """Return whether a smaller message might be accepted."""
    return error.code() in _TOO_LARGE
