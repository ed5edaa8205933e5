"""What to do about each kind of failure of a message."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from dfud.uploading.delivery import FailureAction, classify, explain, plain


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, FailureAction.SMALLER),
        (KafkaError.RECORD_LIST_TOO_LARGE, FailureAction.SMALLER),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, FailureAction.REFUSED),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, FailureAction.REFUSED),
        (KafkaError.TOPIC_EXCEPTION, FailureAction.REFUSED),
        (KafkaError.POLICY_VIOLATION, FailureAction.REFUSED),
        (KafkaError.INVALID_RECORD, FailureAction.REFUSED),
        (KafkaError.INVALID_REQUIRED_ACKS, FailureAction.REFUSED),
        (KafkaError.INVALID_TIMESTAMP, FailureAction.REFUSED),
        (KafkaError.UNSUPPORTED_COMPRESSION_TYPE, FailureAction.REFUSED),
        (KafkaError._UNSUPPORTED_FEATURE, FailureAction.REFUSED),
        (KafkaError._FATAL, FailureAction.RENEW),
        (KafkaError._PURGE_QUEUE, FailureAction.RENEW),
        (KafkaError._PURGE_INFLIGHT, FailureAction.RENEW),
        (KafkaError._STATE, FailureAction.RENEW),
        (KafkaError._MSG_TIMED_OUT, FailureAction.RETRY),
        (KafkaError._TRANSPORT, FailureAction.RETRY),
        (KafkaError._AUTHENTICATION, FailureAction.RETRY),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, FailureAction.RETRY),
        (KafkaError._UNKNOWN_TOPIC, FailureAction.RETRY),
        (KafkaError.NOT_ENOUGH_REPLICAS, FailureAction.RETRY),
        (KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, FailureAction.RETRY),
        (KafkaError.KAFKA_STORAGE_ERROR, FailureAction.RETRY),
        (KafkaError.UNKNOWN, FailureAction.RETRY),
        (12345, FailureAction.RETRY),
    ],
)
def test_the_action_for_each_error(code: int, action: FailureAction) -> None:
    assert classify(KafkaError(code)) is action


def test_a_fatal_error_of_any_kind_needs_a_new_producer() -> None:
    assert classify(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "lost", fatal=True)) is FailureAction.RENEW
    assert (
        classify(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed", fatal=True))
        is FailureAction.REFUSED
    )


def test_the_reason_comes_with_advice_where_there_is_any() -> None:
    assert explain(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")) == (
        "too large (MSG_SIZE_TOO_LARGE); raise the topic's max.message.bytes or lower --chunk_size"
    )
    assert explain(KafkaError(KafkaError._TRANSPORT, "broken")) == "broken (_TRANSPORT)"
    for code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
        assert explain(KafkaError(code, "denied")).endswith("; grant the operation Write on the topic")


@pytest.mark.parametrize("code", [KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD])
def test_a_refused_time_names_the_clocks_and_the_setting(code: int) -> None:
    reason = explain(KafkaError(code))
    assert "clocks" in reason
    assert "message.timestamp.after.max.ms" in reason


@pytest.mark.parametrize("more", ["", ", 5 identical error(s) suppressed"])
def test_the_time_that_a_connection_took_is_left_out(more: str) -> None:
    text = f"sasl: wrong password (after 312ms in state AUTH_REQ{more})"
    error = KafkaError(KafkaError._AUTHENTICATION, text)
    assert plain(error) == "sasl: wrong password"
