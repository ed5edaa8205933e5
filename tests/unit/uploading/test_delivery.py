"""What is done about each kind of a message's failure."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from dfud.uploading.delivery import Verdict, explain, judge


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, Verdict.SMALLER),
        (KafkaError.RECORD_LIST_TOO_LARGE, Verdict.SMALLER),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Verdict.REFUSED),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, Verdict.REFUSED),
        (KafkaError.TOPIC_EXCEPTION, Verdict.REFUSED),
        (KafkaError.POLICY_VIOLATION, Verdict.REFUSED),
        (KafkaError.INVALID_RECORD, Verdict.REFUSED),
        (KafkaError.INVALID_REQUIRED_ACKS, Verdict.REFUSED),
        (KafkaError._FATAL, Verdict.RENEW),
        (KafkaError._PURGE_QUEUE, Verdict.RENEW),
        (KafkaError._PURGE_INFLIGHT, Verdict.RENEW),
        (KafkaError._STATE, Verdict.RENEW),
        (KafkaError._MSG_TIMED_OUT, Verdict.RETRY),
        (KafkaError._TRANSPORT, Verdict.RETRY),
        (KafkaError._AUTHENTICATION, Verdict.RETRY),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Verdict.RETRY),
        (KafkaError._UNKNOWN_TOPIC, Verdict.RETRY),
        (KafkaError.NOT_ENOUGH_REPLICAS, Verdict.RETRY),
        (KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, Verdict.RETRY),
        (KafkaError.KAFKA_STORAGE_ERROR, Verdict.RETRY),
        (KafkaError.UNKNOWN, Verdict.RETRY),
        (12345, Verdict.RETRY),
    ],
)
def test_verdicts(code: int, verdict: Verdict) -> None:
    assert judge(KafkaError(code)) is verdict


def test_a_fatal_error_of_any_kind_needs_a_new_producer() -> None:
    assert judge(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "lost", fatal=True)) is Verdict.RENEW
    assert judge(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed", fatal=True)) is Verdict.REFUSED


def test_the_reason_comes_with_advice_where_there_is_any() -> None:
    assert explain(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")) == (
        "too large (MSG_SIZE_TOO_LARGE); raise the topic's max.message.bytes or lower --chunk_size"
    )
    assert explain(KafkaError(KafkaError._TRANSPORT, "broken")) == "broken (_TRANSPORT)"
