"""What the errors mean that librdkafka reports while a topic is read: one table for all that read."""

from __future__ import annotations

from enum import Enum

from confluent_kafka import KafkaError


class ReadError(Enum):
    """What has to be done about an error."""

    DAMAGED = "skip what cannot be read"
    OUT_OF_RANGE = "go on at an offset that is there"
    REFUSED = "ask an administrator, or use another group"
    NO_TOPIC = "wait for the topic, or give up"
    UNSUPPORTED = "give up"
    AWAY = "nothing: librdkafka goes on once the cause is gone"


_KINDS = {
    KafkaError._BAD_MSG: ReadError.DAMAGED,
    KafkaError._BAD_COMPRESSION: ReadError.DAMAGED,
    KafkaError._NOT_IMPLEMENTED: ReadError.DAMAGED,  # the format, or the compression
    KafkaError._UNDERFLOW: ReadError.DAMAGED,
    KafkaError.INVALID_MSG: ReadError.DAMAGED,
    KafkaError.MSG_SIZE_TOO_LARGE: ReadError.DAMAGED,
    KafkaError._AUTO_OFFSET_RESET: ReadError.OUT_OF_RANGE,
    KafkaError.OFFSET_OUT_OF_RANGE: ReadError.OUT_OF_RANGE,
    KafkaError._LOG_TRUNCATION: ReadError.OUT_OF_RANGE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: ReadError.REFUSED,
    KafkaError.GROUP_AUTHORIZATION_FAILED: ReadError.REFUSED,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: ReadError.REFUSED,
    KafkaError._AUTHENTICATION: ReadError.REFUSED,
    KafkaError.UNKNOWN_TOPIC_OR_PART: ReadError.NO_TOPIC,
    KafkaError.UNKNOWN_TOPIC_ID: ReadError.NO_TOPIC,
    KafkaError._UNKNOWN_TOPIC: ReadError.NO_TOPIC,
    KafkaError._UNKNOWN_PARTITION: ReadError.NO_TOPIC,
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: ReadError.UNSUPPORTED,
}
_FINAL = (ReadError.REFUSED, ReadError.NO_TOPIC, ReadError.UNSUPPORTED)
_OF_GROUP = (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.INCONSISTENT_GROUP_PROTOCOL)

_ADVICE = {
    ReadError.REFUSED: "grant the user of this configuration the operation Read on it",
    ReadError.NO_TOPIC: "the topic was deleted while it was read",
    ReadError.UNSUPPORTED: "the broker cannot send messages of this compression",
}
_LIMIT = "receive.message.max.bytes"  # in librdkafka's text of that error


def kind_of(error: KafkaError) -> ReadError:
    """Return what has to be done about an error."""
    return _KINDS.get(error.code(), ReadError.AWAY)


def too_large(error: KafkaError) -> str:
    """Return what to do if an answer of the broker is too large for the client, and "" for any other error.

    librdkafka then closes the connection, and does not say which partition it was.
    """
    text = error.str()
    return f"a message is larger than {_LIMIT} allows; raise it ({text})" if _LIMIT in text else ""


def is_final(error: KafkaError) -> bool:
    """Return whether nothing more can be read by whoever needs no consumer group."""
    is_of_reading = kind_of(error) in _FINAL and error.code() not in _OF_GROUP
    return is_of_reading or error.fatal() or bool(too_large(error))


def is_forbidden(error: KafkaError) -> bool:
    """Return whether the user of the configuration file lacks a right."""
    return kind_of(error) is ReadError.REFUSED and error.code() not in _OF_GROUP


def describe(topic: str, error: KafkaError) -> str:
    """Return that a topic cannot be read, the cause, and what to do."""
    advice = _ADVICE.get(kind_of(error), "try again" if error.fatal() else "")
    if error.code() == KafkaError._AUTHENTICATION:
        advice = "check sasl.username, sasl.password and sasl.mechanism"
    text = too_large(error) or error.str() + (f"; {advice}" if advice else "")
    return f"cannot read topic {topic}: {text}"
