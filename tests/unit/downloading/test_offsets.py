"""Whether commits succeed."""

from __future__ import annotations

from confluent_kafka import KafkaError, TopicPartition

from dfud.downloading.offsets import OffsetCommitter, Position
from tests.helpers.topic_consumer import TopicConsumer

REFUSED = KafkaError(KafkaError.POLICY_VIOLATION, "not allowed")
IN_USE = KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "unknown member")
AWAY = KafkaError(KafkaError._TRANSPORT, "connection refused")


def committer(consumer: TopicConsumer) -> tuple[OffsetCommitter, list[str]]:
    changes: list[str] = []
    made = OffsetCommitter(consumer, "T", "G", changes.append)  # type: ignore[arg-type]
    consumer({"on_commit": made.on_commit})
    return made, changes


def test_a_failure_is_reported_when_it_begins_changes_and_ends() -> None:
    consumer = TopicConsumer([])
    offsets, changes = committer(consumer)
    for error, expected in (
        (None, []),
        (REFUSED, ["not allowed"]),
        (REFUSED, ["not allowed"]),
        (AWAY, ["not allowed", "connection refused"]),
        (None, ["not allowed", "connection refused", ""]),
        (None, ["not allowed", "connection refused", ""]),
    ):
        consumer.commit_error = error
        offsets.commit({0: Position("id", 5)})
        offsets.wait(10)
        assert changes == expected
        assert offsets.failure == (error.str() if error else "")


def test_a_commit_may_be_refused_for_one_partition_or_at_once() -> None:
    consumer = TopicConsumer([])
    offsets, changes = committer(consumer)
    refused = TopicPartition("T", 1, 5)

    class Refused:
        error = REFUSED

    offsets.on_commit(None, [refused, Refused()])  # type: ignore[list-item]
    assert changes == ["not allowed"]
    consumer.outage = AWAY
    offsets.commit({0: Position("id", 5)})
    assert changes == ["not allowed", "connection refused"]
    offsets.wait(0)
    assert offsets.failure == "connection refused"


def test_a_commit_that_is_not_answered_has_failed() -> None:
    consumer = TopicConsumer([])
    consumer.answers_commits = False
    offsets, changes = committer(consumer)
    offsets.commit({0: Position("id", 5)})
    offsets.wait(0.1)
    assert offsets.failure == "the broker did not answer"
    assert changes == []


def test_waiting_ends_with_the_last_answer() -> None:
    consumer = TopicConsumer([])
    offsets, _ = committer(consumer)
    for offset in (5, 6):
        offsets.commit({0: Position("id", offset)})
    offsets.wait(600)
    assert consumer.committed_offsets == {0: 6}
    assert consumer.committed_metadata == {0: "id"}


def test_a_group_that_a_subscriber_uses_is_explained() -> None:
    consumer = TopicConsumer([])
    consumer.commit_error = IN_USE
    offsets, changes = committer(consumer)
    offsets.commit({0: Position("id", 5)})
    offsets.wait(10)
    assert changes == [
        "consumer group G is in use by another program that subscribes with it: choose another "
        "--consumer_group_id, or end that program"
    ]
