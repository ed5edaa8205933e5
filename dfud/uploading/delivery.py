"""What a delivery report that is no acknowledgement means."""

from __future__ import annotations

import enum
import re

from confluent_kafka import KafkaError


class FailureAction(enum.Enum):
    """What is to be done about a message that was not delivered."""

    RETRY = "send it again"
    RENEW = "send it again by a new producer"
    SMALLER = "send it again in a smaller batch; alone, it will never be taken"
    REFUSED = "the broker will never take it"


_REFUSED = frozenset(
    (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError._INVALID_ARG,
    )
)
_WHEN = re.compile(r" \(after \d+ms in state [^)]*\)")  # which librdkafka adds

_SMALLER = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))
_RENEW = frozenset((KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._STATE))


def classify(error: KafkaError) -> FailureAction:
    """Return what to do after `error`; what is not known to be final is tried again: a repeat beats a loss."""
    if error.code() in _REFUSED:
        return FailureAction.REFUSED
    if error.code() in _SMALLER:
        return FailureAction.SMALLER
    if error.fatal() or error.code() in _RENEW:
        return FailureAction.RENEW
    return FailureAction.RETRY


def explain(error: KafkaError) -> str:
    """Return the broker's or librdkafka's reason, with what a user can do about the common ones."""
    advice = {
        KafkaError.MSG_SIZE_TOO_LARGE: "raise the topic's max.message.bytes or lower --chunk_size",
        KafkaError.RECORD_LIST_TOO_LARGE: "raise the topic's max.message.bytes or lower batch.size",
        KafkaError.TOPIC_AUTHORIZATION_FAILED: "have the user allowed to write to the topic",
        KafkaError.CLUSTER_AUTHORIZATION_FAILED: "have the user allowed to write to the topic",
        KafkaError._MSG_TIMED_OUT: "the broker did not acknowledge it within message.timeout.ms",
    }.get(error.code())
    reason = f"{plain(error)} ({error.name()})"
    return f"{reason}; {advice}" if advice else reason


def plain(error: KafkaError) -> str:
    """Return what an error says, without librdkafka's stopwatch: the same error reads the same each time."""
    return _WHEN.sub("", str(error.str()))
