"""What an error in a delivery report means for the message, and for the user."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError


class FailureAction(enum.Enum):
    """What to do about a message that was not delivered."""

    RETRY = "produce it again"
    RENEW = "produce it again with a new producer"
    SMALLER = "produce it again in a smaller batch; if it was alone, it is refused"
    REFUSED = "the broker will never accept it"


_REFUSED = frozenset(
    (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError._INVALID_ARG,
        KafkaError._UNSUPPORTED_FEATURE,
    )
)
_SMALLER = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))
_RENEW = frozenset((KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._STATE))

_GRANT_WRITE = "grant the operation Write on the topic"
_CLOCKS = (
    "the clocks of this machine and of the broker differ by more than the topic's message.timestamp.before.max.ms "
    "or message.timestamp.after.max.ms: set the clock that is wrong, or raise these"
)
_OLD_BROKER = "remove compression.type, or use a newer broker"
_ADVICE = {
    KafkaError.MSG_SIZE_TOO_LARGE: "raise the topic's max.message.bytes or lower --chunk_size",
    KafkaError.RECORD_LIST_TOO_LARGE: "raise the topic's segment.bytes and max.message.bytes or lower batch.size",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _GRANT_WRITE,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: f"before Kafka 2.8, grant IdempotentWrite; {_GRANT_WRITE}",
    KafkaError.INVALID_TIMESTAMP: _CLOCKS,
    KafkaError.INVALID_RECORD: _CLOCKS,
    KafkaError.POLICY_VIOLATION: "a policy of the broker forbids it: ask its administrator which one",
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: "raise the topic's message.format.version to 0.11 or later",
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: _OLD_BROKER,
    KafkaError._UNSUPPORTED_FEATURE: _OLD_BROKER,
    KafkaError.TOPIC_EXCEPTION: "check --topic_name",
    KafkaError.INVALID_REQUIRED_ACKS: "set acks = all, or remove it",
    KafkaError.INVALID_MSG: "the broker found its batch damaged: the network or a memory changes bytes",
    KafkaError.NOT_ENOUGH_REPLICAS: "start the brokers that are down, or lower the topic's min.insync.replicas",
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: (
        "start the brokers that are down, or lower the topic's min.insync.replicas"
    ),
    KafkaError.KAFKA_STORAGE_ERROR: "the broker cannot write to its disk (log.dirs): see the broker's log",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create the topic",
    KafkaError._UNKNOWN_TOPIC: "create the topic",
    KafkaError._UNKNOWN_PARTITION: "create the topic",
    KafkaError._MSG_TIMED_OUT: "the broker did not acknowledge it within message.timeout.ms",
}
# librdkafka adds it to the errors of a connection: "(after 0ms in state CONNECT, 5 identical error(s) suppressed)"
_TIMING = re.compile(r" \(after \d+ms in state (?:[^()]|\(s\))*\)")


def classify(error: KafkaError) -> FailureAction:
    """Return what to do after `error`; retry unless it is known to be final: better sent twice than lost."""
    if error.code() in _REFUSED:
        return FailureAction.REFUSED
    if error.code() in _SMALLER:
        return FailureAction.SMALLER
    if error.fatal() or error.code() in _RENEW:
        return FailureAction.RENEW
    return FailureAction.RETRY


def explain(error: KafkaError) -> str:
    """Return the reason that the broker or librdkafka gives, with its cause or what to do about it."""
    reason = f"{plain(error)} ({error.name()})"
    advice = _ADVICE.get(error.code())
    return f"{reason}; {advice}" if advice else reason


def too_large_for_client(error: KafkaError, properties: Mapping[str, Any]) -> str:
    """Return why librdkafka itself refuses a message."""
    limit = properties.get("message.max.bytes")
    return (
        f"{plain(error)} ({error.name()}); raise message.max.bytes (= {limit}) in [producer], and the topic's "
        "max.message.bytes, or lower --chunk_size"
    )


def too_large_for_queue(length: int, properties: Mapping[str, Any]) -> str:
    """Return why librdkafka does not take a message of `length` bytes, although it holds no other."""
    kbytes = properties.get("queue.buffering.max.kbytes")
    return (
        f"a chunk of {length} bytes does not fit into librdkafka's queue (queue.buffering.max.kbytes = {kbytes}); "
        "raise that or lower --chunk_size"
    )


def too_large_for_request(length: int, limit: int) -> str:
    """Return why the broker closes the connection on which it receives a chunk of `length` bytes."""
    return (
        f"a chunk of {length} bytes is more than the broker receives at once, so that it closes the connection "
        f"(socket.request.max.bytes = {limit}); raise that on the broker or lower --chunk_size"
    )


def plain(error: KafkaError) -> str:
    """Return the text of an error without the time it took: the same error reads the same each time."""
    return _TIMING.sub("", str(error.str()))
