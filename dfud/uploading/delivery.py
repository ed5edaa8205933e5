"""What an error in a delivery report means for the message."""

from __future__ import annotations

import enum
import re

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
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError._INVALID_ARG,
    )
)
_SMALLER = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))
_RENEW = frozenset((KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._STATE))

_GRANT_WRITE = "grant the operation Write on the topic"
_ADVICE = {
    KafkaError.MSG_SIZE_TOO_LARGE: "raise the topic's max.message.bytes or lower --chunk_size",
    KafkaError.RECORD_LIST_TOO_LARGE: "raise the topic's max.message.bytes or lower batch.size",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _GRANT_WRITE,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _GRANT_WRITE,
    KafkaError._MSG_TIMED_OUT: "the broker did not acknowledge it within message.timeout.ms",
}
_TIMING = re.compile(r" \(after \d+ms in state [^)]*\)")  # librdkafka adds it to the errors of a connection


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
    """Return the reason that the broker or librdkafka gives, with advice for the common ones."""
    reason = f"{plain(error)} ({error.name()})"
    advice = _ADVICE.get(error.code())
    return f"{reason}; {advice}" if advice else reason


def plain(error: KafkaError) -> str:
    """Return the text of an error without the time it took: the same error reads the same each time."""
    return _TIMING.sub("", str(error.str()))
